"""What is minimized, and on which schedule: presets that keep the meaning of other tools' weights, and ours.

    loss = content_weight * content + style_weight * sum over layers of w_l * style_l + tv_weight * tv2

With F a layer's features (C channels, N positions) and S = |F F^T - A A^T|^2 at equal N, the style term of a layer and
the content term are

    gatys2015         S / (4 C^2 N^2) each fifth            1/2 sum (F - P)^2     Gatys et al. 2015 (arXiv 1508.06576)
    gatys-notebook    1e3 S / (C^4 N^2)                     mean (F - P)^2        the authors' notebook, 2017
    neural-style      1e2 S / (C^4 N^2)                     5 mean (F - P)^2      jcjohnson 2015, and its heirs
    pytorch-tutorial  1e6 S / (C^4 N^2), conv1_1 .. conv3_1 mean (F - P)^2 at conv2_2
    quality           |G - A|^2 / |A|^2 each fifth          mean (F - P)^2 / mean P^2

The others' weights presume a VGG whose input lies in 0 .. 255 (`vgg19_cd16x` does); the relative terms of `quality` are
shares, 1 for a picture without any features, so its weights mean the same on every network, layer and size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from phosphene.errors import UsageError, unknown
from phosphene.models import Model
from phosphene.models.choice import style_layers
from phosphene.objectives import Content, Gram, Moments, Objective, Scale, SlicedWasserstein, Sum
from phosphene.recipe import Edges, StyleConfig

STARTS = ("content", "noise", "white", "style")
VGG_RELU = tuple(f"relu{block}_1" for block in range(1, 6))
TUTORIAL = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")  # its conv_1 .. conv_5; not the paper's
ADAM_LR = 0.02  # Crowson's, 2021; measured too: 0.05, the engine's, leaves grain
EIGHT_BIT = 255.0**2  # squares of differences in 0 .. 255 over those in 0 .. 1


@dataclass(frozen=True)
class Method:
    """A preset with every choice made. content_layers, style_layers: () = chosen for the network."""

    content_weight: float
    style_weight: float
    tv_weight: float = 0.0
    content_layers: tuple[str, ...] = ()
    style_layers: tuple[str, ...] = ()
    layer_weights: tuple[float, ...] = (1.0,)
    statistic: Literal["gram", "moments", "sliced"] = "gram"
    norm: Literal["paper", "mean", "sum", "relative"] = "mean"
    form: Literal["sum", "mean", "relative"] = "mean"
    start: str = "content"
    smallest: int = 0
    steps: int = 500
    coarse_steps: int = 0
    details: bool = True
    warm: bool = True
    pooling: Literal["max", "average"] = "max"
    edges: Edges = "own"
    normalized: bool = False
    average: float = 0.0
    signal: Literal["fourier", "pixels"] = "pixels"
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    lr: float | None = None
    history: int = 100


FIFTHS = (0.2,) * 5
ONES = (1.0,) * 5
PRESETS: dict[str, Method] = {
    "quality": Method(
        content_weight=0.005,
        style_weight=1.0,
        layer_weights=FIFTHS,
        norm="relative",
        form="relative",
        smallest=128,
        steps=60,
        coarse_steps=15,
        edges="replicated",
        signal="fourier",
        history=40,
    ),
    "gatys2015": Method(
        content_weight=1e-3,  # alpha / beta of most figures
        style_weight=1.0,
        content_layers=("relu4_2",),
        style_layers=VGG_RELU,
        layer_weights=FIFTHS,
        norm="paper",
        form="sum",
        start="noise",
        pooling="average",
        normalized=True,
    ),
    "gatys-notebook": Method(
        content_weight=1.0,
        style_weight=1e3,
        content_layers=("relu4_2",),
        style_layers=VGG_RELU,
        layer_weights=ONES,
    ),
    "neural-style": Method(
        content_weight=5.0,
        style_weight=1e2,
        tv_weight=1e-3 * EIGHT_BIT * 3 / 2,  # it halves the squares and adds up three channels
        content_layers=("relu4_2",),
        style_layers=VGG_RELU,
        layer_weights=ONES,
        start="noise",
        steps=1000,
    ),
    "pytorch-tutorial": Method(
        content_weight=1.0,
        style_weight=1e6,
        content_layers=("conv2_2",),
        style_layers=TUTORIAL,
        layer_weights=ONES,
        steps=300,
    ),
}


def method(config: StyleConfig, model: Model) -> tuple[Method, list[str]]:
    """The preset with the user's own choices in it, fitted to a network; and what was chosen, to be said aloud.

    Raises UnknownNameError for a layer that the network lacks, UsageError for lists that do not fit each other.
    """
    preset = PRESETS[config.preset]
    names = (
        "content_weight", "style_weight", "tv_weight", "statistic", "start", "smallest", "steps", "pooling", "edges",
        "average", "normalized", "details", "warm", "signal", "optimizer", "lr", "history",
    )  # fmt: skip
    given = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    made = replace(preset, **given)
    if made.optimizer == "adam" and made.lr is None:
        made = replace(made, lr=ADAM_LR)
    if made.smallest and (config.steps is not None or not made.coarse_steps):
        made = replace(made, coarse_steps=made.steps)
    if not made.content_weight and not made.style_weight:
        raise UsageError("content_weight and style_weight are both 0: nothing is asked for")
    made, notes = _with_layers(made, config, model)
    weights = numbers(config.layer_weights, "layer_weights") or made.layer_weights
    if len(weights) not in (1, len(made.style_layers)):
        count = len(made.style_layers)
        if config.layer_weights is None:
            weights = (sum(weights) / count,)  # another network, other layers: the same sum
        else:
            raise UsageError(f"{len(weights)} layer_weights for {count} style layers {', '.join(made.style_layers)}")
    if len(weights) == 1:
        weights *= len(made.style_layers)
    if not (all(0 <= weight < float("inf") for weight in weights) and sum(weights) > 0):
        raise UsageError(f"layer_weights must be 0 or more and not all 0, got {config.layer_weights}")
    if config.layer_weights is not None:
        share = sum(preset.layer_weights) / sum(weights)
        weights = tuple(weight * share for weight in weights)
    return replace(made, layer_weights=tuple(weights)), notes


def _with_layers(made: Method, config: StyleConfig, model: Model) -> tuple[Method, list[str]]:
    """The layers: the user's, else the preset's where the network has them, else those chosen for the network."""
    notes: list[str] = []
    known = {name for layer in model.layers.values() for name in (layer.name, *layer.aliases)}
    own_content, own_style = style_layers(model)
    content = names(config.content_layers) or made.content_layers
    style = names(config.style_layers) or made.style_layers
    if config.content_layers is None and not (content and known.issuperset(content)):
        content = (own_content,)
    if config.style_layers is None and not (style and known.issuperset(style)):
        style = own_style
    if config.content_layers is None and made.content_weight:
        notes.append(f"content layer of {model.name}: {', '.join(content)}")
    if config.style_layers is None and made.style_weight:
        notes.append(f"style layers of {model.name}: {', '.join(style)}")
    check_layers("content", content, model)
    check_layers("style", style, model)
    return replace(made, content_layers=content, style_layers=style), notes


def content_terms(made: Method) -> list[Objective]:
    """The content losses, weighted, as objectives (higher is better)."""
    if not made.content_weight:
        return []
    share = made.content_weight / len(made.content_layers)
    return [Scale(share, Content(layer, form=made.form)) for layer in made.content_layers]


def style_terms(made: Method, *, of: str = "style", mask: str = "", share: float = 1.0) -> list[Objective]:
    """The style losses of one style picture, weighted by layer, as objectives."""
    weighted = [
        (share * made.style_weight * weight, layer)
        for layer, weight in zip(made.style_layers, made.layer_weights, strict=True)
        if weight and share and made.style_weight
    ]
    return [Scale(weight, statistic(made, layer, of, mask)) for weight, layer in weighted]


def statistic(made: Method, layer: str, of: str, mask: str) -> Objective:
    """The leaf that compares one layer."""
    if made.statistic == "moments":
        return Moments(layer, of=of, mask=mask)
    if made.statistic == "sliced":
        return SlicedWasserstein(layer, of=of, mask=mask)
    return Gram(layer, of=of, mask=mask, norm=made.norm)


def joined(terms: Sequence[Objective]) -> Objective:
    """The sum of some terms."""
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def names(text: str | None) -> tuple[str, ...]:
    """`relu1_1,relu2_1` as names; () for None."""
    if text is None:
        return ()
    found = tuple(part.strip() for part in text.split(","))
    if not all(found):
        raise UsageError(f"layers are names joined by commas, got {text!r}")
    return found


def check_layers(kind: str, chosen: Sequence[str], model: Model) -> None:
    """Raise UnknownNameError for a layer that the network lacks, UsageError for one that is named twice."""
    found = [model.find_layer(name).name for name in chosen]
    if len({*found}) < len(found):
        raise UsageError(f"a {kind} layer is named twice: {', '.join(chosen)}")


def numbers(text: str | None, option: str) -> tuple[float, ...]:
    """`1,0.5` as numbers; () for None."""
    if text is None:
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} is numbers joined by commas, got {text!r}") from None


def check_start(start: str) -> str:
    """One of the starts by name; raises UnknownNameError otherwise."""
    if start not in STARTS:
        raise unknown("start", start, "style", STARTS)
    return start
