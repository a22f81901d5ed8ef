"""The envelope of `Modulated`, beside the laws that every wave obeys (`test_waveform.py`)."""

from __future__ import annotations

import pytest
import torch

from phosphene.seeds import Generators
from phosphene.signals.modulated import BOUND, SWING, Modulated


def swing(wave: Modulated, across: int, along: int) -> float:
    """How far the logarithm of the envelope goes, in nepers, by a step of 1 in one of its waves."""
    with torch.no_grad():
        wave.modulations.zero_()
        wave.modulations[0, 0, across, along, 0] = 1
        field = wave.envelope_of_bands()
    return float(field.max() - field.min())


@pytest.mark.parametrize("samples", [4096, 16_000])
def test_an_equal_step_moves_the_slow_and_the_broad_most(samples: int) -> None:
    wave = Modulated(1, samples=samples)
    _, _, height, width, _ = wave.modulations.shape
    frames = 2 * width - 2
    assert swing(wave, 0, 1) == pytest.approx(2 * SWING * frames / max(height, frames), rel=0.02)
    assert swing(wave, 0, 4) == pytest.approx(swing(wave, 0, 1) / 4, rel=0.05)
    assert swing(wave, 0, 8) > swing(wave, 32, 8) > swing(wave, 32, 16)


def test_the_envelope_is_heard_in_the_wave() -> None:
    wave = Modulated(1, samples=16_000)
    wave.start(Generators(0, ["a"]))
    with torch.no_grad():
        wave.modulations[0, 0, 0, 1, 0] = 3 / SWING  # loud first, faint last
        first, last = (part.square().mean().sqrt() for part in wave()[0, 0, 400:-400].chunk(8)[::7])
    assert 50 < float(first / last) < 500  # e ** (2 * 2.8) = 280 from end to end


def test_no_step_is_too_large() -> None:
    wave = Modulated(2, samples=4096)
    wave.start(Generators(0, ["a", "b"]))
    with torch.no_grad():
        wave.modulations.mul_(1e6)
    made = wave()
    (gradient,) = torch.autograd.grad(made.sum(), [wave.coefficients])
    assert bool(made.isfinite().all())
    assert bool(gradient.isfinite().all())
    assert float(wave.envelope_of_bands().detach().abs().max()) > 10 * BOUND


def test_what_is_encoded_has_a_flat_envelope() -> None:
    wave = Modulated(1, samples=4096)
    wave.start(Generators(0, ["a"]))
    wave.encode(0.1 * torch.sin(0.3 * torch.arange(4096.0))[None, None])
    assert not bool(wave.modulations.any())
