"""Average pooling in the place of max pooling, as Gatys et al. 2015 (arXiv 1508.06576) have it in VGG-19: gradients
flow to every position, and they found the pictures slightly better.

A mean is smaller than a maximum, and layers trained behind maxima would starve. So each mean is multiplied by sqrt(n),
n the values in its window: 2 for 2x2, which is what style-transfer-pytorch (Crowson) found for VGG-19, and 1 where
nothing is pooled. The root is what keeps the energy of n independent values of mean zero.

Departures: Gatys et al. take the mean as it is. At the poolings of compressed VGG-19 and of SqueezeNet, over 33
photographs, a mean maximum is 1.2 to 1.9 times a mean average for 2x2 (1.5 on average) and 1.4 to 2.8 times for 3x3
(1.9 on average): sqrt(n) is the upper end, which the deep layers come near.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.models.model import Model

VARIANT = "average-pooling"  # what `Model.variant` says


class RescaledAvgPool2d(nn.AvgPool2d):
    """The mean over windows of n values, times sqrt(n), in the windows of a max pooling.

    Padding, and what ceil mode lets stand out over the edge, is not counted, as no maximum sees it.
    """

    def __init__(self, like: nn.MaxPool2d) -> None:
        super().__init__(like.kernel_size, like.stride, like.padding, like.ceil_mode, count_include_pad=False)
        height, width = (self.kernel_size,) * 2 if isinstance(self.kernel_size, int) else self.kernel_size
        self.factor = sqrt(height * width)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * self.factor


def average_pooling(model: Model) -> Model:
    """A private copy of the model in which every `nn.MaxPool2d` is a rescaled average pooling of the same windows.

    The network that was handed in keeps its own. Raises UsageError when there is no such module (pooling that is
    written as a function inside `forward` cannot be exchanged), when one has no average of the same geometry
    (dilation, indices, a subclass's own forward), when the network cannot be copied, and when its activations are
    already normalized, since those scales were measured behind maxima.
    """
    if model.channel_scales:
        raise UsageError(f"{model.name}: exchange the pooling first and normalize the activations after it")
    copied = model.prepared(model.device, dtype=model.dtype, memory_format=model.memory_format)
    if copied.net is model.net:
        raise UsageError(f"{model.name} cannot be copied, so its pooling cannot be exchanged")
    exchanged = _exchange(copied.net, model.name)
    if not exchanged:
        raise UsageError(
            f"{model.name} has no max pooling module to exchange; pooling by a function call cannot be exchanged"
        )
    kind = RescaledAvgPool2d.__name__
    table = {name: replace(row, kind=kind) if name in exchanged else row for name, row in model.layers.items()}
    return copied.varied(*model.variant, VARIANT, table=table)


def _exchange(net: nn.Module, title: str) -> set[str]:
    """Put average pooling into `net`; the dotted names of the modules that were exchanged."""
    made: dict[nn.Module, RescaledAvgPool2d] = {}  # one module may serve in several places, and still does
    exchanged = set()
    for path, parent in list(net.named_modules()):
        for key, child in parent._modules.items():  # named_children gives a module that serves twice only once
            if not isinstance(child, nn.MaxPool2d):
                continue
            name = f"{path}.{key}" if path else key
            if child not in made:
                made[child] = _averaging(child, f"{title}: {name}")
            parent._modules[key] = made[child]
            exchanged.add(name)
    return exchanged


def _averaging(pool: nn.MaxPool2d, where: str) -> RescaledAvgPool2d:
    """The average pooling for a max pooling; UsageError where there is none of its geometry."""
    if type(pool).forward is not nn.MaxPool2d.forward:
        raise UsageError(f"{where} is a {type(pool).__name__}, which pools in its own way and cannot be exchanged")
    if pool.return_indices:
        raise UsageError(f"{where} also gives the places of its maxima, which a mean does not have")
    if pool.dilation not in (1, (1, 1)):
        raise UsageError(f"{where} has dilation {pool.dilation}, which average pooling does not know")
    return RescaledAvgPool2d(pool)
