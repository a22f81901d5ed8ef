"""L-BFGS against the two loops of its paper, and what its memory keeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.engine.lbfgs import BOLDNESS, LBFGS, Memory, in_order, remembered

SIZE = 30


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def two_loops(gradient: np.ndarray, moves: np.ndarray, bends: np.ndarray) -> np.ndarray:
    """Nocedal and Wright 2006, algorithm 7.4: H g from pairs, the oldest first."""
    q, kept = gradient.copy(), []
    for s, y in zip(moves[::-1], bends[::-1], strict=True):
        kept.append(s @ q / (y @ s))
        q -= kept[-1] * y
    r = BOLDNESS * q * (moves[-1] @ bends[-1]) / (bends[-1] @ bends[-1])
    for s, y, a in zip(moves, bends, kept[::-1], strict=True):
        r += s * (a - y @ r / (y @ s))
    return r


def hill(bend: Tensor, top: Tensor) -> Callable[[Tensor], tuple[Tensor, list[Tensor]]]:
    """A score with its gradient: -1/2 (x - top) B (x - top) - sum (x - top)^4 / 10."""

    def evaluate(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        away = x.detach()[0] - top
        score = -(away @ bend @ away / 2 + (away**4).sum() / 10)
        return score.view(1), [-(bend @ away + 0.4 * away**3)[None]]

    return evaluate


def uneven() -> tuple[Tensor, Tensor]:
    root = random(SIZE, SIZE)
    return root @ root.T / SIZE + 0.05 * torch.eye(SIZE), random(SIZE, seed=1)


def climb(parameter: nn.Parameter, steps: int, history: int) -> LBFGS:
    ascent, score = LBFGS([parameter], lr=1.0, history=history), hill(*uneven())
    for _ in range(steps):
        ascent.step(lambda: score(parameter), still=True)
    return ascent


@pytest.mark.parametrize("steps", [2, 5, 7, 8, 12])
def test_its_direction_is_that_of_the_two_loops(steps: int) -> None:
    """Before the memory of six is full, when it is, and when some pairs were replaced."""
    ascent, gradient = climb(nn.Parameter(torch.zeros(1, SIZE)), steps, history=6), random(SIZE, seed=2)
    pairs = in_order(ascent.memory.state()).double().numpy()
    assert pairs.shape == (2, min(steps - 1, 6), SIZE)
    found = ascent.memory.direction(gradient, ascent.memory.products(gradient))
    np.testing.assert_allclose(found.numpy(), two_loops(gradient.double().numpy(), *pairs), rtol=1e-3, atol=1e-4)


def test_the_products_that_it_takes_from_gradients_are_those_of_its_pairs() -> None:
    memory = climb(nn.Parameter(torch.zeros(1, SIZE)), 12, history=6).memory
    again = remembered(memory.pairs, memory.history)
    later = (memory.next - torch.arange(6) - 1) % 6  # how many steps ago a pair was made
    known = later[:, None] >= later[None, :]  # of s_i . y_j only those are read where y_j is no older
    torch.testing.assert_close(memory.crossed[known], again["crossed"][known], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(memory.bent, again["bent"], rtol=1e-4, atol=1e-5)


def test_it_needs_no_more_steps_than_torchs_own() -> None:
    mine, theirs = nn.Parameter(torch.zeros(1, SIZE)), nn.Parameter(torch.zeros(1, SIZE))
    score = hill(*uneven())
    optimizer = torch.optim.LBFGS([theirs], max_iter=1, max_eval=25, history_size=6, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        value, (gradient,) = score(theirs)
        theirs.grad = -gradient
        return -value

    for _ in range(12):
        optimizer.step(closure)
    climb(mine, 12, history=6)
    first, reached, wanted = (float(score(x)[0]) for x in (torch.zeros(1, SIZE), mine, theirs))
    assert reached >= wanted - 1e-3 * (wanted - first)


def test_a_pair_without_curvature_is_not_remembered() -> None:
    memory, move = Memory(4, torch.zeros(3)), torch.tensor([1.0, 0.0, 0.0])
    assert memory.add(move, torch.tensor([0.0, 1.0, 0.0])) is None
    assert memory.add(move, -move) is None
    assert memory.add(move, 2 * move) == 0
    assert (memory.count, memory.curvature) == (1, BOLDNESS / 2)


def test_where_no_step_is_better_it_stays_and_forgets() -> None:
    """A score that falls whichever way one goes, and a gradient that says otherwise."""
    parameter = nn.Parameter(torch.ones(1, 2))
    ascent = LBFGS([parameter], lr=1.0, history=3)
    for _ in range(2):
        ascent.step(lambda: (-(parameter.detach() - 1).abs().sum().view(1), [torch.ones(1, 2)]))
        assert torch.equal(parameter.detach(), torch.ones(1, 2))
    assert ascent.memory.count == 0


def test_it_refuses_a_state_of_other_parameters() -> None:
    state = climb(nn.Parameter(torch.zeros(1, SIZE)), 4, history=6).state()
    with pytest.raises(ValueError, match="do not fit"):
        LBFGS([nn.Parameter(torch.zeros(1, SIZE + 1))], lr=1.0, history=6).restore(state)
