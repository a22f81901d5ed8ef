"""From a pattern to a picture of it: ground, light, things in front, noise.

A network that is shown bare patterns learns bare patterns. So a texture often fills only part of the picture, a
figure stands on a ground of natural statistics (1/f noise, or the "dead leaves" of Matheron 1968 and Lee, Mumford and
Huang 2001: opaque things over each other at all sizes), something may hide a corner, the light falls unevenly, and a
camera adds blur and noise. Nothing here shows a class that it should not: clutter is plain or smoothly shaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from phosphene.textures.canvas import Array, Canvas, edge
from phosphene.textures.colors import CONTRAST, SHIFTED_CONTRAST, difference, free, near


@dataclass(frozen=True)
class Conditions:
    """How hard a picture is to read. noise: deviation of the camera's noise, drawn up to it; light: unevenness;
    hidden: share of pictures with something in front; blur: share of blurred ones."""

    noise: float
    light: float
    hidden: float
    blur: float


USUAL = Conditions(noise=0.07, light=0.35, hidden=0.3, blur=0.2)
SHIFTED = Conditions(noise=0.14, light=0.55, hidden=0.4, blur=0.35)

Photo = Callable[[np.random.Generator, int], Array]  # a crop (n, n, 3) in [0, 1] out of a photograph


def ground(c: Canvas, *, shifted: bool, photo: Photo | None = None) -> Array:
    """Something to stand on, without a pattern: (n, n, 3) in [0, 1]."""
    kind = c.rng.random()
    if photo is not None and kind < 0.2:
        return photo(c.rng, len(c.x))
    if kind < 0.45:
        return natural(c, shifted=shifted)
    if kind < 0.65:
        return dead_leaves(c, int(c.rng.integers(12, 40)), shifted=shifted)
    color = free(c.rng, shifted=shifted)
    shade = 1 + np.float32(0.12) * c.noise(1.2)
    return np.clip(color * shade[..., None], 0, 1)


def natural(c: Canvas, *, shifted: bool) -> Array:
    """Colored 1/f noise about one color."""
    color = free(c.rng, shifted=shifted)
    light = c.uniform(0.06, 0.2) * c.noise(c.log_uniform(0.4, 1.5), "natural")
    tint = (c.rng.random(3, np.float32) - 0.5) * np.float32(0.3)
    drift = c.noise(1.4)
    return np.clip(color + light[..., None] + drift[..., None] * tint, 0, 1)


def dead_leaves(c: Canvas, count: int, *, shifted: bool, textured: bool = False) -> Array:
    """Opaque disks, bars and blocks over each other; radii by a power law, as things in photographs have."""
    picture = natural(c, shifted=shifted)
    grain = c.noise(0.5, "natural")
    for _ in range(count):
        x, y, r = c.uniform(-1.1, 1.1), c.uniform(-1.1, 1.1), c.log_uniform(0.08, 0.7)
        rows, columns = c.box(x, y, r)
        here = c.part(rows, columns).moved(x, y).turned(c.uniform(0, 180))
        if c.chance(0.4):
            distance = np.hypot(here.x, here.y * np.float32(c.uniform(1, 2))) - r
        else:
            distance = np.maximum(np.abs(here.x) - 0.7 * r, np.abs(here.y) - np.float32(0.7 * r * c.uniform(0.25, 1)))
        color = free(c.rng, shifted=shifted)
        shade: Array = 1 + here.x * np.float32(c.uniform(-0.4, 0.4) / r)
        if textured or c.chance(0.3):
            shade = shade + np.float32(0.15) * grain[rows, columns]
        body = color * shade[..., None]
        picture[rows, columns] += edge(distance, c.px)[..., None] * (body - picture[rows, columns])
    return np.clip(picture, 0, 1)


def region(c: Canvas) -> Array:
    """A mask that covers most of the picture, with a smooth outline."""
    there = c.moved(c.uniform(-0.25, 0.25), c.uniform(-0.25, 0.25)).bent(c.uniform(0.02, 0.12), 0.9)
    a, b = c.uniform(0.8, 1.15), c.uniform(0.8, 1.15)
    power = 2 if c.chance(0.5) else 6
    reach = (np.abs(there.x / np.float32(a)) ** power + np.abs(there.y / np.float32(b)) ** power) ** (1 / power)
    return edge((reach - 1) * np.float32(min(a, b)), c.px)


def hide(c: Canvas, picture: Array, *, shifted: bool) -> None:
    """Lay one or two plain things over the rim of the picture."""
    for _ in range(int(c.rng.integers(1, 3))):
        angle, r = c.uniform(0, 360), c.log_uniform(0.15, 0.42)
        here = c.turned(angle).moved(c.uniform(0.55, 1.0), 0)
        if c.chance(0.5):
            mask = edge(np.hypot(here.x, here.y) - np.float32(r), c.px)
        else:
            mask = edge(np.abs(here.x) - np.float32(0.4 * r), c.px)
        picture += mask[..., None] * (free(c.rng, shifted=shifted) - picture)


def lit(c: Canvas, picture: Array, how: Conditions) -> Array:
    """Uneven light, a camera's blur and noise, and its limits."""
    fall = c.turned(c.uniform(0, 360)).x * np.float32(c.uniform(0, how.light))
    picture = picture * (1 - np.float32(0.4 * how.light) * (c.rng.random(dtype=np.float32) - 0.3) + fall)[..., None]
    if c.chance(how.blur):
        picture = blurred(picture)
    amount = np.float32(how.noise * c.rng.random() ** 2)
    grain = c.rng.standard_normal(picture.shape, np.float32)
    return np.clip(picture + amount * grain, 0, 1)


def blurred(picture: Array) -> Array:
    """Each pixel with its four neighbors, twice: about one pixel wide."""
    for axis in (0, 1):
        padded = np.concatenate([picture.take([0], axis), picture, picture.take([-1], axis)], axis)
        n = picture.shape[axis]
        parts = [padded.take(range(k, k + n), axis) for k in range(3)]
        picture = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
    return picture


def visible(c: Canvas, against: Array, *, shifted: bool) -> Array:
    """A color that stands out from the mean of a picture."""
    mean = against.mean((0, 1))
    while True:
        color = free(c.rng, shifted=shifted)
        if difference(color, mean) >= (SHIFTED_CONTRAST if shifted else CONTRAST):
            return color


def shaded(c: Canvas, color: Array) -> Array:
    """A surface of one color: (n, n, 3), a little uneven in light, hardly in hue."""
    shade = 1 + np.float32(c.uniform(0.02, 0.09)) * c.noise(c.log_uniform(0.6, 1.5))
    grain = np.float32(c.uniform(0, 0.03)) * c.noise(0.4, "natural")
    return np.clip(near(color, c.rng, 0.01) * shade[..., None] + grain[..., None], 0, 1)
