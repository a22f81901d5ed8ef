"""Spectra against NumPy, on pictures whose spectrum is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.natural import Survey
from phosphene.study.spectrum import HIGH, excess, matched, natural_power, power, radial


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def falling(size: tuple[int, int], exponent: float, seed: int = 0) -> Tensor:
    """(3, h, w) noise whose amplitude falls as f ** -exponent."""
    rows, columns = np.meshgrid(np.fft.fftfreq(size[0]), np.fft.fftfreq(size[1]), indexing="ij")
    f = np.maximum(np.hypot(rows, columns), 1 / max(size))
    shaped = np.fft.ifft2(np.fft.fft2(noise(3, *size, seed=seed).numpy()) * f**-exponent).real
    return torch.from_numpy(shaped / shaped.std() * 0.1 + 0.5)


def numpy_power(maps: np.ndarray) -> np.ndarray:
    height, width = maps.shape[-2:]
    hann = [0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side) for side in (height, width)]
    window = np.outer(*hann)
    total = np.zeros((height, width))
    for one in maps.reshape(-1, height, width):
        centered = one - (one * window).sum() / window.sum()
        total += np.abs(np.fft.fft2(centered * window)) ** 2
    return total / maps.reshape(-1, height, width).shape[0] / (window**2).sum()


@pytest.mark.parametrize("shape", [(3, 40, 40), (2, 3, 33, 48), (37, 35)])
def test_the_power_is_numpys(shape: tuple[int, ...]) -> None:
    maps = noise(*shape) + 0.3
    np.testing.assert_allclose(power(maps).numpy(), numpy_power(maps.double().numpy()), rtol=1e-9, atol=1e-12)


def test_the_mean_power_is_the_variance() -> None:
    assert float(power(0.2 * noise(16, 64, 64)).mean()) == pytest.approx(0.04, rel=0.05)


def test_white_noise_is_flat_and_one_over_f_falls_by_two_decades_a_decade() -> None:
    for exponent in (0.0, 1.0, 1.5):
        rings = radial(power(falling((128, 128), exponent)))
        f, p = np.log(rings.frequency), np.log(rings.power)
        middle = (f > math.log(5 / 128)) & (f < math.log(0.5))
        assert np.polyfit(f[middle], p[middle], 1)[0] == pytest.approx(-2 * exponent, abs=0.15)


@pytest.mark.parametrize("wave", [(0, 10), (24, 0), (12, 16)])
def test_a_single_frequency_stands_on_its_own_ring(wave: tuple[int, int]) -> None:
    y, x = np.mgrid[:64, :64]
    picture = torch.from_numpy(0.5 + 0.2 * np.sin(2 * np.pi * (wave[0] * y + wave[1] * x) / 64))[None]
    rings = radial(power(picture))
    assert rings.frequency[int(np.argmax(rings.power))] == pytest.approx(math.hypot(*wave) / 64, abs=1 / 128)


@pytest.mark.parametrize("size", [(64, 64), (224, 224), (96, 160)])
def test_the_excess_of_a_natural_spectrum_is_one(size: tuple[int, int]) -> None:
    found = [excess(power(falling(size, 1.0, seed)), natural_power(size)) for seed in range(3)]
    assert np.mean(found) == pytest.approx(1.0, abs=0.1)


def test_the_excess_of_white_noise_is_that_of_a_flat_spectrum() -> None:
    rows, columns = np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96), indexing="ij")
    f = np.hypot(rows, columns)
    high, low = f > HIGH, (f <= HIGH) & (f >= 3 / 96)
    natural = 1 / np.maximum(f, 1 / 96) ** 2
    flat = (high.sum() / low.sum()) / (natural[high].sum() / natural[low].sum())
    assert flat > 5
    assert excess(power(noise(3, 96, 96)), natural_power((96, 96))) == pytest.approx(flat, rel=0.1)


def test_the_excess_does_not_depend_on_contrast_and_grows_with_a_checkerboard() -> None:
    picture = falling((64, 64), 1.0)
    natural = natural_power((64, 64))
    plain = excess(power(picture), natural)
    assert excess(power(0.1 * picture + 0.7), natural) == pytest.approx(plain, rel=1e-6)
    y, x = np.mgrid[:64, :64]
    assert excess(power(picture + torch.from_numpy(0.1 * (-1.0) ** (x + y))), natural) > 5 * plain


def test_a_flat_picture_has_no_excess_to_speak_of() -> None:
    assert math.isnan(excess(torch.zeros(40, 40), natural_power((40, 40))))


def test_natural_power_that_is_matched_has_as_much_below() -> None:
    found, natural = power(noise(1, 48, 48)), natural_power((48, 48))
    scaled = matched(found, natural)
    assert excess(scaled, natural) == pytest.approx(1.0)
    assert excess(found, natural) == pytest.approx(excess(found, scaled))


@pytest.mark.parametrize("size", [(32, 32), (33, 48), (48, 33)])
def test_a_measured_spectrum_is_that_of_the_pictures_it_was_measured_on(size: tuple[int, int]) -> None:
    survey = Survey(64)
    for seed in range(6):
        survey.add(falling((64, 64), 1.5, seed) + 0.01 * noise(3, 1, 1, seed=seed))
    found = natural_power(size, survey.found())
    inner = [x for x in range(1, size[1]) if 2 * x != size[1]]  # the highest wave along x is its own mirror image
    real = found[1:, inner]
    np.testing.assert_allclose(real.numpy(), real.flip(0, 1).numpy(), rtol=1e-6)  # as of all real maps
    rings = radial(found)
    f, p = np.log(rings.frequency), np.log(rings.power)
    assert np.polyfit(f, p, 1)[0] == pytest.approx(-3, abs=0.3)


def test_a_picture_too_small_for_a_spectrum_is_refused() -> None:
    with pytest.raises(UsageError, match="32 pixels or more, got 31 x 64"):
        natural_power((31, 64))
