"""Accentuation: a unit raised in a picture that is given, without leaving the picture.

    unit  ->  unit - weight * (rise / away) * |F - P|^2 / |P|^2        at a layer; P: the features of the start picture

`rise` is what the unit gains in a short run from the picture when nothing holds it, and `away` how far its features
go then. So a weight of 1 is the price at which that run would have gained nothing, for any unit, layer and picture, and
the picture that is found lies between the two ends. The distance is that of feature inversion (Mahendran and Vedaldi
2015, arXiv 1412.0035); to hold a picture by it while a unit is raised is "feature accentuation" (Hamblin et al. 2024,
arXiv 2402.10039).

Departures: the paper finds its weight by trying, and optimises magnitudes and phases of a spectrum; here the weight is
measured, and the signal is what `--signal` says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from phosphene.errors import UsageError
from phosphene.features.diversity import DIGITS, Config, Make, shortened, single_units
from phosphene.features.measure import measure
from phosphene.features.members import subject
from phosphene.features.references import START, aimed, aimed_at, fitted
from phosphene.models import Model
from phosphene.objectives import Content, Objective
from phosphene.recipe import RenderConfig, Settings, check_least


@dataclass(frozen=True)
class NearConfig(Settings):
    """A unit raised in the picture or sound of --init: a term is added to the target, which holds it from then on."""

    near: str | None = None
    """Layer in whose features what is made stays near what it starts from (--init); none when left out."""
    near_weight: float = 1.0
    """How near: 1 is the price at which a short run from the start, held by nothing, would have gained nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, near_weight=0)


def kept_near(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    wanted: NearConfig,
    config: Config,
    make: Make[Config],
    start: Tensor | None,
) -> list[str | Objective]:
    """The targets, each unit with a term that holds its picture near the start; as they are when none is wanted.

    make: renders targets from the start. start: a picture (c, h, w) in [0, 1], or a sound (c, samples) as long as the
    clips. Raises UsageError without one, and for a layer without places.
    """
    asked: list[str | Objective] = [targets] if isinstance(targets, (str, Objective)) else list(targets)
    if wanted.near is None:
        return asked
    if start is None:
        raise UsageError("near holds what is made near what it starts from: give that with --init FILE (init=)")
    held = Content(wanted.near, START, form="relative").bind(model)
    units = single_units(model, asked, config)
    family = next((unit for unit in units if unit.together > 1), None)
    if family is not None:
        raise UsageError(f"near holds single pictures and clips, and {family} is a family; leave one of the two out")
    channels = model.spec.channels
    if isinstance(config, RenderConfig):
        canvas = config.canvas(model.picture_spec.size)
        start = fitted(start, canvas, channels, "a start picture")[:channels]
        distance = aimed(held, model, {START: start}, canvas)
    else:
        distance = aimed_at(held, model, start)
    free = make(units, shortened(config))
    priced: list[str | Objective] = []
    for unit, made in zip(units, free, strict=True):
        rise = abs(made.activation - measure(model, start, subject(unit)).value)
        away = -measure(model, made.values[:channels], distance).value
        price = rise / away if away > 0 and math.isfinite(rise / away) and rise > 0 else 1.0
        factor = float(f"{wanted.near_weight * price:.{DIGITS}g}")
        priced.append(unit + factor * held if factor else unit)
    return priced
