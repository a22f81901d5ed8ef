"""The gradient at every layer on its way from a score back to the picture, without touching the network.

`gradients` runs the network forward with one hook at each layer asked for. The hook changes nothing: it registers
another with autograd on the tensor that the layer gave, which hears d(score)/d(activation) when it passes. What a later
in-place rectifier makes of the tensor is another value to autograd, so a convolution in front of one has the gradient
behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.models.model import Model
from phosphene.models.spec import Layer
from phosphene.models.tap import OUTPUT, first_tensor, to_channels_first

PICTURE = "input"  # the name under which the gradient at the picture itself is given


def gradients(
    model: Model,
    pictures: Tensor,
    layers: Collection[str],
    needed: Collection[str],
    score: Callable[[Mapping[str, Tensor]], Tensor],
) -> dict[str, Tensor]:
    """d(sum of scores)/d(activation) {layer: (b, c, *space)}, and at the pictures (b, c, h, w) in [0, 1] as "input".

    layers: where the gradient is wanted, by dotted name; one that it does not reach is left out. needed: the layers
    that `score` reads. score: activations {layer: (b, c, *space)} -> numbers, which are summed.
    """
    found: dict[str, Tensor] = {}
    handles = []
    x = pictures.detach().to(model.device, torch.float32).requires_grad_(True)
    try:
        for name in layers:
            if name != OUTPUT:
                handles.append(
                    model.net.get_submodule(name).register_forward_hook(_listener(model.layers[name], found))
                )
        with torch.enable_grad():
            total = score(model.activations(x, needed)).sum()
    finally:
        for handle in handles:
            handle.remove()
    (found[PICTURE],) = torch.autograd.grad(total, [x], materialize_grads=True)
    return found


def main_path(model: Model) -> list[str]:
    """Names of the layers with maps (b, c, h, w) that follow each other, input to output: the parts of the network and
    of its `Sequential`s, not the inside of its blocks."""
    names: list[str] = []

    def walk(module: nn.Module, prefix: str) -> None:
        for name, child in module.named_children():
            path = f"{prefix}{name}"
            if isinstance(child, nn.Sequential):
                walk(child, f"{path}.")
            elif path in model.layers:
                names.append(path)
            elif len(list(module.children())) == 1:  # a network inside a wrapper
                walk(child, f"{path}.")

    walk(model.net, "")
    table = list(model.layers)
    maps = [name for name in names if len(model.layers[name].spatial) == 2 and model.layers[name].layout != "tokens"]
    return sorted(maps, key=table.index)


def _listener(layer: Layer, found: dict[str, Tensor]) -> Callable[[nn.Module, Any, Any], None]:
    """A forward hook that keeps the gradient of what the layer gives; of the last call where there are several."""

    def hear(gradient: Tensor) -> None:
        found.setdefault(layer.name, to_channels_first(gradient, layer).detach().clone())

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor.requires_grad:
            tensor.register_hook(hear)  # type: ignore[no-untyped-call]

    return hook
