"""An eye sees what a scan saw: the same score at the same place, in maps, tokens and vectors."""

from __future__ import annotations

import pytest
import torch

from phosphene.cards.eye import Eye, neutral
from phosphene.cards.sight import heat
from phosphene.cards.subject import Unit, units
from phosphene.examples.config import ScanConfig
from phosphene.examples.data import open_data
from phosphene.examples.scan import scan
from phosphene.models import InputSpec, Model, load, to_input

LAYERS = ("features.2", "tokens", "output")


@pytest.mark.parametrize("layer", LAYERS)
def test_it_finds_the_score_and_the_place_of_a_scan(tiny_model: Model, layer: str) -> None:
    index = scan(tiny_model, "textures:12", layers=[layer], config=ScanConfig(top=3, sample=4))
    data = open_data("textures:12", size=32)
    keys = [data.key(number) for number in range(12)]
    for unit in (0, 5):
        for one in index.top(layer, unit, k=3):
            picture = to_input(data.load(keys.index(one.key)), tiny_model.picture_spec)
            eye = Eye(tiny_model, layer, unit)
            scores, maps = eye.look(picture)
            assert float(scores[0]) == pytest.approx(one.score, rel=1e-4)
            assert float(eye.at(picture, one.position)[0]) == pytest.approx(one.score, rel=1e-4)
            assert maps.dim() == 3
            assert maps.shape[0] == 1


def test_the_neutral_color_enters_the_network_as_nothing() -> None:
    color = neutral(InputSpec(size=(8, 8), mean=(100, 110, 120), std=(1.0,), value_range=(0, 255)))
    torch.testing.assert_close(color.flatten(), torch.tensor([100, 110, 120]) / 255)
    assert neutral(InputSpec(size=(8, 8), mean=(0.0,), std=(1.0,))).unique().tolist() == [0.5]


@pytest.fixture(scope="module")
def unit() -> Unit:
    """A unit of minivgg with a map, and an index of a few pictures."""
    work = units(load(), "conv3_1:7", "textures:16", examples=1)
    while True:
        try:
            next(work)
        except StopIteration as end:
            (found,) = end.value
            assert isinstance(found, Unit)
            return found


def test_the_heat_is_bright_inside_what_the_unit_sees(unit: Unit) -> None:
    for one in unit.index.top("conv3_1", 7, k=4):
        picture = unit.pictures([one])[one.key]
        warm = heat(unit, picture)
        assert warm is not None
        assert float(warm.amin()) >= 0
        assert float(warm.amax()) == pytest.approx(1, abs=1e-5)
        y, x = divmod(int(warm.argmax()), warm.shape[1])
        y0, x0, y1, x1 = unit.field(picture, one.position)
        assert y0 <= y < y1
        assert x0 <= x < x1


def test_a_picture_that_excites_less_than_nothing_has_no_heat(unit: Unit) -> None:
    assert heat(unit, unit.color.expand(3, 128, 128)) is None
