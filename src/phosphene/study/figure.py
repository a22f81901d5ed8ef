"""A picture over its spectrum, for a sheet in which both are compared; and a spectrum as a picture of its own.

The spectrum is a line on logarithmic axes, which all pictures of a sheet share, with that of natural pictures behind
it. Lines are drawn at a multiple of their size and reduced, so that they come out smooth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from phosphene.contact import THEMES
from phosphene.media import from_tensor, opaque, to_tensor
from phosphene.study.spectrum import HIGH, Spectrum

LEAST = 160  # pixels: smaller pictures are enlarged, in whole multiples, so that their spectrum has room
STRIP = 0.4  # height of the strip with the spectrum, as a share of the picture's width
FINE = 4  # times its size that the strip is drawn at
GROUND, NATURAL, EDGE, INK = (26, 26, 28), (128, 128, 132), (60, 60, 64), (255, 176, 74)
DECADES = 4.0  # of power, from the median to white, in a spectrum as a picture
DOTS = 48  # a dot is a 48th of the spectrum wide, or it could not be seen


@dataclass(frozen=True)
class Bounds:
    """The axes that several spectra share: log10 of frequency and of power, lowest and highest."""

    frequency: tuple[float, float]
    power: tuple[float, float]


def bounds(spectra: Sequence[Spectrum]) -> Bounds:
    """Axes on which all of them fit, power over no more than eight decades."""
    frequencies = [math.log10(f) for one in spectra for f in one.frequency]
    powers = [math.log10(p) for one in spectra for p in one.power if p > 0] or [0.0]
    high = max(powers)
    return Bounds((min(frequencies), max(frequencies)), (max(min(powers), high - 8) - 0.2, high + 0.2))


def with_spectrum(pixels: Tensor, spectrum: Spectrum, natural: Spectrum, shared: Bounds) -> Tensor:
    """(3, h', w') a picture (c, h, w) in [0, 1] over its spectrum; natural: the gray line behind it."""
    image = opaque(from_tensor(pixels), background=THEMES["dark"].ground).convert("RGB")
    enlarged = math.ceil(LEAST / image.width) if image.width < LEAST else 1
    image = image.resize((image.width * enlarged, image.height * enlarged), Image.Resampling.NEAREST)
    strip = _strip(image.width, round(STRIP * image.width), spectrum, natural, shared)
    cell = Image.new("RGB", (image.width, image.height + strip.height))
    cell.paste(image, (0, 0))
    cell.paste(strip, (0, image.height))
    return to_tensor(cell)


def lattice(power: Tensor, side: int) -> Tensor:
    """(1, side, side) the power (h, w) at each frequency in shades, zero frequency in the middle: black is the median,
    white ten thousand times that. Lone frequencies are widened to dots.
    """
    shifted = torch.fft.fftshift(power)
    shades = (torch.log10(shifted.clamp(min=1e-30) / shifted.median().clamp(min=1e-30)) / DECADES).clamp(0, 1)
    wide = 2 * (max(shades.shape) // DOTS // 2) + 1
    dots = F.max_pool2d(shades[None].float(), wide, 1, wide // 2)
    return F.interpolate(dots[None], (side, side), mode="nearest-exact")[0]


def _strip(width: int, height: int, spectrum: Spectrum, natural: Spectrum, shared: Bounds) -> Image.Image:
    size = (width * FINE, height * FINE)
    strip = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(strip)
    (left, right), (low, high) = shared.frequency, shared.power
    edge = (math.log10(HIGH) - left) / (right - left) * size[0]
    draw.line([(edge, 0), (edge, size[1])], fill=EDGE, width=FINE)
    for one, color, thick in ((natural, NATURAL, FINE), (spectrum, INK, 2 * FINE)):
        points = [
            (
                (math.log10(f) - left) / (right - left) * size[0],
                (high - math.log10(max(p, 1e-30))) / (high - low) * size[1],
            )
            for f, p in zip(one.frequency, one.power, strict=True)
        ]
        draw.line([(x, min(max(y, -FINE), size[1] + FINE)) for x, y in points], fill=color, width=thick, joint="curve")
    return strip.resize((width, height), Image.Resampling.LANCZOS)
