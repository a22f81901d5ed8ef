"""The sizes of a dream, coarse to fine, and how a picture goes from one to the next.

A layer sees only so many pixels, so what it adds has one size. At a coarser size the same layer adds larger things:

    change_k = result_k - picture_k          picture_k: the picture shrunk to octave k
    start_k+1 = picture_k+1 + enlarged(change_k)

Only the change is enlarged, so the details that shrinking lost come back with every octave (Mordvintsev, Olah and
Tyka, "Inceptionism", 2015, and their notebook, whose ratio of 1.4 is the default).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_SIDE = 32  # pixels of an octave's shorter side: half of it, and a network of stride 16 sees one position
ZOOM = 1.05  # from frame to frame of a film; the notebook's
FLAT = 1 / 255  # deviation under which a channel is one shade: under a division


def octaves(height: int, width: int, count: int, ratio: float) -> list[tuple[int, int]]:
    """(height, width) of each octave, coarse to fine; the last is the picture's own.

    Each is `ratio` times smaller than the next. Those whose shorter side is under LEAST_SIDE are left out.
    """
    shares = [ratio**-k for k in range(count)]
    sizes = [(max(1, round(height * share)), max(1, round(width * share))) for share in shares]
    return [size for k, size in enumerate(sizes) if k == 0 or min(size) >= LEAST_SIDE][::-1]


def fitted(height: int, width: int, longer: float) -> tuple[int, int]:
    """(height, width) of a picture of that aspect whose longer side is `longer` pixels; at least 1 each."""
    share = longer / max(height, width)
    return max(1, round(height * share)), max(1, round(width * share))


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures or differences of pictures (b, c, h, w) at another size: antialiased bicubic."""
    if tuple(x.shape[2:]) == size:
        return x
    with torch.no_grad():
        return F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (b, c, h, w) in [0, 1] at another size, kept in [0, 1]."""
    return enlarged(x, size).clamp(0, 1)


def carried(picture: Tensor, before: Tensor, size: tuple[int, int]) -> Tensor:
    """The start of an octave of `size`. picture: (1, c, h, w), the one that is dreamed on, at full size. before: the
    result of the octave below."""
    below = (int(before.shape[2]), int(before.shape[3]))
    change = enlarged(before - resized(picture, below), size)
    return (resized(picture, size) + change).clamp(0, 1)


def zoomed(x: Tensor, factor: float = ZOOM) -> Tensor:
    """Pictures (b, c, h, w), enlarged about their center by `factor` and cut to their size."""
    height, width = (int(side) for side in x.shape[2:])
    matrix = torch.tensor([[1 / factor, 0.0, 0.0], [0.0, 1 / factor, 0.0]], device=x.device).expand(len(x), 2, 3)
    grid = F.affine_grid(matrix, [len(x), int(x.shape[1]), height, width], align_corners=False)
    seen = F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return seen.clamp(0, 1)


def toned(x: Tensor, like: Tensor) -> Tensor:
    """Pictures (b, c, h, w) with the mean and the deviation of each channel that `like` has, cut off at 0 and 1."""
    space = (2, 3)
    mean, deviation = x.mean(space, keepdim=True), x.std(space, keepdim=True).clamp(min=FLAT)
    wanted = like.std(space, keepdim=True) / deviation
    return ((x - mean) * wanted + like.mean(space, keepdim=True)).clamp(0, 1)
