"""`vgg19_cd16x`: VGG-19 up to relu5_1 with a sixteenth of its weights, for style transfer on small machines.

Distilled from VGG-19 (Simonyan and Zisserman 2014, arXiv 1409.1556) by Wang et al., "Collaborative Distillation for
Ultra-Resolution Universal Style Transfer" (CVPR 2020, arXiv 2003.08436). Layers have VGG-19's names, conv1_1 ..
relu5_1; in front of them `conv0` takes RGB in [0, 1] to BGR in 0 .. 255 minus the mean. No classes and no logits.

Published are five encoders and five decoders, in one file or one by one. The fifth encoder passes through every layer
and is the one used here. Its 1x1 layers `_aux`, which taught it the widths of VGG-19, served training and are left out.

Departures: where an axis has one pixel left there is nothing to reflect, and it repeats itself, as in `numpy.pad`;
the original stops there. So pictures of 16 pixels a side reach relu5_1.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from phosphene.errors import UsageError
from phosphene.models.spec import InputSpec
from phosphene.models.weights import published

NAME = "vgg19_cd16x"
LICENSE = "MIT"  # of the published weights
BLOCKS = ((16, 2), (32, 2), (64, 4), (128, 4), (128, 1))  # (channels, convolutions) between the poolings
SPEC = InputSpec(size=(224, 224), mean=(0.0,) * 3, std=(1.0,) * 3)  # VGG-19's own size; any from 16 pixels will do
ENCODER = re.compile(r"(?:encoder5\.)?conv(\d)(\d)\.(weight|bias)")  # no prefix in the authors' own 5SE.pth
UNUSED = re.compile(r"(encoder[1-4]|decoder[1-5]|(encoder5\.)?conv\d\d_aux)\.")


class ReflectConv2d(nn.Conv2d):
    """A 3x3 convolution that sees the picture mirrored beyond its edges. (b, c, h, w) -> (b, c', h, w)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 3, padding=1, padding_mode="reflect")

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        height, width = input.shape[-2:]
        if self.padding_mode != "reflect" or min(height, width) > 1:
            seen: Tensor = super()._conv_forward(input, weight, bias)
            return seen
        rows = pad(input, (0, 0, 1, 1), mode="reflect" if height > 1 else "replicate")
        padded = pad(rows, (1, 1, 0, 0), mode="reflect" if width > 1 else "replicate")
        return conv2d(padded, weight, bias)


class CompressedVGG(nn.Sequential):
    """Its layers in a row. Raises UsageError where a picture has too few pixels for the layer that comes next."""

    def forward(self, input: Tensor) -> Tensor:
        x, (height, width) = input, input.shape[-2:]
        for name, module in self.named_children():
            if name.startswith("pool") and min(x.shape[-2:]) < 2:
                least = 2 ** int(name.removeprefix("pool"))
                raise UsageError(
                    f"a picture of {width}x{height} pixels ends before {name} of {NAME}; "
                    f"the layers after it need {least} pixels a side"
                )
            x = module(x)
        return x


def vgg19_cd16x() -> CompressedVGG:
    """The network, (b, 3, h, w) in [0, 1] -> (b, 128, h // 16, w // 16), the activations of relu5_1."""
    channels = SPEC.channels
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv0=nn.Conv2d(channels, channels, 1))
    for block, (width, count) in enumerate(BLOCKS, 1):
        for k in range(1, count + 1):
            parts[f"conv{block}_{k}"] = ReflectConv2d(channels, width)
            parts[f"relu{block}_{k}"] = nn.ReLU()
            channels = width
        if block < len(BLOCKS):
            parts[f"pool{block}"] = nn.MaxPool2d(2)
    return CompressedVGG(parts)


def load_vgg19_cd16x(weights: str | Path | None = None) -> tuple[CompressedVGG, str]:
    """The network with the published weights, those of a file, or random ones ("random"); and where they came from.

    weights: the published file, or a state dict of this network. None looks for it as `find_weights` does.
    Raises WeightsError when the file is nowhere or is another network's. Nothing is downloaded.
    """
    return published(vgg19_cd16x, NAME, weights, rename=own_name)


def own_name(entry: str) -> str | None:
    """What an entry of the published file is called here; None for the parts that are not used."""
    if UNUSED.match(entry):
        return None
    return ENCODER.sub(r"conv\1_\2.\3", entry).removeprefix("encoder5.")
