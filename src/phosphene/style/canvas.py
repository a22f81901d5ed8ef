"""What style pictures are painted on: the Fourier basis as reconstruction and transfer want it.

Departures: pictures are optimised as spectra (`signals/fourier.py`), where the colors of large areas, which pixels move
one by one, move at once. The spectrum falls half as fast as a natural picture's and is cut off at black and white where
`render` has a sigmoid: L-BFGS then needs about half the evaluations.
"""

from __future__ import annotations

from phosphene.signals import Fourier

NO_LOW_PASS = 1.7  # cycles per pixel: a style may have any frequency, and what has none stays as it was
DECAY = 0.5  # of the spectrum: measured; 0.3 and 0.7 are slower by a little, 1 by twice
MEAN = 1.0  # of its mean: L-BFGS finds the length of that step itself, and a longer one slows the others
NOISE = 0.03  # deviation of a start from noise, in the basis's own units: faint


def canvas(size: tuple[int, int]) -> Fourier:
    """An empty one: a gray picture of `size` (height, width)."""
    return Fourier(1, size=size, decorrelate=False, clamped=True, decay=DECAY, cutoff=NO_LOW_PASS, mean=MEAN)
