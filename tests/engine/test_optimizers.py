"""Ascent against Adam and L-BFGS as their papers write them, and rows that stay alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.engine.adam import EPS
from phosphene.engine.optimizers import ADAM_LR, Ascent, pieces_of
from phosphene.errors import UsageError
from phosphene.recipe import OptimizerConfig


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def adam_reference(x: np.ndarray, gradients: list[np.ndarray], lr: float, betas: tuple[float, float]) -> np.ndarray:
    """Kingma and Ba 2014, algorithm 1, upward."""
    first, second = np.zeros_like(x), np.zeros_like(x)
    for t, gradient in enumerate(gradients, 1):
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        x = x + lr * (first / (1 - betas[0] ** t)) / (np.sqrt(second / (1 - betas[1] ** t)) + EPS)
    return x


def climb(start: Tensor, gradients: list[Tensor], config: OptimizerConfig) -> Tensor:
    parameter = nn.Parameter(start.clone())
    ascent = Ascent([parameter], config, rows=len(start))
    for gradient in gradients:
        ascent.step(lambda gradient=gradient: (torch.zeros(len(start)), [gradient]))
    return parameter.detach()


@pytest.mark.parametrize("config", [OptimizerConfig(), OptimizerConfig(lr=0.3, betas=(0.5, 0.9))])
def test_adam_is_the_papers_adam_upward(config: OptimizerConfig) -> None:
    start, gradients = random(3, 2, 5), [random(3, 2, 5, seed=s) for s in range(1, 8)]
    expected = adam_reference(
        start.double().numpy(), [g.double().numpy() for g in gradients], config.lr or ADAM_LR, config.betas
    )
    np.testing.assert_allclose(climb(start, gradients, config).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 33), (5, 31), (3, 5, 9, 2), (16,), (3, 30, 64)])
def test_a_row_moves_the_same_to_the_bit_in_any_place(shape: tuple[int, ...]) -> None:
    row, gradients = random(1, *shape), [random(1, *shape, seed=s) for s in range(1, 30)]
    alone = climb(row, gradients, OptimizerConfig())
    batch = climb(
        row.repeat(6, *[1] * len(shape)), [g.repeat(6, *[1] * len(shape)) for g in gradients], OptimizerConfig()
    )
    assert all(torch.equal(batch[i], alone[0]) for i in range(6))


def test_the_pieces_of_a_parameter_are_its_rows_in_the_same_memory() -> None:
    parameter = nn.Parameter(random(3, 4))
    pieces = pieces_of(parameter)
    with torch.no_grad():
        pieces[1].fill_(7)
    assert parameter[1].tolist() == [7] * 4
    assert len(pieces) == 3


def test_a_tiny_gradient_moves_as_far_as_a_large_one() -> None:
    start = torch.zeros(2, 3)
    gradient = torch.tensor([[1e3, -1e3, 1.0], [1e-7, -1e-7, 1e-7]])
    moved = climb(start, [gradient], OptimizerConfig())
    torch.testing.assert_close(moved, ADAM_LR * gradient.sign(), rtol=2e-3, atol=0)


def test_the_scores_given_back_are_those_before_the_step_and_gradients_are_cleared() -> None:
    parameter = nn.Parameter(torch.zeros(2, 3))
    ascent = Ascent([parameter], OptimizerConfig(), rows=2)
    scores = ascent.step(lambda: (parameter.detach().sum(1), [torch.ones(2, 3)]))
    assert scores.tolist() == [0, 0]
    assert parameter.grad is None
    assert all(piece.grad is None for pieces in ascent.pieces for piece in pieces)


def quadratic(parameter: nn.Parameter, target: Tensor) -> tuple[Tensor, list[Tensor]]:
    weight = torch.tensor([1.0, 10.0, 100.0, 0.5])
    with torch.enable_grad():
        scores = -(weight * (parameter - target) ** 2).sum(1)
    return scores.detach(), list(torch.autograd.grad(scores.sum(), [parameter]))


def test_lbfgs_climbs_an_uneven_hill_to_its_top() -> None:
    parameter, target = nn.Parameter(torch.zeros(1, 4)), torch.tensor([[1.0, -2.0, 0.5, 3.0]])
    ascent = Ascent([parameter], OptimizerConfig(optimizer="lbfgs"), rows=1)
    scores = [float(ascent.step(lambda: quadratic(parameter, target))) for _ in range(30)]
    torch.testing.assert_close(parameter.detach(), target, atol=1e-3, rtol=0)
    assert scores == sorted(scores)


def test_lbfgs_asks_nothing_twice_where_nothing_is_drawn() -> None:
    def climb(still: bool) -> tuple[int, Tensor]:
        parameter, target = nn.Parameter(torch.zeros(1, 4)), torch.tensor([[1.0, -2.0, 0.5, 3.0]])
        ascent, asked = Ascent([parameter], OptimizerConfig(optimizer="lbfgs"), rows=1), []

        def evaluate() -> tuple[Tensor, list[Tensor]]:
            asked.append(parameter.detach().clone())
            return quadratic(parameter, target)

        for _ in range(8):
            ascent.step(evaluate, still=still)
        return len(asked), parameter.detach()

    twice, plain = climb(False)
    once, remembered = climb(True)
    assert torch.equal(plain, remembered)
    assert once <= twice - 7


def test_lbfgs_takes_one_picture_at_a_time() -> None:
    with pytest.raises(UsageError, match="one picture at a time, got 2 rows"):
        Ascent([nn.Parameter(torch.zeros(2, 3))], OptimizerConfig(optimizer="lbfgs"), rows=2)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_restored_ascent_goes_on_as_if_nothing_had_happened(optimizer: str) -> None:
    config, target = OptimizerConfig(optimizer=optimizer), random(1, 4)

    def run(ascent: Ascent, parameter: nn.Parameter, steps: int) -> None:
        for _ in range(steps):
            ascent.step(lambda: quadratic(parameter, target))

    whole = nn.Parameter(torch.zeros(1, 4))
    run(Ascent([whole], config, rows=1), whole, 7)
    first = nn.Parameter(torch.zeros(1, 4))
    before = Ascent([first], config, rows=1)
    run(before, first, 3)
    second = nn.Parameter(first.detach().clone())
    after = Ascent([second], config, rows=1)
    after.restore(before.state())
    run(after, second, 4)
    assert torch.equal(second, whole)
