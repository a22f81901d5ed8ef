"""`phosphene dream`: files, JSON, words left out, slips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

FAST = ("--size", "40", "--octaves", "2", "--steps", "2", "--precision", "float32", "--device", "cpu")

Command = Callable[..., Any]


@pytest.fixture
def photo(workplace: Path) -> Path:
    levels = torch.randint(60, 200, (30, 40, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    Image.fromarray(levels.numpy()).save(workplace / "photo.png")
    return workplace / "photo.png"


def test_a_dream_is_written_with_its_recipe_and_made_again(phosphene: Command, photo: Path) -> None:
    ran = phosphene("dream", "minivgg", "photo.png", "--layers", "relu3_1", *FAST, "--out", "out", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["path"] == "out/photo.png"
    assert ran.json["score"] > ran.json["score_before"]
    assert (ran.json["size"], ran.json["status"], ran.json["film"]) == ([40, 30], "ok", None)
    told = phosphene("info", "out/photo.png", "--json").json
    assert (told["kind"], told["method"]["layers"]) == ("dream", "relu3_1")
    again = phosphene("rerun", "out/photo.png", "--input", "photo.png", "--out", "again", "--json", "--quiet")
    assert again.code == 0
    assert again.json["same_pixels"] is True
    missing = phosphene("rerun", "out/photo.png")
    assert (missing.code, "add it with --input FILE" in missing.err) == (1, True)


def test_the_network_may_be_left_out_and_noise_is_a_picture(phosphene: Command, workplace: Path) -> None:
    ran = phosphene("dream", "noise", *FAST)
    assert ran.code == 0
    assert "minivgg dreams of relu4_1: 40 x 40, one octave, cpu float32" in ran.err
    assert (workplace / "out" / "dream" / "noise.png").is_file()


def test_a_film_is_written_beside_the_dream(phosphene: Command, photo: Path) -> None:
    ran = phosphene("dream", "photo.png", *FAST, "--zoom", "2", "--out", "out", "--json", "--quiet")
    assert ran.json["film"] == "out/photo.zoom.webp"
    with Image.open(ran.json["film"]) as film:
        assert film.n_frames >= 3  # type: ignore[attr-defined]


def test_a_guide_is_a_picture_of_the_recipe(phosphene: Command, photo: Path) -> None:
    ran = phosphene("dream", "photo.png", "--guide", "photo.png", *FAST, "--out", "out", "--json", "--quiet")
    assert ran.json["target"] == "guided(relu4_1)"
    inputs = phosphene("info", "out/photo.png", "--json").json["inputs"]
    assert inputs["guide"] == inputs["picture"] is not None


def test_the_photograph_is_never_written_over(phosphene: Command, photo: Path) -> None:
    before = photo.read_bytes()
    ran = phosphene("dream", "photo.png", *FAST, "--out", ".", "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: 'photo.png' would be written over, and it was handed in; write to another place\n"
    assert photo.read_bytes() == before


def test_no_metadata_leaves_no_recipe(phosphene: Command, photo: Path) -> None:
    phosphene("dream", "photo.png", *FAST, "--out", "out")
    phosphene("dream", "photo.png", *FAST, "--out", "out", "--no-metadata")
    assert not Path("out/photo.json").exists()
    assert phosphene("info", "out/photo.png").code == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("minivgg",), 2, "no picture for minivgg: phosphene dream minivgg PICTURE, or noise"),
        (("absent.png",), 1, "absent.png"),
        (("photo.png", "--layers", "relu9_1"), 2, "no layer 'relu9_1'"),
        (("photo.png", "--layers", "relu3_1:0..3"), 2, "a dream is one picture"),
        (("photo.png", "--guide", "photo.png", "--layers", "relu3_1:1"), 2, "name layers without units"),
        (("photo.png", "--octaves", "0"), 2, "octaves must be at least 1"),
        (("photo.png", "--zoom", "-1"), 2, "zoom is a number of frames"),
        (("photo.png", "--precision", "float8"), 2, "float8"),
    ],
)
def test_slips_are_told_in_a_line(
    phosphene: Command, photo: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = phosphene("dream", *words)
    assert ran.code == code
    assert said in ran.err
    assert ran.err.count("\nerror") + ran.err.startswith("error") == 1
    assert not (photo.parent / "out").exists() or not any((photo.parent / "out").rglob("*.png"))
