"""`phosphene study faithfulness`: the page, its JSON twin, an index in place of all the data, slips."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FAST = ("--size", "48", "--steps", "2", "--device", "cpu", "--precision", "float32")
DATA = ("--data", "textures:24", "--top", "4", "--random", "6")

Command = Callable[..., Any]


def test_the_json_is_that_of_the_files_and_every_picture_is_made_again(phosphene: Command, workplace: Path) -> None:
    words = ("minivgg", "conv4_1:3", "logit:star", *DATA, *FAST, "--pictures", "2", "--other", "minivgg")
    ran = phosphene("study", "faithfulness", *words, "--out", "out", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert [result["target"] for result in ran.json["results"]] == ["conv4_1:3", "logit:star"]
    for result, folder in zip(ran.json["results"], ("conv4_1-3", "logit-star"), strict=True):
        place = workplace / "out" / folder
        assert result == {
            "page": f"out/{folder}/index.html",
            **json.loads((place / "study.json").read_text()),
        }
        assert {"index.html", "sheet.png", "natural-1.png", "road.svg", "kinship.svg"} <= {
            path.name for path in place.iterdir()
        }
        assert result["transfers"][0]["unit"] == result["target"]
        assert len(result["family"]) == 2
        file = f"out/{folder}/{result['picture']['file']}"
        assert phosphene("rerun", file, "--out", "again", "--json", "--quiet").json["same_pixels"] is True


def test_an_index_stands_for_the_data_and_the_sentences_are_printed(phosphene: Command, workplace: Path) -> None:
    scanned = ("--data", "textures:24", "--top", "4", "--sample", "8", "--layers", "conv4_1", "--out", "scan")
    assert phosphene("scan", *scanned).code == 0
    ran = phosphene("study", "faithfulness", "conv4_1:3", *DATA, *FAST, "--pictures", "0", "--index", "scan")
    assert ran.code == 0, ran.err
    read = int(ran.err.split("minivgg conv4_1:3: ")[1].split(" natural")[0])
    assert 8 <= read <= 12
    assert ran.out.startswith("UNIT")
    assert "of pairs (chance is 50%" in ran.out
    assert "out/faithfulness/conv4_1-3/index.html" in ran.out


def test_ctrl_c_leaves_no_page(process: Callable[..., Any], workplace: Path) -> None:
    words = ("conv4_1:3", *DATA, "--size", "48", "--steps", "100000", "--pictures", "0", "--out", "out")
    running = process("study", "faithfulness", *words)
    while "100%" not in running.stderr.readline() + "100%" * (running.poll() is not None):  # all data is read
        time.sleep(0.01)
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "there is no page" in err
    left = {path.name for path in (workplace / "out" / "conv4_1-3").iterdir()}
    assert left <= {"conv4_1-3.json", "conv4_1-3.png"}  # none when it came before the first step


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("conv4_1:3", "--data", "nowhere"), "no data in 'nowhere'"),
        (("conv4_1:3", "conv4_1:999", *DATA), "no unit 999"),
        (("prob:star", *DATA), "faithfulness is asked of a channel"),
        (("conv4_1:3", *DATA, "--pictures", "1"), "pictures is 2 to"),
        (("conv4_1:3", *DATA, "--index", "nowhere"), "nowhere"),
        (("conv4_1:3", *DATA, "--alpha"), "leave alpha and transparency out"),
    ],
)
def test_slips_are_told_in_a_line_and_leave_nothing(
    phosphene: Command, workplace: Path, words: tuple[str, ...], said: str
) -> None:
    ran = phosphene("study", "faithfulness", *words)
    assert ran.code in (1, 2)
    assert said in ran.err
    assert ran.err.count("\nerror") + ran.err.startswith("error") == 1
    assert not (workplace / "out").exists()
