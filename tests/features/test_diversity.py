"""Several pictures of one unit: where they are compared, how strongly, and that they differ and are all alive."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from phosphene.errors import UsageError
from phosphene.features.diversity import (
    AUTO_PICTURES,
    HOLDS,
    OCTAVES,
    TRIES,
    compared_layer,
    diversify,
)
from phosphene.features.picture import Picture
from phosphene.features.plan import plan
from phosphene.features.render import render
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.objectives import Constant, Diversity, Objective, Opacity, Scale, parse
from phosphene.objectives.likeness import gram_products
from phosphene.recipe import DiversityConfig, RenderConfig, RunConfig, SignalConfig

CPU = RunConfig(device="cpu", precision="float32")
CONFIG = RenderConfig(size=32, steps=100)


def picture(activation: float) -> Picture:
    pixels = torch.full((3, 32, 32), 0.5)
    return Picture(pixels, "", "", None, 0, 1, activation, "ok", "", 0.0, {})


class Maker:
    """Stands in for rendering: a unit rises to its number; a family's weakest member loses as much as its weight."""

    def __init__(self, model: Model, gray: dict[int, float]) -> None:
        self.model, self.gray, self.calls, self.steps = model, gray, 0, set[int]()

    def __call__(self, targets: Sequence[Objective], config: RenderConfig) -> list[Picture]:
        self.calls += 1
        self.steps.add(config.steps)
        made = []
        for target in targets:
            unit = int(target.primary().units[0])  # type: ignore[attr-defined]
            rise, weight = 10.0 * (unit + 1), 0.0
            for part in target.children:
                if isinstance(part, Scale) and isinstance(part.of, Diversity):
                    weight = part.factor[0] if isinstance(part.factor, tuple) else part.factor
            lost = [weight if row == target.rows - 1 else 0.0 for row in range(target.rows)]
            made += [picture(self.gray[unit] + rise - loss) for loss in lost]
        return made


@pytest.fixture
def flat(tiny_model: Model) -> Model:
    """A network whose units say the same of every picture, so that gray is known."""
    with torch.no_grad():
        tiny_model.net.features[2].weight.zero_()  # type: ignore[index, union-attr]
    return tiny_model


@pytest.fixture
def maker(flat: Model) -> Maker:
    gray = flat.activations(torch.full((1, 3, 32, 32), 0.5), ["features.2"])["features.2"].mean((0, 2, 3))
    return Maker(flat, {unit: float(value) for unit, value in enumerate(gray.tolist())})


def weights(targets: Sequence[str | Objective]) -> list[float]:
    found = []
    for target in targets:
        assert isinstance(target, Objective)
        (part,) = [p for p in target.children if isinstance(p, Scale) and isinstance(p.of, Diversity)]
        assert isinstance(part.factor, tuple)
        assert len(set(part.factor)) == 1
        found.append(part.factor[0])
    return found


def test_one_picture_of_each_unit_is_what_was_asked_and_makes_nothing(maker: Maker) -> None:
    assert diversify(maker.model, "features.2:1", DiversityConfig(), CONFIG, maker) == ["features.2:1"]
    assert maker.calls == 0


def test_each_unit_becomes_a_family_whose_weight_is_a_share_of_what_it_rises(maker: Maker) -> None:
    asked = ["features.2:0,3", "features.2:9 - 0.5*tv"]
    families = diversify(maker.model, asked, DiversityConfig(4, 0.25), CONFIG, maker)
    assert weights(families) == pytest.approx([2.5, 10, 25], rel=0.01)
    assert [family.rows for family in families] == [4, 4, 4]  # type: ignore[union-attr]
    assert maker.calls == 1
    assert maker.steps == {64}
    work = plan(maker.model, families, CONFIG)
    assert [group.rows for group in work.groups] == [8, 4]  # units share batches, another tree does not


def test_the_search_finds_the_largest_weight_that_holds_for_each_unit(maker: Maker) -> None:
    said: list[str] = []
    wanted = DiversityConfig(3, "auto")
    families = diversify(maker.model, "features.2:0,3", wanted, CONFIG, maker, say=said.append)
    step = 2 ** ((OCTAVES[1] - OCTAVES[0]) / 2**TRIES)
    for weight, rise in zip(weights(families), (10, 40), strict=True):
        assert weight <= (1 - HOLDS) * rise * 1.01
        assert weight * step >= (1 - HOLDS) * rise * 0.99
    assert maker.calls == 1 + TRIES
    assert [line.split(":")[0] for line in said] == [
        "looking for the largest diversity weight that holds",
        *["features.2"] * 2,
    ]


def test_auto_alone_makes_a_row_of_pictures(maker: Maker) -> None:
    (family,) = diversify(maker.model, "features.2:0", DiversityConfig("auto"), CONFIG, maker)
    assert isinstance(family, Objective)
    assert family.rows == family.together == AUTO_PICTURES
    assert maker.calls == 1 + TRIES


def test_a_unit_that_does_not_rise_keeps_a_weight_that_is_a_number(flat: Model) -> None:
    def nothing(targets: Sequence[Objective], config: RenderConfig) -> list[Picture]:
        return [picture(math.nan) for target in targets for _ in range(target.rows)]

    for weight in (0.25, "auto"):
        wanted = DiversityConfig(3, weight)  # type: ignore[arg-type]
        (found,) = weights(diversify(flat, "features.2:0", wanted, CONFIG, nothing))
        assert 0 < found <= 0.25


def test_a_unit_is_compared_at_its_own_layer_and_a_class_before_its_maps(tiny_model: Model) -> None:
    squeezed = load("squeezenet1_1", weights="random")
    cases = [
        (tiny_model, "features.2:1", "features.2"),
        (tiny_model, "tokens:1", "tokens"),
        (tiny_model, "logit:1", "tokens"),
        (squeezed, "features.12:3", "features.12"),
        (squeezed, "logit:3", "classifier.0"),
        (squeezed, "prob:3 - 0.1*tv", "classifier.0"),
        (squeezed, "0.2*features.3:1 + 0.8*features.7:1", "features.7"),
    ]
    for model, text, layer in cases:
        assert compared_layer(model, parse(text).bind(model)) == layer, text


class Vectors(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(48, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("logit:1", "no layer before output has places"),
        (Constant(1) - parse("tv"), "no unit in a network"),
        ("logit:1 + diversity(head, group=2)", "a family already; leave --diversity out"),
    ],
)
def test_what_cannot_differ_is_refused_before_any_work(target: str | Objective, said: str) -> None:
    model = from_module(Vectors(), InputSpec(size=(4, 4)), name="vectors")

    def never(targets: Sequence[Objective], config: RenderConfig) -> list[Picture]:
        raise AssertionError("no work")

    with pytest.raises(UsageError, match=said):
        diversify(model, target, DiversityConfig(3), RenderConfig(size=4), never)


@pytest.mark.parametrize("values", [(0, 1.0), (-1, 1.0), (257, 1.0), (2, -0.1), (2, math.inf), (2, math.nan)])
def test_numbers_that_cannot_be_are_refused(values: tuple[int, float]) -> None:
    with pytest.raises(UsageError, match="diversity"):
        DiversityConfig(*values)


def test_with_an_alpha_channel_the_term_stands_beside_the_opacity(tiny_model: Model) -> None:
    config = RenderConfig(size=32, steps=2, signal=SignalConfig(alpha=True))
    sheet = render(tiny_model, "features.2:3", config=config, diversity=2, run=CPU)
    assert [p.target.count("opacity") for p in sheet] == [1, 1]
    assert any(isinstance(leaf, Opacity) for leaf in parse(sheet[0].target).leaves())
    assert sheet[0].target.startswith("features.2:3 * (1 - opacity) + ")
    assert sheet[0].label == "features.2:3\n1 of 2"


def likeness(model: Model, layer: str, pictures: Sequence[Picture]) -> float:
    """Mean cosine between the Gram matrices of different pictures."""
    with torch.no_grad():
        values = model.activations(torch.stack([p.pixels for p in pictures]), [layer])[layer]
    products = gram_products(values.flatten(2)[None])[0]
    lengths = products.diagonal().sqrt()
    cosines = products / (lengths[:, None] * lengths)
    count = len(pictures)
    return float((cosines.sum() - count) / (count * (count - 1)))


def test_pictures_differ_and_are_all_alive_on_a_real_network(squeezenet: Model) -> None:
    options = {"size": 80, "steps": 64, "run": CPU}
    plain = render(squeezenet, "features.12:50", **options)  # type: ignore[arg-type]
    alike = render(squeezenet, "features.12:50", diversity=3, diversity_weight=0, **options)  # type: ignore[arg-type]
    differing = render(squeezenet, "features.12:50", diversity=3, **options)  # type: ignore[arg-type]
    assert [picture.status for picture in differing] == ["ok"] * 3
    assert min(picture.activation for picture in differing) > 0.3 * plain[0].activation
    before, after = (likeness(squeezenet, "features.12", sheet.pictures) for sheet in (alike, differing))
    assert after < before - 0.15
    assert torch.equal(alike[0].pixels, plain[0].pixels) or alike[0].recipe["batch_shape"] != 2
