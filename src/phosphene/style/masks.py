"""Region masks: which part of the picture each style may paint, from pictures that people draw.

A region is a weight in [0, 1] at each pixel. It comes from a gray picture (white is inside), or from one picture in
which each region has its color. Weights are brought to the size of the canvas by area, so that an edge drawn smoothly
stays smooth and one drawn hard gets the width of a pixel. Where regions overlap they share: weights are divided by
their sum where it exceeds 1. What no region claims, 1 - sum, is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from PIL import ImageColor
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import MediaError, UsageError
from phosphene.media import read_pixels
from phosphene.style.colors import LUMA

ASPECT_TOLERANCE = 0.01  # relative; the width or height of a resized picture is rounded, and crops are a pixel off
BLACK = 4 / 255  # a mask that never exceeds this is black: JPEG's ripples stay below
SAME_COLOR = 48 / 255  # colors nearer than this in each channel are one: JPEG moves flat colors by less
CELLS = 16  # levels a channel when colors are counted, 16 8-bit levels each
LEAST_SHARE = 0.01  # of the picture: an undeclared color that covers less is an edge, not a region
EDGE_SIGMAS = 2  # a feathered edge falls from 98% to 2% over this many sigmas to each side

Size = tuple[int, int]  # height, width


def read_mask(path: str | Path, size: Size) -> Tensor:
    """The region in a gray picture: (1, h, w) weights in [0, 1] at `size` (height, width), white inside.

    Colored pixels count by their luminance, transparent ones are outside. Raises `UsageError` that quotes the file:
    not readable, an aspect ratio that differs by more than 1% from the canvas's, or black everywhere.
    """
    pixels = _pixels(path, size)
    mask = torch.einsum("c,chw->hw", pixels.new_tensor(LUMA), pixels[:3])[None]
    if len(pixels) == 4:
        mask = mask * pixels[3:]
    if float(mask.max()) <= BLACK:
        raise UsageError(f"mask '{path}' is black everywhere: white marks the region")
    return resize_by_area(mask, size).clamp(0, 1)


def read_color_masks(path: str | Path, colors: Mapping[str, str], size: Size) -> dict[str, Tensor]:
    """The regions in one color-coded picture: for each name a mask as from `read_mask`.

    colors: name of the region -> its color, `#rrggbb` or an HTML name. Every pixel belongs to the nearest color, among
    these and the others that cover at least 1% of the picture; those others are left alone. Soft edges are drawn
    with one gray picture a region. Raises `UsageError` as `read_mask` does, and for a color that is not one, that is
    too near to another, or that no pixel has: the message lists those there are.
    """
    pixels = _pixels(path, size)
    palette = {name: _color(name, text) for name, text in colors.items()}
    _refuse_equal(palette)
    others = [color for color, _ in _common(pixels) if not any(_same(color, known) for known in palette.values())]
    nearest = _nearest(pixels[:3], torch.stack([*palette.values(), *others]))
    if len(pixels) == 4:
        nearest = torch.where(pixels[3] < 0.5, -1, nearest)
    masks = {}
    for i, name in enumerate(palette):
        region = (nearest == i)[None].float()
        if not region.any():
            found = ", ".join(f"{_hex(color)} ({share:.0%})" for color, share in _common(pixels))
            raise UsageError(f"mask '{path}' has no pixel of {name}'s color {colors[name]}; its colors are {found}")
        masks[name] = resize_by_area(region, size)
    return masks


def share(masks: Mapping[str, Tensor], *, feather: float = 0.0) -> dict[str, Tensor]:
    """The masks with soft edges, `feather` pixels to each side, and with weights that sum to at most 1 everywhere."""
    if not (math.isfinite(feather) and feather >= 0):
        raise UsageError(f"feather is a number of pixels from 0 on, got {feather}")
    soft = {name: feathered(mask, feather) if feather else mask for name, mask in masks.items()}
    if not soft:
        return {}
    total = torch.stack([*soft.values()]).sum(0).clamp(min=1)
    return {name: mask / total for name, mask in soft.items()}


def left_alone(masks: Mapping[str, Tensor]) -> Tensor:
    """(1, h, w): what the shared masks, at least one, leave of each pixel, 1 - sum."""
    return (1 - torch.stack([*masks.values()]).sum(0)).clamp(0, 1)


def feathered(mask: Tensor, pixels: float) -> Tensor:
    """A Gaussian blur that makes a hard edge fall from 98% to 2% over `pixels` to each side; the border is repeated."""
    sigma = pixels / EDGE_SIGMAS
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=mask.device) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(mask.dtype)
    wide = F.pad(mask[None], (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(wide, kernel.view(1, 1, 1, -1))
    return F.conv2d(across, kernel.view(1, 1, -1, 1))[0].clamp(0, 1)


def resize_by_area(x: Tensor, size: Size) -> Tensor:
    """(..., h, w) at `size`: each new pixel is the exact mean of the area that it covers, so the whole mean is kept."""
    for axis, length in zip((-2, -1), size, strict=True):
        x = _by_area(x.transpose(axis, -1), length).transpose(axis, -1)
    return x


def _by_area(x: Tensor, length: int) -> Tensor:
    """The last axis in `length` equal parts: differences of the integral, which is linear within a pixel."""
    before = x.shape[-1]
    if before == length:
        return x
    integral = F.pad(x.double().cumsum(-1), (1, 0))
    edges = torch.arange(length + 1, dtype=torch.float64, device=x.device) * (before / length)
    left = edges.long().clamp(max=before - 1)
    at_edges = torch.lerp(integral[..., left], integral[..., left + 1], edges - left)
    return (at_edges.diff(dim=-1) * (length / before)).to(x.dtype)


def _pixels(path: str | Path, size: Size) -> Tensor:
    """The picture of a mask, at its own size, which must have the canvas's shape."""
    try:
        pixels = read_pixels(path).pixels
    except MediaError as error:
        raise UsageError(f"mask: {error}") from error
    (height, width), (tall, wide) = pixels.shape[1:], size
    off = abs(width * tall / (height * wide) - 1)
    rounded = abs(wide * height / width - tall) <= 0.5 or abs(tall * width / height - wide) <= 0.5
    if off > ASPECT_TOLERANCE and not rounded:  # a small canvas cannot have the very same shape
        raise UsageError(
            f"mask '{path}' is {width}x{height}, of another shape than the picture's {wide}x{tall}; "
            "draw it over the whole picture, at any size"
        )
    return pixels


def _color(name: str, text: str) -> Tensor:
    try:
        return torch.tensor(ImageColor.getrgb(text)[:3]) / 255
    except ValueError:
        raise UsageError(f"region {name}: {text!r} is no color; write #rrggbb or a name such as red") from None


def _same(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) < SAME_COLOR


def _refuse_equal(palette: Mapping[str, Tensor]) -> None:
    names = list(palette)
    for i, name in enumerate(names):
        for other in names[:i]:
            if _same(palette[name], palette[other]):
                raise UsageError(f"regions {other} and {name} have colors too near to be told apart")


def _common(pixels: Tensor) -> Iterator[tuple[Tensor, float]]:
    """Colors that cover a region, most common first, with their share of the picture."""
    colors = pixels[:3].flatten(1)
    cells = (colors * (CELLS - 1e-3)).long()
    keys = (cells[0] * CELLS + cells[1]) * CELLS + cells[2]
    counts = torch.bincount(keys, minlength=CELLS**3)
    for key in counts.argsort(descending=True, stable=True).tolist():
        part = int(counts[key]) / len(keys)
        if part < LEAST_SHARE:
            return
        yield colors[:, keys == key].mean(1), part


def _nearest(colors: Tensor, palette: Tensor) -> Tensor:
    """(h, w): the index of the nearest color of the palette, one at a time, which bounds the memory."""
    best = torch.full(colors.shape[1:], math.inf)
    index = torch.zeros(colors.shape[1:], dtype=torch.long)
    for i, color in enumerate(palette):
        distance = (colors - color[:, None, None]).square().sum(0)
        index = torch.where(distance < best, i, index)
        best = torch.minimum(best, distance)
    return index


def _hex(color: Tensor) -> str:
    return "#" + "".join(f"{round(value * 255):02x}" for value in color.tolist())
