"""Running a network to learn about it, without leaving a trace.

The layer table and the receptive fields both come from running the network and listening to its modules, instead of
reading its definition: what is true of the run is true of any architecture. While it is probed the network is in
eval mode, without gradients, with temporary hooks; afterwards every training flag is what it was and no hook is
left, also when the network raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.models.spec import AudioSpec, InputSpec

OUTPUT = "output"  # the layer name of the network itself: what it returns
INPUT = "input"  # reserved for the signal; a module of this name is not a layer
GREY = 0.5  # middle of a picture's [0, 1]

Listener = Callable[[str, nn.Module, Tensor], None]


def modules_by_layer(net: nn.Module) -> dict[str, nn.Module]:
    """Layer name -> module. The network itself is "output", and hides a submodule of that name."""
    named = {name: module for name, module in net.named_modules() if name not in ("", INPUT, OUTPUT)}
    return {**named, OUTPUT: net}


def grey_input(net: nn.Module, spec: InputSpec, size: tuple[int, int] | None = None) -> Tensor:
    """One grey picture (1, c, h, w) as the network takes it: normalized, on its device, in its dtype."""
    low, high = spec.value_range
    levels = [(GREY * (high - low) + low - m) / s for m, s in zip(spec.mean, spec.std, strict=True)]
    like = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
    channels = torch.tensor(levels, dtype=like.dtype, device=like.device)
    height, width = size or spec.size
    return channels.view(1, -1, 1, 1).expand(1, spec.channels, height, width).contiguous()


def silent_input(net: nn.Module, spec: AudioSpec, samples: int) -> Tensor:
    """One silent wave (1, c, samples) on the network's device, in its dtype."""
    like = next((p for p in net.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(1, spec.channels, samples, dtype=like.dtype, device=like.device)


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that stands for a module's output: itself, or the first in a tuple, list or mapping.

    None when there is none, or when it is not floating point: indices and masks are nothing to show.
    """
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        return first_tensor(next((item for item in output if item is not None), None))
    return None


@contextmanager
def probing(net: nn.Module, listener: Listener) -> Iterator[None]:
    """Eval mode, no gradients, and `listener(layer, module, tensor)` after every module that gives a tensor."""
    flags = [(module, module.training) for module in net.modules()]
    handles = [module.register_forward_hook(_hook(name, listener)) for name, module in modules_by_layer(net).items()]
    try:
        for module, _ in flags:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
        for module, training in flags:
            module.training = training


def _hook(name: str, listener: Listener) -> Callable[[nn.Module, Any, Any], None]:
    def heard(module: nn.Module, _: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            listener(name, module, tensor)

    return heard
