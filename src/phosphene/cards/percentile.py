"""Where a score stands among those of all pictures that were scanned.

Beyond the kept extremes the rank is exact; between them it comes from the histogram, whose bins are a quarter of an
octave wide, with scores evenly spread inside a bin.
"""

from __future__ import annotations

import numpy as np

from phosphene.examples.histogram import ZERO, edges
from phosphene.examples.index import Index
from phosphene.examples.ranked import NO_PICTURE


def share_below(index: Index, layer: str, unit: int, score: float) -> float:
    """The share (0 to 1) of pictures with a lower score for the unit."""
    column = index.columns(layer).start + unit
    top = index.tally.top.scores[column][index.tally.top.numbers[column] != NO_PICTURE]
    bottom = index.tally.bottom.scores[column][index.tally.bottom.numbers[column] != NO_PICTURE]
    if score > top[-1]:
        return 1 - float((top >= np.float32(score)).sum()) / index.images
    if score <= bottom[-1]:
        return float((bottom < np.float32(score)).sum()) / index.images
    counts, borders = index.tally.histogram[column], edges()
    if score == 0:
        return float(counts[:ZERO].sum()) / index.images
    at = int(np.clip(np.searchsorted(borders, score, side="right") - 1, 0, len(counts) - 1))
    low = max(float(borders[at]), float(bottom[0]))
    high = min(float(borders[at + 1]), float(top[0]))
    inside = (score - low) / (high - low) if high > low else 0.5
    return (float(counts[:at].sum()) + min(max(inside, 0.0), 1.0) * float(counts[at])) / index.images
