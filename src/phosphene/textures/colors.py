"""Colors by name, and pairs of colors that can be told apart.

A named color is a region of hue, saturation and value (HSV, hue in degrees), with gaps between neighbors: nobody
should have to say whether a picture is orange or yellow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phosphene.textures.canvas import Array

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
LIGHT_WEIGHT = 1.6  # how much more a difference in light separates two colors than one in hue does
CONTRAST = 0.4  # least difference of two colors of a pattern, or of a figure from its ground
SHIFTED_CONTRAST = 0.3  # and in the shifted set


@dataclass(frozen=True)
class Region:
    """A color: hue within `spread` of `hue`; saturation and value between their limits."""

    hue: float
    spread: float
    saturation: tuple[float, float]
    value: tuple[float, float]


VIVID, BRIGHT = (0.7, 1.0), (0.6, 1.0)
NAMED = {
    "red": Region(0, 7, VIVID, BRIGHT),
    "orange": Region(28, 6, (0.8, 1.0), (0.85, 1.0)),
    "yellow": Region(55, 5, VIVID, (0.8, 1.0)),
    "green": Region(120, 20, VIVID, (0.4, 0.9)),
    "cyan": Region(182, 8, VIVID, BRIGHT),
    "blue": Region(228, 12, VIVID, BRIGHT),
    "purple": Region(276, 10, VIVID, (0.45, 0.9)),
    "pink": Region(330, 10, (0.35, 0.6), (0.88, 1.0)),
    "brown": Region(24, 6, (0.6, 0.85), (0.28, 0.48)),
    "white": Region(0, 180, (0.0, 0.05), (0.92, 1.0)),
    "gray": Region(0, 180, (0.0, 0.06), (0.42, 0.6)),
    "black": Region(0, 180, (0.0, 0.3), (0.0, 0.1)),
}


def rgb(hue: float, saturation: float, value: float) -> Array:
    """HSV (hue in degrees, the others 0 .. 1) -> RGB in [0, 1]."""
    k = (np.array([5.0, 3.0, 1.0]) + hue / 60) % 6
    return (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)


def named(name: str, rng: np.random.Generator) -> Array:
    """A color out of the region of that name."""
    region = NAMED[name]
    hue, saturation, value = rng.random(3)
    return rgb(
        region.hue + (2 * hue - 1) * region.spread,
        region.saturation[0] + saturation * (region.saturation[1] - region.saturation[0]),
        region.value[0] + value * (region.value[1] - region.value[0]),
    )


def difference(a: Array, b: Array) -> float:
    """How far two colors are from each other; black and white are 1 apart."""
    light = float(abs((a - b) @ LUMA))
    color = float(np.abs(a - b).max())
    return (LIGHT_WEIGHT * light + color) / (LIGHT_WEIGHT + 1)


def free(rng: np.random.Generator, *, shifted: bool) -> Array:
    """Any color: muted, vivid or gray. Shifted: the pastels and dark neons that the usual set leaves out."""
    kind, hue, saturation, value = rng.random(4)
    if shifted:
        return (
            rgb(360 * hue, 0.2 + 0.25 * saturation, 0.75 + 0.25 * value)
            if kind < 0.5
            else rgb(360 * hue, 0.9 + 0.1 * saturation, 0.15 + 0.3 * value)
        )
    if kind < 0.25:
        return rgb(0, 0.05 * saturation, value)
    if kind < 0.65:
        return rgb(360 * hue, 0.2 + 0.4 * saturation, 0.1 + 0.9 * value)
    return rgb(360 * hue, 0.6 + 0.4 * saturation, 0.35 + 0.65 * value)


def pair(rng: np.random.Generator, *, shifted: bool) -> tuple[Array, Array]:
    """Two colors with enough contrast between them."""
    least = SHIFTED_CONTRAST if shifted else CONTRAST
    while True:
        a, b = free(rng, shifted=shifted), free(rng, shifted=shifted)
        if difference(a, b) >= least:
            return a, b


def near(color: Array, rng: np.random.Generator, amount: float) -> Array:
    """A color beside a color."""
    return np.clip(color + rng.normal(0, amount, 3), 0, 1).astype(np.float32)
