"""The gradient with less noise in it: options that act on the way back only, and leave every activation as it is.

A strided layer sees its input in a lattice of windows and writes that lattice into the gradient, as checkerboards and
grain (Olah et al., Distill 2017). Two ways to smooth it, neither of which edits the network:

    pooling  maxima forward; backward the gradient of the windows' average, or of their root mean square
    blur     a Gaussian over the gradient, at the picture or at the input of every strided layer

A maximum gives its whole gradient to one place of each window; an average gives 1 / n to each of its n places, and a
root mean square r gives x / (n r), the more the stronger a place is. Where r is 0 the average's gradient is taken.

Departures: lucid's "L2" pools sum x^2 / (0.01 + sum |x|), which pushes down what is below half of that; ours pushes up
alone behind a rectifier. A pooling with dilation, or one that gives its indices, keeps its own gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from phosphene.errors import UsageError

Pooling = Literal["max", "average", "l2"]
Place = Literal["picture", "strided"]

REACH = 3.0  # standard deviations after which the Gaussian is cut off: 0.3% of it is left
MAX_POOLS: tuple[Any, ...] = (F.max_pool2d, torch.max_pool2d)
STRIDE_AT = {torch.conv2d: 3, F.max_pool2d: 2, torch.max_pool2d: 2, F.avg_pool2d: 2}  # place of `stride` in the call


@dataclass(frozen=True)
class Gradient:
    """What is done to the gradient. pooling: whose gradient a max pooling has. blur: the Gaussian's standard deviation
    in pixels of where it acts, 0 for none. blur_at: the picture, or the input of every strided layer.

    Raises UsageError for anything else.
    """

    pooling: Pooling = "max"
    blur: float = 0.0
    blur_at: Place = "picture"

    def __post_init__(self) -> None:
        if self.pooling not in ("max", "average", "l2"):
            raise UsageError(f"no pooling gradient {self.pooling!r}; choose max, average or l2")
        if self.blur_at not in ("picture", "strided"):
            raise UsageError(f"the gradient is blurred at the picture or at strided layers, got {self.blur_at!r}")
        if not 0 <= self.blur < math.inf:
            raise UsageError(f"the blur of the gradient must be 0 or more pixels, got {self.blur}")

    @property
    def words(self) -> tuple[str, ...]:
        """What differs from the plain gradient, for a model's `variant`; () for nothing."""
        where = "the picture" if self.blur_at == "picture" else "strided layers"
        pooling = (f"{self.pooling} pooling gradient",) if self.pooling != "max" else ()
        return (*pooling, f"gradient blurred by {self.blur:g} at {where}") if self.blur else pooling

    def at_picture(self, pictures: Tensor) -> Tensor:
        """The pictures (b, c, h, w) themselves; the gradient that comes back through them is blurred if it is to be."""
        if self.blur and self.blur_at == "picture" and pictures.dim() == 4:
            return blurred_backward(pictures, self.blur)
        return pictures


PLAIN = Gradient()


class Smoothed(TorchFunctionMode):
    """Context in which poolings and strided layers that are called have the gradient that `of` asks for."""

    def __init__(self, of: Gradient) -> None:
        super().__init__()
        self.of = of

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func not in STRIDE_AT:
            return func(*args, **options)
        x, rest = (args[0], args[1:]) if args else (options.pop("input"), ())
        if not isinstance(x, Tensor) or not x.requires_grad or x.dim() != 4:
            return func(x, *rest, **options)
        if self.of.blur and self.of.blur_at == "strided" and _strides(func, rest, options):
            x = blurred_backward(x, self.of.blur)
        if func in MAX_POOLS and self.of.pooling != "max":
            window = Window.of(*rest, **options)
            if window is not None:
                pooled: Tensor = _SmoothPool.apply(x, window, self.of.pooling)
                return pooled
        return func(x, *rest, **options)


@dataclass(frozen=True)
class Window:
    """The geometry of a pooling, as torch's functions take it."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    ceil_mode: bool

    @classmethod
    def of(
        cls,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Window | None:
        """That of a call of `max_pool2d`; None where an average has no such geometry or no such result."""
        if return_indices or _pair(dilation) != (1, 1):
            return None
        return cls(_pair(kernel_size), _pair(stride or kernel_size), _pair(padding), bool(ceil_mode))

    def averages(self, x: Tensor) -> Tensor:
        """The average (b, c, h', w') of each window; padding does not count, as no maximum sees it."""
        return F.avg_pool2d(x, self.kernel, self.stride, self.padding, self.ceil_mode, count_include_pad=False)

    def spread(self, gradient: Tensor, x: Tensor) -> Tensor:
        """The gradient of `averages` at x for one (b, c, h', w') of its results."""
        back: Tensor = torch.ops.aten.avg_pool2d_backward(
            gradient, x, self.kernel, self.stride, self.padding, self.ceil_mode, False, None
        )
        return back


class _SmoothPool(torch.autograd.Function):
    """Maxima forward, a smooth pooling's gradient backward; it keeps its input, as torch's own does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window, pooling: Pooling) -> Tensor:
        ctx.save_for_backward(x)
        ctx.window, ctx.pooling = window, pooling
        return F.max_pool2d(x, window.kernel, window.stride, window.padding, 1, window.ceil_mode)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        window: Window = ctx.window
        above = gradients[0].float()
        strength = x.float()
        if ctx.pooling == "average":
            return window.spread(above, strength).to(x.dtype), None, None
        root = window.averages(strength.square()).sqrt()
        silent = root == 0
        through = window.spread(torch.where(silent, 0.0, above / root), strength) * strength
        return (through + window.spread(above * silent, strength)).to(x.dtype), None, None


class _BlurredBackward(torch.autograd.Function):
    """The identity, whose gradient is blurred."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, deviation: float) -> Tensor:
        ctx.deviation = deviation
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gaussian(gradients[0], ctx.deviation), None


def blurred_backward(x: Tensor, deviation: float) -> Tensor:
    """x itself (b, c, h, w); the gradient that comes back through it is blurred, deviation in pixels."""
    same: Tensor = _BlurredBackward.apply(x, deviation)
    return same


def gaussian(x: Tensor, deviation: float) -> Tensor:
    """Maps (b, c, h, w) blurred by a Gaussian of that standard deviation in pixels; the edges go on as they end."""
    kernel = _kernel(deviation).to(x.device)
    reach = len(kernel) // 2
    planes = x.float().flatten(0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (reach, reach, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    planes = F.conv2d(F.pad(planes, (0, 0, reach, reach), mode="replicate"), kernel.view(1, 1, -1, 1))
    return planes.view(x.shape).to(x.dtype)


@lru_cache(maxsize=16)
def _kernel(deviation: float) -> Tensor:
    """(2 r + 1,) the Gaussian's weights, of sum 1."""
    reach = max(1, math.ceil(REACH * deviation))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / deviation).square())
    return (weights / weights.sum()).float()


def _strides(func: Any, rest: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a call skips positions. rest: its arguments behind the input."""
    place = STRIDE_AT[func] - 1
    stride = rest[place] if len(rest) > place else options.get("stride")
    if not stride:  # a pooling strides by its window, a convolution by 1
        stride = 1 if func is torch.conv2d else (rest[0] if rest else options["kernel_size"])
    return max(_pair(stride)) > 1


def _pair(value: Any) -> tuple[int, int]:
    """(y, x) of a number or two, as torch reads them."""
    if isinstance(value, int):
        return value, value
    first, *more = value
    return int(first), int(more[0]) if more else int(first)
