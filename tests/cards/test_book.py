"""A book goes on where it ended, lists what is done, and asks a browser for what it shows."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phosphene.cards.book import Bookmaking, book
from phosphene.cards.book_page import write_book
from phosphene.cards.card import Card
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.entry import DOUBTS, Entry
from phosphene.cards.making import carding
from phosphene.examples.index import Index
from phosphene.examples.scan import scan
from phosphene.models import Model
from phosphene.recipe import RenderConfig, RunConfig

DATA, UNITS, PLACES = "textures:24", "conv3_1:7..9", ("conv3_1-7", "conv3_1-8", "conv3_1-9")
QUICK = CardConfig(examples=2, diverse=2, steps=2, abreast=2)
BARE = replace(QUICK, steps=0)
ONE, SMALL = ProbeConfig(probed=1), RenderConfig(size=48)


@pytest.fixture(scope="module")
def index(small: Model) -> Index:
    return scan(small, DATA, layers=["conv3_1", "output"])


@pytest.fixture(scope="module")
def make(small: Model, index: Index) -> type[Bookmaking]:
    class Made(Bookmaking):
        def __init__(self, folder: Path, config: CardConfig = QUICK) -> None:
            super().__init__(small, UNITS, DATA, folder, index=index, config=config, probes=ONE, render=SMALL)

    return Made


def cards(work: Bookmaking) -> list[str]:
    """The units whose cards are made now."""
    return [event.subject.target for event in work if isinstance(event, Card)]


def listed(folder: Path) -> list[str]:
    return re.findall(r'<a href="([^"/]+)/index.html">', (folder / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(make: type[Bookmaking], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    assert cards(make(folder)) == ["conv3_1:7", "conv3_1:8", "conv3_1:9"]
    return folder


@pytest.fixture(scope="module")
def bare(make: type[Bookmaking], whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book anew without pictures: steps are another recipe."""
    folder = tmp_path_factory.mktemp("bare") / "book"
    shutil.copytree(whole, folder)
    assert len(cards(make(folder, BARE))) == 3
    return folder


def test_an_interrupted_book_lists_what_is_done_and_goes_on_to_the_same(
    make: type[Bookmaking], whole: Path, tmp_path: Path
) -> None:
    def interrupted() -> Iterator[str]:
        for event in make(tmp_path):
            if isinstance(event, Card):
                yield event.subject.target
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(interrupted())
    assert listed(tmp_path) == ["conv3_1-7"]
    first = (tmp_path / "conv3_1-7" / "card.json").stat().st_mtime_ns
    again = make(tmp_path)
    assert cards(again) == ["conv3_1:8", "conv3_1:9"]
    assert (again.kept, listed(tmp_path)) == (1, list(PLACES))
    assert (tmp_path / "conv3_1-7" / "card.json").stat().st_mtime_ns == first
    told = [
        [json.loads((at / place / "card.json").read_text())["examples"] for place in PLACES] for at in (tmp_path, whole)
    ]
    assert told[0] == told[1]


def test_a_book_that_is_done_makes_nothing(make: type[Bookmaking], whole: Path) -> None:
    again = make(whole)
    assert cards(again) == []
    assert (again.kept, [one.place for one in again.entries]) == (3, list(PLACES))


def test_how_many_at_once_is_no_other_recipe_and_what_is_asked_is(
    make: type[Bookmaking], whole: Path, bare: Path, tmp_path: Path
) -> None:
    assert cards(make(whole, replace(QUICK, abreast=3))) == []
    again = shutil.copytree(bare, tmp_path / "book")
    assert cards(make(again, BARE)) == []
    assert len(cards(make(again, replace(BARE, faithfulness=False)))) == 3


@pytest.mark.parametrize("harm", ["missing", "torn", "pageless"])
def test_a_card_that_is_not_whole_is_made_again(make: type[Bookmaking], bare: Path, tmp_path: Path, harm: str) -> None:
    folder = shutil.copytree(bare, tmp_path / "book")
    file = folder / "conv3_1-8" / "card.json"
    if harm == "torn":
        file.write_text(file.read_text()[:100])
    else:
        (file if harm == "missing" else file.with_name("index.html")).unlink()
    assert cards(make(folder, BARE)) == ["conv3_1:8"]
    assert file.with_name("index.html").is_file()


def test_together_the_pictures_are_those_of_each_alone(small: Model, index: Index) -> None:
    run = RunConfig(device="cpu", precision="float32", batch_shape=4)

    def made(target: str, abreast: int) -> list[Card]:
        config = replace(QUICK, abreast=abreast, faithfulness=False)
        work = carding(small, target, DATA, index=index, config=config, probes=ONE, render=SMALL, run=run)
        return [event for event in work if isinstance(event, Card)]

    together = made("conv3_1:7..8", 2)
    for one in together:
        (alone,) = made(one.subject.target, 1)
        assert {kind: len(row) for kind, row in one.pictures.items()} == {"positive": 1, "negative": 1, "diverse": 2}
        for kind, row in one.pictures.items():
            for a, b in zip(row, alone.pictures[kind], strict=True):
                assert (a.target, a.activation) == (b.target, b.activation)
                assert torch.equal(a.pixels, b.pixels)


def test_the_pictures_of_a_row_are_one_file_that_is_asked_for_when_seen(whole: Path, tmp_path: Path) -> None:
    text = (whole / "index.html").read_text(encoding="utf-8")
    images = re.findall(r"<img [^>]+>", text)
    assert len(images) == 3 * (1 + 2)  # the optimized picture and two examples of each
    assert all('loading="lazy"' in one for one in images)
    assert {re.findall(r'src="([^"]+)"', one)[0] for one in images} == {f"{place}/strip.jpg" for place in PLACES}
    assert all((whole / place / "strip.jpg").is_file() for place in PLACES)
    entry = Entry("conv3_1-7", json.loads((whole / "conv3_1-7" / "card.json").read_text()))
    many = write_book([entry] * 64, tmp_path)
    assert many.stat().st_size < 150_000


def test_a_row_sorts_and_searches_by_what_the_card_says(whole: Path) -> None:
    text = (whole / "index.html").read_text(encoding="utf-8")
    for place in PLACES:
        data = json.loads((whole / place / "card.json").read_text())
        assert data["probe"]["verdict"] in text
        assert f'data-value="{data["examples"]["maximum"][0]["score"]}"' in text
        assert all(DOUBTS[doubt] in text for doubt in data["faithfulness"]["doubts"])
    assert "aria-sort" in text
    assert "http" not in text


def test_a_book_is_a_page_of_its_own(small: Model, index: Index, tmp_path: Path) -> None:
    config = replace(QUICK, steps=0, examples=1)
    page = book(small, "conv3_1:7..7", DATA, tmp_path / "out", index=index, config=config, probes=ONE)
    assert (page.name, listed(page.parent)) == ("index.html", ["conv3_1-7"])
