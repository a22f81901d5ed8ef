"""Classes against each other: their numbers against NumPy, and where their gradients go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.models import InputSpec, from_module
from phosphene.objectives import INPUT, OUTPUT, Classes, Logit, LogProbability, Margin, Probability, parse

UNITS = (4, 1)


def logits(*shape: int, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def scores(objective: Classes, values: Tensor) -> Tensor:
    views = len(values) // 2
    return objective({OUTPUT: values, INPUT: torch.zeros(2, 3, 4, 4)}, torch.arange(2).repeat_interleave(views))


def log_probability(z: np.ndarray, unit: int) -> float:
    return float(z[unit] - np.log(np.exp(z).sum()))


def margin(z: np.ndarray, unit: int) -> float:
    return float(z[unit] - max(value for k, value in enumerate(z) if k != unit))


@pytest.mark.parametrize(("kind", "reference"), [(LogProbability, log_probability), (Margin, margin)])
@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("units", [UNITS, (2,)])
def test_a_class_against_the_others_is_what_numpy_says(
    kind: type[Classes], reference: type, views: int, units: tuple[int, ...]
) -> None:
    values = logits(2 * views, 6)
    each = [reference(z, units[i // views % len(units)]) for i, z in enumerate(values.double().numpy())]
    np.testing.assert_allclose(scores(kind(units), values), np.reshape(each, (2, -1)).mean(1), rtol=1e-5)


@pytest.mark.parametrize("kind", [LogProbability, Margin])
def test_a_map_of_logits_is_averaged_over_space_first(kind: type[Classes]) -> None:
    maps = logits(2, 6, 3, 5)
    torch.testing.assert_close(scores(kind(UNITS), maps), scores(kind(UNITS), maps.mean((2, 3))))


def test_a_log_probability_is_exact_where_the_class_is_all_but_certain() -> None:
    """log p = -exp(-40) there: as a difference of two logits in float32 it would be 0 without a gradient."""
    values = torch.tensor([[40.0, 0.0], [-200.0, 0.0]], requires_grad=True)
    found = scores(LogProbability(0), values)
    np.testing.assert_allclose(found.detach(), [-np.exp(-40.0), -200.0], rtol=1e-5)
    found.sum().backward()
    np.testing.assert_allclose(values.grad[:, 0], [np.exp(-40.0), 1.0], rtol=1e-5)


def test_what_each_pulls_at() -> None:
    """The logit pulls at its own class, the margin at one rival more, the probability and its logarithm at all."""
    values = logits(2, 6, scale=0.5)
    pulled = {}
    for kind in (Logit, Margin, Probability, LogProbability):
        x = values.clone().requires_grad_()
        scores(kind(3), x).sum().backward()
        pulled[kind] = x.grad
        assert bool((x.grad[:, 3] > 0).all())
    assert (pulled[Logit] != 0).sum(1).tolist() == [1, 1]
    assert (pulled[Margin] != 0).sum(1).tolist() == [2, 2]
    rivals = values.index_fill(1, torch.tensor([3]), -torch.inf).argmax(1)
    assert pulled[Margin].argmin(1).tolist() == rivals.tolist()
    for kind in (Probability, LogProbability):
        assert (pulled[kind] < 0).sum(1).tolist() == [5, 5]
    doubt = 1 - values.softmax(1)[:, 3:4]
    torch.testing.assert_close(pulled[LogProbability], doubt * pulled[Probability])


def test_a_margin_is_above_zero_where_the_class_is_chosen() -> None:
    values = logits(2, 6)
    best, worst = (tuple(values.argsort(1)[:, k].tolist()) for k in (-1, 0))
    assert bool((scores(Margin(best), values) > 0).all())
    assert bool((scores(Margin(worst), values) < 0).all())


def test_a_network_with_one_class_has_nothing_to_compare() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 1)).eval()
    model = from_module(net, InputSpec(size=(4, 4)), name="single")
    assert Logit(0).bind(model) == Logit(0)
    for text in ("margin:0", "logprob:0", "prob:0"):
        with pytest.raises(UsageError, match=f"{text} compares classes, and output of single has one"):
            parse(text).bind(model)


def test_classes_are_read_by_name_and_bound_as_logits_are() -> None:
    assert parse("margin:goldfish,1..3") == Margin(("goldfish", 1, 2, 3))
    assert parse('logprob:"great white shark"@aux') == LogProbability("great white shark", "aux")
    assert str(Margin(("goldfish", 3), "tv")) == 'margin:goldfish,3@"tv"'
