"""`scan`, `examples`, `probe` and `card` of recordings from the shell: pages with players, JSON, slips in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def recordings(workplace: Path, shared: Path) -> Path:
    """Three recordings in two folders, and a text that is named as one."""
    for name in ("birds/robin", "voices/yes", "voices/no"):
        file = workplace / "recordings" / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "audio" / file.name, file)
    (workplace / "recordings" / "text.wav").write_text("no sound")
    return workplace / "recordings"


def test_recordings_are_scanned_listed_and_played(phosphene: Command, recordings: Path) -> None:
    words = ("scan", "yamnet", "--data", "recordings", "--layers", "layer3.relu,output", "--out", "index")
    ran = phosphene(*words, "--json", "--quiet")
    assert (ran.code, ran.json["images"]) == (0, 5)
    assert ran.json["skipped"] == [
        {"key": "text.wav@000.00000s", "reason": "'text.wav' is named .wav and is no WAV file"}
    ]
    ran = phosphene("examples", "index", "layer3.relu:5", "logit:Bird", "--data", "recordings", "--json", "--quiet")
    assert ran.code == 0
    inner, bird = ran.json["results"]
    assert bird["examples"]["maximum"][0]["key"].startswith("birds/robin.wav@")
    assert bird["statistics"]["best_class"] == "birds"
    best = inner["examples"]["maximum"][0]
    assert float(best["key"].partition("@")[2][:-1]) <= best["seconds"] <= 1.7 + 1
    page = Path(inner["path"])
    assert page.read_text().count("<audio") == len(list(page.parent.glob("*.wav"))) == 4 * 4 + 4


def test_a_probe_and_a_card_of_recordings(phosphene: Command, recordings: Path) -> None:
    told = phosphene(
        "probe", "yamnet", "logit:Bird", "--data", "recordings", "--probed", "1", "--ask", "recordings/birds", "--json",
        "--quiet",
    )  # fmt: skip
    assert told.code == 0
    assert "a high sound" in told.json["results"][0]["verdict"]
    assert told.json["results"][0]["asked"][0]["picture"] == "birds/robin.wav"
    quick = ("--probed", "1", "--examples", "1", "--steps", "1")
    made = phosphene("card", "crepe_tiny", "logit:228", "--data", "recordings", *quick, "--json", "--quiet")
    assert made.code == 0
    assert set(made.json["results"][0]["pictures"]) == {"positive", "negative", "diverse"}
    assert len(list(Path("out/card").glob("logit-228.*.wav"))) == 2 + 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("scan yamnet --data empty", "no sounds in 'empty'"),
        ("scan yamnet --data textures:8", "yamnet hears sounds"),
        ("scan yamnet --data pictures", "no sounds in 'pictures', and 1 picture: yamnet hears sounds"),
        ("scan minivgg --data recordings", "no pictures in 'recordings', and 4 sounds: minivgg sees pictures"),
        ("scan yamnet --data recordings --seconds 0.2", "raise --seconds"),
        ("scan yamnet --data recordings --whole", "whole is for pictures"),
        ("card yamnet logit:Bird --data recordings --size 64", "size is of pictures"),
        ("probe yamnet logit:Bird --data recordings --ask empty", "no sounds in 'empty' for --ask"),
        ("probe yamnet logit:Bird --data recordings --ask recordings/text.wav", "no WAV file"),
    ],
)
def test_slips_end_in_one_line(
    words: str, message: str, phosphene: Command, recordings: Path, workplace: Path, shared: Path
) -> None:
    (workplace / "empty").mkdir()
    (workplace / "pictures").mkdir()
    shutil.copy(shared / "images" / "content" / "coffee.jpg", workplace / "pictures")
    ran = phosphene(*words.split(), "--quiet")
    assert ran.code in (1, 2)
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not (workplace / "out").exists()
