"""Sums that do not depend on their order: fixed-point numbers of several 32-bit digits, each summed on its own.

Floating-point addition is not associative, so two machines that share a data set differently would disagree in the
last bit. Here a number x is rounded once, to a multiple of 2^low, and written in digits of base 2^32:
x = sum_k d_k 2^(low + 32 k). Adding digits in int64 is exact, and integers add up to the same in every order. The
digits of 2^31 numbers fit before one overflows.

Departures: Kulisch's accumulator (1971) keeps every bit of a float; these keep those above 2^-64 (2^-32 where there
are classes x units of them), which is far below what an activation means.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

DIGIT_BITS = 32
WIDE = (-64, 4)  # (exponent of the last digit, digits): for the sums and squares of units
NARROW = (-32, 2)  # for sums of each class
LARGEST = 2.0**32  # responses beyond it are no responses: the square of it still fits, 2^31 times

Digits = NDArray[np.int64]  # (..., digits), the last one first


def digits(values: NDArray[np.float64], form: tuple[int, int]) -> Digits:
    """The digits (..., n) of values that are finite and, squares apart, at most `LARGEST`."""
    low, count = form
    rest, sign = np.abs(values), np.sign(values).astype(np.int64)
    out = np.zeros((count, *values.shape), np.int64)
    for place in reversed(range(count)):
        weight = 2.0 ** (low + DIGIT_BITS * place)
        if place and rest.max(initial=0.0) < weight:
            continue  # all zeros, as the first digit is for all but huge scores
        digit = np.floor(rest / weight) if place else np.rint(rest / weight)
        rest = rest - digit * weight  # exact: of one sign, and a multiple of the last bit of `rest`
        out[place] = digit.astype(np.int64) * sign
    return np.moveaxis(out, 0, -1)


def exact(sums: Digits, form: tuple[int, int]) -> list[Fraction]:
    """Each of the sums (n, digits) as the number that it is."""
    low, _ = form
    scale = Fraction(2) ** low
    whole = [sum(int(digit) << (DIGIT_BITS * place) for place, digit in enumerate(row)) for row in sums.tolist()]
    return [scale * number for number in whole]


def means(sums: Digits, counts: NDArray[np.int64] | int, form: tuple[int, int]) -> NDArray[np.float64]:
    """(n,) means of the sums (n, digits), in float64; NaN where nothing was counted."""
    low, count = form
    weights = 2.0 ** (low + DIGIT_BITS * np.arange(count))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((sums * weights).sum(-1) / counts, np.float64)


def moments(sums: Digits, squares: Digits, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) mean and variance (of a population) from exact sums, each rounded once; NaN for a count of 0."""
    if not count:
        nothing = np.full(len(sums), np.nan)
        return nothing, nothing.copy()
    first, second = exact(sums, WIDE), exact(squares, WIDE)
    mean = [float(a / count) for a in first]
    variance = [float((b * count - a * a) / count**2) for a, b in zip(first, second, strict=True)]
    return np.array(mean), np.maximum(np.array(variance), 0.0)
