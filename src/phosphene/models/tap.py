"""Reading activations out of a network and leaving it as found.

`activations(net, x, layers)` hooks only the layers asked for, clones what a later in-place operation overwrites,
brings every layout to (b, c, *space), and ends the forward pass as soon as the last layer that is needed has spoken.
What is overwritten is found by looking: torch counts the changes of a tensor. Hooks live inside one call; `as_found`
restores training flags and `requires_grad`, also after an exception.

Rejected: replacing modules or setting `inplace=False` (it changes what a residual block computes), slicing
`Sequential` (only some networks are one), torch.fx (many networks cannot be traced).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError, UsageError
from phosphene.models.spec import Layer

OUTPUT = "output"  # the layer name of what the network itself returns

R = TypeVar("R")


class _Seen(BaseException):
    """Ends a forward pass; not an Exception, so that a network's own error handling does not swallow it."""


@contextmanager
def as_found(net: nn.Module) -> Iterator[None]:
    """Evaluation mode and frozen weights inside; every flag as it was outside."""
    training = [module for module in net.modules() if module.training]
    thawed = [parameter for parameter in net.parameters() if parameter.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in thawed:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in thawed:
            parameter.requires_grad_(True)


def activations(
    net: nn.Module, x: Tensor, layers: Collection[Layer], *, overwritten: set[str] | None = None
) -> dict[str, Tensor]:
    """Activations {name: (b, c, *space)} of `layers` for a batch x that is already normalised.

    A module that is called more than once in a pass gives its last call. Gradients flow to x, never to weights.
    overwritten: names of layers that the network is known to overwrite; those that are found are added, and then the
    network runs once more. A caller that keeps the set pays for that once.
    """
    known = set[str]() if overwritten is None else overwritten
    changes: dict[str, int] = {}

    def read(layer: Layer, value: Tensor, last: bool) -> Tensor:
        if layer.name in known or value.is_inference():  # inference tensors do not count
            return value if last else value.clone()
        changes[layer.name] = value._version
        return value

    seen = readings(net, x, layers, read)
    found = {name for name, count in changes.items() if seen[name]._version != count}
    if not found:
        return seen
    known |= found
    return activations(net, x, layers, overwritten=known)


def readings(
    net: nn.Module, x: Tensor, layers: Collection[Layer], read: Callable[[Layer, Tensor, bool], R]
) -> dict[str, R]:
    """What `read` makes of the activations of `layers`, {name: it}, while the network runs.

    read: called with (layer, value (b, c, *space), whether the network ends here). Unless it does, the network may
    overwrite the value afterwards, so what is kept must be a copy or a summary.
    """
    wanted = {layer.name: layer for layer in layers if layer.name != OUTPUT}
    whole = len(wanted) < len({layer.name for layer in layers})
    seen: dict[str, R] = {}
    calls = dict.fromkeys(wanted, 0)
    handles = []

    def listen(layer: Layer) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            calls[layer.name] += 1
            value = to_channels_first(first_tensor(output), layer)
            last = not whole and all(calls[name] >= wanted[name].calls for name in wanted)
            seen[layer.name] = read(layer, value, last)
            if last:
                raise _Seen

        return hook

    try:
        for layer in wanted.values():
            handles.append(net.get_submodule(layer.name).register_forward_hook(listen(layer)))
        with as_found(net):
            output = net(x)
    except _Seen:
        return seen
    finally:
        for handle in handles:
            handle.remove()
    missing = [name for name in wanted if name not in seen]
    if missing:
        raise PhospheneError(f"layer {missing[0]!r} was not reached in the forward pass")
    for layer in layers:
        if layer.name == OUTPUT:
            seen[OUTPUT] = read(layer, to_channels_first(first_tensor(output), layer), True)
    return seen


def first_tensor(output: Any) -> Tensor:
    """The tensor in what a module returned: itself, or the first in a tuple, list, mapping or data class."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        for item in output:
            if item is not None:
                return first_tensor(item)
    raise UsageError(f"a layer must give a tensor, got {type(output).__name__}")


def to_channels_first(value: Tensor, layer: Layer) -> Tensor:
    """(b, c, *space) from the layer's own layout."""
    if layer.layout == "channels_last":
        return value.movedim(-1, 1)
    if layer.layout == "tokens":
        return value.transpose(1, 2)
    return value


def has_nonfinite(net: nn.Module) -> str | None:
    """Name of the first parameter or buffer that holds a NaN or an infinity; None when all are finite."""
    for name, tensor in net.state_dict().items():
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None
