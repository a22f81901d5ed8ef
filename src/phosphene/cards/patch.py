"""The smallest patch of a picture that still excites a unit, found by deletion.

Everything outside a box is painted in the neutral color, with a soft border, since a hard one would be an edge of its
own. From the receptive field on, that side is cut whose loss the unit feels least, as long as it keeps

    (r - blank) / (whole - blank)  >=  keep

at the place where it responded most: r with the patch alone, `whole` with the picture, `blank` with the neutral color.
Source: the smallest sufficient region of Dabkowski and Gal 2017 (arXiv 1705.07857), whose masks are learned.

Departures: a rectangle and a greedy search, so that a few dozen looks are enough; it is small, and no smaller one is a
cut of one side away, but it need not be the smallest of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from phosphene.cards.eye import Eye
from phosphene.models.receptive import Box

FEATHER = 1 / 32  # of the shorter side: the soft border outside a box
CUTS = (0.4, 0.2, 0.1, 0.05)  # of the side of the box: coarse first
LEAST = 4  # pixels: no patch is thinner

B = TypeVar("B")


@dataclass(frozen=True)
class Patch:
    """box: y0, x0, y1, x1 in pixels of the picture as the network saw it, ends excluded. kept: share of the activation
    that it keeps alone; NaN where the picture excites the unit no more than the neutral color does."""

    box: Box
    kept: float

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


def smallest_patch(
    eye: Eye,
    picture: Tensor,
    place: tuple[int, int] | None,
    field: Box,
    color: Tensor,
    *,
    keep: float,
    least: int = LEAST,
    soft: float | None = None,
) -> Patch:
    """The patch of a picture (c, h, w) for the response at a place of the map. field: where to begin. least: pixels of
    its sides, at least. soft: the width of its border, in pixels."""
    ends = eye.at(torch.stack([picture, color.expand_as(picture)]), place)
    whole, blank = float(ends[0]), float(ends[1])
    if not whole > blank:
        return Patch(field, float("nan"))

    def shares(boxes: list[Box]) -> Tensor:
        seen = eye.at(torch.stack([alone(picture, box, color, soft) for box in boxes]), place)
        return (seen - blank) / (whole - blank)

    return Patch(*shrunk(field, shares, lambda box, cut: cuts(box, cut, least), keep))


def shrunk(
    whole: B, shares: Callable[[list[B]], Tensor], smaller: Callable[[B, float], list[B]], keep: float
) -> tuple[B, float]:
    """What is left of a whole when the least missed part is cut off again and again, and the share that it keeps.

    shares: of the activation that candidates keep. smaller: candidates without a share of a whole.
    """
    found, kept = whole, float(shares([whole])[0])
    for cut in CUTS:
        while tried := smaller(found, cut):
            measured = shares(tried)
            best = int(measured.argmax())
            if measured[best] < keep:
                break
            found, kept = tried[best], float(measured[best])
    return found, kept


def cuts(box: Box, share: float, least: int = LEAST) -> list[Box]:
    """The box without a share of each of its sides, where it stays thick enough."""
    y0, x0, y1, x1 = box
    down, right = max(1, round(share * (y1 - y0))), max(1, round(share * (x1 - x0)))
    tall = [(y0 + down, x0, y1, x1), (y0, x0, y1 - down, x1)] if y1 - y0 - down >= least else []
    wide = [(y0, x0 + right, y1, x1), (y0, x0, y1, x1 - right)] if x1 - x0 - right >= least else []
    return tall + wide


def alone(picture: Tensor, box: Box, color: Tensor, soft: float | None = None) -> Tensor:
    """The picture (c, h, w) inside the box, the color elsewhere."""
    return torch.lerp(color.expand_as(picture), picture, mask(picture, box, soft))


def without(picture: Tensor, box: Box, color: Tensor, soft: float | None = None) -> Tensor:
    """The picture with the color inside the box."""
    return torch.lerp(picture, color.expand_as(picture), mask(picture, box, soft))


def mask(picture: Tensor, box: Box, soft: float | None = None) -> Tensor:
    """(1, h, w): 1 inside the box, falling to 0 outside it over the width of the border."""
    height, width = picture.shape[1:]
    soft = border(picture) if soft is None else soft
    rows, columns = (
        (1 - torch.maximum(first - at, at - (end - 1)).clamp(min=0) / soft).clamp(min=0)
        for at, first, end in (
            (torch.arange(height, dtype=torch.float32), box[0], box[2]),
            (torch.arange(width, dtype=torch.float32), box[1], box[3]),
        )
    )
    return (rows[:, None] * columns)[None]


def border(picture: Tensor) -> float:
    """The width of the soft border outside a box, in pixels."""
    return max(1.0, FEATHER * min(picture.shape[1:]))


def half_seen(picture: Tensor, box: Box, field: Box) -> Box:
    """The box to the middle of its soft border, inside the field: what the unit sees at half or more of a patch."""
    grow = round(border(picture) / 2)
    y0, x0, y1, x1 = box
    return max(y0 - grow, field[0]), max(x0 - grow, field[1]), min(y1 + grow, field[2]), min(x1 + grow, field[3])
