"""`phosphene audio render`: clips, pictures, a page, JSON, made again, slips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from phosphene.metadata import read_recipe_text

FAST = ("--weights", "random", "--steps", "2", "--seconds", "0.128", "--device", "cpu")

Command = Callable[..., Any]


def test_clips_are_written_with_pictures_recipes_and_a_page(phosphene: Command, workplace: Path) -> None:
    ran = phosphene("audio", "render", "crepe_tiny", "logit:108", "pool6:3", *FAST, "--out", "out", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.json["results"]
    assert (first["path"], first["target"], first["rate"], first["samples"]) == (
        "out/logit-108.wav", "logit:108", 16_000, 2048,
    )  # fmt: skip
    assert second["layer"] == "pool6"
    page = Path(ran.json["page"]).read_text()
    assert page.count("<audio controls") == 2
    assert "logit-108.wav" in page
    with Image.open("out/logit-108.spectrogram.png") as image:
        assert image.convert("L").getextrema()[1] > 200
    told = phosphene("info", "out/logit-108.wav", "--json").json
    assert (told["kind"], told["model"]["input"]["rate"]) == ("sound", 16_000)


def test_a_clip_is_made_again_to_the_bit(phosphene: Command, workplace: Path) -> None:
    phosphene("audio", "render", "crepe_tiny", "logit:108,228", *FAST, "--out", "out", "--quiet")
    again = phosphene("rerun", "out/logit-228.wav", "--out", "again", "--json", "--quiet")
    assert again.code == 0
    assert again.json["same_samples"] is True
    assert Path(again.json["path"]).is_file()


def test_no_metadata_leaves_nothing_in_the_clip(phosphene: Command, workplace: Path) -> None:
    phosphene("audio", "render", "crepe_tiny", "logit:1", *FAST, "--out", "out", "--no-metadata")
    assert not Path("out/logit-1.json").exists()
    with pytest.raises(Exception, match="no recipe"):
        read_recipe_text("out/logit-1.wav")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("squeezenet1_1", "features.3:1"), 2, "sees pictures and hears no sounds"),
        (("crepe_tiny", "logit:400"), 2, "no class 400; it must be 0 to 359"),
        (("crepe_tiny", "logit:Whistling"), 2, "no class names"),
        (("crepe_tiny", "conv9:1"), 2, "did you mean conv"),
        (("crepe_tiny", "logit:1", "--seconds", "0.01"), 2, "1024 samples"),
        (("crepe_tiny", "logit:1", "--loudness", "-3"), 2, "so that no sound hurts"),
        (("crepe_tiny", "logit:1 - l2"), 2, "price of pictures"),
        (("silero_vad_16k", "prob:speech"), 2, "compares classes"),
        (("crepe_tiny",), 2, ""),
    ],
)
def test_slips_are_one_line_and_write_nothing(
    phosphene: Command, workplace: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = phosphene("audio", "render", *words, "--weights", "random", "--out", "out")
    assert ran.code == code
    assert said in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not Path("out").exists()


@pytest.mark.parametrize("command", ["render", "dream", "layers"])
def test_commands_of_pictures_say_that_a_network_hears(phosphene: Command, workplace: Path, command: str) -> None:
    words = {
        "render": ["crepe_tiny", "logit:1"],
        "dream": ["crepe_tiny", "noise"],
        "layers": ["crepe_tiny", "--receptive"],
    }
    ran = phosphene(command, *words[command], "--weights", "random")
    assert ran.code == 2
    assert "crepe_tiny hears sounds" in ran.err
