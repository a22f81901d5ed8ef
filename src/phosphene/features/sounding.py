"""Feature visualization for the ear: targets in, measured clips out, on the engine that pictures use.

`render_sound` gives Clips. `Sounding` is the same work as a stream of events (`SoundProgress`, `Clip`), for whoever
shows it as it happens. A clip is written as it was measured: faded, at a declared loudness, in 16 bits.

The network computes in float32 always: a spectrogram in bfloat16 has eight bits, and a pitch is finer than that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from torch import Tensor

from phosphene.engine import Loop, Step, arithmetic, optimize
from phosphene.engine.batching import batch_rows, kept_bytes
from phosphene.engine.environment import environment
from phosphene.errors import UsageError
from phosphene.features.audio_config import AudioConfig
from phosphene.features.batch import Batch, batches, least_rows, numbered, refuse_cut, whole_groups
from phosphene.features.clip import Clip, Clips, kept, samples_sha256
from phosphene.features.measure import Measured, measure
from phosphene.features.members import check_whole, label, single, subject, whole
from phosphene.features.picture import Status
from phosphene.features.plan import join, named
from phosphene.media import loudness, true_peak
from phosphene.models import Model
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


@dataclass(frozen=True)
class SoundProgress:
    """A step was done. done, total: clip-steps of the whole rendering. step: the engine's own record."""

    done: int
    total: int
    step: Step


def render_sound(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    *,
    config: AudioConfig | None = None,
    run: RunConfig | None = None,
) -> Clips:
    """Optimise one clip for every unit of the targets, as `phosphene audio render` does.

    targets: text such as "logit:Whistling" or "logit:228 - 0.1*tvtime", objectives, or several of either.
    Raises UsageError for a network that sees, and for targets, lengths or numbers that cannot be.
    """
    work = Sounding(model, targets, config or AudioConfig(), run or RunConfig())
    for _ in work:
        pass
    return work.clips()


class Sounding:
    """One rendering of sounds as a stream of events; iterate once.

    Construction checks everything that can be wrong. `stop()` ends it after the current step, keeping what there is.
    """

    def __init__(
        self, model: Model, targets: str | Objective | Sequence[str | Objective], config: AudioConfig, run: RunConfig
    ) -> None:
        self.model, self.spec, self.run = model, model.audio_spec, run
        self.arithmetic = arithmetic(replace(run, precision="float32"))
        self.samples = self.spec.samples if config.seconds is None else round(config.seconds * self.spec.rate)
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

    def __iter__(self) -> Iterator[SoundProgress | Clip]:
        a = self.arithmetic
        model = self.model.prepared(a.device, dtype=a.dtype, memory_format=a.memory_format)
        least, done, number = least_rows(a), 0, 0
        queue = [
            batch
            for g, group in enumerate(self.groups)
            for batch in batches(group, g, self._batch_size(group, model), self.run.batch_shape, least=least)
        ]
        while queue and not self._stopping:
            batch = numbered(queue, number)
            objective = batch.objective()
            wave, transform = self._parts(objective, batch.shape)
            for step in optimize(objective, model, wave, transform, self._loop_config()):
                batch.steps, batch.broken = step.i, step.broken
                yield SoundProgress(done + step.i * len(batch.rows), self.total, step)
                if self._stopping:
                    break
            done += len(batch.rows) * self.config.steps
            number += 1
            yield from self._finish(batch, wave)

    def _bind(self, asked: Sequence[str | Objective]) -> None:
        if not asked:
            raise UsageError("nothing to render: give a target such as logit:0")
        for target in asked:
            bound = (parse(target) if isinstance(target, str) else target).bind(self.model)
            wrong = next((leaf for leaf in bound.leaves() if isinstance(leaf, OF_PICTURES)), None)
            if wrong is not None:
                raise UsageError(f"{wrong} is a price of pictures; a sound has highpass, slope, tvtime and tvfrequency")
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
            first = group.take(range(group.together))
            wave, transform = self._parts(first, group.together)
            with torch.no_grad():
                Loop(first, self.model, wave.to(self.model.device), transform, self._loop_config()).scores(0)

    def _loop_config(self) -> RenderConfig:
        return RenderConfig(
            steps=self.config.steps, seed=self.config.seed, optimizer=OptimizerConfig(lr=self.config.lr)
        )

    def _batch_size(self, group: Objective, model: Model) -> int:
        def row_bytes() -> int:
            rows = group.take(range(group.together))
            loop = Loop(rows, model, *self._parts(rows, group.together), self._loop_config())
            return kept_bytes(lambda: loop.scores(0)) // group.together

        return whole_groups(batch_rows(group.rows, self.run, self.arithmetic.device, row_bytes), group.together)

    def _parts(self, objective: Objective, rows: int) -> tuple[Wave, Shake]:
        """A started wave and the transform for `rows` clips of an objective."""
        c, rate = self.config, self.spec.rate
        kind: Any = WAVES[c.signal]
        if c.signal != "samples":
            kind = partial(kind, decay=c.decay, low=c.low / rate, high=(c.high or 0) / rate)
        wave: Wave = kind(rows, channels=self.spec.channels, samples=self.samples, level=10 ** (c.level / 20))
        names = [objective.identity(row if objective.rows > 1 else 0) for row in range(rows)]
        wave.start(Generators(c.seed, names), c.start)
        ranges = (
            QUIET
            if c.still
            else AudioRanges(c.shift / 1000 * rate, c.speed, c.gain, c.polarity, c.noise, c.crop, c.crops, c.relax)
        )
        return wave.to(self.arithmetic.device), Shake(ranges, self.samples, c.steps, self.spec.channels)

    def _finish(self, batch: Batch, wave: Wave) -> Iterator[Clip]:
        with torch.no_grad():
            raw = wave.finished().float().cpu()
        seconds = (time.perf_counter() - batch.began) / len(batch.rows)
        for place, row in enumerate(batch.rows):
            sound = kept(raw[place], self.spec.rate, self.config.loudness)
            measured = measure(self.model, sound, subject(single(batch.group, row)), blank=0.0)
            status: Status = "interrupted"
            reason = f"stopped after {batch.steps} of {self.config.steps} steps"
            if batch.steps == self.config.steps:
                broken = int(batch.broken[place]) if batch.broken is not None else 0
                reason = _failure(sound, measured, broken_at=broken, finite=bool(raw[place].isfinite().all()))
                status = "degenerate" if reason else "ok"
            result = {
                "activation": measured.value if math.isfinite(measured.value) else None,
                "steps": batch.steps,
                "seconds": round(seconds, 3),
                "status": status,
                "reason": reason,
            }
            clip = self._clip(batch, row, sound, result)
            self.done[batch.index, row] = clip
            yield clip

    def _clip(self, batch: Batch, row: int, sound: Tensor, result: dict[str, Any]) -> Clip:
        tree = single(batch.group, row)
        unit = subject(tree)
        units = getattr(unit, "units", ())
        name = str(named(tree, self.model))
        heard = loudness(sound, self.spec.rate)
        return Clip(
            sound=sound,
            rate=self.spec.rate,
            target=f"{name} {row % batch.together + 1} of {batch.together}" if batch.together > 1 else name,
            layer=str(getattr(unit, "layer", "input")),
            unit=units[0] if units else None,
            seed=self.config.seed,
            steps=result["steps"],
            activation=float("nan") if result["activation"] is None else result["activation"],
            loudness=heard,
            peak=true_peak(sound),
            status=result["status"],
            reason=result["reason"],
            seconds=result["seconds"],
            recipe=self._record(
                batch, row, sound, name, {**result, "loudness": heard if math.isfinite(heard) else None}
            ),
            label=label(batch.group, row, lambda part: str(named(part, self.model))),
        )

    def _record(self, batch: Batch, row: int, sound: Tensor, name: str, result: dict[str, Any]) -> dict[str, Any]:
        """The recipe of one clip. No paths and no user names."""
        objective, place = whole(batch.group, row)
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "app": {"name": "phosphene", "version": version()},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": describe(self.model),
            "target": {"text": name, "data": to_data(objective), "row": place},
            "method": to_json(self.config),
            "batch_shape": batch.shape,
            "environment": environment(self.arithmetic),
            "result": {**result, "samples_sha256": samples_sha256(sound)},
        }


def _failure(sound: Tensor, measured: Measured, *, broken_at: int, finite: bool) -> str:
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
