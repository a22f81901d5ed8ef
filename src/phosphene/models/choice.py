"""Which layers stand for content and for style where nobody names any: those that the network's entry in the registry
names (`Model.roles`), else a function of the layer table alone.

1. VGG's names: those of Gatys et al. 2015 (arXiv 1508.06576), style relu1_1 .. relu5_1, content relu4_2.
2. SqueezeNet: its first rectifier and the modules fire3, fire5, fire6 and fire9. By the Gram matrices of these five
   the other half of the same painting or texture was found in all of 36 queries. Content is fire5, of relu4_2's stride.
3. Any other: what relu1_1 .. relu5_1 are in VGG, the first activation function at each of the first five strides, each
   coarser than all before. A stride without such a module (it may be a function call) gives the last of its outermost
   layers; one without convolutions and linear layers gives none. Content is the last but one, as relu4_2 is in VGG.
4. Networks of one stride (vision transformers): its blocks, which are the longest row of modules of one kind in one
   parent; of them the last in each fifth of the row. Content is the last but one.

Departures: the paper names conv layers. Their rectified values are what its weights are normalized by, and what its
public implementations read.
"""

from __future__ import annotations

from collections.abc import Iterable

from phosphene.errors import UsageError
from phosphene.models.model import Model
from phosphene.models.spec import Layer
from phosphene.models.tap import OUTPUT

DEPTHS = 5  # style layers of Gatys et al. 2015
VGG_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
VGG_CONTENT = ("relu4_2", "relu4_1")  # the first of them that is there
SQUEEZENET_FIRES = 8  # fire2 .. fire9, in versions 1.0 and 1.1
SQUEEZENET_STYLE = (1, 3, 4, 7)  # fire3, fire5, fire6, fire9, counted from fire2
SQUEEZENET_CONTENT = 3  # fire5

ACTIVATIONS = (  # class names in torch.nn; gates (Sigmoid, Hardsigmoid, Softmax) are none
    *("ReLU", "ReLU6", "LeakyReLU", "PReLU", "RReLU", "ELU", "CELU", "SELU"),
    *("GELU", "SiLU", "Mish", "Hardswish", "Softplus"),
)
WEIGHTED = ("Conv", "Linear")  # parts of the class names of layers that compute something new


def style_layers(model: Model) -> tuple[str, tuple[str, ...]]:
    """(content layer, style layers from shallow to deep) of a model, as said above; names that `find_layer` knows.

    Raises UsageError when no layer has space.
    """
    if model.roles is not None:
        return model.roles
    table = model.layers
    names = {name for layer in table.values() for name in (layer.name, *layer.aliases)}
    if names.issuperset(VGG_STYLE):
        return next(name for name in VGG_CONTENT if name in names), VGG_STYLE
    fires = [layer.name for layer in table.values() if layer.kind == "Fire"]
    if len(fires) == SQUEEZENET_FIRES:
        first = next(layer.name for layer in table.values() if layer.kind == "ReLU")
        return fires[SQUEEZENET_CONTENT], (first, *(fires[at] for at in SQUEEZENET_STYLE))
    scales = _scales(table.values())
    if not scales:
        raise UsageError(f"{model.name} has no layer with space, so none can stand for content or style")
    style = _first_of_each(scales)
    if len(style) < 2:
        style = _blocks_at_fifths(max(scales, key=len))
    return style[max(len(style) - 2, 0)], style


def _scales(layers: Iterable[Layer]) -> list[list[Layer]]:
    """The layers of each stride that is coarser than all before it, in the order of the forward pass."""
    scales: list[list[Layer]] = []
    coarsest = 0
    for layer in layers:
        if layer.name == OUTPUT or layer.stride is None:
            continue
        if layer.stride > coarsest:
            scales.append([])
            coarsest = layer.stride
        if layer.stride == coarsest:
            scales[-1].append(layer)
    return scales


def _first_of_each(scales: list[list[Layer]]) -> tuple[str, ...]:
    """The layer that stands for each scale, shallow to deep; not more than five."""
    found = [_representative(scale) for scale in scales]
    return tuple(name for name in found if name is not None)[:DEPTHS]


def _representative(scale: list[Layer]) -> str | None:
    activated = next((layer.name for layer in scale if layer.kind in ACTIVATIONS), None)
    if activated is not None:
        return activated
    if not any(word in layer.kind for layer in scale for word in WEIGHTED):
        return None
    return min(reversed(scale), key=lambda layer: layer.name.count(".")).name


def _blocks_at_fifths(scale: list[Layer]) -> tuple[str, ...]:
    """The last in each fifth of the longest row of modules of one kind in one parent; activations win a tie."""
    rows: dict[tuple[str, str], list[str]] = {}
    for layer in scale:
        rows.setdefault((layer.name.rpartition(".")[0], layer.kind), []).append(layer.name)
    _, row = max(rows.items(), key=lambda item: (len(item[1]), item[0][1] in ACTIVATIONS))
    ends = [-(-len(row) * k // DEPTHS) - 1 for k in range(1, DEPTHS + 1)]  # rounded up, so that the last is the last
    return tuple(row[end] for end in dict.fromkeys(ends))
