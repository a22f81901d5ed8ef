"""Statistics as data: text, JSON, networks, and how a tree gets its targets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from phosphene.errors import ParseError, PhospheneError, RecipeError, UsageError
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import (
    OBJECTIVES,
    TV,
    Channel,
    Content,
    Gram,
    Moments,
    Objective,
    SlicedWasserstein,
    Statistic,
    WholeLayer,
    aim,
    from_data,
    parse,
    to_data,
    unaimed,
)

ROWS = torch.arange(2)
STYLED = parse("content(a) + 10*gram(a) + gram(a, of=other)*(moments(a, of=other) - 1) - tv - 2*sliced(a) + b:3")


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def references(asked: list[str]) -> Callable[[str], tuple[Mapping[str, Tensor], Tensor | None]]:
    def reference(name: str) -> tuple[Mapping[str, Tensor], Tensor | None]:
        asked.append(name)
        return {"a": features(1, 6, 5, 7, seed=len(name))}, None

    return reference


def test_aiming_gives_every_statistic_its_reference_and_asks_for_each_once() -> None:
    asked: list[str] = []
    aimed = aim(STYLED, references(asked))
    assert sorted(asked) == ["content", "other", "style"]
    assert aimed == STYLED
    assert str(aimed) == str(STYLED)
    assert hash(aimed) == hash(STYLED)
    assert len(unaimed(STYLED)) == 5
    assert unaimed(aimed) == []
    assert unaimed(aimed.take([0])) == []


def test_a_target_is_in_no_text_json_or_representation() -> None:
    aimed = Gram("a").aimed(features(1, 6, 5, 7))
    assert json.loads(json.dumps(to_data(aimed))) == {
        "type": "Gram",
        "layer": "a",
        "of": "style",
        "mask": "",
        "norm": "paper",
    }
    assert "target" not in repr(aimed)
    smuggled = from_data(to_data(aimed) | {"target": [1.0]})
    assert isinstance(smuggled, Gram)
    assert smuggled.target is None
    assert "Statistic" not in OBJECTIVES


@pytest.mark.parametrize("leaf", [Content("a"), Gram("a"), Moments("a"), SlicedWasserstein("a")], ids=str)
def test_a_statistic_without_a_target_says_so(leaf: Statistic) -> None:
    with pytest.raises(UsageError, match="no target yet"):
        leaf({"a": features(2, 6, 5, 7)}, ROWS)


def test_binding_resolves_aliases_keeps_the_target_and_refuses_what_has_no_positions(tiny_model: Model) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU()).eval()
    model = from_module(net, InputSpec(size=(32, 32)), name="small")
    bound = Gram("relu2_1").aimed(features(1, 4, 5, 7)).bind(model)
    assert bound == Gram("4")
    assert unaimed(bound) == []
    with pytest.raises(PhospheneError, match="no layer 'relu9_1' in small"):
        Content("relu9_1").bind(model)
    with pytest.raises(UsageError, match="output of tiny has none: it is a vector"):
        Moments("output").bind(tiny_model)
    with pytest.raises(UsageError, match="sequence of tokens"):
        Gram("tokens", mask="sky").bind(tiny_model)
    assert Gram("tokens").bind(tiny_model) == Gram("tokens")


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda f: Content("a").aimed(f)({"a": f[..., 1:]}, ROWS), "must have the same size"),
        (lambda f: Content("a").aimed(f, torch.ones(1, 1, 5, 7)), "not the reference 'content'"),
        (lambda f: Gram("a").aimed(f, torch.zeros(1, 1, 5, 7)), "mask of the reference 'style' is black"),
        (lambda f: Gram("a").aimed(f.flatten(2), torch.ones(1, 1, 5, 7)), "does not fit a layer with positions"),
        (lambda f: Gram("a").aimed(torch.cat([f, f])), "is one picture, 'style' has 2"),
        (lambda f: Content("a", form="relative").aimed(0 * f), "all zero at a"),
        (lambda f: Gram("a", norm="relative").aimed(0 * f), "all zero at a"),
        (lambda f: Gram("a").aimed(f / 0), "NaN or infinity at a"),
        (lambda f: Gram("a", mask="sky").aimed(f)({"a": f}, ROWS), "needs the mask 'sky'"),
        (lambda f: aim(Gram("a"), lambda name: ({"b": f}, None)), "'style' has no activations of a"),
    ],
)
def test_what_cannot_be_compared_is_refused(act: Callable[[Tensor], Objective], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        act(features(1, 6, 5, 7))


MEANINGS = {
    "content(relu4_2)": Content("relu4_2"),
    "content(0.1, of=photo, form=sum)": Content("0.1", "photo", form="sum"),
    "gram(relu4_1, of=style2, norm=mean, mask=sky)": Gram("relu4_1", "style2", "sky", "mean"),
    'gram("odd name", of="my painting")': Gram("odd name", "my painting"),
    "moments(features.3, of=content)": Moments("features.3", "content"),
    "sliced(a, directions=64)": SlicedWasserstein("a", directions=64),
    '"gram"': WholeLayer("gram"),
    "gram:3": Channel("gram", 3),
    "content(a) + 100*gram(a) - tv": Content("a") + 100 * Gram("a") - TV(),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_phrase_means_its_statistic(text: str) -> None:
    assert parse(text) == MEANINGS[text]
    assert parse(str(MEANINGS[text])) == MEANINGS[text]


def test_only_what_differs_from_the_default_is_printed() -> None:
    assert str(Gram("relu4_1", norm="paper")) == "gram(relu4_1)"
    assert str(Content("a", "content", "sky")) == "content(a, mask=sky)"
    assert str(SlicedWasserstein("gram", "gram", directions=8)) == 'sliced("gram", of=gram, directions=8)'


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("gram", 4, "expected '\\('"),
        ("gram()", 5, "expected the name of a layer"),
        ("gram(a, form=sum)", 8, "expected of=... or mask=... or norm=..."),
        ("gram(a, of)", 10, "expected '='"),
        ("gram(a, of=)", 11, "expected a name or a number"),
        ("gram(a, norm=large)", 0, "paper, mean, sum or relative, got 'large'"),
        ("content(a, of=3)", 0, "name of a reference picture, got 3"),
        ("sliced(a, directions=0)", 0, "1 to 16384 directions, got 0"),
        ("moment(a)", 0, "no objective 'moment'; did you mean moments"),
    ],
)
def test_a_wrong_phrase_is_shown_where_it_is_wrong(text: str, position: int, says: str) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        parse(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    "data",
    [
        {"type": "Statistic", "layer": "a"},
        {"type": "Gram"},
        {"type": "Gram", "layer": ""},
        {"type": "Gram", "layer": "a", "of": ""},
        {"type": "Gram", "layer": "a", "mask": None},
        {"type": "Gram", "layer": "a", "norm": ["paper"]},
        {"type": "Content", "layer": "a", "form": 1},
        {"type": "SlicedWasserstein", "layer": "a", "directions": 1.5},
        {"type": "SlicedWasserstein", "layer": "a", "directions": True},
        {"type": "SlicedWasserstein", "layer": "a", "directions": 10**9},
    ],
)
def test_data_that_describes_no_statistic_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        from_data(data)


names = st.text(min_size=1, max_size=8) | st.sampled_from(["relu4_1", "gram", "0.1", "my painting", "sea-lion", "of"])
masks = st.just("") | names
leaves = (
    st.builds(Content, names, names, masks, st.sampled_from(["mean", "sum", "relative"]))
    | st.builds(Gram, names, names, masks, st.sampled_from(["paper", "mean", "sum", "relative"]))
    | st.builds(Moments, names, names, masks)
    | st.builds(SlicedWasserstein, names, names, masks, st.none() | st.integers(1, 9999))
)


@given(leaves, leaves)
def test_text_and_json_of_any_statistic_read_back_as_the_same(first: Statistic, second: Statistic) -> None:
    tree = first - 0.5 * second
    assert parse(str(tree)) == tree
    assert from_data(json.loads(json.dumps(to_data(tree)))) == tree
