"""`inceptionv1`: GoogLeNet as Google published it in 2015, the network of Distill's feature visualizations.

Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015, arXiv 1409.4842), in the form of the TensorFlow graph that
lucid and the Distill articles use (Olah et al. 2017). Layers have that graph's names, so `mixed4a:6` is the unit that
it is there. A block joins four branches, 1x1, 3x3, 5x5 and pool, in this order, and `mixed4a` is what comes after the
rectifiers, `mixed4a_pre_relu` before them (lucid adds that name). Pictures: RGB times 255 minus 117. Exact:

    SAME padding     n pixels at stride s give ceil(n / s); the odd pixel of padding is at the bottom and the right
    normalization    y = x / (bias + alpha sum x^2)^beta over the 2 radius + 1 nearest channels, not over their mean

Departures: `avgpool0` is the mean over all positions (the graph: 7x7, the same at 224 pixels), so pictures of any size
have one prediction. The output is `softmax2_pre_activation`, the logits; `softmax2` is a layer. The branches' own
rectifiers (`mixed4a_1x1`) are read as parts of `mixed4a`. The two heads that only training used are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.models.spec import InputSpec

NAME = "inceptionv1"
LICENSE = "Apache-2.0"  # of the published weights
CLASSES = 1008  # outputs; 1000 of them have a class
SPEC = InputSpec(size=(224, 224), mean=(0.0,) * 3, std=(1.0,) * 3, value_range=(-117.0, 138.0))  # lucid's range

BRANCHES = ("1x1", "3x3", "5x5", "pool_reduce")  # in the order in which a block joins them
STEM = {"conv2d0": (3, 64, 7), "conv2d1": (64, 64, 1), "conv2d2": (64, 192, 3)}  # channels, width, kernel
STEM_STRIDE = 2  # of conv2d0
POOL_KERNEL, POOL_STRIDE = 3, 2  # of the poolings between blocks; those inside have stride 1
LRN_ALPHA = 9.999999747378752e-05  # 1e-4 in float32, as the published graph holds it
POOL_BEFORE = {"mixed4a": "maxpool4", "mixed5a": "maxpool10"}


@dataclass(frozen=True)
class Block:
    """Widths of a block's convolutions; `inside` are the 1x1 ones in front of the 3x3 and the 5x5."""

    one: int
    three_inside: int
    three: int
    five_inside: int
    five: int
    pool: int

    @property
    def branches(self) -> tuple[int, int, int, int]:
        """Channels of the four branches, in the order in which they are joined."""
        return self.one, self.three, self.five, self.pool


BLOCKS = {
    "mixed3a": Block(64, 96, 128, 16, 32, 32),
    "mixed3b": Block(128, 128, 192, 32, 96, 64),
    "mixed4a": Block(192, 96, 204, 16, 48, 64),
    "mixed4b": Block(160, 112, 224, 24, 64, 64),
    "mixed4c": Block(128, 128, 256, 24, 64, 64),
    "mixed4d": Block(112, 144, 288, 32, 64, 64),
    "mixed4e": Block(256, 160, 320, 32, 128, 128),
    "mixed5a": Block(256, 160, 320, 48, 128, 128),
    "mixed5b": Block(384, 192, 384, 48, 128, 128),
}


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding at any stride. (b, c, h, w) -> (b, c', ceil(h / s), ceil(w / s))."""

    def forward(self, input: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            same_padding(n, kernel, stride)
            for n, kernel, stride in zip(input.shape[-2:], self.kernel_size, self.stride, strict=True)
        )
        return super().forward(F.pad(input, (left, right, top, bottom)))


class SameMaxPool2d(nn.MaxPool2d):
    """Max pooling with TensorFlow's SAME padding. (b, c, h, w) -> (b, c, ceil(h / s), ceil(w / s)).

    Ceil mode lets the last window stand out over the edge by the pixel that an odd padding has more there.
    """

    def forward(self, input: Tensor) -> Tensor:
        height, width = (same_padding(n, POOL_KERNEL, POOL_STRIDE)[0] for n in input.shape[-2:])
        return F.max_pool2d(input, POOL_KERNEL, POOL_STRIDE, padding=(height, width), ceil_mode=True)


class LocalResponseNorm(nn.Module):
    """TensorFlow's normalization by the nearest channels, in float32: squares of 300 are too large for half precision.

    Defaults: those of the published graph. `torch.nn.functional.local_response_norm` divides alpha by the number of
    channels in the sum and takes four times as long.
    """

    def __init__(self, *, radius: int = 5, bias: float = 2.0, alpha: float = LRN_ALPHA, beta: float = 0.5) -> None:
        super().__init__()
        self.radius, self.bias, self.alpha, self.beta = radius, bias, alpha, beta

    def forward(self, input: Tensor) -> Tensor:
        squares = F.pad(input.float().square(), (0, 0, 0, 0, self.radius, self.radius))
        sums = window_sums(squares, 2 * self.radius + 1)
        return input * (self.bias + self.alpha * sums).pow(-self.beta).to(input.dtype)

    def extra_repr(self) -> str:
        return f"radius={self.radius}, bias={self.bias}, alpha={self.alpha}, beta={self.beta}"


class Concat(nn.Module):
    """The channels of several maps, one after the other."""

    def forward(self, *maps: Tensor) -> Tensor:
        return torch.cat(maps, 1)


class Part(nn.Module):
    """The channels `start` to `stop` of a map, without a copy."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, input: Tensor) -> Tensor:
        return input[:, self.start : self.stop]

    def extra_repr(self) -> str:
        return f"{self.start}, {self.stop}"


class InceptionV1(nn.Module):
    """The network, (b, 3, h, w) in -117 .. 138 -> (b, 1008) logits, for pictures of any size. A flat row of layers."""

    def __init__(self) -> None:
        super().__init__()
        for name, (channels, width, kernel) in STEM.items():
            strided = name == "conv2d0"
            conv = (
                SameConv2d(channels, width, kernel, STEM_STRIDE) if strided else _convolution(channels, width, kernel)
            )
            self._add_rectified(name, conv)
        for name in ("maxpool0", "maxpool1", *POOL_BEFORE.values()):
            self.add_module(name, SameMaxPool2d(POOL_KERNEL, POOL_STRIDE))
        self.localresponsenorm0, self.localresponsenorm1 = LocalResponseNorm(), LocalResponseNorm()
        channels = STEM["conv2d2"][1]
        for name, block in BLOCKS.items():
            self._add_block(name, block, channels)
            channels = sum(block.branches)
        self.avgpool0 = nn.AdaptiveAvgPool2d(1)
        self.softmax2_pre_activation = nn.Linear(channels, CLASSES)
        self.softmax2 = nn.Softmax(dim=1)

    def forward(self, input: Tensor) -> Tensor:
        x = self._run("maxpool0", self._rectified("conv2d0", input))
        x = self._rectified("conv2d1", self.localresponsenorm0(x))
        x = self._run("maxpool1", self.localresponsenorm1(self._rectified("conv2d2", x)))
        for name in BLOCKS:
            x = self._block(name, self._run(POOL_BEFORE[name], x) if name in POOL_BEFORE else x)
        logits: Tensor = self.softmax2_pre_activation(self.avgpool0(x).flatten(1))
        self.softmax2(logits)  # a layer of the graph, to be read
        return logits

    def _add_rectified(self, name: str, convolution: nn.Module) -> None:
        self.add_module(f"{name}_pre_relu", convolution)
        self.add_module(name, nn.ReLU())

    def _add_block(self, name: str, block: Block, channels: int) -> None:
        self.add_module(f"{name}_1x1_pre_relu", _convolution(channels, block.one, 1))
        for size, inside, width in ((3, block.three_inside, block.three), (5, block.five_inside, block.five)):
            self._add_rectified(f"{name}_{size}x{size}_bottleneck", _convolution(channels, inside, 1))
            self.add_module(f"{name}_{size}x{size}_pre_relu", _convolution(inside, width, size))
        self.add_module(f"{name}_pool", nn.MaxPool2d(POOL_KERNEL, 1, padding=POOL_KERNEL // 2))  # SAME at stride 1
        self.add_module(f"{name}_pool_reduce_pre_relu", _convolution(channels, block.pool, 1))
        self.add_module(f"{name}_pre_relu", Concat())
        self.add_module(name, nn.ReLU())
        start = 0
        for branch, width in zip(BRANCHES, block.branches, strict=True):
            self.add_module(f"{name}_{branch}", Part(start, start + width))
            start += width

    def _run(self, name: str, *inputs: Tensor) -> Tensor:
        y: Tensor = self._modules[name](*inputs)  # type: ignore[misc]
        return y

    def _rectified(self, name: str, input: Tensor) -> Tensor:
        return self._run(name, self._run(f"{name}_pre_relu", input))

    def _block(self, name: str, input: Tensor) -> Tensor:
        one = self._run(f"{name}_1x1_pre_relu", input)
        three = self._run(f"{name}_3x3_pre_relu", self._rectified(f"{name}_3x3_bottleneck", input))
        five = self._run(f"{name}_5x5_pre_relu", self._rectified(f"{name}_5x5_bottleneck", input))
        pool = self._run(f"{name}_pool_reduce_pre_relu", self._run(f"{name}_pool", input))
        joined = self._run(name, self._run(f"{name}_pre_relu", one, three, five, pool))
        for branch in BRANCHES:
            self._run(f"{name}_{branch}", joined)  # a view, to be read
        return joined


def same_padding(n: int, kernel: int, stride: int) -> tuple[int, int]:
    """(before, after) for an axis of n pixels, so that ceil(n / stride) windows fit; TensorFlow's SAME."""
    total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
    return total // 2, total - total // 2


def window_sums(x: Tensor, size: int) -> Tensor:
    """Sums over each `size` neighboring channels. (b, c + size - 1, h, w) -> (b, c, h, w).

    By doubling: sums of 1, 2, 4, .. channels, of which the binary digits of `size` say which ones to add.
    """
    channels, start, width, parts = x.shape[1] - size + 1, 0, 1, []
    while width <= size:
        if size & width:
            parts.append(x.narrow(1, start, channels))
            start += width
        if 2 * width <= size:
            left = x.shape[1] - width
            x = x.narrow(1, 0, left) + x.narrow(1, width, left)
        width *= 2
    return reduce(torch.add, parts)


def _convolution(channels: int, width: int, kernel: int) -> nn.Conv2d:
    """A convolution of stride 1 and odd kernel, where SAME padding is the same on both sides."""
    return nn.Conv2d(channels, width, kernel, padding=kernel // 2)
