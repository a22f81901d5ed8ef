"""What every pattern is drawn with: coordinates, soft edges, smooth noise, one stream of random numbers.

A canvas is a square seen through x to the right and y upwards, both -1 .. 1, so a pattern has the same look at every
resolution. An edge is a ramp one pixel wide across a signed distance, which is antialiasing without oversampling.
Smooth noise is read from periodic fields with a power-law spectrum, made once per seed (`Bank`): drawing a new field
for every picture would cost more than all the rest of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray  # float32 throughout

TAU = 2 * np.pi
FIELD = 128  # pixels: side of a periodic noise field; a power of 2, so that a mask wraps indices
WRAP = FIELD - 1
FIELDS = 8  # fields of each kind
MAZE_PERIOD = 10.0  # pixels: the wavelength around which a maze field's spectrum lies


@dataclass(frozen=True)
class Canvas:
    """The plane a pattern is drawn on. x, y: (n, n) coordinates; px: the width of a pixel in them."""

    x: Array
    y: Array
    px: float
    rng: np.random.Generator
    bank: Bank

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.rng.random()

    def log_uniform(self, low: float, high: float) -> float:
        return float(low * (high / low) ** self.rng.random())

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def turned(self, degrees: float) -> Canvas:
        """The same plane in axes that are turned counterclockwise: its x runs along that direction."""
        a = np.deg2rad(degrees)
        c, s = np.float32(np.cos(a)), np.float32(np.sin(a))
        return replace(self, x=c * self.x + s * self.y, y=c * self.y - s * self.x)

    def moved(self, right: float, up: float, scale: float = 1.0) -> Canvas:
        """The same plane with its origin at (right, up) and its unit `scale` long."""
        k = np.float32(1 / scale)
        return replace(self, x=(self.x - np.float32(right)) * k, y=(self.y - np.float32(up)) * k, px=self.px / scale)

    def bent(self, amount: float, scale: float = 1.0) -> Canvas:
        """The same plane, pushed about smoothly by up to about `amount`."""
        return replace(self, x=self.x + amount * self.noise(scale), y=self.y + amount * self.noise(scale))

    def box(self, right: float, up: float, reach: float) -> tuple[slice, slice]:
        """The pixels within `reach` of a point, as slices of rows and columns; empty when it lies outside."""
        n = len(self.x)
        column, row = (right + 1) / self.px, (1 - up) / self.px
        span = reach / self.px + 2
        return (
            slice(max(0, int(row - span)), min(n, max(0, int(row + span) + 1))),
            slice(max(0, int(column - span)), min(n, max(0, int(column + span) + 1))),
        )

    def part(self, rows: slice, columns: slice) -> Canvas:
        return replace(self, x=self.x[rows, columns], y=self.y[rows, columns])

    def noise(self, scale: float, kind: str = "smooth") -> Array:
        """A fresh cut of a noise field, of mean 0 and deviation 1; a field is 4 * scale wide."""
        return self.noise_at(self.x, self.y, scale, kind)

    def noise_at(self, x: Array, y: Array, scale: float, kind: str = "smooth") -> Array:
        """The same, at other coordinates."""
        field = self.bank.field(kind, int(self.rng.integers(FIELDS)))
        step = FIELD / (4 * scale)
        shift = self.rng.random(2, np.float32) * FIELD
        return sample(field, x * np.float32(step) + shift[0], y * np.float32(step) + shift[1])


class Bank:
    """Periodic noise fields that belong to a seed. Kinds: "smooth" (1/f^2), "natural" (1/f), "maze" (one period)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._fields: dict[tuple[str, int], Array] = {}

    def field(self, kind: str, index: int) -> Array:
        """(FIELD, FIELD) of mean 0 and deviation 1."""
        if (kind, index) not in self._fields:
            stream = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 1 + index, hash_(kind)]))
            white = np.fft.rfft2(stream.standard_normal((FIELD, FIELD)))
            field = np.fft.irfft2(white * self._spectrum[kind], s=(FIELD, FIELD))
            self._fields[kind, index] = ((field - field.mean()) / field.std()).astype(np.float32)
        return self._fields[kind, index]

    @cached_property
    def _spectrum(self) -> dict[str, Array]:
        f = np.hypot(np.fft.fftfreq(FIELD)[:, None], np.fft.rfftfreq(FIELD)[None])
        f[0, 0] = np.inf
        band = np.exp(-(((f * MAZE_PERIOD - 1) / 0.14) ** 2))
        return {"smooth": f**-2.0, "natural": 1 / f, "maze": band}


def hash_(text: str) -> int:
    """A small number for a word, the same in every process."""
    return sum(ord(letter) << (8 * place) for place, letter in enumerate(text[:6]))


def sample(field: Array, x: Array, y: Array) -> Array:
    """A periodic field at real coordinates in pixels, bilinearly."""
    i, j = np.floor(y), np.floor(x)
    t, s = y - i, x - j
    upper, left = (i.astype(np.int32) & WRAP) * FIELD, j.astype(np.int32) & WRAP
    lower, right = (upper + FIELD) & (FIELD * FIELD - 1), (left + 1) & WRAP
    flat = field.ravel()
    above, below = flat[upper + left], flat[lower + left]
    above += (flat[upper + right] - above) * s
    below += (flat[lower + right] - below) * s
    above += (below - above) * t
    return above


def edge(distance: Array, px: float) -> Array:
    """1 inside (distance < 0), 0 outside, a ramp one pixel wide between."""
    return np.clip(0.5 - distance / np.float32(px), 0, 1)


def ripple(phase: Array) -> Array:
    """A triangle wave of period 1: distance to the nearest whole number, 0 .. 0.5."""
    return np.abs(phase - np.round(phase))


def bands(phase: Array, duty: float, px: float) -> Array:
    """Bands of period 1, `duty` wide, about whole numbers; px: a pixel in units of the period."""
    return edge(ripple(phase) - np.float32(duty / 2), px)


def segment(x: Array, y: Array, a: tuple[float, float], b: tuple[float, float]) -> Array:
    """Distance to the straight line from a to b."""
    ux, uy = b[0] - a[0], b[1] - a[1]
    length = ux * ux + uy * uy or 1e-9
    t = np.clip(((x - a[0]) * ux + (y - a[1]) * uy) / length, 0, 1)
    return np.hypot(x - a[0] - t * ux, y - a[1] - t * uy)


def polygon(x: Array, y: Array, corners: list[tuple[float, float]]) -> Array:
    """Signed distance to a polygon, negative inside; by crossing numbers, so any simple polygon will do."""
    distance = np.full(x.shape, np.inf, np.float32)
    inside = np.zeros(x.shape, bool)
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        distance = np.minimum(distance, segment(x, y, a, b))
        if a[1] != b[1]:
            crosses = (y < a[1]) != (y < b[1])
            inside ^= crosses & (x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0])
    return np.where(inside, -distance, distance)


@lru_cache(maxsize=8)
def plane(size: int) -> tuple[Array, Array]:
    """x and y of the centers of size x size pixels."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = np.meshgrid(line, -line)
    x.flags.writeable = y.flags.writeable = False
    return x, y


Pattern: TypeAlias = Callable[[Canvas], Array]
