"""Coarse to fine: the sizes that a picture is optimised at, and how pictures move between them.

Large structures are found where they are small: each scale is sqrt(2) larger than the one before, and starts from its
result. The ladder begins at the same size whatever the last one is, so a small preview goes through the same pictures
as a large result (Gatys et al. 2016, arXiv 1611.07865, control of scale; the factor is Crowson's, 2021). Sizes are
those of the longer side; nothing is ever stretched, and no size needs to be a multiple of anything.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.media import MAX_PIXELS

RATIO = math.sqrt(2)
LEAST_SIDE = 4  # pixels of a picture that is compared or made, at the coarsest scale: fewer hold no texture
LAST_RATIO = 1.2  # the last step up is at least this: a smaller one is work for nothing


def rungs(size: int, smallest: int) -> list[int]:
    """Longer sides from the coarsest scale to `size`; smallest 0 is `size` alone."""
    found = []
    side = float(smallest)
    while smallest and round(side) * LAST_RATIO <= size:
        found.append(round(side))
        side *= RATIO
    return [*found, size]


def fitted(height: int, width: int, longer: float) -> tuple[int, int]:
    """(height, width) of a picture of that aspect whose longer side is `longer` pixels; at least 1 each."""
    factor = longer / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def check_canvas(height: int, width: int) -> None:
    """Raise UsageError for a picture of more pixels than can be read again, or of next to none."""
    if height * width > MAX_PIXELS:
        raise UsageError(f"{width}x{height} is over {MAX_PIXELS // 1_000_000} megapixels; choose a smaller size")
    if min(height, width) < LEAST_SIDE:
        raise UsageError(f"{width}x{height} pixels show nothing; choose a larger size")


def compared(height: int, width: int, longer: float, setting: str, what: str, *, remedy: str = "") -> tuple[int, int]:
    """(height, width) at which a picture is compared whose longer side the `setting` ("scale 2") makes `longer` pixels.

    what, remedy: what the picture is, and what helps besides a larger scale. Raises UsageError where it would be too
    large for any memory, or nothing would be left of it.
    """
    if not longer * longer <= MAX_PIXELS:
        raise UsageError(f"{setting} makes the {what} {longer:.4g} pixels long; {MAX_PIXELS**0.5:.0f} are the most")
    size = fitted(height, width, longer)
    if min(size) < LEAST_SIDE:
        raise UsageError(
            f"{setting} leaves {size[1]}x{size[0]} pixels of the {what} at the coarsest scale; "
            f"choose a larger one{remedy}"
        )
    return size


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (b, c, h, w) in [0, 1] at another size: antialiased bicubic, kept in [0, 1]."""
    if tuple(x.shape[2:]) == size:
        return x
    with torch.no_grad():
        return F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def enlarged(change: Tensor, size: tuple[int, int]) -> Tensor:
    """Differences of pictures (b, c, h, w), of either sign, at another size, in the same way."""
    with torch.no_grad():
        return F.interpolate(change, size, mode="bicubic", antialias=True, align_corners=False)


def covering(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (b, c, h, w) scaled to cover `size`, the middle of them cut out: nothing is stretched."""
    factor = max(size[0] / x.shape[2], size[1] / x.shape[3])
    large = resized(x, (max(size[0], round(x.shape[2] * factor)), max(size[1], round(x.shape[3] * factor))))
    top, left = (large.shape[2] - size[0]) // 2, (large.shape[3] - size[1]) // 2
    return large.narrow(2, top, size[0]).narrow(3, left, size[1])
