"""`phosphene study regularization`: files, page, JSON, words left out, slips."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

FAST = ("--size", "40", "--steps", "2", "--views", "2", "--precision", "float32", "--device", "cpu")

Command = Callable[..., Any]


def test_a_study_is_a_folder_with_a_page_and_pictures_that_are_made_again(phosphene: Command, workplace: Path) -> None:
    words = ("study", "regularization", "minivgg", "relu3_1:4", *FAST, "--methods", "tv+robust,default", "--out", "out")
    ran = phosphene(*words, "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert [row["method"] for row in ran.json["methods"]] == ["none", "tv+robust", "default"]
    assert (ran.json["page"], ran.json["folder"], ran.json["model"]) == ("out/index.html", "out", "minivgg")
    twin = json.loads(Path("out/study.json").read_text())
    assert {key: value for key, value in ran.json.items() if key not in ("page", "folder")} == twin
    page = Path("out/index.html").read_text()
    for file in re.findall(r'<img src="([^"]+)"', page):
        assert (Path("out") / file.replace("%2B", "+").replace("%2A", "*").replace("%20", " ")).is_file(), file
    for row in ran.json["methods"]:
        assert f'<th scope="row">{row["method"]}</th>' in page
    for layer in ran.json["gradients"]:
        assert f'<th scope="row">{layer["layer"]}</th>' in page
    picture = f"out/{ran.json['methods'][1]['path']}"
    again = phosphene("rerun", picture, "--out", "again", "--json", "--quiet")
    assert again.json["same_pixels"] is True
    resumed = phosphene(*words, "--resume", "--json", "--quiet")
    assert resumed.json["methods"] == ran.json["methods"]


def test_the_network_may_be_left_out_and_the_numbers_are_a_table(phosphene: Command, workplace: Path) -> None:
    ran = phosphene("study", "regularization", "logit:spiral", *FAST, "--methods", "robust")
    assert ran.code == 0
    assert "phosphene study regularization squeezenet1_1 TARGET" in ran.err
    assert re.search(r"^METHOD +ACTIVATION +UNDER TRANSFORMS +EXCESS", ran.out, re.MULTILINE)
    assert re.search(r"^robust ", ran.out, re.MULTILINE)
    assert "out/regularization/index.html" in ran.out


def test_the_page_tells_the_command_with_all_that_opens_the_network(phosphene: Command, workplace: Path) -> None:
    opened = ("--input-size", "40", "--mean", "0.5", "--std", "0.25")
    words = ("study", "regularization", "nets:bare", "conv:1", *opened, *FAST, "--methods", "robust")
    assert phosphene(*words, "--out", "out").code == 0
    again = shown(Path("out/index.html"))
    assert again[:5] == ["phosphene", "study", "regularization", "nets:bare", "conv:1"]
    for flag in ("--input-size", "--mean", "--std", "--device", "--precision"):
        assert again[again.index(flag) + 1] == words[words.index(flag) + 1]
    assert phosphene(*again[1:], "--out", "twice").code == 0
    first, second = (json.loads(Path(folder, "study.json").read_text()) for folder in ("out", "twice"))
    assert [m["activation"] for m in first["methods"]] == [m["activation"] for m in second["methods"]]


def shown(page: Path) -> list[str]:
    """The words of the last command of a page."""
    found = re.findall(r"<pre.*?</pre>", page.read_text(), re.DOTALL)
    return shlex.split(unescape(re.sub("<[^>]+>", "", found[-1])))


def test_a_network_of_ones_own_in_gray(phosphene: Command, workplace: Path) -> None:
    ran = phosphene("study", "regularization", "nets:gray", "conv:1", *FAST, "--methods", "default", "--json")
    assert ran.code == 0
    assert ran.json["gradients"][0]["spikes"][0]["written_by"] == "conv"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("minivgg",), 2, "no target for minivgg"),
        (("minivgg", "relu3_1:1", "relu3_1:2"), 2, "this study is of one unit, got 2 targets"),
        (("relu3_1:0..3",), 2, "this study is of one unit, such as features.12:50 or logit:goldfish; got relu3_1:0..3"),
        (("relu3_1:1", "--methods", "robbust"), 2, "no method 'robbust' in the study of regularization"),
        (("relu3_1:1", "--size", "16"), 2, "32 pixels or more, got 16 x 16"),
        (("relu3_1:1", "--views", "0"), 2, "views must be at least 1"),
        (("relu3_1:1", "--natural", "absent.json"), 2, "absent.json"),
        (("relu3_1:1 -",), 2, "relu3_1:1 -"),
    ],
)
def test_slips_are_told_in_a_line(
    phosphene: Command, workplace: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = phosphene("study", "regularization", *words)
    assert ran.code == code
    assert said in ran.err
    assert not (workplace / "out").exists()
