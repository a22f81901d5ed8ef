"""`Index`: what a scan found, asked by layer and unit.

    index = ph.Index.load("out/scan")
    for example in index.top("features.12", 7, k=9):
        print(example.key, example.score, example.position)

Scores are the largest responses over positions, in float32. What lies between the extremes is drawn from the sample.
Class selectivity is (m - r) / (m + r), with the mean score m of the best class and the mean r of the others' means
(Morcos, Barrett, Rabinowitz and Botvinick, ICLR 2018, arXiv 1803.06959).

Departures: Morcos et al. average a map over positions, where we take the rectified score, the largest response: it is
what the examples are ranked by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from phosphene.errors import UsageError, unknown
from phosphene.examples import exact
from phosphene.examples.data import Pictures
from phosphene.examples.example import Example, Examples
from phosphene.examples.header import Header, IndexFileError, LayerHeader, ModelHeader
from phosphene.examples.histogram import ZERO, edges
from phosphene.examples.kinds import PICTURE, SOUND, kind_scanned
from phosphene.examples.ranked import NO_PICTURE, Numbers, Places, Scores
from phosphene.examples.recordings import begins
from phosphene.examples.tally import Tally
from phosphene.models import Model

SLIGHTLY_NEGATIVE, SLIGHTLY_POSITIVE = 0.25, 0.75  # quantiles of the scores


@dataclass(frozen=True)
class UnitStatistics:
    """A unit over all pictures: count, mean and variance of its scores, the share of scores that are exactly 0, and
    with classes its selectivity (0 to 1; NaN when it never responds) and the name of the class it prefers."""

    count: int
    mean: float
    variance: float
    zeros: float
    selectivity: float | None
    best_class: str | None


@dataclass(frozen=True)
class Index:
    """What a scan found. header: everything but the numbers. data: the pictures, if known; they show in notebooks."""

    header: Header
    tally: Tally
    data: Pictures | None = None

    def __repr__(self) -> str:
        layers = len(self.header.layers)
        return (
            f"Index({self.header.model.name!r}, {self.images} {self.word}s, {layers} layers, {self.tally.units} units)"
        )

    @classmethod
    def load(cls, path: str | Path, *, model: Model | None = None) -> Self:
        """Read an index. model: the network that it must be of.

        Raises IndexFileError when it is absent, damaged, of a newer version, or of another network or other weights.
        """
        from phosphene.examples.store import load

        header, tally = load(Path(path))
        if model is not None:
            header.model.check(ModelHeader.of(model), f"index '{path}'")
        return cls(header, tally)

    def save(self, path: str | Path) -> Path:
        """Write the index as the folder `path`, whole or not at all; returns it."""
        from phosphene.examples.store import save

        return save(Path(path), self.header, self.tally)

    def with_data(self, data: Any) -> Self:
        """The same with its pictures, whatever `open_data` takes, so that examples show them in a notebook."""
        return replace(self, data=kind_scanned(self.header).open(data))

    @property
    def images(self) -> int:
        """How many pictures the network has seen."""
        return self.header.images

    @property
    def word(self) -> str:
        """What the examples are: "picture" or "sound", a piece of a recording."""
        return SOUND if self.header.model.rate else PICTURE

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """(key, reason) of pictures that were left out; the first ten thousand of them."""
        return self.header.skipped.pictures

    @property
    def complete(self) -> bool:
        """Whether all of the data was looked at."""
        return all(one.ranges == ((0, one.size),) for one in self.header.covered)

    @property
    def layers(self) -> dict[str, int]:
        """{name: units} of the layers."""
        return {layer.name: layer.units for layer in self.header.layers}

    def find_layer(self, name: str) -> LayerHeader:
        """A layer by dotted name or alias; UnknownNameError with the nearest names otherwise."""
        for layer in self.header.layers:
            if name == layer.name or name in layer.aliases:
                return layer
        raise unknown(
            "layer", name, "the index", [*self.layers, *(a for one in self.header.layers for a in one.aliases)]
        )

    def top(self, layer: str, unit: int, *, k: int = 9) -> Examples:
        """The k pictures with the highest scores, best first. Raises UsageError for a k above what the index keeps."""
        column = self._column(layer, unit, k)
        best = self.tally.top
        return self._examples(layer, unit, "highest", best.scores[column], best.numbers[column], best.places[column], k)

    def bottom(self, layer: str, unit: int, *, k: int = 9) -> Examples:
        """The k pictures with the lowest scores, lowest first."""
        column = self._column(layer, unit, k)
        last = self.tally.bottom
        return self._examples(layer, unit, "lowest", last.scores[column], last.numbers[column], last.places[column], k)

    def near(self, layer: str, unit: int, quantile: float, *, k: int = 9) -> Examples:
        """The k pictures of the sample nearest in rank to a quantile of the scores (0 to 1), lower ones first.

        The error of the quantile is that of a sample: with 256 pictures a standard deviation of 3% at the median.
        """
        if not 0 <= quantile <= 1:
            raise UsageError(f"a quantile lies between 0 and 1, got {quantile}")
        column = self._column(layer, unit, 1)
        drawn = self.tally.sample
        held = np.flatnonzero(drawn.numbers != NO_PICTURE)
        order = held[np.lexsort((drawn.numbers[held], drawn.scores[held, column]))]
        first = max(0, min(round(quantile * (len(order) - 1) - (k - 1) / 2), len(order) - k))
        rows = order[first : first + k]
        what = f"near the {100 * quantile:g}% quantile"
        return self._examples(
            layer, unit, what, drawn.scores[rows, column], drawn.numbers[rows], drawn.places[rows, column], k
        )

    def spectrum(self, layer: str, unit: int, *, k: int = 9) -> dict[str, Examples]:
        """The spectrum of Olah et al. 2017: minimum, slightly negative, slightly positive and maximum examples.

        Scores of rectified units have no sign, so "slightly" means the quarters of the scores: 25% and 75%.
        """
        return {
            "minimum": self.bottom(layer, unit, k=k),
            "slightly negative": self.near(layer, unit, SLIGHTLY_NEGATIVE, k=k),
            "slightly positive": self.near(layer, unit, SLIGHTLY_POSITIVE, k=k),
            "maximum": self.top(layer, unit, k=k),
        }

    def statistics(self, layer: str, unit: int) -> UnitStatistics:
        """Count, mean, variance, share of zeros, and class selectivity of a unit's scores."""
        column = self._column(layer, unit, 1)
        part = slice(column, column + 1)
        mean, variance = exact.moments(self.tally.sums[part], self.tally.squares[part], self.images)
        zeros = float(self.tally.histogram[column, ZERO] / max(self.images, 1))
        selective = float(self.selectivity[column]) if len(self.header.classes) > 1 else None
        best = self.header.classes[int(self.class_means[:, column].argmax())] if self.header.classes else None
        return UnitStatistics(self.images, float(mean[0]), float(variance[0]), zeros, selective, best)

    def histogram(self, layer: str, unit: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """(edges (n + 1,), counts (n,)) of a unit's scores, in four bins to a power of two; `histogram.py`."""
        return edges(), self.tally.histogram[self._column(layer, unit, 1)].copy()

    def columns(self, layer: str) -> slice:
        """Where the units of a layer stand in the tally, in `class_means` and in `selectivity`."""
        found, start = self.find_layer(layer), 0
        for one in self.header.layers:
            if one.name == found.name:
                break
            start += one.units
        return slice(start, start + found.units)

    @cached_property
    def class_means(self) -> NDArray[np.float64]:
        """(classes, units) mean of the rectified scores of each class, in the order of `header.classes`."""
        found = [self.tally.classes[name] for name in self.header.classes]
        if not found:
            return np.empty((0, self.tally.units))
        return np.stack([exact.means(one.sums, one.count, exact.NARROW) for one in found])

    @cached_property
    def selectivity(self) -> NDArray[np.float64]:
        """(units,) class selectivity, 0 to 1; NaN for units that never respond and with fewer than two classes."""
        means = self.class_means
        if len(means) < 2:
            return np.full(self.tally.units, np.nan)
        best = means.max(0)
        others = (means.sum(0) - best) / (len(means) - 1)
        with np.errstate(invalid="ignore"):
            return np.asarray((best - others) / (best + others))

    def _column(self, layer: str, unit: int, k: int) -> int:
        found = self.find_layer(layer)
        if not 0 <= unit < found.units:
            raise UsageError(f"no unit {unit} in {found.name} of the index: it has units 0..{found.units - 1}")
        if not 1 <= k <= self.header.kept.top:
            raise UsageError(f"k is 1 to {self.header.kept.top} in this index, got {k}; scan with top={k} for more")
        return int(self.columns(layer).start) + unit

    def _examples(
        self, layer: str, unit: int, what: str, scores: Scores, numbers: Numbers, places: Places, k: int
    ) -> Examples:
        one = self.find_layer(layer)
        found = tuple(
            self._example(one, self.header.keys[number], float(score), (int(place[0]), int(place[1])))
            for score, number, place in zip(scores[:k], numbers[:k], places[:k], strict=True)
            if number != NO_PICTURE
        )
        return Examples(one.name, unit, what, found, self.data, self.header.model.rate)

    def _example(self, layer: LayerHeader, key: str, score: float, place: tuple[int, int]) -> Example:
        if place[0] < 0:
            return Example(key, score, None)
        middle = layer.middle(place, self.header.kept.samples)
        seconds = None if middle is None else round(begins(key) + middle / self.header.model.rate, 4)
        return Example(key, score, place, seconds)


def merge(first: Index, *others: Index) -> Index:
    """One index of the pictures of several: the same to the bit in whatever order, and as from one scan of all.

    Raises IndexFileError for indexes of other networks, layers or settings, UsageError where pictures are in both.
    """
    return _halves([first, *others])


def _halves(indexes: Sequence[Index]) -> Index:
    if len(indexes) == 1:
        return indexes[0]
    middle = len(indexes) // 2
    return _pair(_halves(indexes[:middle]), _halves(indexes[middle:]))


def _pair(a: Index, b: Index) -> Index:
    a.header.same_scan(b.header, "an index to merge")
    covered = {one.data: one for one in a.header.covered}
    for one in b.header.covered:
        covered[one.data] = covered[one.data].joined(one) if one.data in covered else one
    keys = sorted({*a.header.keys, *b.header.keys})
    number = {key: i for i, key in enumerate(keys)}
    tallies = [
        one.tally.renumbered(np.arange(len(one.header.keys)), np.array([number[k] for k in one.header.keys], np.int64))
        for one in (a, b)
    ]
    header = replace(
        a.header,
        covered=tuple(covered[data] for data in sorted(covered)),
        skipped=a.header.skipped.joined(b.header.skipped),
    )
    return indexed(header, tallies[0].merged(tallies[1]), lambda at: keys[at])


def indexed(header: Header, tally: Tally, key: Any, *, data: Pictures | None = None) -> Index:
    """The index of a tally in its normal form: only keys that are referred to, in order. key: number -> key."""
    used = tally.numbers()
    keys = tuple(key(int(number)) for number in used)
    kept = tally.renumbered(used, np.arange(len(used), dtype=np.int64))
    complete = replace(header, images=kept.count, classes=tuple(sorted(kept.classes)), keys=keys)
    return Index(complete, kept, data)


__all__ = ["Index", "IndexFileError", "UnitStatistics", "indexed", "merge"]
