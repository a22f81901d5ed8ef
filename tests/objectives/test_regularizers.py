"""Regularizers against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from phosphene.objectives import INPUT, L1, L2, TV, TV2, Border, Objective, Opacity
from phosphene.objectives.regularizers import REGULARIZERS

ROWS = torch.arange(3)


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def tv(x: np.ndarray) -> float:
    across = sum(abs(x[:, :, j + 1] - x[:, :, j]).sum() for j in range(x.shape[2] - 1))
    down = sum(abs(x[:, i + 1] - x[:, i]).sum() for i in range(x.shape[1] - 1))
    return (across + down) / x.shape[0]


def border(x: np.ndarray) -> float:
    channels, height, width = x.shape
    band = max(1, round(0.1 * min(height, width)))
    total = 0.0
    for i in range(height):
        for j in range(width):
            if i < band or j < band or i >= height - band or j >= width - band:
                total += ((x[:, i, j] - 0.5) ** 2).sum()
    return total / channels


REFERENCES = {
    TV(): tv,
    TV2(): lambda x: ((np.diff(x, axis=1) ** 2).sum() + (np.diff(x, axis=2) ** 2).sum()) / len(x),
    L1(): lambda x: np.abs(x - 0.5).sum() / len(x),
    L2(): lambda x: np.sqrt(((x - 0.5) ** 2).sum() / len(x)),
    Border(): border,
    Opacity(): lambda x: x[-1].mean(),
}


@pytest.mark.parametrize("objective", REFERENCES, ids=str)
@pytest.mark.parametrize("shape", [(3, 3, 12, 17), (3, 1, 5, 4), (3, 4, 24, 24)])
def test_a_regularizer_is_what_numpy_says(objective: Objective, shape: tuple[int, ...]) -> None:
    x = pictures(*shape)
    scores = objective({INPUT: x}, ROWS)
    expected = [REFERENCES[objective](row.double().numpy()) for row in x]
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-4)


def test_every_regularizer_has_a_reference_here_and_a_word_of_the_grammar() -> None:
    assert {type(objective) for objective in REFERENCES} == set(REGULARIZERS.values())
    assert all(str(kind()) == word for word, kind in REGULARIZERS.items())


@pytest.mark.parametrize("objective", [TV(), TV2(), L1(), L2(), Border()], ids=str)
def test_a_gray_picture_costs_nothing_and_has_a_finite_gradient(objective: Objective) -> None:
    x = torch.full((3, 3, 8, 8), 0.5).requires_grad_()
    scores = objective({INPUT: x}, ROWS)
    assert float(scores.detach().abs().max()) < 2e-4
    scores.sum().backward()
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("objective", [TV(), L1(), L2()], ids=str)
def test_a_regularizer_reads_sounds_too(objective: Objective) -> None:
    wave = pictures(3, 1, 50)
    assert objective({INPUT: wave}, ROWS).shape == (3,)
    if objective == TV():
        torch.testing.assert_close(objective({INPUT: wave}, ROWS), wave.diff().abs().sum((1, 2)))


def test_regularizers_need_the_picture_and_no_layer() -> None:
    for kind in REGULARIZERS.values():
        assert kind().layers == {INPUT}
        assert kind().regularizes
        assert kind().rows == 1
