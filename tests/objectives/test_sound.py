"""The prices of sounds, on sounds for which they are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives import INPUT, Density, HighPass, Objective, Slope, TVFrequency, TVTime, parse


def price(objective: Objective, x: Tensor) -> float:
    return float(objective({INPUT: x}, torch.zeros(1, dtype=torch.int64)))


def tone(frequency: float, samples: int = 8192) -> Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(samples))[None, None]


def sloped(decibels: float, samples: int = 65_536) -> Tensor:
    white = torch.fft.rfft(torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(0)))
    frequencies = torch.fft.rfftfreq(samples).clamp(min=1 / samples)
    return torch.fft.irfft(white * frequencies ** (decibels / (20 * math.log10(2))))


def test_highpass_is_the_share_of_power_below_its_frequency() -> None:
    both = tone(1 / 512) + 2 * tone(1 / 8)
    assert price(HighPass(), both) == pytest.approx(0.2, abs=1e-4)
    assert price(HighPass(), torch.ones(1, 1, 100)) == pytest.approx(1)
    assert price(HighPass(), torch.zeros(1, 1, 100)) == 0


@pytest.mark.parametrize("decibels", [-6.0, -3.0, 0.0])
def test_a_spectrum_of_the_wanted_slope_costs_least(decibels: float) -> None:
    costs = {wanted: price(Slope(wanted), sloped(decibels)) for wanted in (-6.0, -3.0, 0.0)}
    assert min(costs, key=lambda wanted: costs[wanted]) == decibels
    assert costs[decibels] < 3


def test_clicks_vary_in_time_and_tones_in_frequency() -> None:
    clicks = torch.zeros(1, 1, 8192)
    clicks[..., ::1024] = 1
    assert price(TVTime(), clicks) > 5 * price(TVTime(), tone(1 / 16))
    assert price(TVFrequency(), tone(1 / 16)) > 5 * price(TVFrequency(), clicks)


def test_a_tone_fills_less_of_a_spectrogram_than_noise_at_any_level() -> None:
    noise = torch.randn(1, 1, 65_536, generator=torch.Generator().manual_seed(0))
    assert price(Density(), noise) == pytest.approx(math.sqrt(math.pi) / 2, abs=0.01)  # mean over rms of Rayleigh's
    assert price(Density(), tone(1 / 16)) < 0.2
    assert price(Density(), 0.01 * noise) == pytest.approx(price(Density(), noise), rel=1e-3)
    assert price(Density(), torch.zeros(1, 1, 8192)) == 0


@pytest.mark.parametrize(
    "text", ["density", "highpass", "highpass(cutoff=0.01)", "slope", "slope(decibels=-6)", "tvtime"]
)
def test_prices_of_sounds_are_words_of_the_grammar(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize("text", ["highpass(cutoff=0.5)", "highpass(cutoff=-1)"])
def test_a_frequency_that_no_sound_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cycles per sample"):
        parse(text)
