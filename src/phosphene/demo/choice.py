"""What of a network is worth showing, found by rules that hold for any network.

For the network that ships with phosphene the choice is made by name; where a name is missing, the rules fill its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from phosphene.errors import UsageError
from phosphene.features.plan import named
from phosphene.models import Layer, Model, style_layers
from phosphene.objectives import OUTPUT, Channel, Logit, Probability
from phosphene.textures.dataset import SMALLEST

LARGEST_SIDE = 128  # pixels: minivgg's own; a third of the work of ImageNet's 224
DEPTH = 0.6  # of the layer table: past edges and colors, before whole objects
NEAR = 0.25  # of the layer table: a convolution this far from that depth is still taken; a ViT's only one is its first
MIDDLE_LAYER = "conv4_1"  # the same depth in networks with the names of VGG
SHEET_UNITS = 12
RECTIFIERS = ("ReLU", "ReLU6")  # layers that give exactly 0 where they are silent


def has_classes(model: Model) -> bool:
    """Whether the network answers with one number per class."""
    output = model.layers.get(OUTPUT)
    return output is not None and output.layout == "vector" and output.channels >= 2


def pick_classes(model: Model, count: int, wanted: Sequence[str] = ()) -> list[int]:
    """Up to `count` classes: the wanted names that the network has, then ones evenly spread over the rest."""
    labels = list(model.labels or ())
    chosen = [labels.index(name) for name in wanted if labels.count(name) == 1][:count]
    rest = [i for i in range(model.layers[OUTPUT].channels) if i not in chosen]
    missing = min(count - len(chosen), len(rest))
    return chosen + [rest[(2 * k + 1) * len(rest) // (2 * missing)] for k in range(missing)]


def class_targets(model: Model, classes: Sequence[int], kind: type[Logit | Probability] = Logit) -> tuple[str, ...]:
    """Targets such as `logit:star`; by number where the network has no name that is unambiguous."""
    return tuple(str(named(kind((index,)), model)) for index in classes)


def middle_layer(model: Model) -> Layer | None:
    """A layer in the middle of the network that has maps: a convolution where one is near; None without any."""
    inner = [layer for layer in model.layers.values() if layer.name != OUTPUT]
    maps = [layer for layer in inner if len(layer.spatial) == 2 and min(layer.spatial) > 1]
    familiar = next((layer for layer in maps if MIDDLE_LAYER in (layer.name, *layer.aliases)), None)
    wide = [layer for layer in maps if layer.channels >= SHEET_UNITS] or maps
    order = {name: i for i, name in enumerate(model.layers)}

    def distance(layer: Layer) -> float:
        return abs(order[layer.name] / len(order) - DEPTH)

    near = [layer for layer in wide if layer.kind.startswith("Conv") and distance(layer) <= NEAR]
    return familiar or min(near or wide, key=distance, default=None)


def rectifiers(model: Model) -> list[Layer]:
    """The rectifier layers that have maps, deepest first."""
    found = [layer for layer in model.layers.values() if layer.kind in RECTIFIERS and len(layer.spatial) == 2]
    return found[::-1]


def layer_name(layer: Layer) -> str:
    """What people call a layer: its name in the literature, where it has one."""
    return layer.aliases[0] if layer.aliases else layer.name


def unit_target(layer: Layer, *units: int) -> str:
    """A target such as `conv4_1:0..11`."""
    return str(Channel(layer_name(layer), units))


def canvas(model: Model) -> tuple[int, int]:
    """(height, width) of the demo's pictures: the network's own input, or a smaller one where that is large.

    A network that takes nothing but its own input gets that.
    """
    height, width = model.picture_spec.size
    if height * width <= LARGEST_SIDE**2 or not takes(model, LARGEST_SIDE, [OUTPUT]):
        return height, width
    return LARGEST_SIDE, LARGEST_SIDE


def takes(model: Model, side: int, layers: Sequence[str]) -> bool:
    """Whether the network gives these layers for pictures of that many pixels a side."""
    try:
        with torch.no_grad():
            gray = torch.full((1, model.spec.channels, side, side), 0.5, device=model.device)
            model.activations(gray, layers)
    except Exception:  # a stranger's network raises what it likes
        return False
    return True


def lacks_style(model: Model) -> str:
    """Why a network has neither content nor style to show; "" where it has both."""
    if model.spec.channels != 3:
        return f"{model.name} takes {model.spec.channels} channels, and the pictures of this part have three."
    try:
        style_layers(model)
    except UsageError as error:
        return f"{error}."
    return ""


def sides(model: Model, size: tuple[int, int], wanted: int) -> tuple[int, bool]:
    """Side of a square picture for style, and whether other sizes may lead up to it.

    `wanted` pixels, or fewer in proportion where the demo's pictures are smaller than usual. A network that takes
    nothing but its own input gets that.
    """
    layers = style_layers(model)[1]
    side = max(SMALLEST, wanted * min(LARGEST_SIDE, max(size)) // LARGEST_SIDE)
    if all(takes(model, other, layers) for other in {side, min(side, LARGEST_SIDE)}):
        return side, True
    return max(size), False
