"""The best examples of each unit, and a sample of pictures: two small memories that merge in any order.

`Ranked` keeps for each unit the k pictures of the highest (or lowest) scores; of equal scores, those of the smaller
number, which is the smaller key. `Sample` keeps the m pictures whose keys have the smallest hashes: a uniform sample
of all pictures without repetition (bottom-k sketch: Cohen and Kaplan, 2007), the same whoever draws it. Of each it has
the scores of all units. Both are functions of the set of pictures alone, so merging is associative and commutative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

NOWHERE = -1  # the place of a score that has none
NO_PICTURE = np.iinfo(np.int64).max  # sorts behind every number

Scores = NDArray[np.float32]
Numbers = NDArray[np.int64]
Places = NDArray[np.int16]  # (..., 2): y, x on the layer's map


@dataclass(frozen=True)
class Ranked:
    """scores, numbers (units, k) and places (units, k, 2), best first; sign: 1 for the highest, -1 for the lowest."""

    sign: int
    scores: Scores
    numbers: Numbers
    places: Places

    @classmethod
    def empty(cls, units: int, k: int, sign: int) -> Self:
        """Nothing yet."""
        return cls(
            sign,
            np.full((units, k), -sign * np.inf, np.float32),
            np.full((units, k), NO_PICTURE),
            np.full((units, k, 2), NOWHERE, np.int16),
        )

    def add(self, scores: Scores, numbers: Numbers, places: Places) -> None:
        """Take in the scores (b, units) of pictures whose numbers (b,) are larger than all before; in place."""
        enters = self.sign * scores > self.sign * self.scores[:, -1]  # a tie does not: it comes later
        changed = np.flatnonzero(enters.any(0))
        if not len(changed):
            return
        new = np.broadcast_to(numbers, (len(changed), len(numbers)))
        kept = self._best(
            np.concatenate([self.scores[changed], scores[:, changed].T], 1),
            np.concatenate([self.numbers[changed], new], 1),
            np.concatenate([self.places[changed], places[:, changed].swapaxes(0, 1)], 1),
        )
        self.scores[changed], self.numbers[changed], self.places[changed] = kept

    def merged(self, other: Self) -> Self:
        """The best of both, whose numbers must mean the same pictures."""
        numbers = np.concatenate([self.numbers, other.numbers], 1)
        order = np.argsort(numbers, axis=1)
        kept = self._best(
            np.take_along_axis(np.concatenate([self.scores, other.scores], 1), order, 1),
            np.take_along_axis(numbers, order, 1),
            np.take_along_axis(np.concatenate([self.places, other.places], 1), order[..., None], 1),
        )
        return replace(self, scores=kept[0], numbers=kept[1], places=kept[2])

    def renumbered(self, old: Numbers, new: Numbers) -> Self:
        """The same with other numbers: old (ascending) become new (ascending)."""
        return replace(self, numbers=renumber(self.numbers, old, new))

    def _best(self, scores: Scores, numbers: Numbers, places: Places) -> tuple[Scores, Numbers, Places]:
        """The k best of candidates (units, n), among which equal scores are in the order of their numbers."""
        order = np.argsort(-self.sign * scores, axis=1, kind="stable")[:, : self.scores.shape[1]]
        return (
            np.take_along_axis(scores, order, 1),
            np.take_along_axis(numbers, order, 1),
            np.take_along_axis(places, order[..., None], 1),
        )


@dataclass(frozen=True)
class Sample:
    """hashes, numbers (m,), scores (m, units), places (m, units, 2) of up to m pictures; empty slots hash highest."""

    hashes: Numbers
    numbers: Numbers
    scores: Scores
    places: Places

    @classmethod
    def empty(cls, units: int, m: int) -> Self:
        """Nothing yet."""
        return cls(
            np.full(m, NO_PICTURE),
            np.full(m, NO_PICTURE),
            np.full((m, units), np.nan, np.float32),
            np.full((m, units, 2), NOWHERE, np.int16),
        )

    def enters(self, hashes: Numbers) -> NDArray[np.bool_]:
        """Which pictures of a batch are among the sample so far."""
        return np.asarray(hashes < self.hashes.max()) if len(self.hashes) else np.zeros(len(hashes), bool)

    def add(self, hashes: Numbers, numbers: Numbers, scores: Scores, places: Places) -> None:
        """Take in pictures, in place: each in the slot of the highest hash."""
        for row in np.flatnonzero(self.enters(hashes)):
            slot = int(self.hashes.argmax())
            if hashes[row] < self.hashes[slot]:
                self.hashes[slot], self.numbers[slot] = hashes[row], numbers[row]
                self.scores[slot], self.places[slot] = scores[row], places[row]

    def merged(self, other: Self) -> Self:
        """The sample of both sets of pictures together."""
        both = replace(
            self,
            hashes=np.concatenate([self.hashes, other.hashes]),
            numbers=np.concatenate([self.numbers, other.numbers]),
            scores=np.concatenate([self.scores, other.scores]),
            places=np.concatenate([self.places, other.places]),
        )
        return both._taken(both._order()[: len(self.hashes)])

    def sorted(self) -> Self:
        """The same in the order of its hashes: slots are filled in whatever order pictures come."""
        return self._taken(self._order())

    def renumbered(self, old: Numbers, new: Numbers) -> Self:
        """The same with other numbers: old (ascending) become new (ascending)."""
        return replace(self, numbers=renumber(self.numbers, old, new))

    def _order(self) -> Numbers:
        return np.lexsort((self.numbers, self.hashes))

    def _taken(self, order: Numbers) -> Self:
        return replace(
            self,
            hashes=self.hashes[order],
            numbers=self.numbers[order],
            scores=self.scores[order],
            places=self.places[order],
        )


def renumber(numbers: Numbers, old: Numbers, new: Numbers) -> Numbers:
    """`numbers` with each of `old` replaced by that of `new`; empty slots stay empty."""
    if not len(old):
        return numbers.copy()
    at = np.minimum(np.searchsorted(old, numbers), len(old) - 1)
    return np.where(numbers == NO_PICTURE, NO_PICTURE, new[at])
