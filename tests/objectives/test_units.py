"""Objectives that read the network: their numbers against NumPy, and how they bind to a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.errors import UnknownNameError, UsageError
from phosphene.models import Model
from phosphene.objectives import (
    INPUT,
    OUTPUT,
    TV,
    Channel,
    Direction,
    Logit,
    Neuron,
    Objective,
    Probability,
    WholeLayer,
    parse,
)
from phosphene.objectives.stack import stack
from phosphene.objectives.units import as_units, place_in
from phosphene.objectives.words import class_text, layer_text, ranges_text


def activations(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def scores(objective: Objective, values: Tensor, rows: int, layer: str = "a") -> np.ndarray:
    views = len(values) // rows
    acts = {layer: values, INPUT: torch.zeros(rows, 3, 4, 4)}
    return objective(acts, torch.arange(rows).repeat_interleave(views)).numpy()


def per_row(values: list[float], rows: int) -> np.ndarray:
    """Values of views, those of a row together -> mean of each row."""
    return np.array(values).reshape(rows, -1).mean(1)


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("space", [(5, 7), (6,), ()], ids=["map", "tokens", "vector"])
def test_channel_is_the_mean_over_space_of_each_rows_own_unit(space: tuple[int, ...], views: int) -> None:
    values = activations(3 * views, 8, *space)
    units = (6, 0, 6)
    expected = [values[i, units[i // views]].double().mean().item() for i in range(3 * views)]
    np.testing.assert_allclose(scores(Channel("a", units), values, 3), per_row(expected, 3), rtol=1e-5)
    every = [values[i, 4].double().mean().item() for i in range(3 * views)]
    np.testing.assert_allclose(scores(Channel("a", 4), values, 3), per_row(every, 3), rtol=1e-5)


@pytest.mark.parametrize(
    ("space", "position", "place"),
    [
        ((5, 7), None, (2, 3)),
        ((4, 4), None, (2, 2)),  # the lower right one of four
        ((5, 7), (4, 0), (4, 0)),
        ((9,), (8,), (8,)),
        ((9,), None, (4,)),
        ((), None, ()),
    ],
)
def test_neuron_is_one_place_of_each_rows_own_unit(
    space: tuple[int, ...], position: tuple[int, ...] | None, place: tuple[int, ...]
) -> None:
    values = activations(4, 8, *space)
    expected = [values[(i, unit, *place)].item() for i, unit in enumerate((3, 3, 5, 0))]
    np.testing.assert_allclose(scores(Neuron("a", (3, 3, 5, 0), position), values, 4), expected, rtol=1e-6)


@pytest.mark.parametrize("position", [(5, 0), (0, 7), (3,)])
def test_a_position_outside_the_map_is_refused(position: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="outside a"):
        scores(Neuron("a", 0, position), activations(1, 2, 5, 7), 1)


def test_whole_layer_is_the_mean_square() -> None:
    values = activations(4, 3, 5, 6)
    expected = per_row([(row.double() ** 2).mean().item() for row in values], 2)
    np.testing.assert_allclose(scores(WholeLayer("a"), values, 2), expected, rtol=1e-5)


def direction_reference(values: np.ndarray, vector: np.ndarray, form: str, power: float) -> float:
    places = values.reshape(len(vector), -1).T
    answers = []
    for place in places:
        dot = float(place @ vector)
        cosine = dot / (np.linalg.norm(place) * np.linalg.norm(vector))
        answers.append({"dot": dot, "cosine": cosine, "dot_cosine": dot * max(0.1, cosine) ** power}[form])
    return float(np.mean(answers))


@pytest.mark.parametrize("form", ["dot", "cosine", "dot_cosine"])
@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("space", [(3, 4), (6,), ()], ids=["map", "tokens", "vector"])
def test_direction_is_what_numpy_says(form: Any, views: int, space: tuple[int, ...]) -> None:
    values, vectors = activations(3 * views, 5, *space), activations(3, 5, seed=1)
    objective = Direction("a", vectors, form, 2.0)
    expected = [
        direction_reference(values[i].double().numpy(), vectors[i // views].double().numpy(), form, 2.0)
        for i in range(3 * views)
    ]
    np.testing.assert_allclose(scores(objective, values, 3), per_row(expected, 3), rtol=2e-4, atol=1e-6)


def test_a_direction_takes_tensors_arrays_and_lists() -> None:
    vectors = activations(2, 3).round(decimals=2)
    same = [Direction("a", kind) for kind in (vectors, vectors.numpy(), vectors.tolist(), list(vectors))]
    assert all(direction == same[0] for direction in same)
    assert Direction("a", vectors[0]) == Direction("a", vectors[:1])
    assert same[0].rows == 2


@pytest.mark.parametrize(
    "values",
    [
        {"vectors": ()},
        {"vectors": ((),)},
        {"vectors": ((0.0, 0.0),)},
        {"vectors": ((1.0, 2.0), (1.0,))},
        {"vectors": ((1.0, float("nan")),)},
        {"vectors": ((1.0, float("inf")),)},
        {"vectors": ((1.0, 2.0),), "form": "sine"},
        {"vectors": ((1.0, 2.0),), "power": float("inf")},
        {"vectors": ((1.0, 2.0),), "layer": ""},
    ],
)
def test_a_direction_that_points_nowhere_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Direction(**{"layer": "a", **values})


@pytest.mark.parametrize("views", [1, 2])
def test_logit_and_probability_are_before_and_after_the_softmax(views: int) -> None:
    values = 3 * activations(2 * views, 6)
    x = values.double().numpy()
    shares = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    units = (4, 1)
    logits = [x[i, units[i // views]] for i in range(len(x))]
    chances = [shares[i, units[i // views]] for i in range(len(x))]
    np.testing.assert_allclose(scores(Logit(units), values, 2, OUTPUT), per_row(logits, 2), rtol=1e-5)
    np.testing.assert_allclose(scores(Probability(units), values, 2, OUTPUT), per_row(chances, 2), rtol=1e-5)


def test_the_gradient_of_a_probability_is_that_of_its_log_odds_and_does_not_vanish() -> None:
    values = torch.tensor([[-30.0, 2.0, 3.0], [40.0, 1.0, 2.0]])
    ours, odds = (values.clone().requires_grad_() for _ in range(2))
    acts = {OUTPUT: ours, INPUT: torch.zeros(2, 3, 4, 4)}
    chances = Probability(0)(acts, torch.arange(2))
    torch.testing.assert_close(chances.detach(), values.double().softmax(1)[:, 0].float(), rtol=1e-4, atol=0)
    chances.sum().backward()
    (odds[:, 0] - odds[:, 1:].logsumexp(1)).sum().backward()
    torch.testing.assert_close(ours.grad, odds.grad)
    assert float(ours.grad[:, 0].min()) == 1


def test_a_map_of_logits_is_averaged_over_space_first() -> None:
    values = activations(2, 6, 3, 3)
    mean = values.double().mean((2, 3)).numpy()
    np.testing.assert_allclose(scores(Logit(5), values, 2, OUTPUT), mean[:, 5], rtol=1e-5)
    shares = np.exp(mean) / np.exp(mean).sum(1, keepdims=True)
    np.testing.assert_allclose(scores(Probability(5), values, 2, OUTPUT), shares[:, 5], rtol=1e-5)


@pytest.mark.parametrize(
    "objective", [Channel("a", 1), Neuron("a", 1), WholeLayer("a"), Direction("a", (1.0, -2.0)), Logit(1, "a")], ids=str
)
def test_scores_are_float32_whatever_the_network_computed_in(objective: Objective) -> None:
    values = activations(2, 2, 3, 3).bfloat16()
    acts = {"a": values, INPUT: torch.zeros(2, 3, 4, 4)}
    assert objective(acts, torch.arange(2)).dtype == torch.float32


def test_a_batch_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match="3 units for a batch of 2 rows"):
        scores(Channel("a", (0, 1, 2)), activations(2, 4, 3, 3), 2)


def test_binding_resolves_every_unit_names_and_places(tiny_model: Model) -> None:
    assert Channel("features.0", "*").bind(tiny_model) == Channel("features.0", range(8))
    assert Logit("*").bind(tiny_model) == Logit(range(10))
    assert Logit("3").bind(tiny_model) == Logit(3)
    assert Neuron("tokens", 2, "cls").bind(tiny_model) == Neuron("tokens", 2, (0,))
    assert Neuron("tokens", 2, (1, 3)).bind(tiny_model) == Neuron("tokens", 2, (1 + 8 + 3,))
    assert Neuron("tokens", 2, (64,)).bind(tiny_model) == Neuron("tokens", 2, (64,))
    tree = Channel("fork", "*") - 0.1 * TV()
    assert tree.bind(tiny_model) == Channel("fork", range(16)) - 0.1 * TV()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("features.0:8", "no unit 8 in features.0 of tiny: it has 8"),
        ("features.9:0", "no layer 'features.9' in tiny.*did you mean features"),
        ("feature.0", "did you mean features.0"),
        ("features.0:1@cls", "no class token"),
        ("features.0:1@3", "does not fit"),
        ("tokens:1@8,0", "outside tokens, whose tokens are 8 x 8"),
        ("logit:10", "no unit 10|no class"),
        ("logit:goldfish", "goldfish"),
        ("direction(features.0, [1, 2])", "2 values in features.0, which has 8"),
    ],
)
def test_binding_refuses_what_the_network_lacks(tiny_model: Model, target: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(target).bind(tiny_model)


def test_a_class_by_name_needs_a_model_that_knows_names(tiny_model: Model) -> None:
    tiny_model.labels = tuple(f"thing {i}" for i in range(10))
    assert Probability("thing 7").bind(tiny_model) == Probability(7)
    with pytest.raises(UnknownNameError, match="did you mean thing"):
        Logit("thin 7").bind(tiny_model)


def test_a_place_needs_a_layer_that_has_it(tiny_model: Model) -> None:
    assert place_in(tiny_model.find_layer("features.0"), (3, 5)) == (3, 5)
    with pytest.raises(UsageError):
        place_in(tiny_model.find_layer("output"), "cls")


@pytest.mark.parametrize("units", [(), -1, True, 1.5, (0, -2), None, [[1]]])
def test_a_unit_that_is_no_unit_is_refused(units: Any) -> None:
    with pytest.raises(UsageError):
        as_units(units)
    with pytest.raises(UsageError):
        Channel("a", units)


@pytest.mark.parametrize("layer", ["", None, 3])
def test_a_target_needs_the_name_of_a_layer(layer: Any) -> None:
    for make in (WholeLayer, lambda name: Channel(name, 1), lambda name: Direction(name, (1.0,))):
        with pytest.raises(UsageError, match="name of a layer"):
            make(layer)


@pytest.mark.parametrize("position", [(), (1, 2, 3), (-1, 0), (True, 1), (0.5, 1)])
def test_a_position_that_is_no_position_is_refused(position: Any) -> None:
    with pytest.raises(UsageError, match="position"):
        Neuron("a", 1, position)


def test_runs_of_three_become_ranges() -> None:
    assert ranges_text((0, 1, 2, 3)) == "0..3"
    assert ranges_text((3, 4, 9, 7, 8, 9, 9)) == "3,4,9,7..9,9"
    assert ranges_text(("*",)) == "*"


def test_names_are_quoted_only_where_they_must_be() -> None:
    assert layer_text("features.12") == "features.12"
    assert [layer_text(name) for name in ("tv", "0.1", "a b", 'a"b')] == ['"tv"', '"0.1"', '"a b"', '"a\\"b"']
    assert class_text("goldfish") == "goldfish"
    assert class_text("great white shark") == '"great white shark"'
    assert class_text(7) == "7"


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("a:3", "a:7", "a:3,7"),
        ("a:3,4", "a:7", "a:3,4,7"),
        ("a:3 - 0.1*tv", "a:7 - 0.1*tv", "a:3,7 - 0.1*tv"),
        ("a:3,5 * b:1", "a:7 * b:2", "a:3,5,7 * b:1,1,2"),
        ("direction(a, [1, 2])", "direction(a, [3, 4])", "direction(a, [1, 2], [3, 4])"),
        ("a:3", "b:3", None),
        ("a:3 - 0.1*tv", "a:3 - 0.2*tv", None),
        ("a:3@1,1", "a:3@1,2", None),
        ("a:3", "a:3@center", None),
        ("a", "b", None),
    ],
)
def test_targets_of_one_shape_stack_into_one_tree(first: str, second: str, joined: str | None) -> None:
    tree = stack(parse(first), parse(second))
    assert tree == (parse(joined) if joined is not None else None)
    if tree is not None:
        rows = parse(first).rows
        assert tree.take(range(rows)).take([0]) == parse(first).take([0])
        assert tree.take([rows]) == parse(second).take([0])
