"""`phosphene probe` and `phosphene card` from the shell: pages, JSON, one line for each slip."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phosphene.examples.scan import scan
from phosphene.models import load
from phosphene.textures import Textures

Command = Callable[..., Any]
DATA = ("--data", "textures:24")
SCAN = ("scan", "nets:quick", *DATA, "--layers", "conv3_1,output", "--out", "index", "--quiet")
QUICK = ("--probed", "1", "--examples", "2", "--steps", "2", "--diverse", "1", "--size", "48")


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the data, as `phosphene scan` makes it."""
    index = scan(load(), DATA[1], layers=["conv3_1", "output"])
    return index.save(tmp_path_factory.mktemp("scanned") / "index")


def test_a_probe_writes_a_page_and_tells_it_in_json(phosphene: Command, workplace: Path) -> None:
    Textures(1, size=128).load(0).save("mine.png")
    (workplace / "more").mkdir()
    Textures(2, size=128).load(1).save("more/other.png")
    ran = phosphene("probe", "conv3_1:7", *DATA, "--probed", "1", "--ask", "mine.png", "more", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    (found,) = ran.json["results"]
    assert found["path"] == "out/probe/index.html"
    assert [one["picture"] for one in found["asked"]] == ["mine.png", "more/other.png"]
    assert found["sentence"].startswith("Keeps ")
    assert json.loads(Path("out/probe/probe.json").read_text())["changes"] == found["changes"]


def test_a_card_of_an_index_and_a_book_of_several(phosphene: Command, workplace: Path) -> None:
    phosphene(*SCAN)
    words = ("card", "nets:quick", "conv3_1:7", "--index", "index", *DATA, *QUICK, "--out", "one")
    ran = phosphene(*words, "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["book"], ran.json["results"][0]["path"]) == (None, "one/index.html")
    assert {file.name for file in Path("one").iterdir()} >= {"index.html", "card.json", "sheet.png"}
    book = phosphene(*words[:2], "conv3_1:7..8", *words[3:-1], "book", "--json", "--quiet")
    assert (book.code, book.json["book"]) == (0, "book/index.html")
    assert [one["path"] for one in book.json["results"]] == [f"book/conv3_1-{unit}/index.html" for unit in (7, 8)]
    assert book.json["results"][0]["examples"] == ran.json["results"][0]["examples"]


def test_an_interrupted_book_is_a_page_of_what_is_done_and_goes_on(
    process: Callable[..., subprocess.Popen[str]], phosphene: Command, workplace: Path
) -> None:
    phosphene(*SCAN)
    words = ("card", "nets:quick", "conv3_1:0..2", "--index", "index", *DATA, *QUICK, "--abreast", "1", "--out", "book")
    running = process(*words)
    cover = Path("book/index.html")  # written after each card
    while not cover.exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 130, errors
    assert "the same command goes on from there" in errors
    done = {place.parent.name for place in Path("book").glob("*/card.json")}
    listed = set(re.findall(r'<a href="([^"/]+)/index.html">', cover.read_text(encoding="utf-8")))
    assert "conv3_1-0" in listed
    assert len(done - listed) <= 1  # a card that was written and not yet listed
    assert listed <= done
    assert len(done) < 3
    ran = phosphene(*words, "--json", "--quiet")
    assert (ran.code, len(ran.json["results"])) == (0, 3)
    assert "3 of 3 cards are done already" in phosphene(*words).err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("conv3_1:7", "--data", "empty"), 2, "no pictures in 'empty'"),
        (("conv3_1:7", "--data", "nowhere"), 2, "no data in 'nowhere'"),
        (("conv3_1:7", "--index", "index"), 2, "add --data with those scanned"),
        (("conv3_1:7",), 2, "no data"),
        (("conv3_1:96", *DATA), 2, "no unit 96 in conv3_1"),
        (("conv3_1:96", "--index", "index", *DATA), 2, "no unit 96 in conv3_1 of the index"),
        (("conv3_2:0", "--index", "index", *DATA), 2, "no layer 'conv3_2' in the index"),
        (("conv9_9:0", *DATA), 2, "conv9_9"),
        (("nets:rgb", "conv:0", "--index", "index", *DATA), 1, "was made with other weights"),
        (("conv3_1:7", "--index", "newer", *DATA), 1, "newer"),
        (("conv3_1:7", "--index", "nothing", *DATA), 1, "no index in 'nothing'"),
        (("conv3_1:7", *DATA, "--ask", "missing.png"), 2, "no picture or folder 'missing.png' for --ask"),
        (("conv3_1:7", *DATA, "--ask", "empty"), 2, "no pictures in 'empty' for --ask"),
        (("conv3_1:7", "conv3_1:8", *DATA), 2, "one target at a time"),
        (("conv3_1:7", *DATA, "--probed", "0"), 2, "probed is 1 to"),
        (("conv3_1:7", "--index", "index", *DATA, "--probed", "99"), 2, "scan with more --top"),
        (("conv3_1:7", "--index", "index", *DATA, "--seed", "1"), 2, "name the data that was scanned"),
    ],
)
@pytest.mark.parametrize("command", ["probe", "card"])
def test_slips_end_in_one_line(
    phosphene: Command,
    workplace: Path,
    scanned: Path,
    command: str,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    (workplace / "empty").mkdir()
    shutil.copytree(scanned, "index")
    shutil.copytree(scanned, "newer")
    header = json.loads(Path("newer/index.json").read_text())
    Path("newer/index.json").write_text(json.dumps({**header, "schema": 99}))
    ran = phosphene(command, *words)
    assert ran.code == code
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (workplace / "out").exists()
