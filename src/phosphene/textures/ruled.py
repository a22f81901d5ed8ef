"""Patterns with ruler and compass: stripes, lattices, rings, tilings. Each gives a mask, 0 .. 1, for two colors.

The lengths that a pattern is drawn with are shares of the picture (2 across). A stripe's angle is that of its lines,
counterclockwise from the horizontal: stripes_000 lie flat, stripes_045 rise to the right.
"""

from __future__ import annotations

import numpy as np

from phosphene.textures.canvas import TAU, Array, Canvas, Pattern, bands, edge, ripple

ANGLES = (0.0, 22.5, 45.0, 67.5, 90.0, 112.5, 135.0, 157.5)  # degrees
ANGLE_JITTER = 4.0  # degrees; half of the way to the next angle is 11.25
TILT = 14.0  # degrees: how far upright things lean


def stripes(angle: float) -> Pattern:
    """Parallel lines at an angle, give or take a few degrees."""

    def draw(c: Canvas) -> Array:
        turned = c.turned(angle + c.uniform(-ANGLE_JITTER, ANGLE_JITTER))
        period = c.log_uniform(0.16, 0.6)
        phase = turned.y / np.float32(period) + c.rng.random(dtype=np.float32)
        if c.chance(0.3):
            return _sine(phase)
        return bands(phase, c.uniform(0.35, 0.65), c.px / period)

    return draw


def zigzag(c: Canvas) -> Array:
    """Bands that turn sharply, back and forth."""
    c = _any_way(c)
    period = c.log_uniform(0.22, 0.6)
    swing = c.log_uniform(0.3, 0.7)
    height = swing * c.uniform(0.8, 1.5)
    phase = (c.y + np.float32(height) * ripple(c.x / np.float32(swing))) / np.float32(period)
    return bands(phase + c.rng.random(dtype=np.float32), c.uniform(0.35, 0.6), c.px / period)


def waves(c: Canvas) -> Array:
    """Bands that swing softly, back and forth."""
    c = _any_way(c)
    period = c.log_uniform(0.22, 0.6)
    swing = c.log_uniform(0.45, 1.1)
    height = swing * c.uniform(0.16, 0.26)
    bend = np.float32(height) * np.sin(c.x * np.float32(TAU / swing) + np.float32(c.uniform(0, TAU)))
    phase = (c.y + bend) / np.float32(period)
    return _sine(phase) if c.chance(0.4) else bands(phase, c.uniform(0.35, 0.6), c.px / period)


def checkerboard(c: Canvas) -> Array:
    """Squares that take turns."""
    c = c.turned(c.uniform(-TILT, TILT))
    side = c.log_uniform(0.14, 0.5)
    soft = np.float32(side / c.px)
    x, y = _phases(c, 2 * side)
    return 0.5 + 0.5 * np.clip((4 * ripple(x) - 1) * soft, -1, 1) * np.clip((4 * ripple(y) - 1) * soft, -1, 1)


def dots(c: Canvas) -> Array:
    """Disks on a lattice of squares or of triangles."""
    c = c.turned(c.uniform(-45, 45))
    period = c.log_uniform(0.24, 0.7)
    radius = period * c.uniform(0.2, 0.36)
    x, y = _phases(c, period)
    if c.chance(0.5):
        x = x + 0.5 * (np.round(y) % 2)
    return edge(np.float32(period) * np.hypot(x - np.round(x), y - np.round(y)) - radius, c.px)


def rings(c: Canvas) -> Array:
    """Circles within circles."""
    c = _centered(c)
    period = c.log_uniform(0.2, 0.5)
    phase = np.hypot(c.x, c.y * np.float32(c.uniform(0.85, 1.15))) / np.float32(period)
    phase = phase + c.rng.random(dtype=np.float32)
    return _sine(phase) if c.chance(0.3) else bands(phase, c.uniform(0.35, 0.6), c.px / period)


def spiral(c: Canvas) -> Array:
    """One to three arms that wind around a center."""
    c = _centered(c)
    arms = int(c.rng.integers(1, 4)) * (1 if c.chance(0.5) else -1)
    period = c.log_uniform(0.24, 0.55) * (1 + 0.25 * (abs(arms) - 1))
    angle = np.arctan2(c.y, c.x) / np.float32(TAU)
    phase = np.hypot(c.x, c.y) / np.float32(period) + arms * angle + c.rng.random(dtype=np.float32)
    return bands(phase, c.uniform(0.35, 0.6), c.px / period)


def sunburst(c: Canvas) -> Array:
    """Rays from a center."""
    c = _centered(c)
    rays = int(c.rng.integers(7, 19))
    radius = np.hypot(c.x, c.y) + np.float32(1e-6)
    phase = np.arctan2(c.y, c.x) * np.float32(rays / TAU) + c.rng.random(dtype=np.float32)
    mask = edge((ripple(phase) - 0.25) * radius * np.float32(TAU / rays), c.px)
    return np.where(radius < 0.12, np.float32(1), mask) if c.chance(0.4) else mask


def grid(c: Canvas) -> Array:
    """Thin lines that cross at right angles."""
    c = c.turned(c.uniform(-TILT, TILT))
    period = c.log_uniform(0.22, 0.6)
    duty = max(c.uniform(0.1, 0.24), 1.2 * c.px / period)
    x, y = _phases(c, period)
    return np.maximum(bands(x, duty, c.px / period), bands(y, duty, c.px / period))


def plaid(c: Canvas) -> Array:
    """Broad and narrow translucent bands across each other: tartan."""
    c = c.turned(c.uniform(-TILT, TILT))
    period = c.log_uniform(0.45, 1.0)
    x, y = _phases(c, period)
    px = c.px / period
    broad, narrow, place = c.uniform(0.3, 0.5), c.uniform(0.05, 0.1), np.float32(c.uniform(0.42, 0.58))
    across = 0.7 * bands(x, broad, px) + 0.3 * bands(x + place, narrow, px)
    down = 0.7 * bands(y, broad, px) + 0.3 * bands(y + place, narrow, px)
    return 0.5 * (across + down)


def honeycomb(c: Canvas) -> Array:
    """The walls of hexagonal cells."""
    c = c.turned(c.uniform(-30, 30))
    period = c.log_uniform(0.26, 0.6)
    u, v = _hexagonal(c.x / np.float32(period), c.y / np.float32(period))
    reach = np.maximum(np.abs(u), np.maximum(np.abs(0.5 * u + 0.8660254 * v), np.abs(0.5 * u - 0.8660254 * v)))
    wall = max(c.uniform(0.05, 0.11), 0.6 * c.px / period)
    return edge((np.float32(0.5 - wall) - reach) * np.float32(period), c.px)


def bricks(c: Canvas) -> Array:
    """Rows of long stones, each row half a stone further; the joints are 0."""
    c = c.turned(c.uniform(-TILT, TILT))
    height = c.log_uniform(0.18, 0.4)
    width = height * c.uniform(1.8, 2.8)
    row = np.floor(c.y / np.float32(height))
    x = c.x / np.float32(width) + 0.5 * (row % 2)
    joint = max(c.uniform(0.07, 0.14) * height, 0.8 * c.px)
    gap = np.minimum(ripple(x) * np.float32(width), ripple(c.y / np.float32(height)) * np.float32(height))
    stone = (0.75 + 0.25 * np.sin(np.float32(12.9898) * np.floor(x) + np.float32(78.233) * row)).astype(np.float32)
    return edge(joint / 2 - gap, c.px) * stone


def scales(c: Canvas) -> Array:
    """Rows of overlapping rounded scales, as of a fish or a roof."""
    c = c.turned(c.uniform(-TILT, TILT) + (180 if c.chance(0.5) else 0))
    period = c.log_uniform(0.26, 0.6)
    x, y = c.x / np.float32(period), c.y / np.float32(period / 2)
    row = np.floor(y)
    mask = np.zeros(c.x.shape, np.float32)
    done = np.zeros(c.x.shape, bool)
    for below in (0, 1, 2):  # a scale hangs from its row over the two rows below it
        level = row + below
        shifted = x + 0.5 * (level % 2)
        across, down = shifted - np.round(shifted), (level - y) / 2
        r = np.hypot(across, down)
        mine = (r < 0.5) & ~done & (down >= -0.5)
        mask = np.where(mine, np.clip((0.5 - r) * np.float32(period / c.px) * 0.7, 0, 1) * (0.45 + 1.1 * r), mask)
        done |= mine
    return np.clip(mask, 0, 1).astype(np.float32)


def weave(c: Canvas) -> Array:
    """Strands over and under each other: a basket."""
    c = c.turned(c.uniform(-45, 45))
    period = c.log_uniform(0.2, 0.45)
    x, y = _phases(c, period)
    over = (np.round(x) + np.round(y)) % 2 == 0
    a, b = x - np.round(x), y - np.round(y)
    round_a, round_b = np.sqrt(np.maximum(0, 1 - 4.6 * a * a)), np.sqrt(np.maximum(0, 1 - 4.6 * b * b))
    return np.where(over, round_a * (1 - 1.6 * b * b), round_b * (1 - 1.6 * a * a)).astype(np.float32)


def _sine(phase: Array) -> Array:
    return 0.5 + 0.5 * np.cos(np.float32(TAU) * phase)


def _any_way(c: Canvas) -> Canvas:
    return c.turned(c.uniform(0, 360))


def _centered(c: Canvas) -> Canvas:
    """Seen from a point that is not far from the middle."""
    return c.moved(c.uniform(-0.3, 0.3), c.uniform(-0.3, 0.3))


def _phases(c: Canvas, period: float) -> tuple[Array, Array]:
    shift = c.rng.random(2, np.float32)
    return c.x / np.float32(period) + shift[0], c.y / np.float32(period) + shift[1]


def _hexagonal(x: Array, y: Array) -> tuple[Array, Array]:
    """Offset from the center of the nearest cell of a hexagonal lattice of pitch 1."""
    tall = np.float32(1.7320508)
    ax, ay = x - np.round(x), y - tall * np.round(y / tall)
    bx, by = x - np.floor(x) - 0.5, y - tall * (np.floor(y / tall) + np.float32(0.5))
    first = ax * ax + ay * ay < bx * bx + by * by
    return np.where(first, ax, bx), np.where(first, ay, by)


RULED: dict[str, Pattern] = {f"stripes_{int(angle):03d}": stripes(angle) for angle in ANGLES} | {
    pattern.__name__: pattern
    for pattern in (
        zigzag,
        waves,
        checkerboard,
        dots,
        rings,
        spiral,
        sunburst,
        grid,
        plaid,
        honeycomb,
        bricks,
        scales,
        weave,
    )
}
