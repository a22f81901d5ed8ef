"""Opacity from attention: what the gradient never asked for becomes transparent (MACO's transparency map).

    opacity = min(1, g / quantile(g, 0.8)),    g = sum over steps and channels of |d score / d picture|

Fel et al. 2023 (arXiv 2306.06805): a picture of a spectrum that is fixed must put its energy somewhere, also where the
unit does not look. Where the gradient was large for many steps the unit looked; the rest is faded out.

The map is a by-product of gradients that are computed anyway: a hook on the picture adds them up, row by row, in a
buffer that is part of the state, so that a resumed run has it too. The optimization is not changed by it.
Departure: the paper multiplies the picture by the map for its figures; we keep both, as colors and alpha channel.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.seeds import Generators
from phosphene.signals.base import Signal

FULL = 0.8  # share of the pixels below full opacity; the authors' percentile of 80
SOFTEN = 9  # pixels: side of the mean that the map is softened by; single pixels are noise of the resampling
TINY = 1e-30  # in place of 0 where most of a picture has no gradient at all: the rest is then opaque


class Transparent(Signal):
    """`own` with a map of where its gradients were; raises UsageError when own has an alpha channel already."""

    asked: Tensor  # (b, h, w) sum of |gradient|

    def __init__(self, own: Signal) -> None:
        super().__init__(own.rows, channels=own.channels, size=own.size, clamped=own.clamped)
        if own.alpha:
            raise UsageError("transparency is read from gradients where no alpha channel is optimised; choose one")
        self.own = own
        self.basis = own.basis
        self.register_buffer("asked", torch.zeros(own.rows, *own.size))

    def linear(self) -> Tensor:
        return self.own.linear()

    def forward(self) -> Tensor:
        pictures: Tensor = self.own()
        if pictures.requires_grad:
            pictures.register_hook(self._note)  # type: ignore[no-untyped-call]
        return pictures

    def write(self, linear: Tensor) -> None:
        self.own.write(linear)

    def encode(self, pictures: Tensor) -> None:
        self.own.encode(pictures)

    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        self.own.start(generators, deviation)

    def finished(self) -> Tensor:
        """Pictures (b, c + 1, h, w): colors, and the opacity as last channel."""
        return torch.cat([self.own.finished(), self.opacity()[:, None]], 1)

    def opacity(self) -> Tensor:
        """(b, h, w) in [0, 1]; 1 everywhere before the first gradient."""
        soft = F.avg_pool2d(self.asked[:, None], SOFTEN, 1, SOFTEN // 2, count_include_pad=False)[:, 0]
        rank = max(1, round(FULL * self.size[0] * self.size[1]))
        full = soft.flatten(1).kthvalue(rank, dim=1).values[:, None, None]
        untouched = soft.amax((1, 2), keepdim=True) == 0
        return torch.where(untouched, 1.0, (soft / full.clamp(min=TINY)).clamp(0, 1))

    def _note(self, gradient: Tensor) -> None:
        noted = gradient.detach().abs().sum(1)
        self.asked += torch.where(noted.isfinite(), noted, 0.0)
