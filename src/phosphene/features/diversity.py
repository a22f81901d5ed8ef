"""Several pictures of one unit that differ: from a unit to a target of many rows (Olah et al. 2017, "Diversity").

    unit  ->  unit + weight * rise * diversity(layer, group=n)

The layer is the unit's own, for a unit without places (a class) the last one before it that has some. Activations of
two units differ a hundredfold, so the weight counts in what the unit itself rises: from a gray picture to a picture
made for it alone, in a short run. The largest weight that still holds is found by bisection, in short runs too.

Departures: lucid leaves the weight and the layer to the user and says that it takes trying; here both have a value,
and the target that comes out names them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from torch import Tensor

from phosphene.errors import UsageError
from phosphene.features.audio_config import AudioConfig
from phosphene.features.measure import measure
from phosphene.features.members import subject
from phosphene.features.plan import named, with_opacity
from phosphene.models import Model
from phosphene.objectives import INPUT, Classes, Diversity, Objective, Scale, parse
from phosphene.recipe import DiversityConfig, RenderConfig

SHORT = 64  # steps of a run that only measures: a picture has most of its activation by then
HOLDS = 0.7  # share of the unit's rise that every member keeps in a short run; it ends with more, about 0.8
OCTAVES = (-6.0, 2.0)  # where the largest weight is looked for, as powers of 2
TRIES = 5  # bisections: a quarter of an octave is left
AUTO_PICTURES = 4  # of one unit, where only `auto` was said
DIGITS = 3  # of a weight: what is beyond them is noise

Config = TypeVar("Config", RenderConfig, AudioConfig)


class Made(Protocol):
    """A picture or a sound that was made for a unit."""

    @property
    def activation(self) -> float: ...
    @property
    def values(self) -> Tensor: ...
    def blank(self) -> Tensor: ...


# makes the pictures or sounds of some targets under a config, quietly
Make = Callable[[Sequence[Objective], Config], Sequence[Made]]


def diversify(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    wanted: DiversityConfig,
    config: Config,
    make: Make[Config],
    *,
    say: Callable[[str], object] = str,
) -> list[str | Objective]:
    """The targets with a term that makes several pictures of each unit differ; as they are when one is wanted.

    config, make: of pictures or of sounds; `make` renders targets. say: is told that a weight is searched for, and
    each that was found.
    Raises UsageError for targets that have no unit in a network, or are families already.
    """
    asked: list[str | Objective] = [targets] if isinstance(targets, (str, Objective)) else list(targets)
    count = AUTO_PICTURES if wanted.diversity == "auto" else wanted.diversity
    if count == 1:
        return asked
    units = single_units(model, asked, config)
    layers = [compared_layer(model, unit) for unit in units]
    short = shortened(config)
    rises = [_rise(model, unit, picture) for unit, picture in zip(units, make(units, short), strict=True)]
    families = [_Family(*part, count) for part in zip(units, layers, rises, strict=True)]
    if wanted.diversity != "auto" and wanted.diversity_weight != "auto":
        return [family.target(wanted.diversity_weight) for family in families]
    say(f"looking for the largest diversity weight that holds: {TRIES} runs of {short.steps} steps")
    weights = largest(families, lambda tried: make(tried, short))
    for family, weight in zip(families, weights, strict=True):
        say(f"{named(family.unit, model)}: the largest diversity weight that holds is {weight:.{DIGITS}g}")
    return [family.target(weight) for family, weight in zip(families, weights, strict=True)]


def single_units(
    model: Model, targets: Sequence[str | Objective], config: RenderConfig | AudioConfig
) -> list[Objective]:
    """The targets bound, row by row."""
    bound = [(parse(t) if isinstance(t, str) else t).bind(model) for t in targets]
    if isinstance(config, RenderConfig):
        bound = [with_opacity(target, config) for target in bound]
    return [target.take([row]) for target in bound for row in range(target.rows)]


def shortened(config: Config) -> Config:
    """The same settings for a run that only measures."""
    return replace(config, steps=min(config.steps, SHORT))


def compared_layer(model: Model, unit: Objective) -> str:
    """The layer at which pictures of a unit (bound, one row) are compared.

    Its own; of a class or a unit without places the last one before it that has some, and whose channels are not maps
    of the classes already: those differ only in where the class is.
    """
    if unit.together > 1:
        raise UsageError(f"{unit} is a family already; leave --diversity out")
    own = getattr(subject(unit), "layer", INPUT)
    if own == INPUT:
        raise UsageError(f"{unit} has no unit in a network; write where its pictures are to differ: + diversity(LAYER)")
    if math.prod(model.layers[own].spatial) > 1 and not isinstance(subject(unit), Classes):
        return own
    before = list(model.layers.values())[: list(model.layers).index(own)]
    channels = model.layers[own].channels
    found = [layer.name for layer in before if math.prod(layer.spatial) > 1 and layer.channels != channels]
    if not found:
        raise UsageError(f"no layer before {own} has places; write another one: {unit} + diversity(LAYER, group=4)")
    return found[-1]


class _Family:
    """A unit, and what its pictures are compared by. rise: (activation on gray or silence, and of its own picture)."""

    def __init__(self, unit: Objective, layer: str, rise: tuple[float, float], pictures: int) -> None:
        self.unit, self.layer, self.rise, self.pictures = unit, layer, rise, pictures

    def target(self, weight: float) -> Objective:
        """The target of the whole family; the weight is written once for each row, so that families share batches."""
        rise = abs(self.rise[1] - self.rise[0])
        factor = float(f"{weight * (rise if rise > 0 and math.isfinite(rise) else 1.0):.{DIGITS}g}")
        return self.unit + Scale((factor,) * self.pictures, Diversity(self.layer, self.pictures))

    def holds(self, members: Sequence[Made]) -> bool:
        """Whether every member keeps its share of the rise."""
        blank, alone = self.rise
        return all((one.activation - blank) * (alone - blank) >= HOLDS * (alone - blank) ** 2 for one in members)


def largest(families: Sequence[_Family], make: Callable[[Sequence[Objective]], Sequence[Made]]) -> list[float]:
    """The largest weight of each family that holds, to a quarter of an octave; all families are tried at once."""
    low, high = [OCTAVES[0]] * len(families), [OCTAVES[1]] * len(families)
    for _ in range(TRIES):
        middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        made = make([family.target(2**octave) for family, octave in zip(families, middle, strict=True)])
        start = 0
        for i, family in enumerate(families):
            ends = low if family.holds(made[start : start + family.pictures]) else high
            ends[i] = middle[i]
            start += family.pictures
    return [float(f"{2**octave:.{DIGITS}g}") for octave in low]


def _rise(model: Model, unit: Objective, made: Made) -> tuple[float, float]:
    return measure(model, made.blank(), subject(unit)).value, made.activation
