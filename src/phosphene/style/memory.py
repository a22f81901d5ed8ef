"""Whether a picture fits: memory and time estimated before the work, and what to change where it does not.

    peak = features that autograd keeps + gradients in flight + vectors of the optimizer + targets

Features are measured, not guessed: the terms are taken on two small noise pictures and what autograd keeps is drawn out
to the picture's size, along a line, or along a power where it grows faster (attention). Gradients in flight are one
layer's output and input. L-BFGS remembers two vectors a pair. All but the first are few numbers of the signal's size.

Choices go from the cheapest to the dearest: as it is, a shorter history, exact tiles (`tiles.py`).
Departures: no gradient checkpointing. The first block of a VGG holds more than half of what is kept, so recomputing
block by block saves less than half; it costs the second forward pass that tiles cost too, and needs boundaries between
segments, which only sequential networks have. Tiles save as much as is asked for, on any local network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.engine.batching import kept_bytes
from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, MASK, Objective, Statistic, aim
from phosphene.style.method import Method
from phosphene.style.reach import Pair, Reach, spans

SMALL_SIDES = (128, 256)  # pixels of the measured pictures: borders weigh little, and networks of stride 32 run
NOISE_SEED = 0  # of those pictures
COLOR_BYTES = 12  # a pixel of the signal: three float32 channels, or as many Fourier coefficients
# Vectors of the signal's size that are alive at once, without the history: parameters, gradients, the optimizer's own,
# those of a line search, and the picture on its way to the network. Measured on signals without a network.
VECTORS = {"lbfgs": 14, "adam": 8}
IN_FLIGHT = 2  # gradients alive in the backward pass of one layer: of its output and of its input
AT_REFERENCE = 3  # copies of a layer while a reference is taken: itself, weighed by a mask, and as squares
TILED_PASSES = 1.5  # a second forward pass to one forward and one backward pass; weights are frozen
SHARE = 0.8  # of the free memory that is planned with: the estimate is good to a quarter
SHORTEST_HISTORY = 5  # pairs; with fewer, L-BFGS is little better than steepest descent (Nocedal and Wright, 7.2: 3-20)


@dataclass(frozen=True)
class Growth:
    """Bytes as a function of pixels through two measurements (pixels, bytes), the smaller picture first."""

    small: tuple[int, float]
    large: tuple[int, float]

    def __call__(self, pixels: float) -> float:
        """A line; a power where a line would start below nothing."""
        (n1, k1), (n2, k2) = self.small, self.large
        if n1 == n2:
            return k2 * pixels / n2
        slope = (k2 - k1) / (n2 - n1)
        if k2 * n1 <= k1 * n2:
            return k1 + slope * (pixels - n1)
        return float(k2 * (pixels / n2) ** math.log(k2 / k1, n2 / n1))


@dataclass(frozen=True)
class Estimate:
    """What one scale of a transfer takes, in bytes above what the process holds with the network loaded.

    size: (height, width). features: kept by autograd, of pixels. targets: of the references, of pixels. widest: bytes
    a pixel of the widest layer that runs; read: of the widest layer that is compared. vectors: of the signal's size
    without the `history` pairs (0 for Adam). seconds: one evaluation of the score and its gradient.
    """

    size: Pair
    features: Growth
    targets: Growth
    widest: float
    read: float
    vectors: int
    history: int
    seconds: float

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def kept(self) -> int:
        """Features kept by autograd for the whole picture."""
        return round(self.features(self.pixels))

    def optimizer(self, history: int | None = None) -> int:
        """The signal, and what the optimizer remembers with `history` pairs, its own number if None."""
        pairs = self.history if history is None else history
        return (self.vectors + 2 * pairs) * COLOR_BYTES * self.pixels

    def peak(self, *, history: int | None = None, window: int | None = None) -> int:
        """All of it at its height. window: pixels of the largest window where the picture is cut into tiles."""
        constant = self.optimizer(history) + self.targets(self.pixels)
        seen = self.pixels if window is None else window
        features = self.features(seen) + IN_FLIGHT * self.widest * seen
        if window is None:
            return round(constant + features)
        references = self.targets(self.pixels) + AT_REFERENCE * self.read * self.pixels
        return round(max(constant + COLOR_BYTES * self.pixels + features, references))


@dataclass(frozen=True)
class Choice:
    """How a scale is done. history: pairs of L-BFGS. side: of the tiles in pixels, None for the whole picture.

    peak: bytes. seconds: one evaluation. words: for the user.
    """

    history: int
    side: int | None
    peak: int
    seconds: float
    words: str


def estimate(model: Model, terms: Objective, size: Pair, method: Method) -> Estimate:
    """What the `terms` (bound, not aimed) take at `size` (height, width) with the optimizer of `method`.

    model: where and as it will run. Takes as long as some evaluations on 256 x 256 pixels.
    """
    area = SMALL_SIDES[-1] ** 2
    small = [(side, side) for side in SMALL_SIDES] if size[0] * size[1] > area else [size]  # some nets know one size
    measured = [_measure(model, terms, shape) for shape in small]
    first, last = measured[0], measured[-1]
    until = list(model.layers).index
    deepest = max(map(until, terms.layers - {INPUT}), default=-1)
    widths = {name: _bytes_per_pixel(model, name) for name in list(model.layers)[: deepest + 1]}
    lbfgs = method.optimizer == "lbfgs"
    return Estimate(
        size,
        features=Growth((first.pixels, first.kept), (last.pixels, last.kept)),
        targets=Growth((first.pixels, first.targets), (last.pixels, last.targets)),
        widest=max(widths.values(), default=0.0),
        read=max((widths[name] for name in terms.layers - {INPUT}), default=0.0),
        vectors=VECTORS[method.optimizer],
        history=method.history if lbfgs else 0,
        seconds=last.seconds * size[0] * size[1] / last.pixels,
    )


def choose(found: Estimate, free: int, reach: Callable[[], Reach]) -> Choice:
    """The cheapest way that fits in SHARE of `free` bytes.

    reach: measures what tiles need (`tiles.measure_reach`), asked for only when nothing cheaper fits; what it raises
    for a network that cannot be cut passes through. Raises UsageError where not even the smallest tiles fit.
    """
    room, full = int(SHARE * free), found.peak()
    have = f"{gigabytes(free)} are free"
    if full <= room:
        words = f"about {gigabytes(full)} of memory will be used, {have}"
        return Choice(found.history, None, full, found.seconds, words)
    history = _history_that_fits(found, room)
    if history is not None:
        peak = found.peak(history=history)
        words = (
            f"L-BFGS remembers {history} steps in place of {found.history}, and {gigabytes(peak)} of memory are used "
            f"in place of {gigabytes(full)}: {have}"
        )
        return Choice(history, None, peak, found.seconds, words)
    return _tiles_that_fit(found, room, reach(), f"for {gigabytes(full)} in one piece {have}")


def window_pixels(size: Pair, side: int, reach: Reach) -> tuple[int, int, int]:
    """(tiles, pixels of the largest window, pixels of all windows) of a picture of `size` in tiles of `side`."""
    down, across = (
        [span.stop - span.start for span in spans(length, side, reach, axis)] for axis, length in enumerate(size)
    )
    return len(down) * len(across), max(down) * max(across), sum(down) * sum(across)


def gigabytes(count: float) -> str:
    """A number of bytes in words, two digits of it: 1.4 GB, 350 MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@dataclass(frozen=True)
class _Measured:
    pixels: int
    kept: int
    targets: int
    seconds: float


def _measure(model: Model, terms: Objective, size: Pair) -> _Measured:
    """One evaluation on noise of `size`, and what it keeps."""
    generator = torch.Generator().manual_seed(NOISE_SEED)
    noise = torch.rand(1, model.picture_spec.channels, *size, generator=generator).to(model.device)
    layers = terms.layers - {INPUT}
    with torch.no_grad():
        acts = model.activations(noise.flip(3), layers) if layers else {}
    aimed = aim(terms, lambda name: (acts, None))
    leaves = [leaf for leaf in aimed.leaves() if isinstance(leaf, Statistic)]
    masks = {MASK + leaf.mask: torch.ones(1, 1, *size, device=model.device) for leaf in leaves if leaf.mask}
    rows = torch.zeros(1, dtype=torch.int64, device=model.device)

    def score() -> tuple[Tensor, Tensor]:
        x = noise.clone().requires_grad_()
        seen = model.activations(x, layers) if layers else {}
        return aimed({INPUT: x, **seen, **masks}, rows).sum(), x

    kept = kept_bytes(score)  # also warms up: the first run of a network chooses its kernels
    began = time.perf_counter()
    value, x = score()
    (gradient,) = torch.autograd.grad(value, x)
    float(gradient.sum())  # waits for the device
    seconds = time.perf_counter() - began
    targets = sum(part.nbytes for leaf in leaves for part in leaf.target or ())
    return _Measured(size[0] * size[1], kept, targets, seconds)


def _bytes_per_pixel(model: Model, name: str) -> float:
    layer, (height, width) = model.layers[name], model.picture_spec.size
    return layer.channels * math.prod(layer.spatial) * model.dtype.itemsize / (height * width)


def _history_that_fits(found: Estimate, room: int) -> int | None:
    """The longest history, shorter than the method's own, with which the whole picture fits; None if there is none."""
    pair = 2 * COLOR_BYTES * found.pixels
    longest = min(found.history - 1, (room - found.peak(history=0)) // pair)
    return longest if longest >= SHORTEST_HISTORY else None


def _tiles_that_fit(found: Estimate, room: int, reach: Reach, reason: str) -> Choice:
    """The largest tiles that fit: with the whole history unless they would be smaller than the margins around them."""
    shortest = min(SHORTEST_HISTORY, found.history)
    margins = max(before + after for before, after in zip(reach.before, reach.after, strict=True))
    least = 0
    for history, smallest in ((found.history, margins), (shortest, reach.step)):
        for side in range(max(found.size) // reach.step * reach.step, max(smallest, reach.step) - 1, -reach.step):
            count, window, total = window_pixels(found.size, side, reach)
            least = found.peak(history=history, window=window)
            if least <= room and count > 1:
                factor = TILED_PASSES * total / found.pixels
                words = (
                    f"the picture is cut into {count} tiles of at most {side} pixels, without any loss; "
                    f"{gigabytes(least)} of memory are used and a step takes {factor:.1f} times as long: {reason}"
                )
                return Choice(history, side, least, factor * found.seconds, words)
    height, width = found.size
    raise UsageError(
        f"{width}x{height} pixels need {gigabytes(least)} of memory even in the smallest tiles, {reason}; "
        "choose a smaller size, or Adam, which remembers less; --memory GB sets what may be used"
    )
