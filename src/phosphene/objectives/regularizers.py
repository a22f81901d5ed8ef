"""Objectives on the picture itself: what one pays for (Olah et al. 2017, "The enemy of feature visualization").

    score = channel - weight * regularizer

They read `acts["input"]`, the untransformed signal, so they cost no network. All but the opacity are sums over pixels,
averaged over channels, as in the papers: a weight that suits 224 pixels is 4 times as strong at 448.

Departures: lucid's `blur_input_each_step` holds the blurred copy fixed, so that a plain gradient step blurs the
picture; Blur has the price's own gradient, which L-BFGS needs. The peers soften frequencies in the gradient alone
(Olah et al. 2017, "frequency penalization"); Frequency is a price, and says what it costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.acts import INPUT, Acts
from phosphene.objectives.algebra import Objective, finite, number

MIDDLE = 0.5  # gray, which L1 and L2 pull towards (lucid's `constant`)
BORDER_SHARE = 0.1  # width of the border band as a share of the picture's shorter side
HIGHEST = math.sqrt(0.5)  # cycles per pixel, of a checkerboard: the highest frequency of a picture
ROOT_FLOOR = 1e-8  # under a square root: its slope is infinite at 0


@dataclass(frozen=True)
class Regularizer(Objective):
    """Base of the objectives on the picture."""

    regularizes: ClassVar[bool] = True
    word: ClassVar[str] = ""

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({INPUT})

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True)
class TV(Regularizer):
    """Total variation: sum over pixels of |dx| + |dy| (Rudin et al. 1992; Mahendran and Vedaldi 2015 with beta = 1)."""

    word: ClassVar[str] = "tv"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        steps = [x.diff(dim=axis).abs().flatten(1).sum(1) for axis in range(2, x.dim())]
        return torch.stack(steps).sum(0) / x.shape[1]


@dataclass(frozen=True)
class TV2(Regularizer):
    """Sum over pixels of dx^2 + dy^2: rough places cost more than edges do (Mahendran and Vedaldi 2015, beta = 2)."""

    word: ClassVar[str] = "tv2"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        steps = [x.diff(dim=axis).square().flatten(1).sum(1) for axis in range(2, x.dim())]
        return torch.stack(steps).sum(0) / x.shape[1]


@dataclass(frozen=True)
class L1(Regularizer):
    """Sum over pixels of |x - 1/2|: many pixels stay gray."""

    word: ClassVar[str] = "l1"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        return (x - MIDDLE).abs().flatten(1).sum(1) / x.shape[1]


@dataclass(frozen=True)
class L2(Regularizer):
    """Root of the sum over pixels of (x - 1/2)^2: no pixel goes far."""

    word: ClassVar[str] = "l2"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        return ((x - MIDDLE).square().flatten(1).sum(1) / x.shape[1] + ROOT_FLOOR).sqrt()


@dataclass(frozen=True)
class Border(Regularizer):
    """Sum of (x - 1/2)^2 in a band around the picture, a tenth of its shorter side wide: keeps the edge quiet."""

    word: ClassVar[str] = "border"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        width = max(1, round(BORDER_SHARE * min(x.shape[2:])))
        inner = (slice(None), slice(None), *(slice(width, side - width) for side in x.shape[2:]))
        squares = (x - MIDDLE).square()
        return (squares.flatten(1).sum(1) - squares[inner].flatten(1).sum(1)) / x.shape[1]


@dataclass(frozen=True)
class Opacity(Regularizer):
    """Mean of the alpha channel, the signal's last one: 1 is a picture without transparency."""

    word: ClassVar[str] = "opacity"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return acts[INPUT][:, -1].flatten(1).mean(1)


@dataclass(frozen=True)
class Blur(Regularizer):
    """1/2 sum over pixels of (x - blurred x)^2: what one blur would take away (lucid's `blur_input_each_step`).

    The blur is the binomial 1 2 1 along each axis: it takes all of a checkerboard and nothing of a flat area.
    """

    word: ClassVar[str] = "blur"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        blurred = x
        for axis in range(2, x.dim()):
            blurred = _smoothed(blurred, axis)
        return (x - blurred).square().flatten(1).sum(1) / (2 * x.shape[1])


@dataclass(frozen=True)
class Frequency(Regularizer):
    """Sum over pixels of the square of what lies above a spatial frequency: the power of noise and checkerboards.

    cutoff: in cycles per pixel; 0.25, the default, is half of what a row of pixels can hold, and is a wave of 4 pixels.
    """

    word: ClassVar[str] = "frequency"

    cutoff: float = 0.25

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutoff", finite(self.cutoff, "a cutoff"))
        if not 0 <= self.cutoff < HIGHEST:
            raise UsageError(f"a cutoff is 0 or more cycles per pixel and below {HIGHEST}, got {self.cutoff:g}")

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        axes = tuple(range(2, x.dim()))
        power = torch.view_as_real(torch.fft.rfftn(x, dim=axes)).square().sum(-1)
        counted = power * _above(self.cutoff, tuple(x.shape[2:]), x.device)
        return counted.flatten(1).sum(1) / (x[0].numel())

    def __str__(self) -> str:
        return self.word if self.cutoff == 0.25 else f"{self.word}(cutoff={number(self.cutoff)})"


def _smoothed(x: Tensor, axis: int) -> Tensor:
    """The binomial 1 2 1 along an axis; the edges go on as they end."""
    last = x.shape[axis]
    wide = torch.cat([x.narrow(axis, 0, 1), x, x.narrow(axis, last - 1, 1)], axis)
    return (wide.narrow(axis, 0, last) + 2 * x + wide.narrow(axis, 2, last)) / 4


@lru_cache(maxsize=16)
def _above(cutoff: float, space: Sequence[int], device: torch.device) -> Tensor:
    """(*space of a real FFT) how often each coefficient above the cutoff counts in the sum over all pixels."""
    *others, last = space
    squares = torch.fft.rfftfreq(last).square()
    for axis, side in enumerate(reversed(others), 1):
        squares = squares + torch.fft.fftfreq(side).square().view(-1, *[1] * axis)
    twice = torch.full((last // 2 + 1,), 2.0)  # a real FFT leaves out the mirror image of all but these
    twice[0] = 1
    if last % 2 == 0:
        twice[-1] = 1
    counts: Tensor = (squares.sqrt() > cutoff) * twice
    return counts.to(device)


REGULARIZERS: dict[str, type[Regularizer]] = {
    kind.word: kind for kind in (TV, TV2, L1, L2, Border, Opacity, Blur, Frequency)
}
