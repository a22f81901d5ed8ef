"""What is said of a sound, on sounds for which it is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from phosphene.audio.measures import (
    copying,
    held_out,
    signal_to_noise,
    spectral_distance,
    white_noise,
    with_spectrum,
)
from phosphene.models.frontend import Spectrum

RATE = 16_000


def noise(seed: int, samples: int = RATE) -> Tensor:
    return white_noise((1, samples), seed)


def test_a_copied_phrase_is_found_wherever_it_was_taken_and_turned_over() -> None:
    recording, sound = noise(0, 3 * RATE), noise(1, 2 * RATE).clone()
    assert copying(sound, recording, RATE) < 0.1
    sound[:, 8000:16_000] = -0.3 * recording[:, 12_345:20_345]
    assert copying(sound, recording, RATE) == pytest.approx(1, abs=1e-3)


def test_signal_to_noise_is_that_of_what_was_added_at_any_gain() -> None:
    original = noise(0, 4 * RATE)
    for decibels in (0, 20, 40):
        sound = original + 10 ** (-decibels / 20) * noise(1, 4 * RATE)
        assert signal_to_noise(-0.4 * sound, original) == pytest.approx(decibels, abs=0.2)
    assert signal_to_noise(original, original) is None or signal_to_noise(original, original) > 100


def test_spectra_are_compared_at_one_level() -> None:
    original = noise(0)
    assert spectral_distance(0.1 * original, original) < 1e-3
    assert spectral_distance(noise(1), original) > 5
    quieter = torch.cat([original, 0.1 * original], 1)  # 20 dB in its half, before both are brought to one level
    assert spectral_distance(quieter, torch.cat([original, original], 1)) == pytest.approx(12.4, abs=1)


def test_the_judge_finds_no_distance_from_the_recording_itself_and_all_of_it_from_white_noise() -> None:
    recording = with_spectrum(noise(3), torch.sin(torch.arange(RATE) * 0.3)[None])
    assert held_out(recording, recording).share < 1e-9  # type: ignore[union-attr]
    assert held_out(noise(0), recording).share == pytest.approx(1)  # type: ignore[union-attr]
    assert held_out(noise(0, 4000), recording) is None


def test_noise_takes_the_spectrum_of_a_recording() -> None:
    tone = torch.sin(torch.arange(2 * RATE) * 0.3)[None]
    power = Spectrum(512, hop=128)(with_spectrum(noise(0), tone)[None])[0].square().mean(1)
    assert int(power.argmax()) == round(0.3 / torch.pi * 256)
