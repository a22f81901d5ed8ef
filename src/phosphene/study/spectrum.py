"""How much of a picture lies at which spatial frequency, and how much more of it at high ones than in natural pictures.

    power(f)  = mean over channels of |FFT(hann * (x - mean))|^2 / sum(hann^2)      mean over f: the variance
    excess    = [P(high) / P(low)] / [N(high) / N(low)],    N(f) = 1 / f^2

P(high) is the sum of the power above 0.25 cycles per pixel, P(low) that from the third wave across the picture up to
there. The power of natural pictures falls as 1/f^2 (Field 1987; van der Schaaf and van Hateren 1996), so an excess
of 1 is natural whatever the contrast and the size. White noise of 224 pixels has 15. Photographs brought to that
size have less than 1, since it softens them: 100 of ImageNet 0.17 (median; 0.02 to 0.94 are nine tenths of them). The
Hann window keeps the jump from one edge of a picture to the other from counting as its content.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.natural import Natural

HIGH = 0.25  # cycles per pixel, a wave of 4 pixels: half of what a row of pixels can hold
LOW = 3  # waves across the picture: the window blurs what is lower into the mean
SMALLEST = 32  # pixels: below, too few waves lie under `HIGH` to compare with


@dataclass(frozen=True)
class Spectrum:
    """Mean power on rings of the frequency plane. frequency: of each ring in cycles per pixel, rising. power: the mean
    of its coefficients, as variance per unit of the frequency plane; values in [0, 1] give at most 0.25 on average.
    """

    frequency: tuple[float, ...]
    power: tuple[float, ...]


def power(maps: Tensor) -> Tensor:
    """(h, w) power of maps (..., h, w) at each coefficient of the FFT, float64, averaged over all leading dimensions.

    Its mean is the variance (of the windowed maps).
    """
    x = maps.detach().double().cpu()
    window = _hann(x.shape[-2])[:, None] * _hann(x.shape[-1])
    level = (x * window).sum((-2, -1), keepdim=True) / window.sum()
    spectrum = torch.fft.fft2((x - level) * window)
    found: Tensor = spectrum.abs().square().view(-1, *x.shape[-2:]).mean(0) / window.square().sum()
    return found


def plane(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(h, 1) and (1, w) vertical and horizontal frequency of each coefficient of the FFT, in cycles per pixel."""
    rows, columns = (torch.fft.fftfreq(side, dtype=torch.float64) for side in (height, width))
    return rows[:, None], columns[None]


def radial(power: Tensor) -> Spectrum:
    """The mean of a power (h, w) on rings one coefficient of the shorter side wide, without the mean of the picture."""
    height, width = power.shape
    rows, columns = plane(height, width)
    f = torch.sqrt(rows.square() + columns.square())
    ring = (f * min(height, width)).round().long().flatten()
    count = torch.bincount(ring).double()
    means = [torch.bincount(ring, values.flatten()) / count.clamp(min=1) for values in (f, power)]
    kept = count > 0
    kept[0] = False
    frequency, level = (tuple(mean[kept].tolist()) for mean in means)
    return Spectrum(frequency, level)


def excess(power: Tensor, expected: Tensor) -> float:
    """How many times as much power (h, w) lies above 0.25 cycles per pixel as `expected` (h, w) has there, both for
    the same power below. NaN where there is nothing below.
    """
    high, low = _bands(*power.shape)
    below = float(power[low].sum()) / float(expected[low].sum())
    return float(power[high].sum()) / float(expected[high].sum()) / below if below > 0 else math.nan


def matched(power: Tensor, expected: Tensor) -> Tensor:
    """`expected` (h, w), scaled to the power of a picture (h, w) below 0.25 cycles per pixel."""
    _, low = _bands(*power.shape)
    scaled: Tensor = expected * (power[low].sum() / expected[low].sum())
    return scaled


def natural_power(size: tuple[int, int], natural: Natural | None = None) -> Tensor:
    """(h, w) power of natural pictures of `size`, relative: 1/f^2, or what was measured on pictures of one's own.

    Raises UsageError for a size below 32 pixels.
    """
    height, width = size
    if min(size) < SMALLEST:
        raise UsageError(f"a spectrum needs pictures of {SMALLEST} pixels or more, got {height} x {width}")
    if natural is None:
        rows, columns = plane(height, width)
        return 1 / (rows.square() + columns.square()).clamp(min=max(size) ** -2)
    colors = natural.color_basis().double().square()
    half = torch.einsum("ij,jhw->hw", colors, natural.amplitudes(size).double().square()) / len(colors)
    mirrored = half[-torch.arange(height) % height][:, 1 : (width + 1) // 2].flip(1)
    return torch.cat([half, mirrored], 1)


def _bands(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(h, w) which coefficients are high, and which are low."""
    rows, columns = plane(height, width)
    f = torch.sqrt(rows.square() + columns.square())
    return f > HIGH, (f <= HIGH) & (f >= LOW / min(height, width))


def _hann(side: int) -> Tensor:
    return torch.hann_window(side, dtype=torch.float64)
