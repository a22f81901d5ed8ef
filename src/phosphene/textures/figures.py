"""Single things on a ground: a disk, a star, an eye, a face, a letter. Each is a signed distance, or paints itself.

A figure is drawn in its own plane, where it is about as large as the unit circle and stands upright. Letters are
strokes of a pen; the shifted set writes them in a printed face instead (Pillow's built-in one), which no training
picture shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from phosphene.textures.canvas import TAU, Array, Canvas, edge, polygon, segment
from phosphene.textures.colors import near, rgb

Shape: TypeAlias = Callable[[Canvas], Array]  # signed distance, negative inside
Layers: TypeAlias = list[tuple[Array, Array]]  # (mask, color), one over the other
Drawing: TypeAlias = Callable[[Canvas, Array], Layers]

ANY, UPRIGHT, SLIGHT = 180.0, 15.0, 30.0  # degrees that a figure may lean, each way
PRINTED = 96  # pixels: height of the box a printed letter is drawn in
STROKES: dict[str, list[list[tuple[float, float]]]] = {  # pen strokes on a box of -1 .. 1
    "a": [[(-0.7, -0.9), (0, 0.9), (0.7, -0.9)], [(-0.42, -0.2), (0.42, -0.2)]],
    "e": [[(0.6, 0.9), (-0.55, 0.9), (-0.55, -0.9), (0.6, -0.9)], [(-0.55, 0.05), (0.4, 0.05)]],
    "k": [[(-0.55, 0.9), (-0.55, -0.9)], [(0.6, 0.9), (-0.5, -0.05)], [(-0.2, 0.2), (0.65, -0.9)]],
    "s": [
        [
            (0.55, 0.6), (0.4, 0.8), (0.05, 0.9), (-0.35, 0.82), (-0.55, 0.55), (-0.45, 0.25), (0.0, 0.05),
            (0.45, -0.2), (0.57, -0.5), (0.38, -0.8), (0.0, -0.9), (-0.4, -0.82), (-0.58, -0.58),
        ]
    ],
    "t": [[(-0.75, 0.9), (0.75, 0.9)], [(0, 0.9), (0, -0.9)]],
}  # fmt: skip


def disk(c: Canvas) -> Array:
    """A filled circle."""
    return np.hypot(c.x, c.y) - np.float32(0.85)


def square(c: Canvas) -> Array:
    """Four equal sides."""
    return np.maximum(np.abs(c.x), np.abs(c.y)) - np.float32(0.72)


def triangle(c: Canvas) -> Array:
    """Three equal sides, or nearly."""
    lean = c.uniform(-0.15, 0.15)
    return polygon(c.x, c.y, [(-0.87, -0.6), (0.87, -0.6), (lean, 0.95)])


def star(c: Canvas) -> Array:
    """Five points."""
    inner, corners = c.uniform(0.38, 0.48), []
    for k in range(10):
        r, a = (1.0, inner)[k % 2], TAU * k / 10
        corners.append((-r * float(np.sin(a)), r * float(np.cos(a))))
    return polygon(c.x, c.y, corners)


def cross(c: Canvas) -> Array:
    """Two bars, the same length, at right angles."""
    wide = np.float32(c.uniform(0.2, 0.32))
    a, b = np.abs(c.x), np.abs(c.y)
    return np.minimum(np.maximum(a - wide, b - 0.9), np.maximum(b - wide, a - 0.9))


def arrow(c: Canvas) -> Array:
    """A shaft and a head."""
    half, neck, head = c.uniform(0.14, 0.22), c.uniform(-0.05, 0.25), c.uniform(0.5, 0.65)
    corners = [(-1, -half), (neck, -half), (neck, -head), (1, 0), (neck, head), (neck, half), (-1, half)]
    return polygon(c.x, c.y, corners)


def heart(c: Canvas) -> Array:
    """Two lobes over a point."""
    a, b = np.abs(c.x), c.y + np.float32(0.1)
    lobe = np.hypot(a - 0.42, b - 0.33) - np.float32(0.5)
    return np.minimum(lobe, polygon(a, b, [(-0.01, 0.6), (0.42, 0.45), (0.81, 0.02), (0.0, -0.9), (-0.01, -0.9)]))


def crescent(c: Canvas) -> Array:
    """A young moon."""
    shift = np.float32(c.uniform(0.38, 0.5))
    return np.maximum(np.hypot(c.x, c.y) - 0.9, np.float32(0.75) - np.hypot(c.x - shift, c.y))


def flower(c: Canvas, color: Array) -> Layers:
    """Five to eight petals about a center of another color."""
    petals = int(c.rng.integers(5, 9))
    r, angle = np.hypot(c.x, c.y), np.arctan2(c.y, c.x)
    outline = (0.62 + 0.3 * np.abs(np.cos(angle * np.float32(petals / 2)))).astype(np.float32)
    middle = rgb(c.uniform(35, 60), 0.85, 0.95) if c.chance(0.6) else np.clip(1 - color, 0, 1)
    creases = 1 - 0.25 * edge(np.abs(np.sin(angle * np.float32(petals / 2))) * r - 0.9 * r, c.px)
    return [(edge((r - outline) * 0.8, c.px) * creases, color), (edge(r - 0.28, c.px), middle)]


def eye(c: Canvas, color: Array) -> Layers:
    """The white between two lids, an iris, a pupil, a glint."""
    high = c.uniform(0.45, 0.65)
    radius = (1 + high * high) / (2 * high)  # of the circles whose arcs are the lids
    upper, lower = np.hypot(c.x, c.y + (radius - high)), np.hypot(c.x, c.y - (radius - high))
    white = edge(np.maximum(upper, lower) - radius, c.px)
    lid = edge(np.abs(np.maximum(upper, lower) - radius) - 0.05, c.px)
    look, iris = np.float32(c.uniform(-0.15, 0.15)), high * c.uniform(0.72, 0.9)
    r = np.hypot(c.x - look, c.y)
    dark = rgb(20, 0.3, c.uniform(0.02, 0.2))
    return [
        (white, rgb(40, 0.06, c.uniform(0.88, 1))),
        (white * edge(r - iris, c.px), color),
        (white * edge(r - iris * c.uniform(0.4, 0.55), c.px), dark),
        (edge(np.hypot(c.x - look - 0.3 * iris, c.y - 0.3 * iris) - 0.2 * iris, c.px), rgb(0, 0, 1)),
        (lid, dark),
    ]


def face(c: Canvas, color: Array) -> Layers:
    """A round head, two eyes, a nose or none, a mouth: a few strokes."""
    y = c.y * np.float32(c.uniform(0.85, 1.0))
    dark = np.zeros(3, np.float32) if color @ np.array([0.3, 0.6, 0.1], np.float32) > 0.35 else np.ones(3, np.float32)
    layers: Layers = [(edge(np.hypot(c.x, y) - 0.92, c.px), color)]
    apart, level, size = c.uniform(0.28, 0.4), c.uniform(0.15, 0.32), c.uniform(0.09, 0.15)
    for side in (-apart, apart):
        layers.append((edge(np.hypot(c.x - side, (y - level) * 0.8) - size, c.px), dark))
    pen = max(c.uniform(0.045, 0.08), 0.5 * c.px)
    smile = c.uniform(-0.25, 0.9) if c.chance(0.8) else 0.0
    wide = c.uniform(0.3, 0.5)
    mouth = np.abs(y + 0.45 + smile * (0.1 - c.x * c.x)) - pen
    layers.append((edge(np.maximum(mouth, np.abs(c.x) - wide), c.px), dark))
    if c.chance(0.5):
        layers.append((edge(segment(c.x, y, (0, 0.1), (-0.08, -0.15)) - pen * 0.8, c.px), dark))
    if c.chance(0.4):  # hair
        layers.append((edge(np.maximum(np.hypot(c.x, y) - 0.98, 0.5 - y), c.px), near(1 - color, c.rng, 0.1)))
    return layers


def letter(name: str) -> Shape:
    """A capital, written with a pen of any width, upright or slanted, with serifs or without."""

    def draw(c: Canvas) -> Array:
        x = c.x - np.float32(c.uniform(-0.05, 0.3)) * c.y
        x = x / np.float32(c.uniform(0.75, 1.05))
        pen, serifs, wobble = c.uniform(0.09, 0.22), c.chance(0.35), 0.05
        distance = np.full(c.x.shape, np.inf, np.float32)
        for stroke in STROKES[name]:
            points = [(px + c.uniform(-wobble, wobble), py + c.uniform(-wobble, wobble)) for px, py in stroke]
            for a, b in pairwise(points):
                distance = np.minimum(distance, segment(x, c.y, a, b))
            if serifs and name != "s":
                for px, py in (points[0], points[-1]):
                    if abs(py) > 0.7:
                        distance = np.minimum(distance, segment(x, c.y, (px - 0.22, py), (px + 0.22, py)) + pen * 0.4)
        return distance - np.float32(pen)

    return draw


def printed(name: str, c: Canvas) -> Array:
    """The same letter in Pillow's built-in face, as a mask."""
    glyph = _glyph(name)
    scale, middle = np.float32(PRINTED / 2.2), (PRINTED - 1) / 2
    column = np.clip(c.x * scale + middle, 0, PRINTED - 1).astype(np.int32)
    row = np.clip(middle - c.y * scale, 0, PRINTED - 1).astype(np.int32)
    return glyph[row, column]


@lru_cache
def _glyph(name: str) -> Array:
    image = Image.new("L", (PRINTED, PRINTED))
    pen = ImageDraw.Draw(image)
    pen.text((PRINTED / 2, PRINTED / 2), name.upper(), fill=255, font=ImageFont.load_default(PRINTED), anchor="mm")
    return np.asarray(image, np.float32) / 255


SHAPES: dict[str, tuple[Shape, float]] = {
    "disk": (disk, ANY),
    "square": (square, ANY),
    "triangle": (triangle, ANY),
    "star": (star, ANY),
    "cross": (cross, UPRIGHT),
    "arrow": (arrow, ANY),
    "heart": (heart, SLIGHT),
    "crescent": (crescent, ANY),
} | {f"letter_{name}": (letter(name), UPRIGHT) for name in STROKES}

DRAWINGS: dict[str, tuple[Drawing, float]] = {
    "flower": (flower, ANY),
    "eye": (eye, SLIGHT),
    "face": (face, SLIGHT),
}
