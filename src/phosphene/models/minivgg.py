"""`minivgg`: the network inside the package, a small VGG whose classes are known patterns, figures and colors.

Layers have the names of VGG-19 (Simonyan and Zisserman 2014, arXiv 1409.1556; conv1_1 .. conv5_1 as Gatys et al. 2015
use them), with 3x3 convolutions, ReLU and 2x2 max pooling, so what is said of VGG-19 can be tried on it at once.
It ends in a mean over positions and one linear layer: pictures of any size will do. `tools/train_minivgg.py` trained it
on `phosphene.textures`; docs/minivgg.md is its card.

Departures: one or two convolutions a block instead of two to four, a tenth of the widths, no large linear layers.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from torch import nn

from phosphene.errors import WeightsError
from phosphene.files import sha256_file
from phosphene.models.spec import InputSpec
from phosphene.models.weights import RANDOM, find_weights, load_file, same_random_weights
from phosphene.textures import CLASSES

NAME = "minivgg"
SOURCE = "phosphene"  # the package itself
BLOCKS = ((24, 2), (48, 2), (96, 2), (192, 2), (256, 1))  # (channels, convolutions) between the poolings
SPEC = InputSpec(size=(128, 128), mean=(0.5,) * 3, std=(0.25,) * 3)
WEIGHTS = Path(__file__).parent / "minivgg.safetensors"
SHA256 = "6b5b461cd8c963b1fcadc65c02ec65423d7d8bad73217160a7f7890d1a9716a7"  # of that file
LICENSE = "MIT"  # that of the package; what the weights were learned from is in docs/minivgg.md


def minivgg(classes: int, *, normalized: bool = False) -> nn.Sequential:
    """The network, (b, 3, h, w) -> (b, classes); h and w at least 16. normalized: with batch normalization between
    each convolution and its ReLU, as it was trained; in the published weights it is folded into the convolutions.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels = SPEC.channels
    for block, (width, count) in enumerate(BLOCKS, 1):
        for k in range(1, count + 1):
            parts[f"conv{block}_{k}"] = nn.Conv2d(channels, width, 3, padding=1, bias=not normalized)
            if normalized:
                parts[f"norm{block}_{k}"] = nn.BatchNorm2d(width)
            parts[f"relu{block}_{k}"] = nn.ReLU()
            channels = width
        if block < len(BLOCKS):
            parts[f"pool{block}"] = nn.MaxPool2d(2)
    parts["mean"] = nn.AdaptiveAvgPool2d(1)
    parts["flat"] = nn.Flatten()
    parts["logits"] = nn.Linear(channels, classes)
    return nn.Sequential(parts)


def layer_names() -> frozenset[str]:
    """The names of its layers, known without building it."""
    return frozenset(name for name, _ in minivgg(1).named_children())


def load_minivgg(weights: str | Path | None = None) -> tuple[nn.Sequential, str]:
    """The network with the weights of the package, of a file, or random ones ("random"); and where they came from.

    Raises WeightsError when the file in the package is not the one that was published with it.
    """
    with same_random_weights():
        net = minivgg(len(CLASSES))
    if weights == RANDOM:
        return net, RANDOM
    if weights is not None:
        file = find_weights(NAME, weights)
        load_file(net, file, NAME)
        return net, f"file:{file.name}"
    if not WEIGHTS.is_file() or sha256_file(WEIGHTS) != SHA256:
        raise WeightsError(f"{WEIGHTS} is missing or damaged; install phosphene again, or give a file (--weights FILE)")
    load_file(net, WEIGHTS, NAME)
    return net, f"{SOURCE}:{NAME}"
