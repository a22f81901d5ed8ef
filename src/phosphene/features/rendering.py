"""A rendering as a stream of events (`Progress`, `Notice`, `Done`), for whoever shows it as it happens.

Batches are padded to their shape where `batch_shape` asks for it; a batch that runs out of memory is halved once, and
says so; what was stopped is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from phosphene.engine import Loop, Step, arithmetic, optimize
from phosphene.engine.batching import is_out_of_memory
from phosphene.errors import PhospheneError
from phosphene.features.batch import Batch, eight_bit, larger, numbered, parts, refuse_cut, visible
from phosphene.features.course import already, cut, each, ended, keep_state, rows_that_fit
from phosphene.features.events import Done, Event, Notice, Progress
from phosphene.features.measure import Measured, failure, measure
from phosphene.features.members import label, single, subject, whole
from phosphene.features.picture import Picture, Sheet, titled
from phosphene.features.plan import Plan, kept_steps, named, plan, start_picture
from phosphene.features.record import Circumstances, record
from phosphene.features.references import aimed, digests
from phosphene.features.rise import idle, rise, sought
from phosphene.features.store import Store
from phosphene.media import pixels_sha256
from phosphene.models import Model
from phosphene.models.gradient import PLAIN, Gradient
from phosphene.models.model import describe
from phosphene.objectives import Objective, to_data
from phosphene.recipe import RenderConfig, RunConfig, to_json
from phosphene.signals import Signal
from phosphene.transforms import Warp

NO_GRAPH = "does not require grad"  # torch's words for a network that computes without autograd


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
        references: Mapping[str, Tensor] | None = None,
        snapshots: Sequence[int] = (),
        frames: int = 0,
        store: Store | None = None,
    ) -> None:
        self.arithmetic = arithmetic(run)
        self.plan: Plan = plan(model, targets, config, references=references, start=init)
        for group in self.plan.groups:
            refuse_cut(group, run)
        self.run, self.store = run, store
        self.init = start_picture(init, self.plan)
        self.kept_steps = kept_steps(snapshots, frames, config.steps)
        self.snapshots = frozenset(snapshots)
        self.frames = frames
        digest = pixels_sha256(self.init) if self.init is not None else None
        seen = digests(self.plan.references, init, self.plan.canvas, model.spec.channels)
        self.shared = Circumstances(model, self.plan.config, self.arithmetic, digest, seen)
        self.pictures: dict[tuple[int, int], Picture] = {}
        self.notices: list[str] = []
        self.total = self.plan.rows * config.steps
        self.halved = False
        self._stopping = False
        self._live: Batch | None = None
        self._began = time.perf_counter()
        if store is not None:
            store.open(self._identity())

    def stop(self) -> None:
        """End after the current step; unfinished pictures come with status "interrupted"."""
        self._stopping = True

    @property
    def complete(self) -> bool:
        """Whether every picture is there and none was interrupted."""
        whole = [picture for picture in self.pictures.values() if picture.status != "interrupted"]
        return len(whole) == self.plan.rows

    def __iter__(self) -> Iterator[Event]:
        model = self._prepared()
        queue = self._batches(model)
        number = done = 0
        while queue and not self._stopping:
            batch = numbered(queue, number)
            try:
                yield from self._run(batch, model, done)
            except RuntimeError as error:
                if NO_GRAPH in str(error):
                    raise PhospheneError(f"no gradient can flow from {batch.group} to the picture: {error}") from error
                if not is_out_of_memory(error):
                    raise
                queue = self._halve(batch, queue, error)
                yield self._notice(f"out of memory at {batch.shape} pictures a batch; going on with {queue[0].shape}")
                continue
            done += len(batch.rows) * self.plan.config.steps
            number += 1
        self._live = None
        if self.store is not None and self.complete:
            self.store.clear()

    def sheet(self) -> Sheet:
        """What is there so far, in the order of the targets."""
        pictures = tuple(self.pictures[place] for place in self.plan.order if place in self.pictures)
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
        kept = [event.picture for event in self._finish(self._live, self._live.signal)]
        self._live = None
        return kept

    def _prepared(self) -> Model:
        a, ascent = self.arithmetic, self.plan.config.optimizer
        gradient = Gradient(ascent.pool_gradient, ascent.gradient_blur, ascent.gradient_blur_at)
        model = self.plan.model.prepared(a.device, dtype=a.dtype, memory_format=a.memory_format)
        return model if gradient == PLAIN else model.with_gradient(gradient)

    def _batches(self, model: Model) -> list[Batch]:
        alone = self.plan.config.optimizer.optimizer == "lbfgs"  # it depends on no company anyway
        return cut(
            self.plan.groups,
            lambda group: 1 if alone else self._batch_size(group, model),
            self.run,
            self.arithmetic,
            self.store,
            alone=alone,
        )

    def _identity(self) -> dict[str, Any]:
        """What makes this rendering this one; a resumed one must agree."""
        return {
            "model": describe(self.plan.model),
            "targets": [to_data(group) for group in self.plan.groups],
            "method": to_json(self.plan.config),
            "precision": self.arithmetic.precision,
            "inputs": self.shared.inputs(),
            "batch_shape": self.run.batch_shape,
        }

    def _batch_size(self, group: Objective, model: Model) -> int:
        def loop() -> Loop:
            rows = self._aimed(group.take(range(group.together)), model)
            return Loop(rows, model, *self._parts(rows, group.together), self.plan.config)

        return rows_that_fit(group, self.run, self.arithmetic.device, loop)

    def _parts(self, objective: Objective, rows: int) -> tuple[Signal, Warp]:
        return parts(self.plan, objective, rows, self.init, self.arithmetic.device)

    def _aimed(self, objective: Objective, model: Model) -> Objective:
        return aimed(objective, model, self.plan.references, self.plan.canvas)

    def _run(self, batch: Batch, model: Model, done: int) -> Iterator[Event]:
        stored = self._stored(batch)
        if stored is not None:
            yield from stored
            return
        objective = self._aimed(batch.objective(), model)
        signal, transform = self._parts(objective, batch.shape)
        batch.signal, batch.began, self._live = signal, time.perf_counter(), batch
        batch.start = eight_bit(visible(signal)[0])
        state = self.store.restore(batch.key) if self.store is not None else None
        if state is not None:
            batch.frames = {int(i): frame for i, frame in state["frames"]}
            yield self._notice(f"batch {batch.number + 1} resumes at step {state['done']}")
        step: Step | None = None
        places = tuple(self.plan.order.index((batch.index, row)) for row in batch.rows)
        for step in optimize(objective, model, signal, transform, self.plan.config, state=state):
            batch.steps, batch.broken = step.i, step.broken
            self._keep_frame(batch, step)
            yield Progress(done + step.i * len(batch.rows), self.total, batch.number, batch.of, step, places)
            keep_state(
                self.store,
                batch,
                step,
                self.run,
                self.plan.config.steps,
                stopping=self._stopping,
                more={"frames": list(batch.frames.items())},
            )
            if self._stopping:
                break
        yield from self._finish(batch, signal)
        if self.store is not None and batch.steps == self.plan.config.steps:
            self.store.forget(batch.key)

    def _stored(self, batch: Batch) -> list[Done] | None:
        """Events for a batch that an earlier run finished; None when any picture of it is missing."""
        found = already(self.store, batch, self._name)
        if found is None:
            return None
        made = [
            (row, replace(self._picture(batch, row, pixels, recipe), path=file)) for row, file, pixels, recipe in found
        ]
        return [self._add(batch, row, picture) for row, picture in made]

    def _keep_frame(self, batch: Batch, step: Step) -> None:
        if step.i not in self.kept_steps or batch.signal is None:
            return
        pixels, _ = visible(batch.signal)
        batch.frames[step.i] = eight_bit(pixels)
        if self.store is not None and step.i in self.snapshots:
            for place, row in enumerate(batch.rows):
                self.store.put_frame(self._name(batch, row), step.i, pixels[place])

    def _finish(self, batch: Batch, signal: Signal) -> Iterator[Done]:
        pixels, finite = visible(signal)
        large = larger(self.plan, signal) if self.store is not None else None
        seconds = each(batch)
        for place, row in enumerate(batch.rows):
            unit = self._aimed(subject(single(batch.group, row)), self.plan.model)
            measured = measure(self.plan.model, pixels[place], unit)
            why = partial(self._failure, batch, place, pixels[place], measured, finite=bool(finite[place]))
            result = ended(batch, place, self.plan.config.steps, measured, why, seconds)
            yield self._add(batch, row, self._written(batch, place, row, pixels[place], result))
            if self.store is not None and large is not None:
                self.store.put_large(self._name(batch, row), large[place])

    def _failure(
        self, batch: Batch, place: int, pixels: Tensor, measured: Measured, broken_at: int, *, finite: bool
    ) -> str:
        why = failure(measured, broken_at, finite=finite)
        if why or batch.start is None:
            return why
        model, start = self.plan.model, batch.start[place].float() / 255
        trees = [sought(batch.group, batch.rows[place], prices=prices) for prices in (False, True)]
        return idle(pixels, start, *(rise(model, pixels, start, self._aimed(tree, model)) for tree in trees))

    def _written(self, batch: Batch, place: int, row: int, pixels: Tensor, result: dict[str, Any]) -> Picture:
        name, made = self._name(batch, row), whole(batch.group, row)
        recipe = record(self.shared, *made, target=name, batch_shape=batch.shape, pixels=pixels, result=result)
        frames = tuple((i, frame[place].float() / 255) for i, frame in sorted(batch.frames.items()))
        picture = replace(self._picture(batch, row, pixels, recipe), frames=frames)
        if self.store is not None:
            picture = self.store.put(picture, name)
            if self.frames and picture.status != "interrupted":
                self.store.put_animation(picture, name)
        return picture

    def _name(self, batch: Batch, row: int) -> str:
        """The target of a row as text: it names the row's files."""
        return str(named(single(batch.group, row), self.plan.model))

    def _picture(self, batch: Batch, row: int, pixels: Tensor, recipe: dict[str, Any]) -> Picture:
        unit, result = subject(single(batch.group, row)), recipe["result"]
        units = getattr(unit, "units", None)
        activation = result["activation"]
        return Picture(
            pixels=pixels,
            target=self._name(batch, row),
            layer=str(getattr(unit, "layer", "input")),
            unit=units[0] if units else None,
            seed=self.plan.config.seed,
            steps=result["steps"],
            activation=float("nan") if activation is None else activation,
            status=result["status"],
            reason=result["reason"],
            seconds=result["seconds"],
            recipe=recipe,
            label=label(batch.group, row, lambda tree: str(named(tree, self.plan.model))),
        )

    def _add(self, batch: Batch, row: int, picture: Picture) -> Done:
        self.pictures[batch.index, row] = picture
        return Done(picture)

    def _notice(self, text: str) -> Notice:
        self.notices.append(text)
        return Notice(text)

    def _halve(self, batch: Batch, rest: list[Batch], error: BaseException) -> list[Batch]:
        """The batch that ran out of memory and those behind it, at half their size."""
        if self.halved or batch.shape <= batch.together or self.run.batch_shape is not None:
            height, width = self.plan.canvas
            smaller = (
                "--batch-shape"
                if self.run.batch_shape is not None
                else "--batch"
                if batch.shape > batch.together
                else ""
            )
            raise PhospheneError(
                f"out of memory at {batch.shape} pictures of {height} x {width} a batch; "
                f"use a smaller {' or '.join(filter(None, [smaller, '--size']))}"
            ) from error
        self.halved = True
        self._live = None
        if self.arithmetic.device.type == "cuda":
            torch.cuda.empty_cache()
        return [half for old in [batch, *rest] for half in old.halves()]
