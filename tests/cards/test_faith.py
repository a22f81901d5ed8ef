"""Whether a card's pictures can be trusted: the numbers of the study, for pictures that are there already."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from phosphene.cards.card import Card
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.faith import Natural
from phosphene.cards.making import card
from phosphene.cards.subject import Unit, units
from phosphene.examples.config import ScanConfig
from phosphene.examples.scan import scan
from phosphene.models import Model, to_input
from phosphene.study.doubts import verdict
from phosphene.study.faithfulness import trusted_unit
from phosphene.study.responses import candidates, responses
from phosphene.textures import Textures

ONE = ProbeConfig(probed=1)
DATA = Textures(48, size=64)


@pytest.fixture(scope="module")
def made(small: Model) -> Card:
    return card(small, "conv4_1:3", DATA, config=CardConfig(examples=2, diverse=3, steps=12), probes=ONE)


def test_it_judges_the_pictures_of_the_card_and_no_others(made: Card) -> None:
    assert made.trust is not None
    assert made.trust.picture is made.pictures["positive"][0]
    assert made.trust.family == made.pictures["diverse"]
    assert made.trust.weakest == min(one.activation for one in made.pictures["diverse"])


def test_its_numbers_are_what_a_stranger_measures(made: Card, small: Model) -> None:
    assert made.trust is not None
    x = torch.cat([to_input(DATA.load(i), small.picture_spec) for i in range(len(DATA))])
    values = small.activations(x, ["conv4_1"])["conv4_1"][:, 3].mean((1, 2))  # the sample holds all of these few
    assert made.trust.natural.best == pytest.approx(float(values.max()), abs=1e-4)
    assert made.trust.path[-1].layer == "conv4_1"


def test_the_page_and_the_json_say_what_the_study_says(made: Card, tmp_path: Path) -> None:
    assert made.trust is not None
    text = made.save(tmp_path).read_text(encoding="utf-8")
    told = json.loads((tmp_path / "card.json").read_text())["faithfulness"]
    assert told["verdict"] == verdict(made.trust)
    assert told["weakest"] == made.trust.weakest
    assert told["doubts"] == [check.name for check in made.trust.checks() if check.doubt]
    anchors = re.findall(r'<section id="([a-z-]+)"', text)
    assert anchors[anchors.index("changes") + 1 :][:2] == ["trust", "road"]
    assert text.count(verdict(made.trust)) == 2  # below the title, and in its section


class Counted(Textures):
    """Pictures that count how often each is read."""

    def __init__(self) -> None:
        super().__init__(48, size=64)
        self.reads: dict[int, int] = dict.fromkeys(range(48), 0)

    def load(self, index: int) -> Image.Image:
        """The picture."""
        self.reads[index] += 1
        return super().load(index)


def several(model: Model, data: Textures) -> Sequence[Unit]:
    """Units whose highest examples are not all in the sample."""
    index = scan(model, data, layers=["conv4_1", "output"], config=ScanConfig(top=4, sample=21))
    work = units(model, "conv4_1:3..6", data, index=index, examples=2)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Sequence[Unit] = end.value
            return found


def test_in_a_book_each_natural_picture_is_shown_to_the_layer_once_and_says_the_same_as_alone(small: Model) -> None:
    found, together = several(small, data := Counted()), Natural()
    data.reads = dict.fromkeys(range(48), 0)
    for unit in found:
        bound = trusted_unit(small, unit.target)
        told, alone = together.responses(unit, bound), Natural().responses(unit, bound)
        assert torch.equal(told.values, alone.values)
        plain = responses(small, candidates(unit.data, unit.index, bound), bound)
        assert told.data.numbers == plain.data.numbers
        torch.testing.assert_close(told.values, plain.values)
    data.reads = dict.fromkeys(range(48), 0)
    anew = Natural()
    for unit in found:
        anew.responses(unit, trusted_unit(small, unit.target))
    assert max(data.reads.values()) == 1
    assert sum(data.reads.values()) > 21


@pytest.mark.parametrize("left", [{"faithfulness": False, "steps": 2}, {"steps": 0}])
def test_it_can_be_left_out_and_needs_pictures(small: Model, left: dict[str, int], tmp_path: Path) -> None:
    found = card(small, "conv4_1:3", DATA, config=CardConfig(examples=1, diverse=1, **left), probes=ONE)
    assert found.trust is None
    assert found.data()["faithfulness"] is None
    assert 'id="trust"' not in found.save(tmp_path).read_text(encoding="utf-8")


def test_a_flag_stands_at_the_head_of_the_card(made: Card, tmp_path: Path) -> None:
    assert made.trust is not None
    *before, last = made.trust.path
    other = replace(made.trust, path=(*before, replace(last, kinship=0.4)))
    head = replace(made, trust=other).save(tmp_path).read_text(encoding="utf-8").split("<nav")[0]
    assert verdict(other) in head
    assert "against the optimized picture: " in head
    assert "it takes another road through the network" in head
