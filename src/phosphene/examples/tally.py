"""What is kept of a data set for every unit: a tally that is added to, merged, and of constant size.

The score of a picture for a unit is its largest response over positions. A tally holds, for the units of all layers in
one row: the k highest and k lowest scores with their pictures and positions, a sample of pictures with all their
scores, the number of pictures, exact sums of scores and of their squares, a histogram, and for each class the sum of
rectified scores. Two tallies of different pictures merge; in whatever order, the result is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from phosphene.examples import exact
from phosphene.examples.histogram import BINS, bins
from phosphene.examples.ranked import NO_PICTURE, NOWHERE, Numbers, Places, Ranked, Sample, Scores


@dataclass
class ClassSum:
    """The number of pictures of a class, and the digits (units, 2) of the sum of their rectified scores."""

    count: int
    sums: exact.Digits


@dataclass
class Tally:
    """The tally of some pictures; see above. Numbers of pictures are those of the data set, or of a table of keys."""

    count: int
    top: Ranked
    bottom: Ranked
    sample: Sample
    sums: exact.Digits
    squares: exact.Digits
    histogram: NDArray[np.int32]
    classes: dict[str, ClassSum] = field(default_factory=dict)

    @classmethod
    def empty(cls, units: int, *, k: int, sample: int) -> Self:
        """No pictures yet."""
        return cls(
            0,
            Ranked.empty(units, k, 1),
            Ranked.empty(units, k, -1),
            Sample.empty(units, sample),
            np.zeros((units, exact.WIDE[1]), np.int64),
            np.zeros((units, exact.WIDE[1]), np.int64),
            np.zeros((units, BINS), np.int32),
        )

    @property
    def units(self) -> int:
        """How many units there are in all layers."""
        return len(self.sums)

    def add(
        self, scores: Scores, places: Places, numbers: Numbers, hashes: Numbers, classes: Sequence[str | None]
    ) -> None:
        """Take in a batch: scores (b, units), places (b, units, 2), and of each picture number, hash and class.

        The numbers must be larger than all before.
        """
        self.count += len(scores)
        self.top.add(scores, numbers, places)
        self.bottom.add(scores, numbers, places)
        self.sample.add(hashes, numbers, scores, places)
        values = scores.astype(np.float64)
        self.sums += exact.digits(values, exact.WIDE).sum(0)
        self.squares += exact.digits(values**2, exact.WIDE).sum(0)
        counts = self.histogram.reshape(-1)
        for row in np.arange(self.units) * BINS + bins(scores):
            counts[row] += 1  # no bin twice: each unit has its own
        if any(name is not None for name in classes):
            self._add_classes(exact.digits(np.maximum(values, 0), exact.NARROW), classes)

    def _add_classes(self, rectified: exact.Digits, classes: Sequence[str | None]) -> None:
        for row, name in zip(rectified, classes, strict=True):
            if name is None:
                continue
            if name not in self.classes:
                self.classes[name] = ClassSum(0, np.zeros(row.shape, np.int64))
            self.classes[name].count += 1
            self.classes[name].sums += row

    def merged(self, other: Self) -> Self:
        """The tally of both sets of pictures, whose numbers must mean the same pictures."""
        names = {*self.classes, *other.classes}
        return type(self)(
            self.count + other.count,
            self.top.merged(other.top),
            self.bottom.merged(other.bottom),
            self.sample.merged(other.sample),
            self.sums + other.sums,
            self.squares + other.squares,
            self.histogram + other.histogram,
            {name: _both(self.classes.get(name), other.classes.get(name)) for name in names},
        )

    def numbers(self) -> Numbers:
        """The numbers of all pictures that the tally refers to, ascending."""
        every: Numbers = np.unique(
            np.concatenate([part.numbers.ravel() for part in (self.top, self.bottom, self.sample)])
        )
        found: Numbers = every[every != NO_PICTURE]
        return found

    def renumbered(self, old: Numbers, new: Numbers) -> Self:
        """A copy in its normal form (the sample in order) with other numbers: old become new, both ascending."""
        classes = {name: ClassSum(one.count, one.sums.copy()) for name, one in self.classes.items()}
        return type(self)(
            self.count,
            self.top.renumbered(old, new),
            self.bottom.renumbered(old, new),
            self.sample.renumbered(old, new).sorted(),
            self.sums.copy(),
            self.squares.copy(),
            self.histogram.copy(),
            classes,
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The tally as arrays by name; classes in the order of their names."""
        found: dict[str, NDArray[np.generic]] = {
            "sums": self.sums,
            "squares": self.squares,
            "histogram": self.histogram,
            "sample.hashes": self.sample.hashes,
            "sample.pictures": narrow(self.sample.numbers),
            "sample.scores": self.sample.scores,
            "sample.positions": self.sample.places,
        }
        for name, part in (("top", self.top), ("bottom", self.bottom)):
            found |= {
                f"{name}.scores": part.scores,
                f"{name}.pictures": narrow(part.numbers),
                f"{name}.positions": part.places,
            }
        if self.classes:
            ordered = [self.classes[name] for name in sorted(self.classes)]
            found["classes.counts"] = np.array([one.count for one in ordered], np.int64)
            found["classes.sums"] = np.stack([one.sums for one in ordered])
        return found

    @classmethod
    def from_arrays(cls, count: int, arrays: Mapping[str, NDArray[np.generic]], classes: Sequence[str]) -> Self:
        """The tally that `arrays` gave. Raises KeyError for one that is missing, ValueError for one that cannot be."""
        units = len(arrays["sums"])
        of = {name: np.array(value) for name, value in arrays.items()}
        ranks = {
            name: Ranked(sign, of[f"{name}.scores"], widen(of[f"{name}.pictures"]), of[f"{name}.positions"])
            for name, sign in (("top", 1), ("bottom", -1))
        }
        sample = Sample(of["sample.hashes"], widen(of["sample.pictures"]), of["sample.scores"], of["sample.positions"])
        found = cls(count, ranks["top"], ranks["bottom"], sample, of["sums"], of["squares"], of["histogram"])
        expected = cls.empty(units, k=ranks["top"].scores.shape[1], sample=len(sample.hashes)).arrays()
        for name, value in expected.items():
            if of[name].shape != value.shape or of[name].dtype != value.dtype:
                raise ValueError(f"{name} is {of[name].dtype} {of[name].shape}")
        for name, number, sums in zip(classes, of.get("classes.counts", ()), of.get("classes.sums", ()), strict=True):
            found.classes[name] = ClassSum(int(number), sums)
        return found


def narrow(numbers: Numbers) -> NDArray[np.int32]:
    """Numbers of a table of keys as 32 bits, empty slots as -1."""
    return np.where(numbers == NO_PICTURE, NOWHERE, numbers).astype(np.int32)


def widen(numbers: NDArray[np.int32]) -> Numbers:
    """What `narrow` took in."""
    return np.where(numbers == NOWHERE, NO_PICTURE, numbers.astype(np.int64))


def _both(a: ClassSum | None, b: ClassSum | None) -> ClassSum:
    if a is None or b is None:
        one = a or b
        assert one is not None  # a name of either is asked for
        return ClassSum(one.count, one.sums.copy())
    return ClassSum(a.count + b.count, a.sums + b.sums)
