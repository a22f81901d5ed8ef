"""Does an optimized picture take the road through a network that natural pictures of the same unit take?

Geirhos, Zimmermann, Bilodeau, Brendel and Kim 2023 (arXiv 2306.04719, section 3) compare the activations that two
pictures cause at a layer by Spearman's rank correlation rho, and put that on a scale with two references:

    normalized = (rho(picture, natural) - lower) / (upper - lower)
    upper: two natural pictures of the unit        lower: one of them and a random picture

Layer by layer, 1 is the road of the natural pictures and 0 that of any picture. The flag asks for less, and holds where
upper - lower is small: of a natural picture of the unit and a random one, how often is the first the more alike?

    kinship = P( rho(picture, natural) > rho(picture, random) )        1/2 is chance

Both sides meet the same optimized picture, so what is odd about every optimized picture cancels.

Departures: the paper takes all numbers of a layer, for classes; we take the mean of each channel over space, since the
natural pictures of a unit show their pattern in different places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.models import Model
from phosphene.models.blocks import blocks
from phosphene.study.responses import AT_ONCE, mean_response

CHANNELS = 8  # of a layer, at least: ranks of fewer are mostly ties and chance
LAYERS = 4  # on the way to the unit, its own among them, below which pictures differ in hue and contrast alone
KINSHIP = 0.7  # below it the picture takes another road; docs/study-faithfulness.md has the units that it comes from


@dataclass(frozen=True)
class Similarity:
    """How alike pictures are at a layer, as means of Spearman's rho over pairs, -1 to 1.

    picture: the optimized one with the unit's natural pictures. natural: those among each other. random: those with
    random pictures. kinship: the share of pairs in which the optimized picture is more like a natural picture of the
    unit than like a random one; natural_kinship: the same for a natural picture of the unit in its place.
    NaN where a layer says nothing.
    """

    layer: str
    picture: float
    natural: float
    random: float
    kinship: float
    natural_kinship: float

    @property
    def normalized(self) -> float:
        """The similarity on the paper's scale; NaN where natural pictures of the unit are no more alike than others."""
        room = self.natural - self.random
        return (self.picture - self.random) / room if room > 0 else math.nan


def road(model: Model, layer: str) -> tuple[str, ...]:
    """The layers on the way to one, in the order of the forward pass: the building blocks before it, and itself."""
    order = list(model.layers)
    stand = {*blocks(model), layer}
    before = order[: order.index(layer) + 1]
    return tuple(name for name in before if name in stand and model.layers[name].channels >= CHANNELS)


def similarities(
    model: Model, layers: Sequence[str], picture: Tensor, natural: Tensor, random: Tensor
) -> tuple[Similarity, ...]:
    """How alike a picture (1, c, h, w) is to natural pictures (k, c, h, w) of its unit and to random ones (m, c, h, w),
    layer by layer. The three may differ in size."""
    seen = [_means(model, layers, pictures) for pictures in (picture, natural, random)]
    return tuple(compared(name, *(one[name] for one in seen)) for name in layers)


def compared(layer: str, picture: Tensor, natural: Tensor, random: Tensor) -> Similarity:
    """The similarity at a layer, from what it says of each picture: (1, n), (k, n) and (m, n)."""
    own, alike, others = (normed_ranks(one) for one in (picture, natural, random))
    to_natural, to_random = (own @ alike.T)[0], (own @ others.T)[0]
    among, across = alike @ alike.T, alike @ others.T
    rest = ~torch.eye(len(alike), dtype=torch.bool)
    among_kinship = [kinship(among[i][rest[i]], across[i]) for i in range(len(alike))]
    return Similarity(
        layer,
        float(to_natural.nanmean()),
        float(among[rest].nanmean()),
        float(across.nanmean()),
        kinship(to_natural, to_random),
        float(torch.tensor(among_kinship).nanmean()),
    )


def kinship(to_natural: Tensor, to_random: Tensor) -> float:
    """The share of pairs in which the first is larger, a tie counting half; NaN where either is no number at all."""
    first, second = (one[one.isfinite()] for one in (to_natural, to_random))
    if not len(first) or not len(second):
        return math.nan
    difference = first[:, None] - second[None]
    return float(((difference > 0).double() + 0.5 * (difference == 0).double()).mean())


def normed_ranks(values: Tensor) -> Tensor:
    """(b, n) -> (b, n) ranks, those of equal values averaged, at mean 0 and length 1, so that products are Spearman's
    rho; NaN for a row of equal values."""
    ordered = values.sort(1).values.contiguous()
    found = values.contiguous()
    ranks = (torch.searchsorted(ordered, found) + torch.searchsorted(ordered, found, right=True)).double()
    centered = ranks - ranks.mean(1, keepdim=True)
    normed: Tensor = centered / centered.norm(dim=1, keepdim=True)  # 0 / 0 is NaN
    return normed


def another_road(path: Sequence[Similarity]) -> bool | None:
    """Whether the picture takes another road than the unit's natural pictures; None where that cannot be told.

    It is asked at the unit's own layer, the last of the path.
    """
    if len(path) < LAYERS or not math.isfinite(path[-1].kinship):
        return None
    return path[-1].kinship < KINSHIP


def _means(model: Model, layers: Sequence[str], pictures: Tensor) -> dict[str, Tensor]:
    """{layer: (b, c)} mean over space of each channel."""
    with torch.inference_mode():
        parts = [
            model.readings(some.to(model.device), layers, mean_response) for some in torch.split(pictures, AT_ONCE)
        ]
    return {name: torch.cat([part[name] for part in parts]) for name in layers}
