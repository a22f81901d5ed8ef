"""A function of one's own: it scores as any leaf does, and no text or recipe brings it back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phosphene.engine import Step
from phosphene.errors import ParseError, RecipeError, UnknownNameError, UsageError
from phosphene.features.render import render
from phosphene.features.rerun import rerun
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import (
    INPUT,
    OBJECTIVES,
    TV,
    Acts,
    Channel,
    Custom,
    Objective,
    from_data,
    parse,
    stack,
    to_data,
)
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, TransformConfig

Ascend = Callable[..., list[Step]]


def peak(acts: Acts, rows: Tensor) -> Tensor:
    """The largest activation of channel 3."""
    return acts["features.2"][:, 3].flatten(1).amax(1)


def mean(acts: Acts, rows: Tensor) -> Tensor:
    return acts["features.2"][:, 3].flatten(1).mean(1)


@pytest.mark.parametrize("views", [1, 2])
def test_a_function_scores_as_the_leaf_it_imitates(tiny_model: Model, views: int) -> None:
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(3).repeat_interleave(views)
    acts = {INPUT: x, **tiny_model.activations(x[rows] * 0.9, frozenset({"features.2"}))}
    own, known = Custom(mean, "features.2").bind(tiny_model), Channel("features.2", 3)
    torch.testing.assert_close(own(acts, rows), known(acts, rows))
    torch.testing.assert_close((own - 0.1 * TV())(acts, rows), (known - 0.1 * TV())(acts, rows))
    per_row = Custom(lambda acts, rows: acts[INPUT].flatten(1).mean(1), [INPUT], "brightness")
    torch.testing.assert_close(per_row(acts, rows), x.flatten(1).mean(1))


def test_ascent_raises_a_function_of_ones_own(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=2, transform=TransformConfig(transforms="none"), optimizer=OptimizerConfig(lr=1e-3))
    before, after = ascend(tiny_model, Custom(peak, ["features.2"]).bind(tiny_model), config, rows=2)
    assert bool((after.scores > before.scores).all())


def test_a_function_sees_layers_under_the_names_it_gave(stacked: Model) -> None:
    seen: list[set[str]] = []

    def look(acts: Acts, rows: Tensor) -> Tensor:
        seen.append(set(acts))
        return acts["relu2_1"].flatten(1).mean(1)

    leaf = Custom(look, "relu2_1").bind(stacked)
    assert leaf.layers == {"4"}
    assert leaf.bind(stacked) == leaf
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    leaf({INPUT: x, **stacked.activations(x, leaf.layers)}, torch.arange(1))
    assert seen == [{"relu2_1", INPUT}]
    with pytest.raises(UnknownNameError):
        Custom(look, "relu9_9").bind(stacked)


@pytest.fixture
def stacked() -> Model:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU()).eval()
    return from_module(net, InputSpec(size=(16, 16)), name="small")


def test_it_is_equal_to_itself_and_not_to_another_function_of_its_name() -> None:
    first, again = Custom(peak, "a", "unit"), Custom(peak, ["a"], "unit")
    other = Custom(mean, "a", "unit")
    assert first == again
    assert hash(first) == hash(again)
    assert first != other
    assert first != Custom(peak, "b", "unit")
    assert stack(first, again) == first
    assert stack(first, other) is None
    assert first.take([0]) == first


def test_its_name_is_told_and_it_is_never_read_back() -> None:
    tree = Custom(peak, ["features.2", "odd name"]) - 0.1 * TV()
    assert str(tree) == 'custom(peak, features.2, "odd name") - 0.1*tv'
    assert Custom(lambda acts, rows: rows, "a").name == "<lambda>"
    data: Any = json.loads(json.dumps(to_data(tree)))
    assert data["parts"][0] == {"type": "Custom", "reads": ["features.2", "odd name"], "name": "peak"}
    assert "Custom" not in OBJECTIVES
    with pytest.raises(RecipeError, match=r"'peak', a function of somebody's own.*phosphene\.Custom"):
        from_data(data)
    with pytest.raises(ParseError, match=r"code, which no text holds: use phosphene\.Custom"):
        parse(str(tree))


def test_a_picture_of_a_function_names_it_and_is_not_rerun(tiny_model: Model) -> None:
    config = RenderConfig(size=32, steps=2, transform=TransformConfig(transforms="none"))
    run = RunConfig(device="cpu", precision="float32")
    (picture,) = render(tiny_model, Custom(peak, "features.2") - 0.01 * TV(), config=config, run=run)
    assert picture.target == "custom(peak, features.2) - 0.01*tv"
    assert picture.activation > 0
    with pytest.raises(RecipeError, match="'peak', a function of somebody's own"):
        rerun(picture.recipe, model=tiny_model)


@pytest.mark.parametrize(
    ("fn", "says"),
    [
        (lambda acts, rows: acts["a"].mean(), r"one score per view, \(4,\), or per row, \(2,\): \(\)"),
        (lambda acts, rows: acts["a"].mean(1), r"custom\(<lambda>|custom\(.*one score per view"),
        (lambda acts, rows: 3.0, "one score per view.*: float"),
    ],
)
def test_scores_of_the_wrong_shape_are_refused(fn: Any, says: str) -> None:
    leaf: Objective = Custom(fn, "a")
    with pytest.raises(UsageError, match=says):
        leaf({"a": torch.zeros(4, 3, 5), INPUT: torch.zeros(2, 3, 4, 4)}, torch.tensor([0, 0, 1, 1]))


@pytest.mark.parametrize("make", [lambda: Custom(3, "a"), lambda: Custom(peak, []), lambda: Custom(peak, [""])])
def test_what_is_no_function_of_layers_is_refused(make: Any) -> None:
    with pytest.raises(UsageError):
        make()
