"""A unit raised in a picture: it rises, the picture stays, and the weight is a price that holds for any unit."""

from __future__ import annotations

import pytest
import torch

from phosphene.errors import UsageError
from phosphene.features.measure import measure
from phosphene.features.nearness import NearConfig, kept_near
from phosphene.features.references import START, aimed, fitted
from phosphene.features.render import quietly, render
from phosphene.models import Model
from phosphene.objectives import Scale, Statistic, Sum, parse
from phosphene.recipe import RenderConfig, RunConfig

CPU = RunConfig(device="cpu", precision="float32")
CONFIG = RenderConfig(size=32, steps=48)


def photo() -> torch.Tensor:
    coarse = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (40, 48), mode="bilinear")[0]


def distance(model: Model, pixels: torch.Tensor) -> float:
    leaf = parse("content(features.2, of=start, form=relative)").bind(model)
    return -measure(model, pixels, aimed(leaf, model, {START: photo()}, (32, 32))).value


def test_the_unit_rises_and_the_picture_stays_nearer_the_more_it_weighs(tiny_model: Model) -> None:
    start = measure(tiny_model, fitted(photo(), (32, 32), 3, "it"), parse("features.2:3").bind(tiny_model)).value
    made = [
        render(tiny_model, "features.2:3", config=CONFIG, run=CPU, init=photo(), near="features.2", near_weight=weight)[
            0
        ]
        for weight in (0.0, 1.0, 10.0)
    ]
    rises = [picture.activation - start for picture in made]
    away = [distance(tiny_model, picture.pixels) for picture in made]
    assert rises[0] > rises[1] > 0
    assert away[0] > 2 * away[1] > 2 * away[2] > 0


def test_the_price_is_what_the_free_run_gained_over_how_far_it_went(tiny_model: Model) -> None:
    make = quietly(tiny_model, CPU, photo())
    units = ["features.2:3", "features.2:5 - 0.01*tv"]
    priced = kept_near(tiny_model, units, NearConfig("features.2", 2.0), CONFIG, make, photo())
    free = make([parse(unit).bind(tiny_model) for unit in units], CONFIG)
    for unit, target, picture in zip(units, priced, free, strict=True):
        assert isinstance(target, Sum)
        (term,) = [part for part in target.parts if isinstance(part, Scale) and isinstance(part.of, Statistic)]
        leaf = parse(unit).bind(tiny_model).primary()
        rise = picture.activation - measure(tiny_model, fitted(photo(), (32, 32), 3, "it"), leaf).value
        assert term.factor == pytest.approx(2 * rise / distance(tiny_model, picture.pixels), rel=0.01)


@pytest.mark.parametrize(
    ("target", "near", "start", "said"),
    [
        ("features.2:3", "features.2", False, "--init FILE"),
        ("features.2:3", "features.9", True, "no layer 'features.9'"),
        ("features.2:3 + diversity(features.2, group=2)", "features.2", True, "is a family"),
    ],
)
def test_what_cannot_be_held_is_told(tiny_model: Model, target: str, near: str, start: bool, said: str) -> None:
    init = photo() if start else None
    with pytest.raises(UsageError, match=said):
        kept_near(tiny_model, target, NearConfig(near), CONFIG, quietly(tiny_model, CPU, init), init)


def test_nothing_is_added_where_no_layer_is_named(tiny_model: Model) -> None:
    assert kept_near(tiny_model, "features.2:3", NearConfig(), CONFIG, quietly(tiny_model, CPU, None), None) == [
        "features.2:3"
    ]


def test_a_weight_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="near_weight must be at least 0, got -1"):
        NearConfig("features.2", -1.0)
