"""The CPPN: rows are networks of their own, a formula has no size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from phosphene.engine import Step
from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import Channel
from phosphene.recipe import OptimizerConfig, RenderConfig
from phosphene.seeds import Generators
from phosphene.signals import Cppn
from phosphene.signals.cppn import ATAN, LAYERS, SQUARE, WIDTH, Bend, positions

Ascend = Callable[..., list[Step]]


def started(size: tuple[int, int], rows: int = 2, deviation: float = 0.02) -> Cppn:
    signal = Cppn(rows, size=size)
    signal.start(Generators(0, [f"unit {row}" for row in range(rows)]), deviation)
    return signal


def plain(signal: Cppn, row: int) -> Tensor:
    """One row, layer by layer as the papers write it."""
    x = positions(signal.size)
    for weight in signal.weights[:-1]:
        angle = torch.atan(x @ weight[row])
        x = torch.cat([angle / ATAN, angle**2 / SQUARE], 1)
    linear = (x @ signal.weights[-1][row] + signal.levels[row]) @ signal.basis.T
    return linear.T.reshape(signal.shape[1:]).sigmoid()


def test_each_row_is_the_network_of_its_own_weights() -> None:
    signal = started((9, 13))
    pictures = signal().detach()
    for row in range(2):
        torch.testing.assert_close(pictures[row], plain(signal, row).detach(), atol=1e-5, rtol=0)
    assert len(signal.weights) == LAYERS + 1
    assert signal.weights[1].shape == (2, 2 * WIDTH, WIDTH)


def test_the_gradient_of_the_activation_is_the_numerical_one() -> None:
    z = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(Bend.apply, [z])


def test_both_halves_of_the_activation_have_unit_size_on_normal_numbers() -> None:
    bent = Bend.apply(torch.randn(1, 100_000, 1, generator=torch.Generator().manual_seed(0)))
    assert bent.square().mean((0, 1)).sqrt().tolist() == pytest.approx([1.0, 1.0], abs=0.15)


def test_the_same_size_again_is_the_same_picture() -> None:
    signal = started((17, 12))
    torch.testing.assert_close(signal.at((17, 12)), signal().detach(), atol=1e-6, rtol=0)


def test_a_larger_picture_is_the_same_formula_at_more_places() -> None:
    """Three times the size has a pixel at every old center."""
    signal = started((10, 14))
    large = signal.at((30, 42))
    assert large.shape == (2, 3, 30, 42)
    torch.testing.assert_close(large[:, :, 1::3, 1::3], signal().detach(), atol=1e-5, rtol=0)


def test_positions_are_centers_and_the_longer_side_spans_the_reach() -> None:
    place = positions((2, 4)).view(2, 4, 2)
    assert place[0, :, 0].tolist() == pytest.approx([-1.299, -0.433, 0.433, 1.299], abs=1e-3)
    assert place[:, 0, 1].tolist() == pytest.approx([-0.433, 0.433], abs=1e-3)


def test_a_given_picture_is_refused_with_a_way_out() -> None:
    with pytest.raises(UsageError, match="start from pictures with fourier"):
        started((6, 6)).encode(torch.full((2, 3, 6, 6), 0.5))


def test_a_start_is_a_bold_pattern_about_gray() -> None:
    """Its colors before the sigmoid have no mean, so that no row begins white or black, where nothing moves."""
    signal = Cppn(32, size=(48, 64))
    signal.start(Generators(0, [f"unit {row}" for row in range(32)]))
    with torch.no_grad():
        linear, pictures = signal.linear(), signal()
    assert float(linear.mean((2, 3)).abs().max()) < 1e-4
    contrasts = pictures.flatten(2).std(2).amax(1)
    assert float(contrasts.min()) > 0.08
    assert 0.15 < float(contrasts.median()) < 0.35
    assert float(((pictures < 0.02) | (pictures > 0.98)).float().mean()) < 0.1


def test_a_start_is_the_same_to_the_bit_in_a_batch_of_any_shape() -> None:
    alone, together = Cppn(1, size=(31, 30)), Cppn(5, size=(31, 30))
    alone.start(Generators(3, ["c"]))
    together.start(Generators(3, ["a", "b", "c", "d", "e"]))
    for one, many in zip(alone.parameters(), together.parameters(), strict=True):
        assert torch.equal(one[0], many[2])


def test_the_deviation_of_a_start_says_how_bold_it_is() -> None:
    def contrast(deviation: float) -> float:
        return float(started((32, 32), deviation=deviation)().detach().flatten(2).std(2).mean())

    assert contrast(0.0) == 0
    assert contrast(0.001) < 0.3 * contrast(0.01) < contrast(0.01)


def test_a_row_is_optimised_the_same_to_the_bit_in_any_company_and_place(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=6, optimizer=OptimizerConfig(lr=0.005))

    def pictures(units: tuple[int, ...]) -> dict[int, Tensor]:
        steps = ascend(tiny_model, Channel("features.2", units).bind(tiny_model), config, kind=Cppn, size=(31, 30))
        return dict(zip(units, steps[-1].signal().detach(), strict=True))

    here, there = pictures((1, 2, 3)), pictures((3, 5, 1))
    assert torch.equal(here[1], there[1])
    assert torch.equal(here[3], there[3])
