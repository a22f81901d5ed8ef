"""Patterns that nature draws: wood, marble, cracks, fur, foliage. Each paints the whole canvas in colors of its own.

They are made of smooth noise, of cells about random points (Worley 1996), and of many small marks laid over each
other. Two colors are given; a pattern that people know by its color (leaves, clouds) mostly brings its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from phosphene.textures.canvas import TAU, Array, Canvas, bands, edge
from phosphene.textures.colors import near, rgb

Colors: TypeAlias = tuple[Array, Array]
Painter: TypeAlias = Callable[[Canvas, Colors], Array]  # -> (n, n, 3) in [0, 1]


def mix(mask: Array, colors: Colors) -> Array:
    """The first color where the mask is 0, the second where it is 1."""
    a, b = colors
    return a + mask[..., None] * (b - a)


def wood(c: Canvas, colors: Colors) -> Array:
    """Long grain: the rings of a tree, cut lengthwise."""
    c = c.turned(c.uniform(-20, 20) + (90 if c.chance(0.5) else 0))
    swell = c.noise_at(c.x * 0.3, c.y, 0.8)
    phase = c.y / np.float32(c.log_uniform(0.2, 0.4)) + np.float32(c.uniform(0.5, 1.0)) * swell
    fine = c.noise_at(c.x * 0.12, c.y * 1.6, 0.4, "natural")
    ring = (phase - np.floor(phase)) ** 2
    return np.clip(mix(0.75 * ring + 0.14 * fine + 0.1, colors), 0, 1)


def marble(c: Canvas, colors: Colors) -> Array:
    """Thin veins through clouded stone."""
    c = c.turned(c.uniform(0, 360))
    flow = 0.4 * c.noise(0.9) + 0.05 * c.noise(0.7, "natural")
    phase = c.y / np.float32(c.log_uniform(0.6, 1.1)) + np.float32(c.uniform(0.8, 1.2)) * flow
    vein = 1 - np.abs(np.sin(np.float32(np.pi) * phase)) ** np.float32(c.uniform(0.4, 0.7))
    return np.clip(mix(1.3 * vein + 0.09 * c.noise(0.8, "natural") + 0.1, colors), 0, 1)


def cracks(c: Canvas, colors: Colors) -> Array:
    """Dry ground: broken edges between cells of all sizes."""
    first, second, _ = cells(c.bent(0.05, 0.5), int(c.rng.integers(9, 22)), jitter=1.0)
    width = max(c.uniform(0.03, 0.07), 0.8 * c.px)
    ground = 0.12 * c.noise(0.5, "natural")
    return np.clip(mix(edge(second - first - width, c.px) - ground * 0.6 + 0.05, colors), 0, 1)


def pebbles(c: Canvas, colors: Colors) -> Array:
    """Rounded stones of different shades, dark between."""
    first, second, owner = cells(c, int(c.rng.integers(14, 30)), jitter=0.6)
    dome = np.clip((second - first) / np.float32(0.22), 0, 1) ** np.float32(0.6)
    shade = c.rng.random(64, np.float32)[owner]
    return np.clip(mix(shade, colors) * (0.12 + 0.88 * dome)[..., None], 0, 1)


def mosaic(c: Canvas, colors: Colors) -> Array:
    """Square tiles in many colors."""
    c = c.turned(c.uniform(-14, 14))
    side = c.log_uniform(0.22, 0.45)
    x, y = c.x / np.float32(side) + 40, c.y / np.float32(side) + 40
    column, row = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    palette = np.stack([near(colors[k % 2], c.rng, 0.3) for k in range(16)])
    order = c.rng.integers(16, size=97)
    tiles = palette[order[(column * 31 + row * 57) % 97]]
    joint = np.minimum(np.minimum(x - column, column + 1 - x), np.minimum(y - row, row + 1 - y)) * np.float32(side)
    return tiles * (0.25 + 0.75 * edge(max(0.05 * side, 0.5 * c.px) - joint, c.px))[..., None]


def clouds(c: Canvas, colors: Colors) -> Array:
    """Soft heaps against a sky."""
    if c.chance(0.75):
        colors = rgb(c.uniform(200, 225), c.uniform(0.35, 0.75), c.uniform(0.6, 0.95)), rgb(0, 0, c.uniform(0.9, 1))
    heap = c.noise(c.log_uniform(0.5, 0.9)) + 0.25 * c.noise(0.5, "natural") + np.float32(c.uniform(-0.4, 0.4))
    body = np.clip(heap * 0.9 + 0.4, 0, 1)
    return mix(body * body * (3 - 2 * body), colors) * (0.97 + 0.03 * np.clip(c.noise(0.5), -1, 1))[..., None]


def maze(c: Canvas, colors: Colors) -> Array:
    """Winding stripes without a direction, as on a zebra fish (Turing 1952)."""
    scale = c.log_uniform(0.6, 1.3)
    return mix(edge(c.noise(scale, "maze") * np.float32(0.08 * scale), c.px), colors)


def bubbles(c: Canvas, colors: Colors) -> Array:
    """Clear round bubbles, each with a bright rim and a highlight."""
    picture = mix(np.clip(0.25 + 0.12 * c.noise(1.0), 0, 1), colors)
    for _ in range(int(c.rng.integers(9, 18))):
        x, y, r = c.uniform(-1, 1), c.uniform(-1, 1), c.log_uniform(0.12, 0.4)
        rows, columns = c.box(x, y, r)
        here = c.part(rows, columns).moved(x, y)
        d = np.hypot(here.x, here.y)
        rim = edge(d - r, c.px) * np.clip(d / r, 0, 1) ** 5
        glint = edge(np.hypot(here.x + 0.35 * r, here.y - 0.35 * r) - 0.17 * r, c.px)
        light = np.maximum(0.9 * rim, glint)[..., None]
        picture[rows, columns] += light * (np.maximum(colors[1], 0.85) - picture[rows, columns])
    return picture


def fur(c: Canvas, colors: Colors) -> Array:
    """Short hair that lies one way and swirls a little."""
    if c.chance(0.7):
        colors = rgb(c.uniform(18, 40), c.uniform(0.3, 0.7), c.uniform(0.1, 0.3)), rgb(35, 0.4, c.uniform(0.7, 1))
    way = np.float32(c.uniform(0, TAU)) + np.float32(0.55) * c.noise(1.4)
    along, across = np.cos(way), np.sin(way)
    u, v = along * c.x + across * c.y, along * c.y - across * c.x
    hair = c.noise_at(u * 0.2, v, 0.16, "natural") + 0.7 * c.noise_at(u * 0.25, v, 0.3, "natural")
    return np.clip(mix(0.5 + 0.26 * hair, colors), 0, 1)


def foliage(c: Canvas, colors: Colors) -> Array:
    """Pointed leaves over each other, each with a light half, a dark half and a rib."""
    natural = c.chance(0.75)
    base = rgb(c.uniform(75, 140), c.uniform(0.5, 0.9), c.uniform(0.3, 0.7)) if natural else colors[1]
    picture = np.empty((*c.x.shape, 3), np.float32)
    picture[:] = base * 0.3
    size = c.log_uniform(0.22, 0.36)
    for _ in range(int(0.6 / size**1.7 + 20)):
        x, y, half = c.uniform(-1.1, 1.1), c.uniform(-1.1, 1.1), size * c.uniform(0.75, 1.25)
        rows, columns = c.box(x, y, half)
        leaf = c.part(rows, columns).moved(x, y).turned(c.uniform(0, 360))
        width = 0.42 * half * (1 - (leaf.x / np.float32(half)) ** 2)
        inside = edge(np.abs(leaf.y) - width, c.px)[..., None]
        rib = edge(np.abs(leaf.y) - 0.03 * half, c.px)[..., None] * 0.3
        color = near(base, c.rng, 0.05) * c.uniform(0.65, 1.35)
        light = np.where(leaf.y > 0, np.float32(1.12), np.float32(0.85))[..., None] + rib
        picture[rows, columns] += inside * (color * light - picture[rows, columns])
    return np.clip(picture, 0, 1)


def brushstrokes(c: Canvas, colors: Colors) -> Array:
    """Short thick strokes of paint that follow a flow, with bristle marks."""
    flow = c.noise(1.6) * np.float32(0.9) + np.float32(c.uniform(0, TAU))
    tone = c.noise(0.8)
    picture = mix(np.clip(0.5 + 0.3 * tone, 0, 1), colors)
    n, long = len(c.x), c.log_uniform(0.18, 0.32)
    wide = long * c.uniform(0.28, 0.4)
    for _ in range(int(2.4 / (long * wide * 4) ** 0.75 + 20)):
        i, j = c.rng.integers(n, size=2)
        x, y = float(c.x[0, j]), float(c.y[i, 0])
        rows, columns = c.box(x, y, long * 1.1)
        here = c.part(rows, columns).moved(x, y).turned(float(np.rad2deg(flow[i, j])))
        inside = edge(np.maximum(np.abs(here.x) - np.float32(long), np.abs(here.y) - np.float32(wide)), c.px)
        bristle = 1 + 0.16 * np.cos(here.y * np.float32(TAU * 2.2 / wide) + np.float32(i))
        color = near(mix(np.clip(0.5 + 0.45 * tone[i : i + 1, j], 0, 1), colors)[0], c.rng, 0.12)
        picture[rows, columns] += inside[..., None] * (color * bristle[..., None] - picture[rows, columns])
    return np.clip(picture, 0, 1)


def cells(c: Canvas, count: int, *, jitter: float) -> tuple[Array, Array, Array]:
    """Distances to the nearest and the second nearest of about `count` points, and which is nearest (Worley 1996)."""
    side = round(count**0.5) + 2
    step = 2 / (side - 2)
    centers = (np.arange(side) - (side - 1) / 2) * step
    px, py = (m.ravel() + step * jitter * (c.rng.random(side * side) - 0.5) for m in np.meshgrid(centers, centers))
    first = np.full(c.x.shape, np.inf, np.float32)
    second, owner = first.copy(), np.zeros(c.x.shape, np.int32)
    for k in range(side * side):
        d = (c.x - np.float32(px[k])) ** 2 + (c.y - np.float32(py[k])) ** 2
        closer = d < first
        second = np.minimum(second, np.maximum(first, d))
        owner[closer] = k % 64
        first = np.minimum(first, d)
    return np.sqrt(first), np.sqrt(second), owner


def hatching(c: Canvas, colors: Colors) -> Array:
    """Pen strokes in two slanting directions, uneven as a hand draws them."""
    mask = np.zeros(c.x.shape, np.float32)
    way = c.uniform(35, 55)
    for angle in (way, way + c.uniform(50, 80)):
        t = c.turned(angle).bent(0.012, 0.5)
        period = c.log_uniform(0.14, 0.24)
        ink = bands(t.y / np.float32(period), max(0.3, 1.2 * c.px / period), c.px / period)
        mask = np.maximum(mask, ink * np.clip(0.85 + 0.35 * t.noise_at(t.x * 0.4, t.y, 0.5), 0, 1))
    return mix(mask, colors)


GROWN: dict[str, Painter] = {
    painter.__name__: painter
    for painter in (
        wood,
        marble,
        cracks,
        pebbles,
        mosaic,
        clouds,
        maze,
        bubbles,
        fur,
        foliage,
        brushstrokes,
        hatching,
    )
}
