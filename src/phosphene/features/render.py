"""Feature visualization, whole: targets in, measured pictures out.

`render` gives a Sheet. `Rendering` is the same work as a stream of events (`Progress`, `Notice`, `Done`), for whoever
shows it as it happens. Batches are padded to their shape where `batch_shape` asks for it; a batch that runs out of
memory is halved once, and says so; what was stopped is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from phosphene.engine import Loop, Step, arithmetic, optimize
from phosphene.engine.batching import batch_rows, is_out_of_memory, kept_bytes
from phosphene.errors import PhospheneError, UsageError
from phosphene.features.measure import measure
from phosphene.features.picture import Picture, Sheet, titled
from phosphene.features.plan import Plan, named, plan
from phosphene.features.record import Circumstances, describe_model, record
from phosphene.features.store import Store
from phosphene.media import pixels_sha256, quantize
from phosphene.models import Model
from phosphene.objectives import Objective, to_data
from phosphene.recipe import RenderConfig, RunConfig, to_json
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Pixels, Signal
from phosphene.transforms import build

FLAT = 1.0 / 255  # standard deviation below which a picture is one flat color: less than one 8-bit level


@dataclass(frozen=True)
class Progress:
    """A step was done. done, total: picture-steps of the whole rendering. step: the engine's own record."""

    done: int
    total: int
    batch: int
    batches: int
    step: Step


@dataclass(frozen=True)
class Notice:
    """Something that the user should know and that is no error."""

    text: str


@dataclass(frozen=True)
class Done:
    """A picture is finished."""

    picture: Picture


Event: TypeAlias = Progress | Notice | Done


def render(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    *,
    size: int | tuple[int, int] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    config: RenderConfig | None = None,
    run: RunConfig | None = None,
    init: Tensor | None = None,
    snapshots: Sequence[int] = (),
    frames: int = 0,
    out: str | Path | None = None,
) -> Sheet:
    """Optimise one picture for every unit of the targets.

    targets: text such as "features.12:0..15 - 0.05*tv", objectives, or several of either. size, steps, seed: in
    place of the config's own. init: a picture (c, h, w) in [0, 1] to start from. snapshots: steps whose pictures are
    kept; frames: how many evenly spaced ones. out: a folder to write to.
    Interrupted (Ctrl-C), it gives the pictures as they are, with status "interrupted".
    Raises UsageError for targets, sizes or numbers that cannot be; nothing is computed or written then.
    """
    given = {name: value for name, value in (("size", size), ("steps", steps), ("seed", seed)) if value is not None}
    settings = replace(config or RenderConfig(), **given)  # type: ignore[arg-type]
    store = Store(out) if out is not None else None
    rendering = Rendering(
        model, targets, settings, run or RunConfig(), init=init, snapshots=snapshots, frames=frames, store=store
    )
    try:
        for _ in rendering:
            pass
    except KeyboardInterrupt:
        rendering.keep_unfinished()
    sheet = rendering.sheet()
    if store is not None and len(sheet):
        sheet.save(store.folder / "sheet.png")
    return sheet


class Rendering:
    """One rendering as a stream of events; iterate once.

    Construction checks everything that can be wrong. `stop()` ends it after the current step, keeping what there is.
    """

    def __init__(
        self,
        model: Model,
        targets: str | Objective | Sequence[str | Objective],
        config: RenderConfig,
        run: RunConfig,
        *,
        init: Tensor | None = None,
        snapshots: Sequence[int] = (),
        frames: int = 0,
        store: Store | None = None,
    ) -> None:
        self.arithmetic = arithmetic(run)
        self.plan: Plan = plan(model, targets, config)
        self.run, self.store = run, store
        self.init = _checked_init(init, self.plan)
        self.kept_steps = _kept_steps(snapshots, frames, config.steps)
        self.snapshots = frozenset(snapshots)
        self.frames = frames
        digest = pixels_sha256(self.init) if self.init is not None else None
        self.shared = Circumstances(model, self.plan.config, self.arithmetic, digest)
        self.pictures: dict[tuple[int, int], Picture] = {}
        self.notices: list[str] = []
        self.halved = False
        self._stopping = False
        self._live: _Batch | None = None
        self._began = time.perf_counter()
        self._names: set[str] = set()

    def stop(self) -> None:
        """End after the current step; unfinished pictures come with status "interrupted"."""
        self._stopping = True

    def __iter__(self) -> Iterator[Event]:
        model = self._prepared()
        sizes = self._batch_sizes(model)
        batches = [
            _Batch(g, group, rows, self.run.batch_shape or len(rows))
            for g, group in enumerate(self.plan.groups)
            for rows in chunks(group.rows, sizes[g])
        ]
        self.total = self.plan.rows * self.plan.config.steps
        number = 0
        done = 0
        while batches and not self._stopping:
            batch = batches.pop(0)
            batch.number = number
            batch.of = number + 1 + len(batches)
            try:
                yield from self._run(batch, model, done)
            except (RuntimeError, torch.OutOfMemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                batches = self._halve(batch, batches, error)
                yield self._notice(f"out of memory at {batch.shape} pictures a batch; going on with {batches[0].shape}")
                continue
            done += len(batch.rows) * self.plan.config.steps
            number += 1
        self._live = None
        if self.store is not None and not self._stopping:
            self.store.clear()

    def sheet(self) -> Sheet:
        """What is there so far, in the order of the targets."""
        pictures = tuple(self.pictures[place] for place in sorted(self.pictures))
        return Sheet(
            pictures,
            titled(self.plan.model.name, pictures),
            self.arithmetic.device.type,
            self.arithmetic.precision,
            time.perf_counter() - self._began,
            tuple(self.notices),
        )

    def keep_unfinished(self) -> list[Picture]:
        """Pictures of the batch in work, as they are; for use after an interruption."""
        if self._live is None or self._live.signal is None:
            return []
        kept = [event.picture for event in self._finish(self._live, self._live.signal, None)]
        self._live = None
        return kept

    def _prepared(self) -> Model:
        a = self.arithmetic
        return self.plan.model.prepared(a.device, dtype=a.dtype, memory_format=a.memory_format)

    def _batch_sizes(self, model: Model) -> list[int]:
        sizes = [self._batch_size(group, model) for group in self.plan.groups]
        if self.store is None:
            return sizes
        noted = self.store.begin({**self._identity(), "batch": sizes})["batch"]
        return [int(size) for size in noted]

    def _identity(self) -> dict[str, Any]:
        """What makes this rendering this one; a resumed one must agree."""
        return {
            "model": describe_model(self.plan.model),
            "targets": [to_data(group) for group in self.plan.groups],
            "method": to_json(self.plan.config),
            "precision": self.arithmetic.precision,
            "init_sha256": self.shared.init_sha256,
        }

    def _batch_size(self, group: Objective, model: Model) -> int:
        if self.plan.config.optimizer.optimizer == "lbfgs":
            return 1

        def row_bytes() -> int:
            loop = self._loop(group.take([0]), model, 1)
            return kept_bytes(lambda: loop.scores(0))

        return batch_rows(group.rows, self.run, self.arithmetic.device, row_bytes)

    def _signal(self, names: Sequence[str]) -> Signal:
        """A started signal with one row per name."""
        settings = self.plan.config.signal
        common: dict[str, Any] = {
            "channels": self.plan.model.spec.channels,
            "size": self.plan.canvas,
            "alpha": settings.alpha,
            "decorrelate": settings.decorrelate,
        }
        signal: Signal
        if settings.signal == "fourier":
            signal = Fourier(len(names), decay=settings.decay, cutoff=settings.cutoff, **common)
        else:
            signal = Pixels(len(names), **common)
        if self.init is None:
            signal.start(Generators(self.plan.config.seed, names), settings.noise_start)
        else:
            signal.encode(self.init.expand(len(names), -1, -1, -1))
        return signal.to(self.arithmetic.device)

    def _parts(self, objective: Objective, rows: int) -> tuple[Signal, Any]:
        names = [objective.identity(row if objective.rows > 1 else 0) for row in range(rows)]
        transform = build(
            self.plan.config.transform,
            size=self.plan.canvas,
            steps=self.plan.config.steps,
            channels=self.plan.model.spec.channels,
            alpha=self.plan.config.signal.alpha,
        )
        return self._signal(names), transform

    def _loop(self, objective: Objective, model: Model, rows: int) -> Loop:
        signal, transform = self._parts(objective, rows)
        return Loop(objective, model, signal, transform, self.plan.config)

    def _run(self, batch: _Batch, model: Model, done: int) -> Iterator[Event]:
        stored = self._stored(batch)
        if stored is not None:
            yield from stored
            return
        padded = [*batch.rows, *[batch.rows[-1]] * (batch.shape - len(batch.rows))]
        objective = batch.group.take(padded)
        signal, transform = self._parts(objective, len(padded))
        batch.signal, batch.began, self._live = signal, time.perf_counter(), batch
        state = self.store.restore(batch.number) if self.store is not None else None
        if state is not None:
            batch.frames = {int(i): frame for i, frame in state["frames"]}
            yield self._notice(f"batch {batch.number + 1} resumes at step {state['done']}")
        step: Step | None = None
        for step in optimize(objective, model, signal, transform, self.plan.config, state=state):
            batch.steps = step.i
            self._keep_frame(batch, step)
            yield Progress(done + step.i * len(batch.rows), self.total, batch.number, batch.of, step)
            every = self.run.checkpoint_every
            due = bool(every) and step.i % every == 0 and step.i < self.plan.config.steps
            if self.store is not None and (due or self._stopping):
                self.store.checkpoint(batch.number, {**step.state(), "frames": list(batch.frames.items())})
            if self._stopping:
                break
        yield from self._finish(batch, signal, step)
        if self.store is not None and not self._stopping:
            self.store.forget(batch.number)

    def _stored(self, batch: _Batch) -> list[Done] | None:
        """Events for a batch that an earlier run finished; None when any picture of it is missing."""
        if self.store is None:
            return None
        events = []
        for row in batch.rows:
            single = batch.group.take([row])
            name = str(named(single, self.plan.model))
            found = self.store.finished(name)
            if found is None:
                return None
            pixels, recipe = found
            result = recipe["result"]
            picture = self._picture(single, name, pixels, recipe, result)
            events.append(self._add(batch, row, replace(picture, path=self.store.path(name))))
        return events

    def _keep_frame(self, batch: _Batch, step: Step) -> None:
        if step.i not in self.kept_steps:
            return
        with torch.no_grad():
            pixels = quantize(step.signal().cpu())
        batch.frames[step.i] = (pixels * 255).round().to(torch.uint8)
        if self.store is not None and step.i in self.snapshots:
            for place, row in enumerate(batch.rows):
                name = str(named(batch.group.take([row]), self.plan.model))
                self.store.put_frame(name, step.i, pixels[place])

    def _finish(self, batch: _Batch, signal: Signal, step: Step | None) -> Iterator[Done]:
        with torch.no_grad():
            pixels = quantize(signal().float().cpu())
        seconds = (time.perf_counter() - batch.began) / len(batch.rows)
        for place, row in enumerate(batch.rows):
            single = batch.group.take([row])
            name = str(named(single, self.plan.model))
            unit = single.primary()
            value = measure(self.plan.model, pixels[place], unit)
            status, reason = self._status(pixels[place], value, step, place, batch)
            result = {
                "activation": value if value == value else None,
                "steps": batch.steps,
                "seconds": round(seconds, 3),
                "status": status,
                "reason": reason,
            }
            recipe = record(
                self.shared, single, target=name, batch_shape=batch.shape, pixels=pixels[place], result=result
            )
            picture = self._picture(single, name, pixels[place], recipe, result)
            frames = tuple((i, frame[place].float() / 255) for i, frame in sorted(batch.frames.items()))
            picture = replace(picture, frames=frames)
            if self.store is not None:
                picture = self.store.put(picture, name)
                if self.frames and status != "interrupted":
                    self.store.put_animation(picture, name)
            yield self._add(batch, row, picture)

    def _status(self, pixels: Tensor, value: float, step: Step | None, place: int, batch: _Batch) -> tuple[str, str]:
        if step is None or batch.steps < self.plan.config.steps:
            return "interrupted", f"stopped after {batch.steps} of {self.plan.config.steps} steps"
        broken = int(step.broken[place])
        if broken:
            return "degenerate", f"the gradient stopped being finite at step {broken}"
        if value != value:
            return "degenerate", "the network gives NaN for this picture"
        if bool(step.silent[place]):
            return "degenerate", "the unit stays silent: no gradient reaches the picture"
        if float(pixels.flatten(1).std(dim=1).max()) < FLAT:
            return "degenerate", "the picture is one flat color"
        return "ok", ""

    def _picture(
        self, single: Objective, name: str, pixels: Tensor, recipe: dict[str, Any], result: dict[str, Any]
    ) -> Picture:
        unit = single.primary()
        units = getattr(unit, "units", None)
        activation = result["activation"]
        return Picture(
            pixels=pixels,
            target=name,
            layer=str(getattr(unit, "layer", "input")),
            unit=units[0] if units else None,
            seed=self.plan.config.seed,
            steps=result["steps"],
            activation=float("nan") if activation is None else activation,
            status=result["status"],
            reason=result["reason"],
            seconds=result["seconds"],
            recipe=recipe,
        )

    def _add(self, batch: _Batch, row: int, picture: Picture) -> Done:
        self.pictures[batch.index, row] = picture
        return Done(picture)

    def _notice(self, text: str) -> Notice:
        self.notices.append(text)
        return Notice(text)

    def _halve(self, batch: _Batch, rest: list[_Batch], error: BaseException) -> list[_Batch]:
        """The batch that ran out of memory and those behind it, at half their size."""
        if self.halved or batch.shape == 1 or self.run.batch_shape is not None:
            raise PhospheneError(
                f"out of memory at {batch.shape} pictures a batch of {self.plan.canvas[0]} x {self.plan.canvas[1]}; "
                "use a smaller --batch or --size"
            ) from error
        self.halved = True
        self._live = None
        if self.arithmetic.device.type == "cuda":
            torch.cuda.empty_cache()
        halves = []
        for old in [batch, *rest]:
            shape = max(1, old.shape // 2)
            for start in range(0, len(old.rows), shape):
                rows = old.rows[start : start + shape]
                halves.append(_Batch(old.index, old.group, rows, len(rows)))
        return halves


class _Batch:
    """Rows of one group that are optimised together, and where they stand."""

    def __init__(self, index: int, group: Objective, rows: tuple[int, ...], shape: int) -> None:
        self.index, self.group, self.rows = index, group, rows
        self.shape = shape
        self.number = 0
        self.of = 1
        self.steps = 0
        self.began = time.perf_counter()
        self.signal: Signal | None = None
        self.frames: dict[int, Tensor] = {}


def chunks(rows: int, size: int) -> list[tuple[int, ...]]:
    """Row numbers in as few batches of at most `size` as possible."""
    return [tuple(range(start, min(start + size, rows))) for start in range(0, rows, size)]


def _kept_steps(snapshots: Sequence[int], frames: int, steps: int) -> frozenset[int]:
    """Steps whose pictures are kept: the snapshots, and `frames` that crowd where the picture changes fast: early."""
    if frames < 0:
        raise UsageError(f"frames must not be negative, got {frames}")
    wrong = [step for step in snapshots if not 1 <= step <= steps]
    if wrong:
        raise UsageError(f"snapshots must lie in 1 .. {steps} (the steps), got {', '.join(map(str, wrong))}")
    spaced = {max(1, round(steps * (k / frames) ** 2)) for k in range(1, frames + 1)}
    return frozenset(snapshots) | spaced


def _checked_init(init: Tensor | None, work: Plan) -> Tensor | None:
    """The picture to start from, resized to the canvas and given the signal's channels."""
    if init is None:
        return None
    channels = work.model.spec.channels
    x = init.float()
    if x.dim() != 3 or x.shape[0] not in (channels, channels + 1):
        raise UsageError(f"a start picture must be ({channels}, h, w), got {tuple(init.shape)}")
    if tuple(x.shape[1:]) != work.canvas:
        x = torch.nn.functional.interpolate(x[None], work.canvas, mode="bilinear", antialias=True, align_corners=False)[
            0
        ]
    if work.config.signal.alpha and x.shape[0] == channels:
        x = torch.cat([x, torch.full((1, *work.canvas), 0.9)])
    if not work.config.signal.alpha:
        x = x[:channels]
    return quantize(x.clamp(0, 1))
