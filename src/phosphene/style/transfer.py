"""Style transfer: one picture with the content of another and the style of one or several more.

    for event in Transfer(model, Job(content, styles), config): ...

Gatys, Ecker and Bethge 2015 (arXiv 1508.06576): content is the activations of a layer, style the correlations of the
responses over several; a picture is optimised until it has both. It goes up a ladder of scales, each started from the
result of the one before. One picture is one problem of one row on the one engine loop.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from phosphene.engine import Step, arithmetic, optimize
from phosphene.engine.batching import is_out_of_memory, usable_memory
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, aim
from phosphene.objectives.statistics import MASK
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, StyleConfig, TransformConfig
from phosphene.signals import Signal
from phosphene.style.average import Average
from phosphene.style.carry import carried
from phosphene.style.job import Job as Job
from phosphene.style.job import Style as Style
from phosphene.style.job import finished, prepared
from phosphene.style.ladder import compared, fitted, rungs
from phosphene.style.method import check_start, joined, method
from phosphene.style.network import adapted
from phosphene.style.preflight import Plan, planned
from phosphene.style.starts import Starts
from phosphene.style.terms import Ledger as Ledger
from phosphene.style.terms import named_terms, style_number
from phosphene.style.tiles import Assembled, tiled
from phosphene.transforms import build

GRAY = 0.5  # what is not a number is shown as
STILL = TransformConfig(transforms="none")


@dataclass(frozen=True)
class ScaleBegun:
    """A scale of the ladder begins. number: from 1; size: (height, width)."""

    number: int
    of: int
    size: tuple[int, int]
    steps: int


@dataclass(frozen=True)
class StepDone:
    """A step was done. done, total: of the whole, weighted by the pixels of each scale. losses: by term, on the device,
    in the order of `Transfer.terms`. step: the engine's own record."""

    done: float
    total: float
    number: int
    step: Step
    losses: Tensor


@dataclass(frozen=True)
class Painted:
    """The result of a transfer.

    picture: (3, h, w) in [0, 1] on the CPU, or (4, h, w) where the content has transparency. losses: of the optimized
    picture, by term, weighted. history: (scale, step, total) of every step. traces: beside it the losses by term.
    evaluations: of the loss and its gradient. status: "ok", "interrupted", or "degenerate" for the reason given.
    """

    picture: Tensor
    losses: dict[str, float]
    history: tuple[tuple[int, int, float], ...]
    evaluations: int
    seconds: float
    status: str
    traces: tuple[tuple[float, ...], ...] = ()
    reason: str = ""


Event: TypeAlias = ScaleBegun | StepDone | Painted


class Transfer:
    """One style transfer as a stream of events; iterate once. The last event is `Painted`.

    Construction checks everything that can be wrong: the pictures go through the network once, at the coarsest scale.
    `stop()` ends it after the current step and keeps the picture. Raises UsageError for what cannot be meant.
    """

    def __init__(self, model: Model, job: Job, config: StyleConfig, run: RunConfig = RunConfig()) -> None:
        self.config, self.run = config, run
        self.job = prepared(job, config.keep_colors)
        self.method, notes = method(config, model)
        check_start(self.method.start)
        self.terms = named_terms(self.method, self.job)
        network, more = adapted(model, self.method, config, self.job)
        self.notes = [*notes, *more]
        self.arithmetic = a = arithmetic(run)
        self.model = network.prepared(a.device, dtype=a.dtype, memory_format=a.memory_format)
        self.canvas = self.job.canvas
        self.starts = Starts(self.job, self.method, config.seed, a.device)
        self.sides = rungs(config.size, self.method.smallest)
        self.history: list[tuple[int, int, float]] = []
        self.traces: list[tuple[float, ...]] = []
        self.evaluations, self.seconds = 0, 0.0
        self._number, self._average = 0, Average(self.method.average)
        self._step: Step | None = None
        self._learned: dict[str, Any] | None = None  # by the optimizer, at the scale below
        self._signal: Signal | None = None
        self._stopping = False
        self._state: dict[str, Any] | None = None
        self._resumed = False
        self._bound = joined(list(self.terms.values())).bind(self.model)
        self._check_styles()
        self.plan = self._planned()
        self._first: Ledger | None = self._checked()

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(height, width) of each scale, the last one of the result."""
        return [fitted(*self.canvas, side) for side in self.sides]

    def steps(self, number: int) -> int:
        """Steps at a scale, from 0."""
        return self.method.steps if number == len(self.sides) - 1 else self.method.coarse_steps

    def scales(self) -> list[dict[str, Any]]:
        """How each scale is done, as data: its size (width, height), L-BFGS's memory, and the side of its tiles."""
        return [
            {"size": [width, height], "history": choice.history, "tile": choice.side}
            for (height, width), choice in zip(self.sizes, self.plan.choices, strict=True)
        ]

    def current(self) -> Tensor:
        """The picture as it is (3, h, w) on the CPU; for use between two events."""
        assert self._signal is not None, "nothing has begun"
        return self._average.picture(self._signal)[0].float().clamp(0, 1).cpu()

    def state(self) -> dict[str, Any]:
        """Everything that `resume` needs; for use after a `StepDone`."""
        assert self._step is not None, "no step was done"
        return {
            "scale": self._number,
            "choices": [(choice.history, choice.side) for choice in self.plan.choices],
            "engine": self._step.state(),
            "average": self._average.state(),
            "history": self.history,
            "traces": self.traces,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from the state of an earlier transfer of the same kind as if it had never ended; before iterating.

        Raises RecipeError when it is of another one.
        """
        try:
            self._number, self.evaluations, self.seconds = state["scale"], state["evaluations"], state["seconds"]
            self.history = [(scale, step, total) for scale, step, total in state["history"]]
            self.traces = [tuple(trace) for trace in state["traces"]]
            self._average.restore(state["average"])
            self.plan = self.plan.following(state["choices"], self.model, self._bound)
            self._state = state["engine"]
            self._resumed = True
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError("the saved state is not of this run; delete it to start anew") from error
        self._first = self._first if self._number == 0 else None

    def __iter__(self) -> Iterator[Event]:
        began = time.perf_counter() - self.seconds
        costs = [h * w * self.steps(k) for k, (h, w) in enumerate(self.sizes)]
        picture: Tensor | None = None
        reason = ""
        ledger, size = self._first, self.sizes[self._number]
        for number in range(self._number, len(self.sides)):
            size, self._number, self._step = self.sizes[number], number, None
            yield ScaleBegun(number + 1, len(self.sides), size, self.steps(number))
            ledger = self._taken(number)
            below, self._signal = self._signal, self.starts.signal(size, picture)
            signal = self._signal
            for step in self._optimized(ledger, signal, below, number):
                self._step, self.seconds = step, time.perf_counter() - began
                losses = self._note(ledger, number, step)
                yield StepDone(
                    sum(costs[:number]) + step.i / self.steps(number) * costs[number],
                    sum(costs),
                    number + 1,
                    step,
                    losses,
                )
                if self._stopping:
                    break
            picture = self._average.picture(signal)
            self._learned = self._step.state()["ascent"] if self._step is not None else self._learned
            self._average.clear()
            self._resumed = False
            reason = self._failure(picture)
            if self._stopping or reason:
                break
        assert picture is not None  # a ladder has at least one rung
        assert ledger is not None
        self.seconds = time.perf_counter() - began
        yield self._painted(picture, ledger, "interrupted" if self._stopping else "ok", reason)

    def interrupted(self) -> Painted:
        """The picture as it is, for use after an interruption between two events."""
        assert self._signal is not None
        ledger = self.ledger(self._number)
        return self._painted(self._average.picture(self._signal), ledger, "interrupted", "")

    def _painted(self, picture: Tensor, ledger: Ledger, status: str, reason: str) -> Painted:
        losses = self._losses(ledger, picture)
        plain = picture[0].float().nan_to_num(GRAY).clamp(0, 1).cpu()
        return Painted(
            finished(plain, self.job, self.config.keep_colors),
            losses,
            tuple(self.history),
            self.evaluations,
            self.seconds,
            "degenerate" if reason else status,
            tuple(self.traces),
            reason,
        )

    def _note(self, ledger: Ledger, number: int, step: Step) -> Tensor:
        """Take down what a step did; the losses by term."""
        if self._resumed and self.method.optimizer == "lbfgs":
            ledger.entries.pop(0)  # where the last step ended: an unbroken run remembers it
        self._resumed = False
        self.evaluations += len(ledger.entries)
        losses = ledger.best()
        self._average.add(step.signal)
        trace = tuple(losses.tolist())
        self.traces.append(trace)
        self.history.append((number + 1, step.i, sum(trace)))
        return losses

    def _losses(self, ledger: Ledger, picture: Tensor) -> dict[str, float]:
        """The losses of a picture by term: a line search may end beside the last point that it looked at."""
        with torch.no_grad():
            layers = ledger.layers - {INPUT}
            acts = {INPUT: picture, **(self.model.activations(picture, layers) if layers else {})}
            ledger(acts, torch.zeros(1, dtype=torch.int64, device=picture.device))
        return dict(zip(self.terms, ledger.best().tolist(), strict=True))

    def _failure(self, picture: Tensor) -> str:
        """Why a picture is none; "" where all is well."""
        if self._step is not None and int(self._step.broken[0]):
            return f"the gradient stopped being finite at step {int(self._step.broken[0])}; a smaller --lr may help"
        return "" if bool(picture.isfinite().all()) else "the picture's values stopped being finite"

    def _optimized(self, ledger: Ledger, signal: Signal, below: Signal | None, number: int) -> Iterator[Step]:
        """The steps of a scale. below: the signal of the scale below, as it was left."""
        m = self.method
        history = self.plan.choices[number].history or m.history
        optimizer = OptimizerConfig(m.optimizer, m.lr, history=history, redirect=False)
        config = RenderConfig(signal.size, self.steps(number), self.config.seed, transform=STILL, optimizer=optimizer)
        transform = build(STILL, size=signal.size, steps=config.steps)
        state, self._state = self._state, None
        if state is not None:
            self._learned = state["ascent"]
        learned = None
        if state is None and below is not None and self._learned is not None and m.warm:
            learned = carried(self._learned, below, signal, history=history)
        return optimize(ledger, self.model, signal, transform, config, state=state, learned=learned)

    def _style_size(self, style: Style, number: int) -> tuple[int, int]:
        """(height, width) at which a style is compared at a scale, from 0."""
        height, width = int(style.picture.shape[1]), int(style.picture.shape[2])
        return fitted(height, width, self.config.style_scale * max(self.sizes[number]))

    def _check_styles(self) -> None:
        """Raise UsageError where a style picture would be too large for any memory, or nothing would be left of it."""
        scale = self.config.style_scale
        for style in self.job.styles if scale != 1 else ():
            own, setting = (int(style.picture.shape[1]), int(style.picture.shape[2])), f"style_scale {scale:g}"
            for size in (self.sizes[-1], self.sizes[0]):
                compared(*own, scale * max(size), setting, "style picture", remedy=", or a larger --smallest")

    def _planned(self) -> Plan:
        """How each scale is done with the memory that there is."""
        steps = [self.steps(number) for number in range(len(self.sides))]
        free = usable_memory(self.run, self.arithmetic.device)
        return planned(self.model, self._bound, self.sizes, steps, self.method, free)

    def _checked(self) -> Ledger:
        """The ledger of the first scale to come: what the network cannot take is found here."""
        height, width = self.sizes[self._number]
        try:
            return self.ledger(self._number)
        except PhospheneError:
            raise
        except (RuntimeError, AssertionError, ValueError, IndexError, TypeError) as error:
            if is_out_of_memory(error):
                raise PhospheneError(f"out of memory at {width}x{height}; use a smaller --size") from error
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(
                f"{self.model.name} cannot take these pictures at {width}x{height} pixels ({reason:.120}); "
                "use a larger --size or --smallest, or shallower layers"
            ) from error

    def _taken(self, number: int) -> Ledger:
        """The ledger of a scale; the first one is there already."""
        ledger, self._first = self._first, None
        return ledger if ledger is not None else self.ledger(number)

    def ledger(self, number: int) -> Ledger:
        """The terms, aimed at the pictures as they are at a scale, from 0; tile by tile where the plan says so."""
        size, side, reach = self.sizes[number], self.plan.choices[number].side, self.plan.reach
        regions = {f"{MASK}{name}": self.starts.at(mask, size) for name, mask in self.job.regions.items()}
        needed = self._bound.layers - {INPUT}

        def seen(picture: Tensor) -> Mapping[str, Tensor]:
            if side is not None and reach is not None:
                return Assembled(self.model, reach, picture, side)
            return self._activations(picture, needed)

        def reference(name: str) -> tuple[Mapping[str, Tensor], Tensor | None]:
            if name == "content":
                assert self.job.content is not None
                return seen(self.starts.at(self.job.content, size)), None
            style = self.job.styles[style_number(name) - 1]
            place = self._style_size(style, number)
            part = None if style.part is None else self.starts.at(style.part, place)
            return seen(self.starts.at(style.picture, place)), part

        aimed, sums = aim(self._bound, reference), None
        if side is not None and reach is not None:
            cut = tiled(aimed, self.model, reach, size, side, masks=regions)
            aimed, sums = cut.summed, cut.sums
        return Ledger(aimed.children if len(self.terms) > 1 else (aimed,), regions, sums)

    def _activations(self, x: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.model.activations(x, layers)


def paint(model: Model, job: Job, config: StyleConfig, run: RunConfig = RunConfig()) -> Painted:
    """Carry out a transfer and give its result."""
    painted = [event for event in Transfer(model, job, config, run) if isinstance(event, Painted)]
    return painted[-1]
