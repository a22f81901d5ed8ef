"""What a unit goes with: the units of its layer that respond alike, and the classes that excite it.

Both are read off an index. Correlations are those of scores over its sample of pictures: n pictures give a correlation
of two unrelated units a standard deviation of 1 / sqrt(n). They say what goes together in this data, not what causes
what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phosphene.cards.subject import Unit
from phosphene.examples.ranked import NO_PICTURE, Scores
from phosphene.models.tap import OUTPUT

FEWEST = 8  # pictures for a correlation
CLASSES = 8  # that are listed


@dataclass(frozen=True)
class Relation:
    """A unit or class by number and name, and its correlation, or for a class of the data its mean score."""

    number: int
    name: str
    value: float


@dataclass(frozen=True)
class Relations:
    """similar: units of the layer, most alike first. classes: of the data, by mean rectified score. outputs: classes of
    the network whose answers go with the unit. pictures: how many the correlations are over."""

    similar: tuple[Relation, ...]
    classes: tuple[Relation, ...]
    outputs: tuple[Relation, ...]
    pictures: int


def relations(unit: Unit, *, similar: int) -> Relations:
    """Those of a unit; empty where there are too few pictures, no classes, or no output in the index."""
    index, layer = unit.index, unit.eye.layer
    held = index.tally.sample.numbers != NO_PICTURE
    scores = index.tally.sample.scores[held]
    own = index.columns(layer).start + unit.eye.unit
    enough = len(scores) >= FEWEST
    alike = correlations(scores[:, index.columns(layer)], scores[:, own]) if enough else np.empty(0)
    near = [number for number in best(alike, similar + 1) if number != unit.eye.unit][:similar]
    seen: list[int] = []
    answers = np.empty(0)
    if enough and layer != OUTPUT and OUTPUT in index.layers:
        answers = correlations(scores[:, index.columns(OUTPUT)], scores[:, own])
        seen = best(answers, CLASSES)
    means = index.class_means[:, own] if index.header.classes else np.empty(0)
    return Relations(
        tuple(Relation(number, called(unit, number), float(alike[number])) for number in near),
        tuple(Relation(number, index.header.classes[number], float(means[number])) for number in best(means, CLASSES)),
        tuple(Relation(number, unit.eye.model.label(number), float(answers[number])) for number in seen),
        len(scores),
    )


def called(unit: Unit, number: int) -> str:
    """A unit of the same layer by layer and number, a class by its name."""
    layer = unit.eye.layer
    return unit.eye.model.label(number) if layer == OUTPUT else f"{layer}:{number}"


def correlations(scores: Scores, own: Scores) -> NDArray[np.float64]:
    """(units,) Pearson's correlation of each column of scores (n, units) with own (n,); NaN for what never varies."""
    wide, narrow = scores.astype(np.float64), own.astype(np.float64)
    wide, narrow = wide - wide.mean(0), narrow - narrow.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = wide.T @ narrow / np.sqrt((wide**2).sum(0) * (narrow**2).sum())
    return found


def best(values: NDArray[np.float64], count: int) -> list[int]:
    """The places of the largest finite values, largest first."""
    order = np.argsort(-np.nan_to_num(values, nan=-math.inf), kind="stable")
    return [int(at) for at in order[:count] if math.isfinite(values[at])]
