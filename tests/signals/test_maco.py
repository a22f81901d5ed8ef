"""MACO: the spectrum stays the template's, whatever the phases; rows know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from phosphene.engine import Step
from phosphene.models import Model
from phosphene.objectives import Channel
from phosphene.recipe import OptimizerConfig, RenderConfig
from phosphene.seeds import Generators
from phosphene.signals import Maco
from phosphene.signals.maco import CONTRAST, PhaseInverseFFT, own_conjugates, template

SIZES = [(8, 8), (7, 9), (8, 9), (9, 8), (5, 12), (1, 6), (6, 1), (2, 2), (2, 3), (32, 48)]


def started(size: tuple[int, int], rows: int = 2, **settings: float) -> Maco:
    signal = Maco(rows, size=size, **settings)  # type: ignore[arg-type]
    signal.start(Generators(3, [f"unit {row}" for row in range(rows)]))
    return signal


def assert_has_the_template(signal: Maco) -> None:
    """Before the squashing: magnitudes of the full complex FFT, relative to the largest."""
    found = torch.fft.rfft2(signal.linear().detach().double()).abs()
    assert float((found - signal.magnitude).abs().max() / signal.magnitude.max()) < 1e-4


@pytest.mark.parametrize("size", SIZES)
def test_the_magnitude_spectrum_is_the_template_whatever_the_phases(size: tuple[int, int]) -> None:
    signal = started(size)
    assert_has_the_template(signal)
    with torch.no_grad():
        signal.phase.mul_(-3).add_(100)
    assert_has_the_template(signal)


@pytest.mark.parametrize("alpha", [False, True])
def test_every_color_of_every_row_has_zero_mean_and_the_same_contrast(alpha: bool) -> None:
    signal = Maco(3, size=(12, 15), alpha=alpha)
    signal.start(Generators(0, ["a", "b", "c"]), 5.0)
    linear = signal.linear().detach().double()
    torch.testing.assert_close(linear.mean((2, 3)), torch.zeros(3, 3 + alpha, dtype=torch.float64), atol=1e-6, rtol=0)
    deviation = linear.std((2, 3), unbiased=False)
    torch.testing.assert_close(deviation, torch.full_like(deviation, CONTRAST), atol=1e-5, rtol=0)


def test_the_template_keeps_the_proportions_that_it_is_given() -> None:
    amplitude = torch.rand(3, 6, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    magnitude = template(amplitude, (6, 6))
    ratio = (magnitude / amplitude).flatten(1)[:, 1:]
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert magnitude[:, 0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (4, 5), (5, 4), (2, 2)])
def test_the_gradient_of_the_phases_is_the_numerical_one(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (2, 2, size[0], size[1] // 2 + 1)
    phase = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    magnitude = torch.rand(shape, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: PhaseInverseFFT.apply(p, magnitude, size), [phase])


def test_coefficients_without_phase_are_the_mean_and_the_highest_waves() -> None:
    assert own_conjugates((4, 6)).nonzero().tolist() == [[0, 0], [0, 3], [2, 0], [2, 3]]
    assert own_conjugates((5, 5)).nonzero().tolist() == [[0, 0]]


def test_a_start_picture_brings_its_own_spectrum_and_keeps_it() -> None:
    signal = started((10, 9))
    pictures = 0.05 + 0.9 * torch.rand(signal.shape, generator=torch.Generator().manual_seed(0))
    signal.encode(pictures)
    torch.testing.assert_close(signal().detach(), pictures, atol=1e-5, rtol=0)
    own = signal.magnitude.abs()
    with torch.no_grad():
        signal.phase.add_(0.3)
    found = torch.fft.rfft2(signal.linear().detach())
    torch.testing.assert_close(found.abs(), own, atol=1e-3, rtol=1e-4)


def test_a_measured_or_steeper_template_holds_less_at_high_frequencies() -> None:
    def fine(**settings: float) -> float:
        magnitude = started((32, 32), **settings).magnitude[0, 0]
        return float(magnitude[16, 1] / magnitude[1, 1])

    assert fine(decay=1.0) > 2 * fine(decay=2.0)
    assert fine(cutoff=1.7) > 10 * fine(cutoff=0.45)


Ascend = Callable[..., list[Step]]


def test_a_row_is_optimised_the_same_to_the_bit_in_any_company_and_place(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=12, optimizer=OptimizerConfig(lr=0.1))

    def pictures(units: tuple[int, ...]) -> dict[int, Tensor]:
        steps = ascend(tiny_model, Channel("features.2", units).bind(tiny_model), config, kind=Maco, size=(31, 30))
        return dict(zip(units, steps[-1].signal().detach(), strict=True))

    here, there = pictures((1, 2, 3)), pictures((3, 5, 1))
    assert torch.equal(here[1], there[1])
    assert torch.equal(here[3], there[3])
    assert not torch.equal(here[1], here[3])


def test_ascent_leaves_the_spectrum_as_it_is(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=10, optimizer=OptimizerConfig(lr=0.3))
    first, *_, last = ascend(tiny_model, Channel("features.2", (1, 2)).bind(tiny_model), config, kind=Maco)
    assert bool((last.scores > first.scores).all())
    assert isinstance(last.signal, Maco)
    assert_has_the_template(last.signal)
