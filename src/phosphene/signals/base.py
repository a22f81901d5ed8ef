"""The thing that is optimised, seen as a picture: a signal is a module without input.

`Signal()` gives pictures (b, c, h, w) in [0, 1]; `Signal.encode(x)` sets its parameters so that `Signal()` gives x
back, so that a run can start from a picture, be resumed, or change its size. Rows never mix: row i of the
parameters makes row i of the pictures and nothing else.

`linear` is what a kind of signal brings of its own: decorrelated colors of any range. `SquashColors` is the shared last
step: decorrelated colors -> real colors -> sigmoid (Olah et al., Distill 2017). Where a picture is given and only to be
changed, `clamped` cuts off at black and white in place of the sigmoid, whose slope there is nothing.
An alpha channel, when present, is channel c itself: it skips the color matrix and gets the sigmoid alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.natural import Natural, color_basis, sigmoid_rows_
from phosphene.seeds import Generators

ENCODE_MARGIN = 0.5 / 255  # black and white are moved in by half an 8-bit level: their logits would be infinite
INSIDE = 1e-4  # a fortieth of an 8-bit level: at black and white themselves a cut has no slope, and nothing would move
GRAY = 0.5  # the picture where nothing is written

# name -> class, for the command line, recipes, and the tests that run every law over every signal
SIGNALS: dict[str, type[Signal]] = {}


def register(name: str) -> Callable[[type[Signal]], type[Signal]]:
    """Class decorator: make a signal known by name."""

    def add(kind: type[Signal]) -> type[Signal]:
        SIGNALS[name] = kind
        return kind

    return add


class Signal(nn.Module, ABC):
    """Base of all image signals.

    rows: pictures in the batch. channels: color channels, without alpha. size: (height, width) in pixels.
    alpha: one more channel, the opacity. decorrelate: whiten the colors (only when channels is 3). clamped: cut off
    what leaves [0, 1], in place of a sigmoid. natural: statistics of pictures to scale by, in place of ImageNet's and
    1/f.
    """

    encodes: ClassVar[bool] = True  # whether any picture can be written in it, so that a run can start from one
    step_size: ClassVar[float | None] = None  # Adam's step that suits it; None = the optimizer's own default

    basis: Tensor

    def __init__(
        self,
        rows: int,
        *,
        channels: int = 3,
        size: tuple[int, int],
        alpha: bool = False,
        decorrelate: bool = True,
        clamped: bool = False,
        natural: Natural | None = None,
    ) -> None:
        super().__init__()
        if rows < 1 or channels < 1 or min(size) < 1:
            raise UsageError(f"a signal needs rows, channels and size of at least 1, got {rows}, {channels}, {size}")
        self.rows, self.channels, self.size, self.alpha, self.clamped = rows, channels, size, alpha, clamped
        colors = natural.color_basis(channels) if natural else color_basis(channels)
        colors = colors if decorrelate else torch.eye(channels)
        self.mixed = not torch.equal(colors, torch.eye(channels))  # else its product is the identity, at a price
        self.register_buffer("basis", torch.block_diag(colors, torch.eye(1)) if alpha else colors, persistent=False)  # type: ignore[no-untyped-call]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(b, c, h, w) of the pictures, alpha included."""
        return (self.rows, self.channels + self.alpha, *self.size)

    @abstractmethod
    def linear(self) -> Tensor:
        """(b, c, h, w) what is squashed into pictures: decorrelated colors of any range."""

    @abstractmethod
    def write(self, linear: Tensor) -> None:
        """Set the parameters so that `linear()` gives this (b, c, h, w), to rounding; gradients are off."""

    def forward(self) -> Tensor:
        """Pictures (b, c, h, w) in [0, 1]."""
        return self.squash(self.linear())

    def encode(self, pictures: Tensor) -> None:
        """Set the parameters so that forward() gives `pictures` (b, c, h, w), to rounding and a half-level margin."""
        with torch.no_grad():
            self.write(self.unsquash(pictures))

    def finished(self) -> Tensor:
        """Pictures as they are kept: what forward() gives, unless a signal learned more about them on the way."""
        pictures: Tensor = self()
        return pictures

    @abstractmethod
    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        """Set the parameters to a random start, each row from its own generator."""

    def squash(self, linear: Tensor) -> Tensor:
        """(b, c, h, w) decorrelated colors of any range -> pictures in [0, 1]."""
        if self.clamped:
            colors = torch.matmul(self.basis, linear.flatten(2)).view(linear.shape) if self.mixed else linear
            return (GRAY + colors).clamp(0, 1)
        squashed: Tensor = SquashColors.apply(linear, self.basis)
        return squashed

    def unsquash(self, pictures: Tensor) -> Tensor:
        """Inverse of `squash`; raises UsageError when the shape is not the signal's own or a value is not in [0, 1]."""
        if tuple(pictures.shape) != self.shape:
            raise UsageError(f"cannot encode pictures of shape {tuple(pictures.shape)} in a signal of {self.shape}")
        if not bool(((pictures >= 0) & (pictures <= 1)).all()):
            raise UsageError("cannot encode pictures with values outside 0 .. 1")
        if self.clamped:
            linear = pictures.double().clamp(INSIDE, 1 - INSIDE) - GRAY
        else:
            linear = torch.logit(pictures.double().clamp(ENCODE_MARGIN, 1 - ENCODE_MARGIN))
        flat: Tensor = torch.linalg.solve(self.basis.double(), linear.flatten(2))
        return flat.view(self.shape)


class SquashColors(torch.autograd.Function):
    """sigmoid(basis @ x) over the channel axis, as one node: half the passes over memory of autograd's own."""

    @staticmethod
    def forward(ctx: Any, linear: Tensor, basis: Tensor) -> Tensor:
        pictures = sigmoid_rows_(torch.matmul(basis, linear.flatten(2)).view(linear.shape))
        ctx.save_for_backward(pictures, basis)
        return pictures

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        pictures, basis = ctx.saved_tensors
        inner = torch.ops.aten.sigmoid_backward(gradient.contiguous(), pictures)
        return torch.matmul(basis.t(), inner.flatten(2)).view(gradient.shape), None


@register("pixels")
class Pixels(Signal):
    """Pictures as their own parameters: logits of each pixel in decorrelated colors (Erhan et al. 2009).

    The honest baseline: its gradient is the network's own, with all its high frequencies.
    """

    def __init__(
        self,
        rows: int,
        *,
        channels: int = 3,
        size: tuple[int, int],
        alpha: bool = False,
        decorrelate: bool = True,
        clamped: bool = False,
        natural: Natural | None = None,
    ) -> None:
        super().__init__(
            rows, channels=channels, size=size, alpha=alpha, decorrelate=decorrelate, clamped=clamped, natural=natural
        )
        self.logits = nn.Parameter(torch.zeros(self.shape))

    def linear(self) -> Tensor:
        return self.logits

    def write(self, linear: Tensor) -> None:
        self.logits.copy_(linear)

    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        with torch.no_grad():
            self.logits.copy_(deviation * generators.normal("start", 0, self.shape[1:]))
