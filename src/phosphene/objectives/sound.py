"""Objectives on the sound itself: what one pays for in time and in frequency.

    score = logit - weight * regularizer

They read the last axis of `acts["input"]` as time, channels on their own, and are averages over time, frequency and
channels: a weight keeps its meaning when the clip is longer. Frequencies are in cycles per sample. The power of the
whole needs no price: a wave's level is held (signals/waveform.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.acts import INPUT, Acts
from phosphene.objectives.algebra import finite, number
from phosphene.objectives.regularizers import Regularizer

WINDOW = 512  # samples of a window, where the sound is long enough: 32 ms at 16 kHz
WINDOWS = 4  # of a shorter sound
MAGNITUDE_FLOOR = 1e-4  # under a logarithm, of the magnitudes of a wave in [-1, 1]: what is below is not heard
POWER_FLOOR = 1e-12  # under a division: silence
NYQUIST = 0.5  # cycles per sample
FEWEST = 4  # octaves at the low end that are left out: they hold so few frequencies that their power is chance
RUMBLE = 0.005  # cycles per sample, 80 Hz at 16 kHz: below it loudspeakers move and nothing is heard
PINK = -3.0  # dB per octave of natural sounds (Voss and Clarke 1975)
DECIBELS = 10.0  # per factor of ten in power


@dataclass(frozen=True)
class HighPass(Regularizer):
    """Share of the power that lies below a frequency, 0 to 1: rumble and a constant. cutoff: in cycles per sample."""

    word: ClassVar[str] = "highpass"

    cutoff: float = RUMBLE

    def __post_init__(self) -> None:
        object.__setattr__(self, "cutoff", finite(self.cutoff, "a cutoff"))
        if not 0 <= self.cutoff < NYQUIST:
            raise UsageError(f"a cutoff is 0 or more cycles per sample and below {NYQUIST}, got {self.cutoff:g}")

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        power, frequencies = _power(acts[INPUT])
        low = power[..., frequencies <= self.cutoff].flatten(1).sum(1)
        return low / (power.flatten(1).sum(1) + POWER_FLOOR)

    def __str__(self) -> str:
        return self.word if self.cutoff == RUMBLE else f"{self.word}(cutoff={number(self.cutoff)})"


@dataclass(frozen=True)
class Slope(Regularizer):
    """Mean square distance of the spectrum from a straight slope, in squared decibels, octave by octave.

    decibels: of the slope, per octave; -3 is that of natural sounds, 0 that of white noise.
    """

    word: ClassVar[str] = "slope"

    decibels: float = PINK

    def __post_init__(self) -> None:
        object.__setattr__(self, "decibels", finite(self.decibels, "a slope"))

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        power, frequencies = _power(acts[INPUT])
        count = max(2, int(math.log2(len(frequencies))) - FEWEST)
        highest = [NYQUIST * 2.0**-k for k in range(count)]
        octaves = [power[..., (frequencies > top / 2) & (frequencies <= top)].mean(-1) for top in highest]
        levels = DECIBELS * torch.log10(torch.stack(octaves, -1) + POWER_FLOOR)
        wanted = -self.decibels * torch.arange(count, device=levels.device)  # from the highest octave downwards
        off = levels - wanted
        return (off - off.mean(-1, keepdim=True)).square().flatten(1).mean(1)

    def __str__(self) -> str:
        return self.word if self.decibels == PINK else f"{self.word}(decibels={number(self.decibels)})"


@dataclass(frozen=True)
class TVTime(Regularizer):
    """Total variation of the spectrogram along time, mean of |d log magnitude|: sounds go on."""

    word: ClassVar[str] = "tvtime"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return _spectrogram(acts[INPUT]).diff(dim=-2).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class TVFrequency(Regularizer):
    """Total variation of the spectrogram along frequency, mean of |d log magnitude|: no single lines."""

    word: ClassVar[str] = "tvfrequency"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return _spectrogram(acts[INPUT]).diff(dim=-1).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class Density(Regularizer):
    """How full the spectrogram is, mean magnitude over root mean square, 0 to 1: a tone is near 0, noise at 0.89.

    The mean over the root mean square of a vector is small where few of its entries hold all (Hoyer 2004,
    arXiv cs/0408058). It does not depend on the level.
    """

    word: ClassVar[str] = "density"

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        magnitudes = _magnitudes(acts[INPUT]).flatten(1)
        return magnitudes.mean(1) / (magnitudes.square().mean(1) + POWER_FLOOR).sqrt()


def _power(x: Tensor) -> tuple[Tensor, Tensor]:
    """(b, ..., bins) power spectrum along the last axis, and the frequency (bins,) of each."""
    spectrum = torch.view_as_real(torch.fft.rfft(x.float())).square().sum(-1)
    return spectrum / x.shape[-1], torch.fft.rfftfreq(x.shape[-1], device=x.device)


def _spectrogram(x: Tensor) -> Tensor:
    """(b, ..., frames, bins) log magnitude of windows."""
    return (_magnitudes(x) + MAGNITUDE_FLOOR).log()


def _magnitudes(x: Tensor) -> Tensor:
    """(b, ..., frames, bins) magnitude of windows (Hann) along the last axis, half a window apart."""
    window = max(2, min(WINDOW, x.shape[-1] // WINDOWS))
    frames = x.float().unfold(-1, window, max(1, window // 2)) * torch.hann_window(window, device=x.device)
    magnitudes: Tensor = torch.fft.rfft(frames).abs() / window
    return magnitudes


SOUND_REGULARIZERS: dict[str, type[Regularizer]] = {
    kind.word: kind for kind in (HighPass, Slope, TVTime, TVFrequency, Density)
}
