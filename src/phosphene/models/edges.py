"""Edges that a network sees as it sees the rest: convolutions repeat the outermost units, poolings leave none out.

A convolution that pads with zeros makes a dark frame, and the pixels along it lie in fewer windows than others: of what
`relu5_1` of VGG-19 asks of a pixel, zeros leave a tenth at the border, and mirroring without the edge itself leaves a
quarter, where `relu1_1` asks as much as elsewhere. An optimizer then keeps there what the deep layers would not have:
loud paint gathers along the border. With the outermost units repeated every unit counts as often as any other, exactly
so for 3x3 windows: what one end of a window loses the other wins. A pooling of windows side by side that rounds down
does not see the last pixels at all; rounding up it does, as if they were repeated, too. Windows that overlap often
stand beside a strided convolution of the same size (Inception), and stay.

Departures: style-transfer-pytorch (Crowson) repeats the edge for the first convolution alone.
"""

from __future__ import annotations

from torch import nn

from phosphene.errors import UsageError
from phosphene.models.model import Model

VARIANT = "replicated-edges"  # what `Model.variant` says
REPLACED = ("zeros", "reflect")  # paddings of a convolution that are exchanged; one that goes round has no edge


def replicated_edges(model: Model) -> Model:
    """A private copy of the model whose convolutions repeat their outermost units, and whose poolings round up.

    The network that was handed in keeps its own; one that is such a copy is given back. Padding of poolings stays, for
    no maximum sees it, and so does a convolution that pads in a forward of its own. Raises UsageError when there is no
    convolution module that pads, and when the network cannot be copied.
    """
    if VARIANT in model.variant:
        return model
    copied = model.prepared(model.device, dtype=model.dtype, memory_format=model.memory_format)
    if copied.net is model.net:
        raise UsageError(f"{model.name} cannot be copied, so its edges cannot be changed")
    if not _replicate(copied.net):
        raise UsageError(f"{model.name} has no convolution module that pads, so its edges cannot be changed")
    return copied.varied(*model.variant, VARIANT)


def _replicate(net: nn.Module) -> int:
    """Change the edges of all modules of `net`; how many convolutions were changed."""
    changed = 0
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.padding_mode in REPLACED and _pads(module):
            module.padding_mode = "replicate"
            changed += 1
        elif isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)) and _side_by_side(module):
            module.ceil_mode = True
    return changed


def _pads(convolution: nn.Conv2d) -> bool:
    """Whether it pads, and as its `padding_mode` says."""
    own = type(convolution).forward is not nn.Conv2d.forward
    return not own and any(convolution._reversed_padding_repeated_twice)


def _side_by_side(pool: nn.MaxPool2d | nn.AvgPool2d) -> bool:
    """Whether its windows neither overlap nor leave gaps nor stand out."""
    return _pair(pool.kernel_size) == _pair(pool.stride) and _pair(pool.padding) == (0, 0)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
