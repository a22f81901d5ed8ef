"""The Fourier signal against torch's own FFT and its autograd."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from phosphene.natural import MEAN, falling, frequencies, smoothstep
from phosphene.seeds import Generators
from phosphene.signals import Fourier
from phosphene.signals.fourier import FADE_START, FLOOR, SCALE, ScaledInverseFFT, spectrum_scale

SIZES = [(8, 8), (7, 9), (8, 9), (9, 8), (5, 12), (1, 6), (6, 1), (1, 1), (2, 3)]


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def one_over_f(size: tuple[int, int], decay: float = 1.0, *, cutoff: float = 0.45) -> Tensor:
    return spectrum_scale(size, falling(size, (1, True, False), decay, None)[0], cutoff=cutoff)


def plain(coefficients: Tensor, scale: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.fft.irfft2(torch.view_as_complex(coefficients) * scale, s=size)


@pytest.mark.parametrize("size", SIZES)
def test_the_scaled_inverse_transform_and_its_gradient_are_those_of_autograd(size: tuple[int, int]) -> None:
    shape = (2, 3, size[0], size[1] // 2 + 1, 2)
    scale = one_over_f(size, 1.0, cutoff=0.45)
    ours, theirs = (random(*shape).requires_grad_() for _ in range(2))
    weight = random(2, 3, *size, seed=1)
    pictures, reference = ScaledInverseFFT.apply(ours, scale, size), plain(theirs, scale, size)
    torch.testing.assert_close(pictures, reference)
    (pictures * weight).sum().backward()
    (reference * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (4, 5), (5, 4)])
def test_the_gradient_of_the_inverse_transform_is_the_numerical_one(size: tuple[int, int]) -> None:
    scale = one_over_f(size, 1.0, cutoff=0.45).double()
    coefficients = random(1, 2, size[0], size[1] // 2 + 1, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: ScaledInverseFFT.apply(p, scale, size), [coefficients])


def test_frequencies_are_in_cycles_per_pixel() -> None:
    f = frequencies(8, 6)
    assert f.shape == (8, 4)
    assert float(f[0, 0]) == 0
    assert float(f[0, 3]) == pytest.approx(0.5)
    assert float(f[4, 0]) == pytest.approx(0.5)
    assert float(f[1, 0]) == float(f[7, 0]) == pytest.approx(1 / 8)
    assert float(f.max()) == pytest.approx(math.sqrt(0.5))


def test_amplitudes_fall_as_one_over_f_below_the_fade() -> None:
    size = (32, 32)
    f, scale = frequencies(*size), one_over_f(size, 1.0, cutoff=0.75 / FADE_START)
    flat = (f * scale)[f > 0]
    torch.testing.assert_close(flat, torch.full_like(flat, SCALE * 32))
    assert float(scale[0, 0]) == pytest.approx(SCALE * 32 * 32 * MEAN)  # the mean, beside the lowest frequency
    squared = one_over_f(size, 2.0, cutoff=0.75 / FADE_START)
    torch.testing.assert_close((f**2 * squared)[f > 0], torch.full_like(flat, SCALE * 32))


def test_the_low_pass_leaves_two_percent_above_the_cutoff_and_all_below_its_start() -> None:
    size, cutoff = (64, 64), 0.45
    f = frequencies(*size)
    share = one_over_f(size, 1.0, cutoff=cutoff) / one_over_f(size, 1.0, cutoff=10.0)
    assert float((share[f < FADE_START * cutoff] - 1).abs().max()) < 1e-5
    assert float((share[f > cutoff] - FLOOR).abs().max()) < 1e-5
    middle = share[(f > FADE_START * cutoff) & (f < cutoff)]
    assert bool(((middle < 1.0001) & (middle > FLOOR - 0.0001)).all())


def test_smoothstep_is_flat_at_both_ends() -> None:
    x = torch.tensor([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])
    torch.testing.assert_close(smoothstep(x, 0, 1), torch.tensor([0.0, 0.0, 0.15625, 0.5, 1.0, 1.0]))


def test_the_start_is_faint_and_has_the_asked_deviation() -> None:
    signal = Fourier(2, size=(64, 64))
    signal.start(Generators(0, ["a", "b"]), 0.01)
    assert float(signal.coefficients.detach().std()) == pytest.approx(0.01, rel=0.03)
    pictures = signal().detach()
    assert 0.001 < float(pictures.std()) < 0.1
    assert float(pictures.mean()) == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(pictures[0], pictures[1])


def test_a_picture_written_in_one_size_keeps_its_meaning_in_the_coefficients() -> None:
    """One coefficient is one wave: a cosine of its own frequency, with the amplitude that the scale gives it."""
    size = (16, 16)
    scale = one_over_f(size, 1.0, cutoff=0.45)
    coefficients = torch.zeros(1, 1, 16, 9, 2)
    coefficients[0, 0, 0, 3, 0] = 1.0
    wave = ScaledInverseFFT.apply(coefficients, scale, size)[0, 0]
    x = torch.arange(16.0)
    expected = 2 * scale[0, 3] / 256 * torch.cos(2 * math.pi * 3 * x / 16)
    torch.testing.assert_close(wave, expected.expand(16, 16), atol=1e-6, rtol=1e-5)
