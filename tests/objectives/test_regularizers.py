"""Regularizers against NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from phosphene.errors import ParseError, UsageError
from phosphene.objectives import INPUT, L1, L2, TV, TV2, Blur, Border, Frequency, Objective, Opacity, parse
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


def blur(x: np.ndarray) -> float:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = sum(weights[i, j] * padded[:, i : i + x.shape[1], j : j + x.shape[2]] for i in range(3) for j in range(3))
    return ((x - blurred) ** 2).sum() / 2 / len(x)


def frequency(cutoff: float) -> Callable[[np.ndarray], float]:
    """The power of what is left when every wave up to the cutoff is taken away."""

    def power(x: np.ndarray) -> float:
        down, across = (np.fft.fftfreq(side) for side in x.shape[1:])
        keep = np.sqrt(down[:, None] ** 2 + across**2) > cutoff
        return (np.abs(np.fft.ifft2(np.fft.fft2(x) * keep)) ** 2).sum() / len(x)

    return power


REFERENCES = {
    TV(): tv,
    TV2(): lambda x: ((np.diff(x, axis=1) ** 2).sum() + (np.diff(x, axis=2) ** 2).sum()) / len(x),
    L1(): lambda x: np.abs(x - 0.5).sum() / len(x),
    L2(): lambda x: np.sqrt(((x - 0.5) ** 2).sum() / len(x)),
    Border(): border,
    Opacity(): lambda x: x[-1].mean(),
    Blur(): blur,
    Frequency(): frequency(0.25),
    Frequency(0.1): frequency(0.1),
    Frequency(0): frequency(0),
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


@pytest.mark.parametrize("objective", [TV(), TV2(), L1(), L2(), Border(), Blur(), Frequency()], ids=str)
def test_a_gray_picture_costs_nothing_and_has_a_finite_gradient(objective: Objective) -> None:
    x = torch.full((3, 3, 8, 8), 0.5).requires_grad_()
    scores = objective({INPUT: x}, ROWS)
    assert float(scores.detach().abs().max()) < 2e-4
    scores.sum().backward()
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("objective", [TV(), L1(), L2(), Blur(), Frequency()], ids=str)
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


def test_a_checkerboard_pays_all_of_its_power_and_a_slow_wave_next_to_nothing() -> None:
    i = torch.arange(16)
    board = 0.5 + 0.2 * (1 - 2 * ((i[:, None] + i) % 2)).float()
    slow = 0.5 + 0.2 * torch.cos(2 * torch.pi * i / 16).expand(16, 16)
    x = torch.stack([board, slow])[:, None]
    power = 16 * 16 * 0.2**2
    fast, gentle = Frequency()({INPUT: x}, ROWS).tolist()
    assert fast == pytest.approx(power, rel=1e-5)
    assert abs(gentle) < 1e-6 * power
    fast, gentle = Blur()({INPUT: x}, ROWS).tolist()
    assert fast > 0.4 * power
    assert gentle < 1e-3 * power


def test_the_power_above_no_frequency_is_all_but_the_mean() -> None:
    x = pictures(3, 3, 9, 12)
    spread = (x - x.mean((2, 3), keepdim=True)).square().sum((1, 2, 3)) / 3
    torch.testing.assert_close(Frequency(0)({INPUT: x}, ROWS), spread)


def test_a_cutoff_is_read_and_written() -> None:
    assert parse("frequency") == Frequency() == Frequency(0.25)
    assert str(parse("a:1 - 0.1*frequency(cutoff=0.1)")) == "a:1 - 0.1*frequency(cutoff=0.1)"
    assert parse("a:1 - blur") == parse("a:1 - blur()")


@pytest.mark.parametrize("cutoff", [-0.1, 0.71, float("nan"), "high", True, None])
def test_a_cutoff_that_no_picture_reaches_is_refused(cutoff: object) -> None:
    with pytest.raises(UsageError, match="cutoff"):
        Frequency(cutoff)  # type: ignore[arg-type]


def test_options_of_a_price_that_has_none_are_refused() -> None:
    with pytest.raises(ParseError, match=r"expected '\)'"):
        parse("tv(cutoff=1)")
