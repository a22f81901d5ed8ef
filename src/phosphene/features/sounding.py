"""A rendering of sounds as a stream of events (`Progress`, `Notice`, `Clip`), on the engine that pictures use.

A clip is written as it was measured: faded, at a declared loudness, in 16 bits. With a store it is written as soon as
it is there, and what was stopped goes on where it was, as `rendering.py` does for pictures.

The network computes in float32 always: a spectrogram in bfloat16 has eight bits, and a pitch is finer than that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from torch import Tensor

from phosphene.engine import Loop, arithmetic, optimize
from phosphene.engine.environment import environment
from phosphene.errors import UsageError
from phosphene.features.ahead import Standing, standing
from phosphene.features.audio_config import MAX_SECONDS, AudioConfig
from phosphene.features.batch import Batch, numbered, refuse_cut
from phosphene.features.clip import Clip, Clips, kept, samples_sha256
from phosphene.features.course import already, cut, each, ended, keep_state, rows_that_fit
from phosphene.features.events import Notice, Progress
from phosphene.features.measure import Measured, measure
from phosphene.features.members import check_whole, label, single, subject, whole
from phosphene.features.plan import join, named
from phosphene.features.references import aimed_at
from phosphene.features.store import SoundStore
from phosphene.media import from_levels, loudness, to_levels, true_peak
from phosphene.models import AudioSpec, Model
from phosphene.models.model import describe
from phosphene.objectives import L1, L2, Border, Objective, Opacity, parse, to_data
from phosphene.recipe import SCHEMA, OptimizerConfig, RenderConfig, RunConfig, to_json
from phosphene.seeds import Generators
from phosphene.signals import WAVES, Wave
from phosphene.signals.waveform import HIGHEST
from phosphene.transforms import QUIET, AudioRanges, Shake
from phosphene.version import version

KIND = "sound"
OF_PICTURES = (L1, L2, Border, Opacity)  # prices that pull to gray, or read an opacity


def clip_length(spec: AudioSpec, config: AudioConfig, init: Tensor | None) -> tuple[int, Tensor | None]:
    """Samples of the clips, and the sound (channels, samples) that they start from: its beginning, in 16 bits.

    Raises UsageError for one of other channels, for one that is too short, and for more than a clip holds.
    """
    asked = None if config.seconds is None else round(config.seconds * spec.rate)
    if init is None:
        return asked or spec.samples, None
    if init.dim() != 2 or init.shape[0] != spec.channels:
        raise UsageError(f"a start sound must be ({spec.channels}, samples), got {tuple(init.shape)}")
    length = init.shape[1]
    samples = asked or length
    if length < samples:
        raise UsageError(
            f"the start sound lasts {length / spec.rate:.4g} s, less than the {samples / spec.rate:.4g} s asked for; "
            "use a smaller --seconds, or leave it out"
        )
    if samples > MAX_SECONDS * spec.rate:
        raise UsageError(
            f"the start sound lasts {length / spec.rate:.4g} s, and a clip {MAX_SECONDS:g} s at most; --seconds takes "
            "its beginning"
        )
    return samples, torch.from_numpy(from_levels(to_levels(init[:, :samples].float().numpy())))


class Sounding:
    """One rendering of sounds as a stream of events; iterate once.

    Construction checks everything that can be wrong. `stop()` ends it after the current step, keeping what there is.
    init: a sound (channels, samples) in [-1, 1] to start from, at its own level. store: where the clips are kept.
    """

    def __init__(
        self,
        model: Model,
        targets: str | Objective | Sequence[str | Objective],
        config: AudioConfig,
        run: RunConfig,
        *,
        init: Tensor | None = None,
        store: SoundStore | None = None,
    ) -> None:
        self.model, self.spec, self.run, self.store = model, model.audio_spec, run, store
        self.arithmetic = arithmetic(replace(run, precision="float32"))
        self.samples, self.init = clip_length(self.spec, config, init)
        self.config = replace(
            config, seconds=self.samples / self.spec.rate, high=config.high or HIGHEST * self.spec.rate
        )
        self.groups: list[Objective] = []
        self.order: list[tuple[int, int]] = []
        self._bind([targets] if isinstance(targets, (str, Objective)) else list(targets))
        self._check()
        self.total = self.rows * config.steps
        self.done: dict[tuple[int, int], Clip] = {}
        self._stopping = False
        self._began = time.perf_counter()
        if store is not None:
            store.open(self._identity())

    @property
    def rows(self) -> int:
        """Clips in all."""
        return sum(group.rows for group in self.groups)

    @property
    def complete(self) -> bool:
        """Whether every clip is there and none was interrupted."""
        return len([clip for clip in self.done.values() if clip.status != "interrupted"]) == self.rows

    def stop(self) -> None:
        """End after the current step; unfinished clips come with status "interrupted"."""
        self._stopping = True

    def clips(self) -> Clips:
        """What is there so far, in the order of the targets."""
        found = tuple(self.done[place] for place in self.order if place in self.done)
        return Clips(found, self.model.name, self.arithmetic.device.type, time.perf_counter() - self._began)

    def __iter__(self) -> Iterator[Progress | Notice | Clip]:
        a = self.arithmetic
        model = self.model.prepared(a.device, dtype=a.dtype, memory_format=a.memory_format)
        queue, done, number = self._batches(model), 0, 0
        while queue and not self._stopping:
            batch = numbered(queue, number)
            stored = self._stored(batch)
            yield from stored if stored is not None else self._run(batch, model, done)
            done += len(batch.rows) * self.config.steps
            number += 1
        if self.store is not None and self.complete:
            self.store.clear()

    def _batches(self, model: Model) -> list[Batch]:
        return cut(self.groups, lambda group: self._batch_size(group, model), self.run, self.arithmetic, self.store)

    def _run(self, batch: Batch, model: Model, done: int) -> Iterator[Progress | Notice | Clip]:
        objective = aimed_at(batch.objective(), model, self.init)
        wave, transform = self.parts(objective, batch.shape)
        state = self.store.restore(batch.key) if self.store is not None else None
        if state is not None:
            yield Notice(f"batch {batch.number + 1} resumes at step {state['done']}")
        places = tuple(self.order.index((batch.index, row)) for row in batch.rows)
        for step in optimize(objective, model, wave, transform, self._loop_config(), state=state):
            batch.steps, batch.broken = step.i, step.broken
            yield Progress(done + step.i * len(batch.rows), self.total, batch.number, batch.of, step, places)
            keep_state(self.store, batch, step, self.run, self.config.steps, stopping=self._stopping, more={})
            if self._stopping:
                break
        yield from self._finish(batch, wave)
        if self.store is not None and batch.steps == self.config.steps:
            self.store.forget(batch.key)

    def _stored(self, batch: Batch) -> list[Clip] | None:
        """The clips of a batch that an earlier run finished; None when any of them is missing."""
        found = already(self.store, batch, self._name)
        if found is None:
            return None
        for row, file, samples, recipe in found:
            self.done[batch.index, row] = replace(self._clip(batch, row, samples, recipe), path=file)
        return [self.done[batch.index, row] for row in batch.rows]

    def _identity(self) -> dict[str, Any]:
        """What makes this rendering this one; a resumed one must agree."""
        return {
            "model": describe(self.model),
            "targets": [to_data(group) for group in self.groups],
            "method": to_json(self.config),
            "precision": self.arithmetic.precision,
            "inputs": self.inputs(),
            "batch_shape": self.run.batch_shape,
        }

    def inputs(self) -> dict[str, Any]:
        """The sound that was given, as a recipe names it."""
        return {"init_sha256": samples_sha256(self.init) if self.init is not None else None}

    def _bind(self, asked: Sequence[str | Objective]) -> None:
        if not asked:
            raise UsageError("nothing to render: give a target such as logit:0")
        for target in asked:
            bound = (parse(target) if isinstance(target, str) else target).bind(self.model)
            wrong = next((leaf for leaf in bound.leaves() if isinstance(leaf, OF_PICTURES)), None)
            if wrong is not None:
                raise UsageError(
                    f"{wrong} is a price of pictures; a sound has highpass, slope, tvtime, tvfrequency and density"
                )
            check_whole(bound)
            self.order += join(self.groups, bound)

    def _check(self) -> None:
        rate, least = self.spec.rate, self.spec.least
        if self.samples < least:
            raise UsageError(
                f"{self.samples / rate:g} s is shorter than the {least / rate:g} s ({least} samples) that "
                f"{self.model.name} hears at once; use --seconds {least / rate:g} or more"
            )
        if (self.config.high or 0) > rate / 2:
            raise UsageError(f"high is {rate / 2:g} Hz at most, half the rate of {self.model.name}")
        for group in self.groups:
            refuse_cut(group, self.run)
            first = aimed_at(group.take(range(group.together)), self.model, self.init)
            wave, transform = self.parts(first, group.together)
            loop = Loop(first, self.model, wave.to(self.model.device), transform, self._loop_config())
            try:
                with torch.no_grad():
                    loop.scores(0)
            except RuntimeError as error:  # of a network of one length only, whose own says no word of sounds
                if self.samples == self.spec.samples or isinstance(error, torch.OutOfMemoryError):
                    raise
                raise UsageError(
                    f"{self.model.name} does not run on {self.samples} samples: {' '.join(str(error).split())}; it is "
                    f"made for {self.spec.samples}, which is --seconds {self.spec.samples / rate:g}"
                ) from error

    def _loop_config(self) -> RenderConfig:
        return RenderConfig(
            steps=self.config.steps, seed=self.config.seed, optimizer=OptimizerConfig(lr=self.config.lr)
        )

    def _batch_size(self, group: Objective, model: Model) -> int:
        def loop() -> Loop:
            rows = aimed_at(group.take(range(group.together)), model, self.init)
            return Loop(rows, model, *self.parts(rows, group.together), self._loop_config())

        return rows_that_fit(group, self.run, self.arithmetic.device, loop)

    def parts(self, objective: Objective, rows: int) -> tuple[Wave, Shake]:
        """A started wave and the transform for `rows` clips of an objective."""
        c, rate = self.config, self.spec.rate
        kind: Any = WAVES[c.signal]
        if c.signal != "samples":
            kind = partial(kind, decay=c.decay, low=c.low / rate, high=(c.high or 0) / rate)
        wave: Wave = kind(rows, channels=self.spec.channels, samples=self.samples, level=10 ** (c.level / 20))
        names = [objective.identity(row if objective.rows > 1 else 0) for row in range(rows)]
        if self.init is None:
            wave.start(Generators(c.seed, names), c.start)
        else:
            wave.encode(self.init.expand(rows, -1, -1))
        ranges = (
            QUIET
            if c.still
            else AudioRanges(c.shift / 1000 * rate, c.speed, c.gain, c.polarity, c.noise, c.crop, c.crops, c.relax)
        )
        return wave.to(self.arithmetic.device), Shake(ranges, self.samples, c.steps, self.spec.channels)

    def _finish(self, batch: Batch, wave: Wave) -> Iterator[Clip]:
        with torch.no_grad():
            raw = wave.finished().float().cpu()
        seconds = each(batch)
        for place, row in enumerate(batch.rows):
            sound = kept(raw[place], self.spec.rate, self.config.loudness)
            unit = aimed_at(subject(single(batch.group, row)), self.model, self.init)
            measured = measure(self.model, sound, unit, blank=0.0)
            why = partial(_failure, sound, measured, finite=bool(raw[place].isfinite().all()))
            result = ended(batch, place, self.config.steps, measured, why, seconds)
            found = standing(self.model, sound, unit)
            result |= {"standing": asdict(found)} if found is not None else {}
            clip = self._clip(batch, row, sound, self._record(batch, row, sound, result))
            if self.store is not None:
                clip = self.store.put(clip, self._name(batch, row))
            self.done[batch.index, row] = clip
            yield clip

    def _name(self, batch: Batch, row: int) -> str:
        """The target of a row as text: it names the row's file."""
        name = str(named(single(batch.group, row), self.model))
        return f"{name} {row % batch.together + 1} of {batch.together}" if batch.together > 1 else name

    def _clip(self, batch: Batch, row: int, sound: Tensor, recipe: dict[str, Any]) -> Clip:
        unit, result = subject(single(batch.group, row)), recipe["result"]
        units = getattr(unit, "units", ())
        return Clip(
            sound=sound,
            rate=self.spec.rate,
            target=self._name(batch, row),
            layer=str(getattr(unit, "layer", "input")),
            unit=units[0] if units else None,
            seed=self.config.seed,
            steps=result["steps"],
            activation=float("nan") if result["activation"] is None else result["activation"],
            loudness=loudness(sound, self.spec.rate),
            peak=true_peak(sound),
            status=result["status"],
            reason=result["reason"],
            seconds=result["seconds"],
            recipe=recipe,
            standing=Standing(**result["standing"]) if "standing" in result else None,
            label=label(batch.group, row, lambda part: str(named(part, self.model))),
        )

    def _record(self, batch: Batch, row: int, sound: Tensor, result: dict[str, Any]) -> dict[str, Any]:
        """The recipe of one clip. No paths and no user names."""
        objective, place = whole(batch.group, row)
        heard = loudness(sound, self.spec.rate)
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "app": {"name": "phosphene", "version": version()},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": describe(self.model),
            "target": {
                "text": str(named(single(batch.group, row), self.model)),
                "data": to_data(objective),
                "row": place,
            },
            "method": to_json(self.config),
            "batch_shape": batch.shape,
            "environment": environment(self.arithmetic),
            "inputs": self.inputs(),
            "result": {
                **result,
                "loudness": heard if math.isfinite(heard) else None,
                "samples_sha256": samples_sha256(sound),
            },
        }


def _failure(sound: Tensor, measured: Measured, broken_at: int, *, finite: bool) -> str:
    """Why a finished clip lets nothing be heard, "" when it is sound."""
    if broken_at:
        return f"the gradient stopped being finite at step {broken_at}"
    if not finite:
        return "the sound's values stopped being finite; a smaller --lr may help"
    if not math.isfinite(measured.value):
        return f"the network gives {measured.value} for this sound"
    if measured.silent:
        return "the unit stays silent: no gradient reaches the sound"
    return "" if bool(sound.any()) else "the clip is silent"
