"""The picture as a formula of position: a compositional pattern-producing network (CPPN), one small network per row.

    x(u, v) = sigmoid(C @ W_n a(W_(n-1) ... a(W_1 (u, v))))        a(z) = [atan(z) / 0.67, atan(z)^2 / 0.6]

Stanley 2007; as an image parameterization Mordvintsev et al., Distill 2018 ("Differentiable image parameterizations"),
whose widths, depth and activation these are; the constants bring both halves of a(N(0, 1)) to unit size. It is smooth
by nature, and a formula has no size: `at` draws it anew in any.

Departures: rows are one batched product, not a network each. It starts as a bold pattern about gray, where lucid's last
layer starts at zero. For many units gray is a hill: the faint, soft patterns beside it score less than none, so that
ascent from there fades them out and ends on gray. Bold and detailed ones lie beyond that. The longer side spans
+-sqrt(3) and the shorter less, so that pictures that are not square are not stretched. It cannot be given a picture: no
weights make a photograph.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.natural import Natural
from phosphene.seeds import Generators
from phosphene.signals.base import Signal, register

LAYERS = 8  # hidden layers; lucid's
WIDTH = 24  # numbers per hidden layer, before the activation doubles them; lucid's
REACH = math.sqrt(3)  # positions are uniform in +-sqrt(3): of unit variance, as the activation expects
ATAN, SQUARE = 0.67, 0.6  # standard size of atan and of its square on normal numbers; lucid's
STEP_SIZE = 0.002  # weights of all layers move at once; at lucid's 0.005 some pictures of SqueezeNet go flat
GAIN = 1.2  # of hidden layers at the start: more detail than 1, which is too soft for most classes
UNIT = 30.0  # of the start of the last layer: at the usual deviation of 0.01 its patterns are bold and do not saturate
STRIP = 1 << 18  # positions drawn at once by `at`, over all rows: 50 MB per layer


@register("cppn")
class Cppn(Signal):
    """Pictures drawn by small networks of (x, y); any height and width, and any number of channels."""

    encodes = False
    step_size = STEP_SIZE

    positions: Tensor  # (h w, 2)

    def __init__(
        self,
        rows: int,
        *,
        channels: int = 3,
        size: tuple[int, int],
        alpha: bool = False,
        decorrelate: bool = True,
        natural: Natural | None = None,
    ) -> None:
        super().__init__(rows, channels=channels, size=size, alpha=alpha, decorrelate=decorrelate, natural=natural)
        self.register_buffer("positions", positions(size), persistent=False)
        inputs = [2, *[2 * WIDTH] * LAYERS]
        outputs = [*[WIDTH] * LAYERS, self.shape[1]]
        self.weights = nn.ParameterList(
            torch.zeros(rows, i, o) for i, o in zip(inputs, outputs, strict=True)
        )  # no biases, as in lucid's: the squares let a pattern be bright at the center
        self.levels = nn.Parameter(torch.zeros(rows, 1, self.shape[1]))

    def linear(self) -> Tensor:
        return self._drawn(self.positions).transpose(1, 2).reshape(self.shape)

    def write(self, linear: Tensor) -> None:
        raise UsageError("a cppn is a formula and cannot hold a given picture; start from pictures with fourier")

    def encode(self, pictures: Tensor) -> None:
        """Raises UsageError: for the wrong shape or range as every signal, and else because it cannot be."""
        self.write(self.unsquash(pictures))

    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        """Patterns whose colors have gray as their mean; how bold they are goes with the deviation.

        The squares have a mean of their own; left in, some rows would begin nearly white, where nothing moves.
        """
        with torch.no_grad():
            for depth, weight in enumerate(self.weights):
                hidden = (GAIN if depth else 1.0) * math.sqrt(1 / weight.shape[1])
                scale = UNIT * deviation if depth == LAYERS else hidden
                weight.copy_(scale * generators.normal("start", depth, weight.shape[1:]))
            self.levels.zero_()
            for row in range(self.rows):  # each on its own: the same to the bit in a batch of any shape
                self.levels[row] = -self._drawn(self.positions, slice(row, row + 1)).mean(1)

    def at(self, size: tuple[int, int]) -> Tensor:
        """The same pictures in another size: (b, c, height, width) in [0, 1], without gradient."""
        places = positions(size).to(self.positions.device)
        with torch.no_grad():
            strips = [self._drawn(strip) for strip in torch.split(places, max(1, STRIP // self.rows))]
            return self.squash(torch.cat(strips, 1).transpose(1, 2).reshape(*self.shape[:2], *size))

    def _drawn(self, places: Tensor, rows: slice = slice(None)) -> Tensor:
        """(n, 2) positions -> (b, n, c). Positions come first: tall products are twice as fast as wide ones."""
        *hidden, last = (weight[rows] for weight in self.weights)
        x = places.expand(len(last), -1, -1)
        for weight in hidden:
            x = Bend.apply(torch.bmm(x, weight))
        return torch.bmm(x, last) + self.levels[rows]


def positions(size: tuple[int, int]) -> Tensor:
    """(h w, 2) x and y of each pixel's center; the longer side spans +-REACH, whatever the number of pixels."""
    height, width = size
    longer = max(size)
    ys, xs = ((torch.arange(n) * 2 + 1 - n) * (REACH / longer) for n in (height, width))
    return torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)], 2).flatten(0, 1)


class Bend(torch.autograd.Function):
    """(b, n, c) -> (b, n, 2c): atan and its square, scaled. Its gradient needs the output alone, which is kept anyway.

    With t = atan(z), dt/dz = 1 / (1 + z^2) = cos(t)^2: the input need not be remembered.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        bent = z.new_empty(z.shape[0], z.shape[1], 2 * z.shape[2])
        angle, square = bent.chunk(2, 2)
        for row in range(len(z)) if z.device.type == "cpu" else (slice(None),):  # as in `sigmoid_rows_`
            torch.atan(z[row], out=angle[row])
        torch.mul(angle, angle, out=square).mul_(1 / SQUARE)
        angle.mul_(1 / ATAN)
        ctx.save_for_backward(bent)
        return bent

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (bent,) = ctx.saved_tensors
        angle = bent.chunk(2, 2)[0] * ATAN
        at_angle, at_square = gradient.chunk(2, 2)
        inner: Tensor = at_square * angle
        inner.mul_(2 / SQUARE)
        inner.add_(at_angle * (1 / ATAN))
        slope = angle
        for row in range(len(angle)) if angle.device.type == "cpu" else (slice(None),):
            slope[row].cos_()
        return inner.mul_(slope).mul_(slope)
