"""A dream in the making: ascent at each octave, coarse to fine, by the one loop of `engine/`.

    for event in Dreaming(model, picture, config): ...

The picture is optimised in the Fourier basis, cut off at black and white: every step moves broad shades much and grain
little, as natural pictures differ. A dream may go on as a film, each frame a little nearer than the one before,
dreamed on in turn, and brought back to the colors of the first.

Departures: the notebook of 2015 steps in pixels, by the gradient over its mean size, and rolls the picture by whole
pixels; here it is Adam, and the jitter of all our transforms, which mirrors the picture at its edges.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from phosphene.deepdream.config import DreamConfig
from phosphene.deepdream.octaves import carried, fitted, octaves, resized, toned, zoomed
from phosphene.deepdream.target import chosen, target
from phosphene.engine import Step, arithmetic, optimize
from phosphene.engine.batching import is_out_of_memory
from phosphene.errors import PhospheneError, UsageError
from phosphene.media import quantize
from phosphene.models import Model
from phosphene.objectives import INPUT
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Pixels, Signal
from phosphene.transforms import build

LARGEST = 512  # pixels of the longer side of a dream whose size nobody names
NOISE = 0.1  # deviation of a start from noise, in the Fourier basis's own units: a picture of low contrast
START = "dream"  # whose random numbers that start is
FILM_SHARE = 4  # a further frame takes the steps of an octave divided by this: it starts from a dream

Status: TypeAlias = Literal["ok", "degenerate", "interrupted"]


@dataclass(frozen=True)
class Dreamed:
    """A step was done. done, total: of all frames. frame: from 1. size: (height, width) of the octave."""

    done: int
    total: int
    frame: int
    frames: int
    size: tuple[int, int]
    step: Step


@dataclass(frozen=True)
class Frame:
    """A frame is there. number: from 1. picture: (3, h, w) in [0, 1], rounded to 8 bits."""

    number: int
    picture: Tensor


Event: TypeAlias = Dreamed | Frame


class Dreaming:
    """A dream as a stream of events; iterate once. `stop()` ends it after the current step.

    picture: (3, h, w) in [0, 1], or None for noise. guide: (3, h, w) whose features are dreamed of. frames: of a film
    that goes on from the dream, which is its first one; 1 is the dream alone.
    Raises UsageError for layers that the network lacks, a size that it cannot look at, and numbers that cannot be.
    """

    def __init__(
        self,
        model: Model,
        picture: Tensor | None,
        config: DreamConfig,
        run: RunConfig = RunConfig(),
        *,
        guide: Tensor | None = None,
        frames: int = 1,
    ) -> None:
        if frames < 1:
            raise UsageError(f"a film has 1 frame or more, got {frames}")
        model.check_color("a dream")
        self.arithmetic = a = arithmetic(run)
        self.given = model
        self.model = model.prepared(a.device, dtype=a.dtype, memory_format=a.memory_format)
        self.judge = model.prepared(a.device)  # float32, whatever the other computes in
        self.config, self.frames = config, frames
        self.layers = config.layers if config.layers is not None else chosen(model)
        self.objective = target(self.judge, self.layers, guide)
        self.picture = self._first(picture)
        self.sizes = octaves(*self.size, config.octaves, config.ratio)
        self.finished: Tensor | None = None  # (3, h, w), the dream
        self.status: Status = "interrupted"
        self.reason = "stopped before the first step"
        self.done = 0  # steps of all frames
        self.steps = 0  # of the dream itself
        self.seconds = 0.0
        self.before = self.measured(self.picture)
        self._broken = False
        self._stopping = False
        self.measured(resized(self.picture, self.sizes[0]))  # whether the network can look at the coarsest octave

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the dream in pixels."""
        return int(self.picture.shape[2]), int(self.picture.shape[3])

    @property
    def total(self) -> int:
        """Steps of all frames."""
        return len(self.sizes) * sum(self._steps(number) for number in range(1, self.frames + 1))

    def __iter__(self) -> Iterator[Event]:
        began, first = time.perf_counter(), self.picture
        picture = first
        for number in range(1, self.frames + 1):
            picture = yield from self._frame(picture if number == 1 else zoomed(picture), number)
            if number == 1:
                first = picture
            else:
                picture = toned(picture, first)  # dream upon dream would end in black and white
            seen = quantize(picture[0].cpu())
            if number == 1:
                self.seconds = time.perf_counter() - began
                self._finish(seen)
            if self._stopping and number > 1:
                return
            yield Frame(number, seen)
            if self._stopping:
                return

    def measured(self, pictures: Tensor) -> float:
        """What the plain network gives for the target on a picture (1, 3, h, w), without transforms."""
        x = pictures.to(self.arithmetic.device)
        rows = torch.zeros(1, dtype=torch.int64, device=x.device)
        try:
            with torch.no_grad():
                acts = self.judge.activations(x, self.objective.layers - {INPUT})
                return float(self.objective({INPUT: x, **acts}, rows))
        except RuntimeError as error:
            raise self._told(error, (int(x.shape[2]), int(x.shape[3]))) from error

    def _first(self, picture: Tensor | None) -> Tensor:
        """(1, 3, h, w) what is dreamed on, at the size of the dream, on the device."""
        side = self.config.size
        if picture is None:
            square = max(self.given.picture_spec.size) if side is None else side
            noise = Fourier(1, size=(square, square))
            noise.start(Generators(self.config.seed, [START]), NOISE)
            start: Tensor = noise().detach()
            return start.to(self.arithmetic.device)
        own = int(picture.shape[1]), int(picture.shape[2])
        canvas = fitted(*own, min(LARGEST, max(own)) if side is None else side)
        return resized(picture[None].float(), canvas).to(self.arithmetic.device)

    def _steps(self, number: int) -> int:
        """Steps at each octave of a frame."""
        return self.config.steps if number == 1 else max(1, self.config.steps // FILM_SHARE)

    def _frame(self, picture: Tensor, number: int) -> Generator[Event, None, Tensor]:
        """Dream on a picture (1, 3, h, w) through all octaves; returns the result, of the picture's size."""
        before: Tensor | None = None
        for octave, size in enumerate(self.sizes):
            signal = self._signal(resized(picture, size) if before is None else carried(picture, before, size))
            for step in self._ascent(signal, number, octave):
                self.done += 1
                yield Dreamed(self.done, self.total, number, self.frames, size, step)
                if self._stopping:
                    break
            before = signal().detach()
            self._broken |= bool(step.broken.any())
            if self._stopping:
                break
        assert before is not None  # there is an octave
        return before if tuple(before.shape[2:]) == self.size else carried(picture, before, self.size)

    def _signal(self, start: Tensor) -> Signal:
        size = int(start.shape[2]), int(start.shape[3])
        kind = Fourier if self.config.signal == "fourier" else Pixels
        signal = kind(1, size=size, clamped=True)
        signal.encode(start.cpu())
        return signal.to(self.arithmetic.device)

    def _ascent(self, signal: Signal, number: int, octave: int) -> Iterator[Step]:
        steps = self._steps(number)
        transform = TransformConfig("none", jitter=self.config.jitter)
        config = RenderConfig(
            signal.size,
            steps,
            self.config.seed + len(self.sizes) * (number - 1) + octave,  # each octave is jittered in its own way
            transform=transform,
            optimizer=OptimizerConfig(lr=self.config.lr),
        )
        warp = build(transform, size=signal.size, steps=steps)
        try:
            yield from optimize(self.objective, self.model, signal, warp, config)
        except RuntimeError as error:
            raise self._told(error, signal.size) from error

    def _finish(self, seen: Tensor) -> None:
        """Take down the dream itself and how it went."""
        self.finished, self.steps = seen, self.done
        wanted = len(self.sizes) * self.config.steps
        unchanged = torch.equal(seen, quantize(self.picture[0].cpu()))
        if self._broken:
            self.status, self.reason = "degenerate", "the gradient was not finite"
        elif self.steps < wanted:
            self.status, self.reason = "interrupted", f"stopped after {self.steps} of {wanted} steps"
        elif unchanged:
            self.status, self.reason = "degenerate", f"{self.objective} gives no gradient on this picture"
        else:
            self.status, self.reason = "ok", ""

    def _told(self, error: RuntimeError, size: tuple[int, int]) -> PhospheneError:
        """An error of torch's, in words."""
        where = f"{size[1]}x{size[0]} pixels"
        if is_out_of_memory(error):
            return PhospheneError(f"out of memory at {where}; use a smaller --size")
        return UsageError(f"{self.given.name} cannot look at {where}: {error}; use fewer octaves or a larger size")
