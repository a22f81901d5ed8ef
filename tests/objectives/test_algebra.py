"""Trees as data: operators, text, JSON, rows, and scores that follow the arithmetic."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.errors import RecipeError, UsageError
from phosphene.objectives import (
    INPUT,
    L1,
    L2,
    OBJECTIVES,
    OUTPUT,
    TV,
    Alignment,
    Blur,
    Border,
    Caricature,
    Channel,
    Constant,
    Direction,
    Diversity,
    Frequency,
    Logit,
    LogProbability,
    Margin,
    Neuron,
    Objective,
    Opacity,
    Probability,
    Product,
    Scale,
    Sum,
    WholeLayer,
    from_data,
    parse,
    to_data,
)
from phosphene.objectives.acts import average_views
from phosphene.objectives.algebra import lift, number

numbers = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)
plain_names = st.from_regex(r"[a-z]\w{0,5}(\.[a-z0-9]{1,4}){0,2}", fullmatch=True)
names = (
    plain_names | st.text(min_size=1, max_size=8) | st.sampled_from(["0", "0.1.2", "tv", "logit", "1.conv", "sea-lion"])
)
many = st.lists(st.integers(0, 2000), min_size=1, max_size=6).map(tuple)
units = many | st.integers(0, 99) | st.just("*") | st.integers(0, 50).map(lambda n: tuple(range(n, n + 5)))
places = st.none() | st.just("cls") | st.tuples(st.integers(0, 99)) | st.tuples(st.integers(0, 99), st.integers(0, 99))
classes = units | st.lists(st.integers(0, 999) | st.text(max_size=8), min_size=1, max_size=4).map(tuple)
heads = st.just(OUTPUT) | names
vectors = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n).filter(any).map(tuple), min_size=1, max_size=3)
)
directions = st.builds(
    Direction,
    names,
    vectors.map(tuple),
    st.sampled_from(["dot", "cosine", "dot_cosine"]),
    st.floats(-9, 9),
    st.sampled_from([None, "center", "cls", (3,), (3, 5)]),
)
pictures = st.sampled_from([TV(), L1(), L2(), Border(), Opacity(), Blur(), Frequency(), Frequency(0.1)])
readers = (
    st.builds(Channel, names, units)
    | st.builds(Neuron, names, units, places)
    | st.builds(WholeLayer, names)
    | directions
    | st.builds(Logit, classes, heads)
    | st.builds(Probability, classes, heads)
    | st.builds(LogProbability, classes, heads)
    | st.builds(Margin, classes, heads)
    | st.builds(Caricature, names, names, power=numbers)
    | st.builds(Diversity, names, st.integers(2, 9), st.just(()) | many)
    | st.builds(Alignment, names, st.integers(2, 9), st.just(()) | many, st.floats(0.1, 9))
)
weights = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=5).map(tuple)
readers = readers | st.builds(Scale, weights, readers)
scaled = numbers.filter(lambda n: abs(n) < 1e3)


def joined(trees: st.SearchStrategy[Objective]) -> st.SearchStrategy[Objective]:
    some = st.lists(trees, min_size=2, max_size=4).map(tuple)
    unscalable = trees.filter(lambda tree: not isinstance(tree, Constant))
    return (
        st.builds(lambda a, b: a + b, trees, trees)
        | st.builds(lambda a, b: a - b, trees, trees)
        | st.builds(lambda a, b: a * b, trees, trees)
        | st.builds(lambda a, n: a + n, trees, numbers)
        | st.builds(lambda a, n: n - a, trees, numbers)
        | st.builds(lambda a, n: n * a, trees, scaled)
        | st.builds(lambda a: -a, trees)
        | st.builds(lambda a: a / 3, trees)
        | st.builds(Sum, some)
        | st.builds(Product, some)
        | st.builds(Scale, scaled, unscalable)
    )


trees = st.recursive(readers | pictures | st.builds(Constant, numbers), joined, max_leaves=10)


@given(trees)
def test_what_a_tree_prints_reads_back_as_the_same_tree(tree: Objective) -> None:
    assert parse(str(tree)) == tree


@given(trees)
def test_json_of_a_tree_reads_back_as_the_same_tree(tree: Objective) -> None:
    assert from_data(json.loads(json.dumps(to_data(tree), allow_nan=False))) == tree


@given(trees)
def test_a_tree_is_hashable_and_equal_to_its_twin(tree: Objective) -> None:
    assert hash(from_data(to_data(tree))) == hash(tree)
    assert tree != tree + TV()


@given(trees)
def test_layers_are_those_of_the_leaves(tree: Objective) -> None:
    assert tree.layers == frozenset().union(*(leaf.layers for leaf in tree.leaves()))
    assert tree.primary() in tree.leaves()


def test_operators_build_new_trees_and_never_change_old_ones() -> None:
    a, b = Channel("a", 1), Channel("b", 2)
    total = a + b
    longer = total + TV()
    assert total == Sum((Channel("a", 1), Channel("b", 2)))
    assert longer == Sum((a, b, TV()))
    assert a - 0.5 * TV() == Sum((a, Scale(-0.5, TV())))
    assert 1 - Opacity() == Sum((Constant(1), Scale(-1, Opacity())))
    assert a * b == Product((a, b))
    assert -(2 * a) == Scale(-2, a)
    assert a / 4 == Scale(0.25, a)
    assert 3 * Constant(2) == Constant(6)
    with pytest.raises(FrozenInstanceError):
        a.layer = "c"


def test_scores_follow_the_arithmetic() -> None:
    acts = {
        INPUT: torch.rand(3, 4, 6, 6, generator=torch.Generator().manual_seed(0)),
        "a": torch.arange(12.0).view(3, 4),
    }
    rows = torch.arange(3)

    def score(tree: Objective) -> torch.Tensor:
        return tree(acts, rows).expand(3)

    a, tv, opacity = Channel("a", (0, 1, 2)), TV(), Opacity()
    torch.testing.assert_close(score(a), torch.tensor([0.0, 5.0, 10.0]))
    torch.testing.assert_close(score(a - 0.5 * tv + 3), score(a) - 0.5 * score(tv) + 3)
    torch.testing.assert_close(score(a * (1 - opacity)), score(a) * (1 - score(opacity)))
    torch.testing.assert_close(score(Product((a, tv, opacity))), score(a) * score(tv) * score(opacity))
    torch.testing.assert_close(score(-(a / 4)), -score(a) / 4)
    torch.testing.assert_close(score(Constant(2)), torch.full((3,), 2.0))


def test_each_row_has_a_weight_of_its_own() -> None:
    acts, rows = {INPUT: torch.zeros(3, 4, 6, 6), "a": torch.arange(24.0).view(6, 4)}, torch.arange(3)
    unit = Channel("a", 1)
    plain = unit(acts, rows.repeat_interleave(2))
    weighed = Scale((1, 0.5, -2), unit)
    assert weighed.rows == 3
    torch.testing.assert_close(weighed(acts, rows.repeat_interleave(2)), plain * torch.tensor([1, 0.5, -2]))
    assert str(weighed - TV()) == "[1, 0.5, -2]*a:1 - tv"
    assert str(TV() - weighed) == "tv + [-1, -0.5, 2]*a:1"
    assert 2 * weighed == Scale((2, 1, -4), unit)
    assert weighed.take([2]) == -2 * unit
    assert weighed.take([2, 0, 2]) == Scale((-2, 1, -2), unit)
    assert (weighed + Channel("b", (1, 2, 3))).rows == 3
    with pytest.raises(UsageError, match="2 and 3 units"):
        _ = Scale((1, 0.5, -2), Channel("a", (1, 2))).rows
    with pytest.raises(UsageError, match="3 weights for a batch of 2 rows"):
        weighed({INPUT: torch.zeros(2, 3, 4, 4), "a": torch.zeros(2, 4)}, torch.arange(2))


def test_signs_and_products_pull_where_they_say() -> None:
    """Against the peers' slips: a multiplier that spreads over a sum, and operands that change (xplique)."""
    acts, rows = {"a": torch.tensor([[3.0, 5.0]], requires_grad=True)}, torch.arange(1)
    first, second = Channel("a", 0), Channel("a", 1)

    def pull(tree: Objective) -> list[float]:
        return torch.autograd.grad(tree(acts, rows).sum(), acts["a"])[0][0].tolist()

    assert pull(first - second) == [1, -1]
    assert pull(-first - second) == [-1, -1]
    assert pull(-(first - second)) == [-1, 1]
    assert pull(-Logit(0, "a")) == [-1, 0]
    assert pull(first * second) == [5, 3]
    assert pull(2 * first * second - second) == [10, 5]
    assert pull(-(first * second)) == [-5, -3]
    assert pull((first + second) * (first - second)) == pytest.approx([2 * 3, -2 * 5])


def test_a_tree_has_the_rows_of_its_leaves() -> None:
    many, one = Channel("a", range(4)), Channel("b", 7)
    assert (many + one - TV()).rows == 4
    assert one.rows == TV().rows == Constant(1).rows == 1
    assert (many * Neuron("b", range(4))).rows == 4
    with pytest.raises(UsageError, match="3 and 4 units"):
        _ = (many + Channel("b", range(3))).rows


def test_taking_rows_keeps_the_shared_leaves() -> None:
    tree = Channel("a", (5, 6, 7)) * Channel("b", 1) - 0.1 * TV() + Direction("c", ((1.0,), (2.0,), (3.0,)))
    taken = tree.take([2, 0, 2])
    assert taken == Channel("a", (7, 5, 7)) * Channel("b", 1) - 0.1 * TV() + Direction("c", ((3.0,), (1.0,), (3.0,)))
    assert tree.take([0, 1, 2]) == tree


def test_what_a_row_draws_by_is_its_unit_without_weights_and_regularizers() -> None:
    tree = Channel("a", (5, 6)) - 0.1 * TV()
    assert tree.identity(1) == (3 * Channel("a", 6) + 2).identity(0) == Channel("a", 6).identity(0) == "a:6"
    assert (Channel("a", (5, 6)) + Logit(1)).identity(0) == "a:5 & logit:1"
    assert TV().identity(0) == "tv"  # nothing else is there to tell it by
    assert (Constant(1) - Opacity()).identity(0) == "1 - opacity"


def test_the_unit_that_a_tree_is_about_is_its_first_that_reads_the_network() -> None:
    assert (1 - 0.1 * TV() + Channel("a", 1) + Logit(2)).primary() == Channel("a", 1)
    assert (1 - TV()).primary() == Constant(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(float("inf")),
        lambda: Constant(float("nan")),
        lambda: Scale(float("nan"), TV()),
        lambda: Scale(1e200, Scale(1e200, TV())),
        lambda: Scale(2, Constant(1)),
        lambda: Scale(2, 3),
        lambda: Scale((1, 2), Constant(1)),
        lambda: Scale((1,), TV()),
        lambda: Scale((), TV()),
        lambda: Scale((1, float("nan")), TV()),
        lambda: Scale((1, 2), Scale((1, 2, 3), TV())),
        lambda: Sum((TV(),)),
        lambda: Product(()),
        lambda: Sum((TV(), 1)),
        lambda: TV() + "1",
        lambda: TV() - None,
        lambda: lift(True),
    ],
)
def test_what_is_no_tree_is_refused(make: Any) -> None:
    with pytest.raises(UsageError):
        make()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "tv",
        {},
        {"type": "Nothing"},
        {"type": ["TV"]},
        {"type": "Objective"},
        {"type": "_Units", "layer": "a", "units": [1]},
        {"type": "_Joined", "parts": [{"type": "TV"}, {"type": "TV"}]},
        {"type": "Regularizer"},
        {"type": "Channel"},
        {"type": "Channel", "layer": 3, "units": [1]},
        {"type": "Channel", "layer": "a", "units": [-1]},
        {"type": "Channel", "layer": "a", "units": [1.5]},
        {"type": "Constant", "value": "many"},
        {"type": "Constant", "value": 10**400},
        {"type": "Scale", "factor": 2, "of": 3},
        {"type": "Scale", "factor": [2], "of": {"type": "TV"}},
        {"type": "Scale", "factor": [2, "x"], "of": {"type": "TV"}},
        {"type": "Diversity", "layer": "a", "group": 1e9},
        {"type": "Diversity", "layer": "a", "group": 2, "members": [-1]},
        {"type": "Diversity", "layer": "a", "group": 2, "members": 3.5},
        {"type": "Alignment", "layer": "a", "group": 2, "decay": "x"},
        {"type": "Family", "layer": "a", "group": 2},
        {"type": "Classes", "layer": "a", "units": [1]},
        {"type": "Caricature", "layer": "a", "power": [1]},
        {"type": "Frequency", "cutoff": 9},
        {"type": "Custom", "name": "f", "reads": ["a"]},
        {"type": "Sum", "parts": [1, 2]},
        {"type": "Sum", "parts": 7},
        {"type": "Sum", "parts": [{"type": "TV"}, {"type": "Nothing"}]},
        {"type": "Direction", "layer": "a", "vectors": [["x"]]},
        {"type": "Direction", "layer": "a", "vectors": 5},
        {"type": "WholeLayer", "layer": {"type": "TV"}},
    ],
)
def test_data_that_describes_no_tree_is_refused(data: Any) -> None:
    with pytest.raises(RecipeError):
        from_data(data)


def test_data_nested_beyond_reason_is_refused() -> None:
    data: dict[str, Any] = {"type": "TV"}
    for _ in range(100_000):
        data = {"type": "Sum", "parts": [data, {"type": "TV"}]}
    try:
        with pytest.raises(RecipeError):
            from_data(data)
    finally:
        while "parts" in data:  # taken apart by hand: freeing it at once would recurse as deeply
            data = data.pop("parts")[0]


def test_only_objectives_that_score_are_registered() -> None:
    assert all(name == kind.__name__ for name, kind in OBJECTIVES.items())
    assert not [name for name in OBJECTIVES if name.startswith("_")]
    assert {"Channel", "Sum", "TV"} <= set(OBJECTIVES)
    assert "Regularizer" not in OBJECTIVES


def test_numbers_print_as_short_as_they_read_back() -> None:
    assert [number(x) for x in (1.0, -3.0, 0.05, 1e20, 1e-7)] == ["1", "-3", "0.05", "1e+20", "1e-07"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_reads_back(value: float) -> None:
    assert float(number(value)) == value


def test_the_views_of_a_row_are_averaged() -> None:
    values = torch.arange(6.0)
    assert torch.equal(average_views(values, 1), values)
    assert average_views(values, 3).tolist() == [1.0, 4.0]
