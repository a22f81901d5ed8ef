"""Changes of a picture that keep one thing and destroy another: what a unit still responds to, it did not need.

Sizes are measured by the patch that excites the unit, since texture and shape are a matter of scale: pieces are a
third of its side, blurring takes what is finer than a tenth of it. Shuffled pieces follow Geirhos et al. 2019
(arXiv 1811.12231) and Brendel and Bethge 2019 (arXiv 1904.00760); blurring and high-passing split a picture in two
that add up to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from phosphene.cards.patch import alone, without
from phosphene.models.preprocess import LUMINANCE
from phosphene.models.receptive import Box
from phosphene.seeds import key

PIECES = 3  # to the side of the patch
LEAST_PIECE = 4  # pixels
BLUR = 0.1  # of the patch's side: the deviation of the Gaussian
SHARPEST = 1.0  # pixels, the least deviation
REACH = 3  # deviations that a kernel extends
COLORS = 3
PATCH_ALONE, PIECES_SHUFFLED = "patch alone", "pieces shuffled"  # changes that others are measured by


@dataclass(frozen=True)
class Scene:
    """What a change knows of its picture: the patch, the neutral color (c, 1, 1), what its draws depend on, and the
    width of the border around the patch where it is not the usual one."""

    patch: Box
    color: Tensor
    seed: int
    key: str
    soft: float | None = None

    @property
    def side(self) -> float:
        """Of the patch, in pixels."""
        return side(self.patch)

    @property
    def piece(self) -> int:
        """The side of the pieces that are shuffled, in pixels."""
        return max(LEAST_PIECE, round(self.side / PIECES))

    def cuts(self, seen: Box) -> bool:
        """Whether the pieces are small enough to take a patch apart of which `seen` is what the unit sees."""
        return self.piece <= side(seen) / 2


@dataclass(frozen=True)
class Change:
    """name: of the change; keeps, destroys: what it leaves and what it takes. make: (c, h, w) -> (c, h, w).
    colored: of pictures in color only. of_patch: of the patch alone, whose score it is compared with: the rest of a
    picture, turned, has its own edges in every direction."""

    name: str
    keeps: str
    destroys: str
    make: Callable[[Tensor, Any], Tensor]
    colored: bool = False
    of_patch: bool = False

    def serves(self, channels: int) -> bool:
        """Whether it means anything for pictures of so many channels."""
        return channels == COLORS or not self.colored


def side(box: Box) -> float:
    """The side of a square of the area of a box, in pixels."""
    y0, x0, y1, x1 = box
    return math.sqrt((y1 - y0) * (x1 - x0))


def gray(picture: Tensor, scene: Scene) -> Tensor:
    """Its luminance."""
    return luminance(picture).expand_as(picture)


def turned_hue(picture: Tensor, scene: Scene) -> Tensor:
    """Every hue replaced by its opposite, at the same luminance."""
    return (2 * luminance(picture) - picture).clamp(0, 1)


def blurred(picture: Tensor, scene: Scene) -> Tensor:
    """What is coarser than a tenth of the patch."""
    deviation = max(SHARPEST, BLUR * scene.side)
    return gaussian(gaussian(picture, deviation).transpose(1, 2), deviation).transpose(1, 2)


def high_passed(picture: Tensor, scene: Scene) -> Tensor:
    """What is finer, on the neutral color."""
    return (picture - blurred(picture, scene) + scene.color).clamp(0, 1)


def shuffled(picture: Tensor, scene: Scene) -> Tensor:
    """Cut into squares as large as the patch, with one around its middle, and each square's pieces in another order.

    So what was together stays near, but no longer in its place. A border without room for a square stays.
    """
    size = scene.piece
    square, (y0, x0, y1, x1) = PIECES * size, scene.patch
    draw = np.random.Generator(np.random.Philox(key=key(scene.seed, scene.key, "shuffle")))
    out = picture.clone()
    for top in range(((y0 + y1 - square) // 2) % square, picture.shape[1] - square + 1, square):
        for left in range(((x0 + x1 - square) // 2) % square, picture.shape[2] - square + 1, square):
            for place, source in enumerate(draw.permutation(PIECES**2).tolist()):
                (y, x), (v, u) = (
                    (top + number // PIECES * size, left + number % PIECES * size) for number in (place, source)
                )
                out[:, y : y + size, x : x + size] = picture[:, v : v + size, u : u + size]
    return out


def mirrored(picture: Tensor, scene: Scene) -> Tensor:
    """The patch alone, with left and right exchanged."""
    return alone(picture, scene.patch, scene.color).flip(2)


def turned(picture: Tensor, scene: Scene) -> Tensor:
    """The patch alone after a quarter turn; half a turn where height and width of the picture differ."""
    cut = alone(picture, scene.patch, scene.color)
    return cut.rot90(1 if picture.shape[1] == picture.shape[2] else 2, (1, 2))


CHANGES = (
    Change("gray", "shapes and textures", "color", gray, colored=True),
    Change("hue turned", "shapes, textures, how colored it is", "which color", turned_hue, colored=True),
    Change("blurred", "color areas, coarse shapes", "fine detail", blurred),
    Change("high-passed", "fine detail, edges", "color areas, shading", high_passed),
    Change(PIECES_SHUFFLED, "color, texture", "shape, arrangement", shuffled),
    Change(PATCH_ALONE, "the smallest patch", "all around it", lambda x, at: alone(x, at.patch, at.color)),
    Change("patch removed", "all around the patch", "the smallest patch", lambda x, at: without(x, at.patch, at.color)),
    Change("mirrored", "the patch but for left and right", "handedness", mirrored, of_patch=True),
    Change("turned", "the patch but for direction", "upright and level", turned, of_patch=True),
)


def luminance(picture: Tensor) -> Tensor:
    """(1, h, w) of a color picture."""
    return (picture * picture.new_tensor(LUMINANCE).view(COLORS, 1, 1)).sum(0, keepdim=True)


def gaussian(picture: Tensor, deviation: float) -> Tensor:
    """A picture (c, h, w) blurred along its last axis; beyond the border it goes on as it ends."""
    reach = math.ceil(REACH * deviation)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    lines = pad(picture.reshape(-1, 1, picture.shape[2]), (reach, reach), mode="replicate")
    return conv1d(lines, (kernel / kernel.sum()).view(1, 1, -1)).reshape(picture.shape)
