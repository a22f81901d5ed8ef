"""What style pictures are painted on: clamped spectra, for a picture that is there already and for one from noise.

Departures: pictures are optimised as spectra (`signals/fourier.py`), where the colors of large areas, which pixels move
one by one, move at once, and are cut off at black and white where `render` has a sigmoid. A picture that is there only
has to change, fastest where the spectrum falls half as fast as a natural picture's and colors are red, green and blue:
L-BFGS then needs about half the evaluations. From noise the natural spectrum and colors stay: what a deep layer does
not see then looks as pictures do, in place of loud colors. Adam moves every coefficient by the same step and turns what
it need not move into grain; for it the spectrum is the natural one with its low-pass.
"""

from __future__ import annotations

from phosphene.signals import Fourier

NO_LOW_PASS = 1.7  # cycles per pixel: a style may have any frequency, and what has none stays as it was
DECAY = 0.5  # of the spectrum of a picture that changes: measured; 0.3 and 0.7 are slower by a little, 1 by twice
MEAN = 1.0  # of its mean: L-BFGS finds the length of that step itself, and a longer one slows the others
NOISE = 0.03  # deviation of a start from noise, in the basis's own units: faint


def canvas(size: tuple[int, int], optimizer: str = "lbfgs") -> Fourier:
    """An empty one of `size` (height, width), for a picture that is to be changed by that optimizer."""
    if optimizer == "adam":
        return Fourier(1, size=size, decorrelate=False, clamped=True, mean=MEAN)
    return Fourier(1, size=size, decorrelate=False, clamped=True, decay=DECAY, cutoff=NO_LOW_PASS, mean=MEAN)


def blank(size: tuple[int, int]) -> Fourier:
    """An empty one of `size` (height, width), for a picture that begins as noise."""
    return Fourier(1, size=size, clamped=True, cutoff=NO_LOW_PASS, mean=MEAN)
