"""Dead rectifiers let gradient through for the rows that ask for it, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.models import Model
from phosphene.models.redirect import Redirect

RECTIFIERS: dict[str, Callable[[Tensor], Tensor]] = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU(inplace)": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu(inplace)": lambda x: F.relu(x, inplace=True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda x: x.relu(),
    "Tensor.relu_": lambda x: x.relu_(),
    "nn.ReLU6": nn.ReLU6(),
    "nn.ReLU6(inplace)": nn.ReLU6(inplace=True),
    "F.relu6": F.relu6,
    "nn.Hardswish": nn.Hardswish(),
    "nn.Hardswish(inplace)": nn.Hardswish(inplace=True),
    "nn.Hardsigmoid": nn.Hardsigmoid(),
    "nn.Hardtanh": nn.Hardtanh(),
    "F.hardtanh(min)": lambda x: F.hardtanh(x, -2.0, 2.0),
}


def batch() -> Tensor:
    """Four rows: alive, dead everywhere, alive in part, dead everywhere."""
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    x[1], x[3] = -4 - x[1].abs(), -4 - x[3].abs()
    x[2, :2] = -4
    return x


def run(rectify: Callable[[Tensor], Tensor], x: Tensor, weight: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
    """The output, and the gradient of (weight * output) at the input."""
    leaf = x.clone().requires_grad_()
    work = leaf * 1
    if rows is None:
        y = rectify(work)
    else:
        with Redirect(rows):
            y = rectify(work)
    (y * weight).sum().backward()
    assert leaf.grad is not None
    return y.detach(), leaf.grad


@pytest.mark.parametrize("name", RECTIFIERS)
def test_dead_rows_get_the_upward_gradient_and_the_others_keep_theirs(name: str) -> None:
    rectify, x = RECTIFIERS[name], batch()
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    plain_y, plain = run(rectify, x, weight, None)
    y, redirected = run(rectify, x, weight, torch.tensor([True, True, True, False]))
    assert torch.equal(y, plain_y)
    assert torch.equal(redirected[[0, 2, 3]], plain[[0, 2, 3]])  # alive, alive in part, not asked for
    assert float(plain[1].abs().max()) == 0
    torch.testing.assert_close(redirected[1], weight[1].clamp(min=0))


@pytest.mark.parametrize(
    "name", ["nn.ReLU(inplace)", "F.relu(inplace)", "torch.relu_", "Tensor.relu_", "nn.ReLU6(inplace)"]
)
def test_an_in_place_rectifier_stays_in_place(name: str) -> None:
    leaf = batch().requires_grad_()
    work = leaf * 1
    with Redirect(torch.ones(4, dtype=torch.bool)):
        y = RECTIFIERS[name](work)
    assert y.data_ptr() == work.data_ptr()
    assert torch.equal(work.detach(), RECTIFIERS[name](batch()))
    (work * 2).sum().backward()  # what was held on to before the rectifier sees its gradient too
    assert float(leaf.grad[1].abs().min()) > 0


def test_rows_that_are_not_asked_for_are_plain_to_the_bit() -> None:
    x, weight = batch(), torch.ones(4, 3, 5, 5)
    _, plain = run(torch.relu, x, weight, None)
    _, redirected = run(torch.relu, x, weight, torch.zeros(4, dtype=torch.bool))
    assert torch.equal(redirected, plain)


def test_what_is_no_rectifier_or_no_batch_is_left_alone() -> None:
    rows = torch.ones(4, dtype=torch.bool)
    weight = torch.ones(4, 3, 5, 5)
    for smooth in (torch.sigmoid, F.gelu, F.silu, torch.tanh):
        assert torch.equal(run(smooth, batch(), weight, rows)[1], run(smooth, batch(), weight, None)[1])
    vector = (-torch.ones(7)).requires_grad_()  # a gate of another length than the batch
    with Redirect(rows):
        torch.relu(vector * 1).sum().backward()
    assert float(vector.grad.abs().max()) == 0


def test_the_floor_is_where_the_rectifier_goes_flat() -> None:
    x = torch.full((2, 1), -2.5)
    _, inside = run(F.hardswish, x, torch.ones(2, 1), torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(inside, (2 * x + 3) / 6)  # between -3 and 0 hardswish has a slope of its own
    _, saturated = run(F.relu6, x + 10, torch.ones(2, 1), torch.ones(2, dtype=torch.bool))
    assert float(saturated.abs().max()) == 0  # flat because it is too high: nothing to redirect upward


def test_a_silent_unit_of_a_network_gets_gradient_only_in_its_own_row(tiny_model: Model) -> None:
    with torch.no_grad():
        tiny_model.net.features[0].bias.fill_(-100)  # every unit of the first layer is dead
    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def gradient(redirect: Tensor | None) -> tuple[Tensor, Tensor]:
        x = pictures.clone().requires_grad_()
        value = tiny_model.activations(x, ["features.1"], redirect=redirect)["features.1"]
        value.sum().backward()
        return value.detach(), x.grad

    plain_value, plain = gradient(None)
    value, redirected = gradient(torch.tensor([False, True, False]))
    assert torch.equal(value, plain_value)
    assert float(plain.abs().max()) == 0
    assert float(redirected[1].abs().max()) > 0
    assert float(redirected[[0, 2]].abs().max()) == 0


def test_a_redirected_row_is_the_same_with_any_mates() -> None:
    x, weight = batch(), torch.ones(4, 3, 5, 5)
    _, together = run(torch.relu, x, weight, torch.tensor([False, True, False, True]))
    _, alone = run(torch.relu, x[1:2], weight[1:2], torch.tensor([True]))
    assert torch.equal(together[1], alone[0])
