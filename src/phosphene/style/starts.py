"""Where each scale of a transfer starts, and the pictures of a job at a scale.

Departures: a start from the content starts every scale from it: what is carried up is how the picture differs, so no
detail is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.seeds import Generators
from phosphene.signals import Pixels, Signal
from phosphene.style.canvas import NOISE, canvas
from phosphene.style.job import Job
from phosphene.style.ladder import covering, enlarged, resized
from phosphene.style.method import Method

# Deviation of the grain of a white start. A picture that is the same everywhere may stay so; with a fainter grain
# it is slower to leave white: .0078 after 60 steps at 128 pixels with one level of 255, .0048 with eight.
GRAIN = 8 / 255


@dataclass(frozen=True)
class Starts:
    """The starts of one transfer. job: prepared. seed: of a start from noise, and of the grain of a white one."""

    job: Job
    method: Method
    seed: int
    device: torch.device

    def at(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """(c, h, w) -> (1, c, *size) on the device."""
        return resized(picture[None].to(self.device), size)

    def signal(self, size: tuple[int, int], before: Tensor | None) -> Signal:
        """The picture at a scale, at its start. before: (1, 3, h, w), the result of the scale below."""
        kind: Signal
        if self.method.signal == "fourier":
            kind = canvas(size, self.method.optimizer)
        else:
            kind = Pixels(1, size=size, decorrelate=False, clamped=True)
        start = self._first(size) if before is None else self._carried(before, size)
        if start is None:
            kind.start(Generators(self.seed, ["style"]), NOISE)
        else:
            kind.encode(start.cpu())
        return kind.to(self.device)

    def _carried(self, before: Tensor, size: tuple[int, int]) -> Tensor:
        """The result of the scale below at the next size."""
        from_content = self.job.start is None and self.method.start == "content"
        if self.job.content is None or not (from_content and self.method.details):
            return resized(before, size)
        below = (int(before.shape[2]), int(before.shape[3]))
        change = enlarged(before - self.at(self.job.content, below), size)
        return (self.at(self.job.content, size) + change).clamp(0, 1)

    def _first(self, size: tuple[int, int]) -> Tensor | None:
        """The picture that the first scale starts from; None for noise."""
        job, name = self.job, self.method.start
        if job.start is not None:
            return self.at(job.start, size)
        if name == "noise" or (name == "content" and job.content is None):
            return None
        if name == "white":
            return 1 - GRAIN * Generators(self.seed, ["style"]).normal("white", 0, (3, *size)).abs()
        if name == "content":
            assert job.content is not None
            return self.at(job.content, size)
        if not job.styles:
            raise UsageError("there is no style picture to start from")
        return covering(job.styles[0].picture[None], size)
