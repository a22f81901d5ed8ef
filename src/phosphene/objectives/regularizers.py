"""Objectives on the picture itself: what one pays for (Olah et al. 2017, "The enemy of feature visualization").

    score = channel - weight * regularizer

They read `acts["input"]`, the untransformed signal, so they cost no network. All are sums over pixels, averaged over
channels, as in the papers: a weight that suits 224 pixels is 4 times as strong at 448.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from phosphene.objectives.algebra import INPUT, Acts, Objective

MIDDLE = 0.5  # gray, which L1 and L2 pull towards (lucid's `constant`)
BORDER_SHARE = 0.1  # width of the border band as a share of the picture's shorter side
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


REGULARIZERS: dict[str, type[Regularizer]] = {kind.word: kind for kind in (TV, TV2, L1, L2, Border, Opacity)}
