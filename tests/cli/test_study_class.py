"""`phosphene study class`: the page, its JSON twin, pictures that are made again, slips."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from phosphene.cli.console import Screen
from phosphene.cli.default import network_and_classes
from phosphene.cli.options import Network
from phosphene.errors import UsageError

FAST = ("--size", "48", "--steps", "2", "--device", "cpu", "--precision", "float32")

Command = Callable[..., Any]


def test_the_json_is_that_of_the_file_and_every_picture_is_made_again(phosphene: Command, workplace: Path) -> None:
    ran = phosphene(
        "study", "class", "minivgg", "star", "face", *FAST, "--seed", "3", "--out", "out", "--json", "--quiet"
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == {
        "page": "out/index.html",
        "sheet": "out/sheet.png",
        **json.loads((workplace / "out" / "study.json").read_text()),
    }
    for result in ran.json["results"]:
        for one in result["pictures"].values():
            again = phosphene("rerun", f"out/{one['file']}", "--out", "again", "--json", "--quiet")
            assert again.json["same_pixels"] is True
    assert {"index.html", "sheet.png", "study.json", "prob-face.png", "prob-face.json"} <= {
        path.name for path in (workplace / "out").iterdir()
    }


def test_the_network_may_be_left_out_and_the_numbers_are_printed(phosphene: Command, workplace: Path) -> None:
    ran = phosphene("study", "class", "star", *FAST)
    assert ran.code == 0
    assert "minivgg: 4 pictures of 48 x 48, 2 steps, cpu float32" in ran.err
    assert ran.out.startswith("class, asked for by")
    assert ran.out.count("\nstar, ") == 4
    assert "Asked for by probability" in ran.out
    assert "out/class/index.html" in ran.out


def test_no_metadata_leaves_no_recipe(phosphene: Command, workplace: Path) -> None:
    assert phosphene("study", "class", "star", *FAST, "--no-metadata", "--out", "out").code == 0
    assert [path.name for path in (workplace / "out").glob("*.json")] == ["study.json"]
    assert phosphene("info", "out/prob-star.png").code == 1


def test_the_page_tells_what_a_rerun_needs_to_open_the_network(phosphene: Command, workplace: Path) -> None:
    opened = ("--input-size", "48", "--mean", "0.5", "--std", "0.25")
    assert phosphene("study", "class", "nets:bare", "2", *opened, *FAST, "--out", "out").code == 0
    command = re.sub("<[^>]+>", "", re.findall(r"<pre.*?</pre>", Path("out/index.html").read_text(), re.DOTALL)[0])
    words = shlex.split(unescape(command).strip())
    assert words[:2] == ["phosphene", "rerun"]
    assert words[3:] == ["--model", "nets:bare"]
    again = phosphene("rerun", f"out/{words[2]}", *words[3:], "--out", "again", "--json", "--quiet")
    assert again.json["same_pixels"] is True


@pytest.mark.parametrize(
    ("network", "name", "words"),
    [
        (Network(), "squeezenet1_1", []),
        (Network(weights="random"), "timm:resnet18", []),  # the recipe says so
        (Network(weights="my weights.pth"), "squeezenet1_1", ["--weights", "my weights.pth"]),
        (Network(weights="a.pth", mean="0.5"), "nets:bare", ["--model", "nets:bare", "--weights", "a.pth"]),
    ],
)
def test_a_rerun_is_told_what_no_recipe_may_say(network: Network, name: str, words: list[str]) -> None:
    assert network.rerun_words(name) == words


def test_ctrl_c_keeps_the_pictures_and_writes_no_page(process: Callable[..., Any], workplace: Path) -> None:
    running = process("study", "class", "star", "--size", "48", "--steps", "100000", "--out", "out")
    while "step" not in running.stderr.readline() + "step" * (running.poll() is not None):
        time.sleep(0.01)
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "interrupted; the pictures so far are in out" in err
    assert sorted(path.name for path in (workplace / "out").iterdir()) == ["logit-star.json", "logit-star.png"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("squeezenet1_1",), 2, "no class for squeezenet1_1: phosphene study class squeezenet1_1 CLASS..."),
        (("starr",), 2, "no class 'starr'"),
        (("minivgg", "99"), 2, "no class 99"),
        (("vgg19_cd16x", "0", "--weights", "random"), 2, "vgg19_cd16x does not answer with classes"),
        (("star", "--alpha"), 2, "leave alpha and transparency out"),
        (("star", "--steps", "0"), 2, "steps must be at least 1"),
    ],
)
def test_slips_are_told_in_a_line_and_leave_nothing(
    phosphene: Command, workplace: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = phosphene("study", "class", *words)
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert ran.err.count("\nerror") + ran.err.startswith("error") == 1
    assert not (workplace / "out").exists()


@pytest.mark.parametrize(
    ("words", "network", "classes"),
    [
        (["star"], "minivgg", ["star"]),
        (["3", "star"], "minivgg", ["3", "star"]),
        (["goldfish"], "minivgg", ["goldfish"]),  # no such class: refused later, with the nearest ones
        (["minivgg", "star"], "minivgg", ["star"]),
        (["squeezenet1_1", "goldfish", "1"], "squeezenet1_1", ["goldfish", "1"]),
        (["my.nets:make", "1"], "my.nets:make", ["1"]),
    ],
)
def test_the_first_word_is_the_network_unless_it_is_a_class(words: list[str], network: str, classes: list[str]) -> None:
    assert network_and_classes(words, Screen(quiet=True)) == (network, classes)
    with pytest.raises(UsageError, match="no class for my"):
        network_and_classes(["my.nets:make"], Screen(quiet=True))
