"""Units that are silent where every picture starts, without and with redirected gradients.

Behind a rectifier that gives 0 there is no gradient: the picture stays the gray noise that it was. `models/redirect.py`
lets the gradient through while a unit is silent. Source: redirected ReLU, lucid (Olah et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from phosphene.demo.choice import layer_name, rectifiers, unit_target
from phosphene.demo.piece import Piece, Stage, Take, Work, short
from phosphene.features.batch import parts, visible
from phosphene.features.picture import Sheet
from phosphene.features.plan import plan
from phosphene.models import Layer
from phosphene.recipe import RenderConfig, SignalConfig

STEPS = 96  # enough to wake a unit; without redirection none would be
COUNT = 2
CANDIDATES = 16  # units that are looked at one by one, each on the noise that its own picture starts from
MARGIN = 4.0  # times the noise of the start: a unit that answers this would wake by itself while the views are shaken
LOUD = 1.0  # noise_start of pictures that hold every color and edge, 100 times the usual: units that live answer them


@dataclass(frozen=True)
class Found:
    """A layer, how many of its units say nothing on a start picture, and some of those, the liveliest first."""

    layer: Layer
    silent: int
    units: tuple[int, ...]


def make(stage: Stage) -> Work:
    """Two silent units, each without and with redirection."""
    name, searched = stage.model.name, rectifiers(stage.model)
    if not searched:
        return PIECE.section(note=f"{name} has no rectifier layers with maps, so no unit is cut off from its gradient.")
    found = find(stage, searched)
    if found is None:
        return PIECE.section(note=f"No unit of {name} is silent at the start: its gradients need no help.")
    target = unit_target(found.layer, *found.units)
    takes = [Take((target,), STEPS, "off", redirect=False), Take((target,), STEPS, "on")]
    off = yield from stage.render(takes[0])
    on = yield from stage.render(takes[1])
    figures = []
    for pair in zip(off, on, strict=True):
        for word, picture in zip(("off", "on"), pair, strict=True):
            figures.append(
                stage.figure(
                    picture, (f"unit {picture.unit}, redirect {word}", f"activation {short(picture.activation)}")
                )
            )
    return PIECE.section(
        text=(
            f"A rectifier that gives 0 lets no gradient through. On a start picture, {found.silent} of the "
            f"{found.layer.channels} units of `{layer_name(found.layer)}` give 0 at every place: from there, no change "
            "of the picture seems to help, and many tools hand back the gray noise that they began with.",
            "phosphene redirects the gradient past the rectifiers while a unit is silent, and says so where a unit "
            f"stays silent all the same. {outcome(off, on)}",
        ),
        figures=tuple(figures),
        commands=tuple(map(stage.command, takes)),
    )


def outcome(off: Sheet, on: Sheet) -> str:
    """One sentence that says how often each of the two went well."""
    without, with_ = (sum(picture.status == "ok" for picture in sheet) for sheet in (off, on))
    return f"Pictures of these units: {without} of {len(off)} without redirection, {with_} of {len(on)} with it."


def find(stage: Stage, layers: Sequence[Layer]) -> Found | None:
    """The first of `layers` with silent units; None when no layer has one."""
    config = stage.config(Take((), STEPS))
    loud = replace(config, signal=SignalConfig(noise_start=LOUD))
    names = [layer.name for layer in layers]
    target = unit_target(layers[0], 0)
    quiet_acts = stage.model.activations(start(stage, target, config), names)
    loud_acts = stage.model.activations(start(stage, target, loud), names)
    for layer in layers:
        peaks = quiet_acts[layer.name][0].flatten(1).amax(1)
        silent = (peaks <= 0).nonzero().flatten()
        answers = loud_acts[layer.name][0].flatten(1).mean(1)[silent]
        liveliest = silent[answers.argsort(descending=True, stable=True)][:CANDIDATES].tolist()
        units = [unit for unit in liveliest if is_silent(stage, layer, unit, config)][:COUNT]
        if units:
            return Found(layer, len(silent), tuple(units))
    return None


def is_silent(stage: Stage, layer: Layer, unit: int, config: RenderConfig) -> bool:
    """Whether a unit says nothing on the very picture that it will start from, nor on a noisier one."""
    noisier = replace(config, signal=SignalConfig(noise_start=MARGIN * config.signal.noise_start))
    x = torch.cat([start(stage, unit_target(layer, unit), each) for each in (config, noisier)])
    return bool((stage.model.activations(x, [layer.name])[layer.name][:, unit] <= 0).all())


def start(stage: Stage, target: str, config: RenderConfig) -> Tensor:
    """The picture (1, c, h, w) that a target starts from."""
    work = plan(stage.model, target, config)
    signal, _ = parts(work, work.groups[0], 1, None, stage.model.device)
    return visible(signal)[0].to(stage.model.device)


PIECE = Piece("silent", "Units that are silent at first", 2 * COUNT * STEPS, make)
