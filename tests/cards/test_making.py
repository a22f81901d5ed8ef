"""A card: numbers that a stranger measures, and a page that needs nothing but itself."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from phosphene.cards.card import Card
from phosphene.cards.changes import CHANGES
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.making import card, carding
from phosphene.cards.page import write_card
from phosphene.cards.probe import probe
from phosphene.errors import UsageError
from phosphene.examples.data import open_data, places
from phosphene.models import InputSpec, Model, from_module, to_input
from phosphene.reports import Section

DATA, UNIT = "textures:32", "conv4_2:9"
SMALL = CardConfig(examples=3, diverse=2, steps=6)


@pytest.fixture(scope="module")
def made(small: Model) -> Card:
    return card(small, UNIT, DATA, config=SMALL, probes=ProbeConfig(probed=2))


@pytest.fixture(scope="module")
def saved(made: Card, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.save(tmp_path_factory.mktemp("card"))


def test_a_stranger_finds_every_score_and_its_place(small: Model, saved: Path) -> None:
    told = json.loads(saved.with_name("card.json").read_text())
    data = open_data(DATA, size=64)
    rows = told["examples"]
    assert list(rows) == ["maximum", "slightly positive", "slightly negative", "minimum"]
    for one in [one for row in rows.values() for one in row]:
        picture = to_input(data.load(places(data, [one["key"]])[one["key"]]), small.picture_spec)
        with torch.no_grad():
            response = small.activations(picture, [told["layer"]])[told["layer"]][0, told["unit"]]
        assert float(response.max()) == pytest.approx(one["score"], rel=1e-3, abs=1e-6)
        y, x = one["position"]
        assert float(response[y, x]) == pytest.approx(one["score"], rel=1e-3, abs=1e-6)


def test_the_page_needs_nothing_but_itself(saved: Path) -> None:
    text = saved.read_text(encoding="utf-8")
    sources = re.findall(r'src="([^"]{0,40})', text)
    assert len(sources) > 20
    assert all(source.startswith("data:image/") for source in sources)
    assert "http" not in re.sub(r'data:[^"]+', "", text)
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', text))
    files = {file.name for file in saved.parent.iterdir()}
    assert {"index.html", "card.json", "sheet.png", "conv4_2-9.positive.png", "conv4_2-9.positive.json"} <= files


def test_the_page_tells_all_parts_and_takes_those_of_other_reports(made: Card, tmp_path: Path) -> None:
    other = Section("faithful", "How faithful the pictures are", text=("Measured elsewhere.",))
    text = write_card(made, tmp_path, more=[other]).read_text(encoding="utf-8")
    anchors = re.findall(r'<section id="([a-z-]+)"', text)
    examples = ["maximum", "slightly-positive", "slightly-negative", "minimum"]
    assert anchors == [
        "pictures",
        *examples,
        "cause",
        "patch",
        "changes",
        "trust",
        "road",
        "faithful",
        "related",
        "scores",
    ]


def test_changes_of_pictures_are_told_in_words_of_pictures(saved: Path) -> None:
    page = html.unescape(saved.read_text(encoding="utf-8"))
    assert all(change.keeps in page for change in CHANGES)
    assert " kHz" not in page  # with the space: pictures inside the page are letters, too


def test_the_sentence_and_the_numbers_agree(made: Card) -> None:
    assert made.probe.sentence == made.data()["probe"]["sentence"]
    assert f"{100 * made.probe.kept('gray'):.0f}% when gray" in made.probe.sentence
    for one in made.probe.examples:
        assert one.score == pytest.approx(one.example.score, rel=1e-3)


def test_similar_units_are_those_that_correlate(made: Card) -> None:
    values = [one.value for one in made.relations.similar]
    assert values == sorted(values, reverse=True)
    assert all(-1 <= value <= 1 for value in values)
    assert made.subject.eye.unit not in [one.number for one in made.relations.similar]


def test_an_output_has_no_map_and_a_card_all_the_same(small: Model, made: Card, tmp_path: Path) -> None:
    index, config = made.subject.index, CardConfig(examples=2, steps=0)
    found = card(small, "logit:spiral", DATA, index=index, config=config, probes=ProbeConfig(probed=1))
    assert found.name == "output:13 spiral"
    assert [one.warm is None for one in found.spectrum["minimum"]] == [True, True]
    assert found.spectrum["maximum"][0].warm is not None  # by deletion
    text = found.save(tmp_path).read_text(encoding="utf-8")
    assert 'id="pictures"' not in text


def test_a_unit_that_never_responds_has_a_card_that_says_so(tmp_path: Path) -> None:
    conv = nn.Conv2d(3, 2, 3)
    conv.bias.data.fill_(-100)  # type: ignore[union-attr]
    net = from_module(nn.Sequential(conv, nn.ReLU()).eval(), InputSpec(size=(32, 32), mean=(0.5,)), name="dead")
    found = card(net, "1:0", DATA, config=CardConfig(examples=2, steps=0), probes=ProbeConfig(probed=2))
    assert "no more than a plain gray picture" in found.probe.sentence
    assert found.relations.similar == ()
    assert found.data()["probe"]["changes"]["gray"]["kept"] is None
    json.dumps(found.data(), allow_nan=False)
    found.save(tmp_path)


def test_it_shows_itself_in_a_notebook(made: Card) -> None:
    for text in (made._repr_html_(), made.probe._repr_html_()):
        assert 'src="data:image/png;base64,' in text
        assert "conv4_2:9" in text


def test_one_unit_at_a_time_is_said_before_anything_is_done(small: Model, made: Card) -> None:
    for index in (made.subject.index, None):
        seen: list[object] = []
        steps = carding(small, "conv4_2:0..1", DATA, index=index, alone=True)
        with pytest.raises(UsageError, match=r"one unit at a time, got 2 by 'conv4_2:0\.\.1'"):
            seen.extend(steps)
        assert not seen
    for asked in (card, probe):
        with pytest.raises(UsageError, match="one unit at a time"):
            asked(small, "conv4_2:0..1", DATA, index=made.subject.index)


@pytest.mark.parametrize("wrong", [{"examples": 7}, {"diverse": 0}, {"steps": -1}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CardConfig(**wrong)
