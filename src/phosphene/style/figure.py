"""Pictures for a figure, one after another: each from a start of its own, by L-BFGS in the Fourier basis.

    for event in Figure(model, "texture", requests, inputs): ...

A request is a weighted sum of statistics and the stages at which it is optimised, coarse to fine; a figure carries its
requests out in their order, measures each result on the plain network, and keeps it. What a folder holds already, by
its recipe, is not made again; so a figure that was interrupted goes on where it stopped. Whatever a picture is made
from stands in its request: no picture depends on another, nor on how many there are. `Work` is the base of what asks
for pictures and then shows them together.

The start is white noise in the Fourier basis, hence of the spectrum of natural pictures. White noise in pixels is
mostly frequencies to which deep layers are blind: they stay, and a reconstruction from them keeps its grain.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from phosphene.engine import Step, arithmetic, optimize
from phosphene.engine.batching import is_out_of_memory
from phosphene.engine.environment import environment
from phosphene.errors import PhospheneError, UsageError
from phosphene.files import ensure_folder
from phosphene.media import pixels_sha256, quantize
from phosphene.models import Model
from phosphene.models.model import describe
from phosphene.objectives import INPUT, Objective, Scale, aim
from phosphene.recipe import SCHEMA, OptimizerConfig, RenderConfig, RunConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier
from phosphene.style.canvas import NOISE, blank
from phosphene.style.ladder import resized
from phosphene.style.method import joined
from phosphene.style.panel import SAME, Panel, find_panel, panel_of, psnr
from phosphene.style.periodic import Inside, Surround, Wrap
from phosphene.version import version

HISTORY = 20  # gradient pairs of L-BFGS
STILL = TransformConfig(transforms="none")
NOISE_DEVIATION = 0.25  # of white noise in pixels around middle gray: nearly the whole range, little of it clipped
START = "figure"  # whose random numbers the start is: all pictures of a figure begin at the same one


@dataclass(frozen=True)
class Term:
    """One part of a loss: `weight` times the loss of `of`, a bound statistic or a sum of some."""

    weight: float
    of: Objective


@dataclass(frozen=True)
class Stage:
    """One scale at which a picture is optimised. size: (height, width). references: (3, h, w) by name, each at the
    size at which it is compared."""

    size: tuple[int, int]
    steps: int
    references: Mapping[str, Tensor] = field(repr=False)


@dataclass(frozen=True)
class Request:
    """One picture that is asked for.

    name: of its file. terms: the loss, by name. stages: at least one. method: what of the settings decides about this
    picture, as JSON data. start: (3, h, w) in [0, 1], noise if None. original: (3, h, w), for the PSNR. around: what a
    picture that continues on its other side is shown in; None for any other.
    """

    name: str
    terms: Mapping[str, Term]
    stages: tuple[Stage, ...]
    method: Mapping[str, Any]
    seed: int = 0
    start: Tensor | None = field(default=None, repr=False)
    original: Tensor | None = field(default=None, repr=False)
    around: Surround | None = None

    @property
    def steps(self) -> int:
        """Steps at all stages."""
        return sum(stage.steps for stage in self.stages)


@dataclass(frozen=True)
class Worked:
    """A step was done. done, total: steps of the whole figure. number, of: the picture in work, from 1."""

    done: int
    total: int
    number: int
    of: int
    step: Step


@dataclass(frozen=True)
class Made:
    """A picture is there. found: it was there already."""

    panel: Panel
    found: bool


Event: TypeAlias = Worked | Made


class Figure:
    """The pictures of a figure as a stream of events; iterate once.

    kind: what recipes call it. inputs: pictures by name that it is made from, for their SHA-256. folder: where panels
    are kept and found, if anywhere. `stop()` ends it after the current step; the picture in work comes with status
    "interrupted". Raises UsageError for a layer that the network lacks, for pictures that it cannot look at and for a
    network that sees no colors, FileError for a folder that cannot be written.
    """

    def __init__(
        self,
        model: Model,
        kind: str,
        requests: Sequence[Request],
        inputs: Mapping[str, Tensor],
        run: RunConfig = RunConfig(),
        *,
        folder: Path | None = None,
        metadata: bool = True,
    ) -> None:
        model.check_color(f"a {kind}")
        exact = run if run.precision != "auto" else replace(run, precision="float32")  # L-BFGS compares small numbers
        self.arithmetic = a = arithmetic(exact)
        self.model = model.prepared(a.device, dtype=a.dtype, memory_format=a.memory_format)
        self.judge = model.prepared(a.device)  # float32, whatever the other computes in
        self.kind, self.requests, self.folder, self.metadata = kind, list(requests), folder, metadata
        self.inputs = {name: pixels_sha256(picture) for name, picture in inputs.items()}
        self.panels: list[Panel] = []
        self._stopping = False
        if requests:
            self._aimed(requests[0], requests[0].stages[0])  # what the network cannot look at is found here
        if folder is not None:
            ensure_folder(folder)

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True

    @property
    def total(self) -> int:
        """Steps of all pictures."""
        return sum(request.steps for request in self.requests)

    def narrow(self, recipe: Mapping[str, Any]) -> bool:
        """Ask for nothing but the picture that a recipe describes, by whichever network; False if it is not among
        those that were asked for."""
        parts = [part for part in SAME if part != "model"]
        identities = [(request, self._identity(request)) for request in self.requests]
        self.requests = [of for of, mine in identities if all(mine[part] == recipe.get(part) for part in parts)]
        return bool(self.requests)

    @property
    def complete(self) -> bool:
        """Whether every picture is there and none was interrupted."""
        return len(self.panels) == len(self.requests) and all(panel.status == "ok" for panel in self.panels)

    def __iter__(self) -> Iterator[Event]:
        done = 0
        for number, request in enumerate(self.requests, 1):
            wanted = self._identity(request)
            panel = find_panel(self.folder, request.name, wanted) if self.folder is not None else None
            found = panel is not None
            if panel is None:
                panel = yield from self._make(request, wanted, number, done)
            done += request.steps
            self.panels.append(panel)
            yield Made(panel, found)
            if self._stopping:
                return

    def _make(
        self, request: Request, wanted: dict[str, Any], number: int, before: int
    ) -> Generator[Event, None, Panel]:
        began, done = time.perf_counter(), 0
        picture = request.start[None] if request.start is not None else None
        for stage in request.stages:
            terms = self._aimed(request, stage)
            signal = self._signal(request, stage, picture)
            for step in self._optimized(request, stage, terms, signal):
                done += 1
                yield Worked(before + done, self.total, number, len(self.requests), step)
                if self._stopping:
                    break
            with torch.no_grad():
                picture = signal().float().cpu()
            if self._stopping:
                break
        assert picture is not None  # a request has at least one stage
        result = {
            **self._measured(request, stage, terms, picture),
            "steps": done,
            "seconds": round(time.perf_counter() - began, 3),
            "status": "ok" if done == request.steps else "interrupted",
        }
        panel = panel_of(request.name, quantize(picture[0]), {**wanted, **self._circumstances(), "result": result})
        return panel if self.folder is None else panel.save(self.folder / f"{request.name}.png", metadata=self.metadata)

    def _aimed(self, request: Request, stage: Stage) -> dict[str, Objective]:
        """The terms without their weights, each with the targets that the references of a stage give."""

        def reference(name: str) -> tuple[Mapping[str, Tensor], None]:
            needed = frozenset().union(*(term.of.layers for term in request.terms.values()))
            return self._activations(stage.references[name][None], needed), None

        aimed = {name: aim(term.of, reference) for name, term in request.terms.items()}
        if request.around is None:
            return aimed
        return {name: Inside(of, stage.size, request.around) for name, of in aimed.items()}

    def _signal(self, request: Request, stage: Stage, picture: Tensor | None) -> Fourier:
        signal = blank(stage.size)
        if picture is None:
            signal.start(Generators(request.seed, [START]), NOISE)
        else:
            signal.encode(resized(picture, stage.size))
        return signal.to(self.arithmetic.device)

    def _optimized(
        self, request: Request, stage: Stage, terms: Mapping[str, Objective], signal: Fourier
    ) -> Iterator[Step]:
        loss = joined([Scale(request.terms[name].weight, of) for name, of in terms.items()])
        optimizer = OptimizerConfig("lbfgs", history=HISTORY, redirect=False)
        config = RenderConfig(stage.size, stage.steps, request.seed, transform=STILL, optimizer=optimizer)
        try:
            yield from optimize(loss, self.model, signal, _view(request), config)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise PhospheneError(f"out of memory at {stage.size[1]}x{stage.size[0]}; use a smaller size") from error
            raise

    def _measured(
        self, request: Request, stage: Stage, terms: Mapping[str, Objective], picture: Tensor
    ) -> dict[str, Any]:
        """What the network gives for a picture as it is saved, and for white noise of its size."""
        pixels = quantize(picture[0])
        noise = white_noise(request.seed, stage.size)
        return {
            "losses": self._losses(request, terms, pixels),
            "noise": self._losses(request, terms, noise),
            "psnr": psnr(pixels, request.original),
            "channels": len(pixels),
            "pixels_sha256": pixels_sha256(pixels),
        }

    def _losses(self, request: Request, terms: Mapping[str, Objective], pixels: Tensor) -> dict[str, float]:
        """The loss of each term, without its weight, for a picture (3, h, w)."""
        x = pixels[None].to(self.arithmetic.device)
        view, rows = _view(request)(x, None)
        layers = frozenset().union(*(term.layers for term in terms.values()))
        acts = {INPUT: x, **self._activations(view, layers)}
        return {name: -float(term(acts, rows)) for name, term in terms.items()}

    def _activations(self, x: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
        height, width = x.shape[2:]
        try:
            with torch.no_grad():
                return self.judge.activations(x.to(self.arithmetic.device), layers)
        except RuntimeError as error:  # torch's own, from deep inside: a kernel larger than what is left of the picture
            if is_out_of_memory(error):
                raise PhospheneError(f"out of memory at {width}x{height} pixels; use a smaller size") from error
            raise UsageError(cannot_look(self.model, height, width, error)) from error

    def _identity(self, request: Request) -> dict[str, Any]:
        """The parts of a recipe that decide which picture it makes, as JSON gives them back."""
        target = {name: {"weight": term.weight, "text": str(term.of)} for name, term in request.terms.items()}
        method = {**request.method, "seed": request.seed}
        parts = {
            "kind": self.kind,
            "model": describe(self.model),
            "target": target,
            "method": method,
            "inputs": self.inputs,
        }
        return dict(json.loads(json.dumps(parts)))

    def _circumstances(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "app": {"name": "phosphene", "version": version()},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "environment": environment(self.arithmetic),
        }


class Work:
    """A figure in the making, as a stream of events; iterate once. notes: what was chosen, to be said aloud."""

    def __init__(self, figure: Figure, notes: list[str]) -> None:
        self.figure, self.notes = figure, notes

    def stop(self) -> None:
        """End after the current step."""
        self.figure.stop()

    @property
    def complete(self) -> bool:
        """Whether every picture is there and none was interrupted."""
        return self.figure.complete

    def files(self, folder: Path) -> list[Path]:
        """The pictures as they will lie in a folder, and their sheet."""
        return [folder / f"{name}.png" for name in (*(request.name for request in self.figure.requests), "sheet")]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.figure)


def _view(request: Request) -> Wrap:
    """How the network sees the picture: as it is, or with its own repetition around it."""
    return Wrap(0 if request.around is None else request.around.margin)


def cannot_look(model: Model, height: int, width: int, error: Exception) -> str:
    """What to say when a network fails on a picture that is too small for it."""
    return f"{model.name} cannot look at {width}x{height} pixels ({error}); choose a larger size, or shallower layers"


def white_noise(seed: int, size: tuple[int, int]) -> Tensor:
    """(3, h, w) independent pixels in [0, 1], rounded to 8 bits: the picture that losses are compared with."""
    drawn = Generators(seed, [START]).normal("white", 0, (3, *size))[0]
    return quantize((0.5 + NOISE_DEVIATION * drawn).clamp(0, 1))
