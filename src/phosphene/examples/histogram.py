"""Bins for scores of any size and both signs: exact, so that histograms add up.

Each power of two has four bins of equal width, from 2^-16 to 2^16 on both sides of a bin for exact zeros; smaller
and larger magnitudes fall into the first and last bin of their side. The number of a bin is read off the bits of the
float32, so no rounding decides about it (the log-linear bins of HdrHistogram, Tene 2012).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = -16, 16  # exponents of two
PER_OCTAVE_BITS = 2  # four bins to a power of two
MANTISSA_BITS, BIAS = 23, 127  # of IEEE 754 binary32
SIDE = (HIGHEST - LOWEST) << PER_OCTAVE_BITS  # bins of one sign
BINS = 2 * SIDE + 1
ZERO = SIDE  # the bin of exact zeros


def bins(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bin of each score (any shape); scores must be finite."""
    bits = np.abs(scores).view(np.int32)
    step = (bits >> (MANTISSA_BITS - PER_OCTAVE_BITS)) - ((BIAS + LOWEST) << PER_OCTAVE_BITS)
    step = np.clip(step, 0, SIDE - 1) + 1
    return np.asarray(ZERO + np.sign(scores).astype(np.int32) * step)


def edges() -> NDArray[np.float64]:
    """(BINS + 1,) edges of the bins, ascending: bin i holds scores from edge i to edge i + 1.

    The outermost are infinite. The zero bin lies between minus and plus the smallest magnitude that is told apart
    from nothing: 0.
    """
    steps = np.arange(1, SIDE)
    octave, part = np.divmod(steps, 1 << PER_OCTAVE_BITS)
    magnitudes = 2.0 ** (LOWEST + octave) * (1 + part / (1 << PER_OCTAVE_BITS))
    side = np.concatenate([[0.0], magnitudes, [np.inf]])
    return np.concatenate([-side[::-1], side])
