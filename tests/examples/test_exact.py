"""Numbers that add up in any order, bins that are exact, memories that merge: laws over random inputs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.errors import UsageError
from phosphene.examples import exact
from phosphene.examples.header import Covered, Skipped
from phosphene.examples.histogram import BINS, ZERO, bins, edges
from phosphene.examples.tally import Tally

floats = st.floats(-(2.0**32), 2.0**32, width=32).filter(lambda x: x == 0 or abs(x) > 1e-9)


@given(st.lists(floats, min_size=1, max_size=40), st.randoms())
def test_sums_are_exact_and_know_no_order(values: list[float], random: object) -> None:
    column = np.array(values, np.float64)[:, None]
    sums = exact.digits(column, exact.WIDE).sum(0)
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = sum(exact.digits(np.array([[value]]), exact.WIDE)[0] for value in shuffled)
    assert np.array_equal(sums, again)
    step = Fraction(2) ** exact.WIDE[0]
    truth = sum((Fraction(value) for value in values), Fraction(0))
    assert abs(exact.exact(sums, exact.WIDE)[0] - truth) <= step * len(values)
    assert exact.means(sums, len(values), exact.WIDE)[0] == pytest.approx(
        float(truth / len(values)), rel=1e-9, abs=1e-3
    )


def test_the_variance_of_nearly_equal_scores_is_right() -> None:
    values = np.float64(np.float32(1e6) + np.float32(0.125) * np.arange(8))[:, None]
    sums, squares = exact.digits(values, exact.WIDE).sum(0), exact.digits(values**2, exact.WIDE).sum(0)
    mean, variance = exact.moments(sums, squares, 8)
    assert mean[0] == values.mean()
    assert variance[0] == pytest.approx(0.125**2 * (64 - 1) / 12, rel=1e-12)


@given(st.lists(floats, min_size=1, max_size=30))
def test_every_score_lies_in_its_bin(values: list[float]) -> None:
    scores = np.array(values, np.float32)
    low, high = edges()[bins(scores)], edges()[bins(scores) + 1]
    inside = np.where(scores < 0, (scores > low) & (scores <= high), (scores >= low) & (scores <= high))
    assert inside.all()
    assert ((bins(scores) == ZERO) == (scores == 0)).all()
    assert len(edges()) == BINS + 1


def tally_of(numbers: range, seed: int = 0) -> Tally:
    """A tally of made-up pictures with many ties, added in batches of three."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-3, 4, (40, 5)).astype(np.float32) / 2
    places, hashes = rng.integers(0, 9, (40, 5, 2)).astype(np.int16), rng.permutation(40).astype(np.int64)
    tally = Tally.empty(5, k=4, sample=6)
    for start in range(numbers.start, numbers.stop, 3):
        batch = np.arange(start, min(start + 3, numbers.stop))
        tally.add(
            scores[batch], places[batch], batch, hashes[batch], [f"class {n % 3}" if n % 4 else None for n in batch]
        )
    return tally


def same(a: Tally, b: Tally) -> bool:
    every = np.arange(40)
    one, two = a.renumbered(every, every).arrays(), b.renumbered(every, every).arrays()
    return list(one) == list(two) and all(
        np.array_equal(one[k], two[k], equal_nan=one[k].dtype.kind == "f") for k in one
    )


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_merging_is_associative_and_commutative_and_equals_adding(a: int, b: int, seed: int) -> None:
    a, b = sorted((a, b))
    first, second, third = (tally_of(part, seed) for part in (range(a), range(a, b), range(b, 40)))
    whole = tally_of(range(40), seed)
    assert same(first.merged(second).merged(third), whole)
    assert same(third.merged(first.merged(second)), whole)
    assert same(second.merged(third).merged(first), whole)


def test_the_best_are_those_of_a_sort_with_ties_by_number() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(-3, 4, (40, 5)).astype(np.float32) / 2
    tally = tally_of(range(40))
    for unit in range(5):
        assert list(tally.top.numbers[unit]) == sorted(range(40), key=lambda i, u=unit: (-scores[i, u], i))[:4]
        assert list(tally.bottom.numbers[unit]) == sorted(range(40), key=lambda i, u=unit: (scores[i, u], i))[:4]


def test_ranges_join_where_they_touch_and_are_refused_where_they_overlap() -> None:
    def part(*ranges: tuple[int, int]) -> Covered:
        return Covered("d", 9, ranges)

    assert part((0, 3)).joined(part((5, 9))).joined(part((3, 5))) == part((0, 9))
    with pytest.raises(UsageError, match="both indexes hold pictures 2 to 2"):
        part((0, 3)).joined(part((2, 5)))


def test_skipped_pictures_join_in_order_of_their_keys() -> None:
    a, b = Skipped(1, (("b", "x"),)), Skipped(2, (("a", "y"), ("c", "z")))
    assert a.joined(b) == b.joined(a) == Skipped(3, (("a", "y"), ("b", "x"), ("c", "z")))
