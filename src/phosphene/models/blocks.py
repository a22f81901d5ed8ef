"""The building blocks of a network: the layers that stand for it where nobody names any.

A block is an outermost module with weights between channels (a convolution or a linear layer, alone or inside) and
a map as its output: SqueezeNet's fire modules, ResNet's bottlenecks, VGG's convolutions. Containers (Sequential,
ModuleList, ModuleDict) are opened, and so is a wrapper that would be the only block (the encoder of a vision
transformer).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from phosphene.models.model import Model

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
MATRIX = 2  # axes of a weight from channels to channels; a norm's has one
FEWEST = 3  # blocks; below, the outermost module was a wrapper: a vision transformer has its patches and one encoder


def blocks(model: Model) -> tuple[str, ...]:
    """Dotted names of the building blocks of a model in the order of the forward pass; () when it has no maps."""
    maps = [layer.name for layer in model.layers.values() if len(layer.spatial) in (1, 2) and max(layer.spatial) > 1]
    readable = set(maps)
    modules = dict(model.net.named_modules())
    opened = {""}
    while True:
        found = set(_outermost(modules, opened, readable))
        wrappers = {name for name in found if any(inner.startswith(f"{name}.") for inner in readable)}
        if len(found) >= FEWEST or not wrappers:
            return tuple(name for name in maps if name in found)
        opened |= wrappers


def _outermost(modules: dict[str, nn.Module], opened: set[str], readable: set[str], inside: str = "") -> Iterator[str]:
    """Names of the blocks below the module `inside`."""
    for child, _ in modules[inside].named_children():
        name = f"{inside}.{child}" if inside else child
        module = modules.get(name)
        if module is None or not any(weight.dim() >= MATRIX for weight in module.parameters()):
            continue
        if name in opened or isinstance(module, CONTAINERS) or name not in readable:
            yield from _outermost(modules, opened, readable, name)
        else:
            yield name
