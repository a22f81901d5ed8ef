"""What is seen of a painting while it is made: a line of progress, a picture that is rewritten, a film."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import Tensor

from phosphene.cli.console import Bar
from phosphene.files import atomic_write
from phosphene.media import animation_bytes, output_format, write_picture
from phosphene.style.ladder import fitted, resized
from phosphene.style.terms import summed
from phosphene.style.transfer import StepDone, Transfer

PREVIEW_EVERY = 2.0  # seconds: writing a picture costs a share of a step, and nobody looks more often
FILM_FRAMES = 48  # four seconds at the usual 12 a second
FILM_SIDE = 640  # pixels of a film's longer side: what a page shows, and 48 of them fit any memory
FILM_REST = 6  # frames that the last one stays


class PaintMeter(Bar):
    """Progress of paintings, each of which begins by its name."""

    def show(self, event: StepDone, transfer: Transfer) -> None:
        """Show that a step was done."""
        height, width = transfer.sizes[event.number - 1]
        found = event.done - height * width  # all but this step
        self.advance(event.done, event.total, found, lambda speed: detail(event, transfer))


def detail(event: StepDone, transfer: Transfer) -> str:
    """Where a transfer is, and its losses."""
    losses = summed(dict(zip(transfer.terms, event.losses.tolist(), strict=True)))
    parts = "  ".join(f"{name} {value:.4g}" for name, value in losses.items() if value or name == "total")
    height, width = transfer.sizes[event.number - 1]
    return f"{width} x {height}  step {event.step.i}  loss {parts.removeprefix('total ')}"


class Preview:
    """A picture file that is rewritten while a painting is made. Raises UsageError for a suffix of no format."""

    def __init__(self, file: Path) -> None:
        output_format(file)
        self.file, self.wrote = file, float("-inf")

    def show(self, transfer: Transfer) -> None:
        """Write the picture as it is, unless it was written a moment ago."""
        if time.monotonic() - self.wrote >= PREVIEW_EVERY:
            write_picture(self.file, transfer.current())
            self.wrote = time.monotonic()


class Film:
    """A film of pictures of one size: those of an optimization at even steps, or finished ones."""

    def __init__(self) -> None:
        self.frames: list[Tensor] = []
        self.taken = 0

    def show(self, transfer: Transfer) -> None:
        """Take a frame if one is due."""
        steps = sum(transfer.steps(number) for number in range(len(transfer.sizes)))
        due = FILM_FRAMES * len(transfer.history) // steps
        if due > self.taken:
            self.taken = due
            self.frames.append(frame(transfer.current(), transfer.sizes[-1]))

    def add(self, picture: Tensor) -> None:
        """Take a finished picture (3 or 4, h, w) as a frame."""
        self.frames.append(frame(picture[:3], (int(picture.shape[1]), int(picture.shape[2]))))

    def write(self, file: Path) -> Path:
        """Write the film as an animated WebP, which rests on its last frame, and forget it."""
        frames = [one.float() / 255 for one in (*self.frames, *self.frames[-1:] * FILM_REST)]
        self.frames, self.taken = [], 0
        return atomic_write(file, animation_bytes(frames))


def frame(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture (3, h, w) in [0, 1] as a frame of a film of pictures of `size`: levels, uint8."""
    place = fitted(*size, min(FILM_SIDE, max(size)))
    return (resized(picture[None], place)[0] * 255).round().to(torch.uint8)
