"""The terms of a sound's loss: relative distances from a recording, of the statistics of some layers or of features.

    style    mean over layers of |G - A|^2 / |A|^2      wherever in the recording it is
    content  mean over layers of |F - P|^2 / |P|^2      position by position

Which layers, where nobody names any, is the network's own matter (`models/choice.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from phosphene.audio.synthesis import Term
from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import Content, Gram, Moments, Objective, Sum

CONTENT, STYLE, ORIGINAL = "content", "style", "original"  # what statistics call the recordings


def layers_of(text: str | None, own: Sequence[str], model: Model) -> tuple[str, ...]:
    """The layers that a text names, joined by commas, else `own`; UsageError where one is there twice or unknown."""
    names = tuple(part.strip() for part in text.split(",") if part.strip()) if text is not None else tuple(own)
    found = [model.find_layer(name).name for name in names]
    if not found or len({*found}) < len(found):
        raise UsageError(f"layers are named once each and joined by commas, got {text!r}")
    return names


def style_term(layers: Sequence[str], statistic: str, weight: float, model: Model) -> Term:
    """The mean over some layers of the relative distance of their statistics from those of the style."""
    leaves = [
        Gram(layer, of=STYLE, norm="relative") if statistic == "gram" else Moments(layer, of=STYLE, norm="relative")
        for layer in layers
    ]
    return Term(weight, mean(leaves).bind(model))


def content_term(layers: Sequence[str], of: str, weight: float, model: Model) -> Term:
    """The mean over some layers of the relative difference from a recording, position by position."""
    return Term(weight, mean([Content(layer, of=of, form="relative") for layer in layers]).bind(model))


def mean(leaves: Sequence[Objective]) -> Objective:
    """The mean of some objectives."""
    return leaves[0] if len(leaves) == 1 else Sum(tuple(leaves)) * (1 / len(leaves))
