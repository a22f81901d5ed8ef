"""What of a recording stands for its content and what for its style, in a network that hears.

    random_sound  style: the log spectrum and the random filters of every width;  content: those of 8 frames
    yamnet        style: its mel spectrum;  content: as any other
    any other     as for pictures (`models/choice.py`): one layer of each of the first strides

A pitch is not a shift: where a network's layers have frequencies as positions (YAMNet) a statistic over positions lets
a sound move up and down, and the layers before them, whose channels are frequencies, hold it in place. YAMNet's own
layers also keep the optimizer from it: with them the loss of a robin's texture stays at half of white noise's, and what
`mel` alone finds has 6% of that same loss.
"""

from __future__ import annotations

from collections.abc import Sequence

from phosphene.audio.synthesis import Term
from phosphene.errors import UsageError
from phosphene.models import Model, style_layers
from phosphene.models.random_sound import NAMES as RANDOM_SOUNDS
from phosphene.models.random_sound import WIDTHS
from phosphene.models.yamnet import NAME as YAMNET
from phosphene.objectives import Content, Gram, Moments, Objective, Sum

LEVELS = "levels"  # the log spectrum of `random_sound`
MEL = "mel"  # the mel spectrum of YAMNet
KEPT = "width8.relu"  # its content: 90 ms, which keeps syllables and lets pitches go
CONTENT, STYLE, ORIGINAL = "content", "style", "original"  # what statistics call the recordings


def chosen(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(content layers, style layers) of a network that hears, where nobody names any."""
    if model.name in RANDOM_SOUNDS:
        return (KEPT,), (LEVELS, *(f"width{width}.relu" for width in WIDTHS))
    content, style = style_layers(model)
    return (content,), (MEL,) if model.name == YAMNET else style


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
