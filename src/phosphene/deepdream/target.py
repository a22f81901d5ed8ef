"""What a dream raises: whole layers, units, or what is nearest to a guide's features.

    plain    mean of F(p)^2 over positions p and channels         a whole layer (Mordvintsev et al. 2015)
    guided   mean over p of max over q of F(p) . G(q)             G: the guide's features at its positions q

The guided score's gradient at p is the guide's best matching feature vector, which is what the notebook of 2015 writes
into its layer in place of F.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from phosphene.deepdream.octaves import fitted, resized
from phosphene.errors import UsageError
from phosphene.models import Model, style_layers
from phosphene.objectives import INPUT, Acts, Objective, WholeLayer, parse

BETWEEN = re.compile(r",\s*(?=[A-Za-z_])")  # a comma before a name; one before a number belongs to a unit's own text
CHUNK = 1 << 24  # products of features at a time: 64 MB of float32


@dataclass(frozen=True, eq=False)
class Guided(Objective, registered=False):
    """How well each position of a layer agrees with the guide's position that it agrees with best.

    layer: dotted name. guide: (c, m), the guide's features at m positions; in no text.
    """

    layer: str
    guide: Tensor = field(repr=False)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    @property
    def rows(self) -> int:
        return 1

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        features = acts[self.layer].float().flatten(2)
        guide = self.guide.to(features.device)
        matched = guide[:, nearest(features.detach(), guide)].transpose(0, 1)
        scores = (features * matched).sum(1).mean(1)
        return scores.view(acts[INPUT].shape[0], -1).mean(1)

    def __str__(self) -> str:
        return f"guided({self.layer})"


def nearest(features: Tensor, guide: Tensor) -> Tensor:
    """(b, n) for features (b, c, n): which of the guide's (c, m) each has the largest dot product with."""
    share = max(1, CHUNK // max(1, guide.shape[1] * len(features)))
    parts = torch.split(features.transpose(1, 2), share, dim=1)
    return torch.cat([(part @ guide).argmax(2) for part in parts], 1)


def target(model: Model, layers: str | None, guide: Tensor | None = None) -> Objective:
    """The sum of the targets that `layers` names, for one picture.

    layers: LAYER or LAYER:UNIT, joined by commas, or any target; chosen for the network when None. guide: (3, h, w)
    in [0, 1]. Raises UsageError for what the network lacks, for several pictures, and for units beside a guide.
    """
    parts = [parse(text).bind(model) for text in BETWEEN.split(layers if layers is not None else chosen(model))]
    several = next((part for part in parts if part.rows != 1), None)
    if several is not None:
        raise UsageError(f"a dream is one picture, and {several} asks for {several.rows}; name one unit")
    if guide is not None:
        parts = list(_guided(model, parts, guide))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


def chosen(model: Model) -> str:
    """The layer that is dreamed with where nobody names one: the last but one of those that stand for style."""
    layers = style_layers(model)[1]
    return layers[max(len(layers) - 2, 0)]


def _guided(model: Model, parts: list[Objective], guide: Tensor) -> Iterator[Objective]:
    layers = [part.layer for part in parts if isinstance(part, WholeLayer)]
    if len(layers) < len(parts):
        raise UsageError("a guide chooses the features itself: name layers without units")
    size = fitted(int(guide.shape[1]), int(guide.shape[2]), max(model.picture_spec.size))
    with torch.no_grad():
        acts = model.activations(resized(guide[None], size).to(model.device), layers)
    for layer in layers:
        yield Guided(layer, acts[layer][0].float().flatten(1))
