"""`phosphene grid`: files, JSON, slips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

FAST = ("--cells", "3", "--size", "16", "--steps", "2", "--precision", "float32", "--device", "cpu")

Command = Callable[..., Any]


@pytest.fixture
def photo(workplace: Path) -> Path:
    levels = torch.randint(60, 200, (30, 40, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    Image.fromarray(levels.numpy()).save(workplace / "photo.png")
    return workplace / "photo.png"


def test_a_grid_is_written_beside_its_picture_and_each_cell_told(phosphene: Command, photo: Path) -> None:
    ran = phosphene("grid", "photo.png", "--layer", "relu3_1", *FAST, "--out", "out", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["path"], ran.json["beside"]) == ("out/grid.png", "out/beside.png")
    rows, columns = ran.json["cells"]
    assert (rows, columns) == (2, 3)
    assert [(cell["row"], cell["column"]) for cell in ran.json["results"]] == [
        (r, c) for r in range(2) for c in range(3)
    ]
    assert max(cell["strength"] for cell in ran.json["results"]) == 1
    with Image.open("out/grid.png") as image:
        assert image.size == (48, 32)
    again = phosphene("rerun", "out/cells/1-2.png", "--out", "again", "--json", "--quiet")
    assert again.json["same_pixels"] is True


def test_the_whole_picture_is_one_direction_and_a_folder_whitens_it(phosphene: Command, photo: Path) -> None:
    Path("photos").mkdir()
    Path("photos/one.png").write_bytes(photo.read_bytes())
    Path("photos/notes.txt").write_text("no picture")
    words = ("--cells", "1", "--size", "16", "--steps", "2", "--whiten", "photos", "--scaled", "--no-metadata")
    ran = phosphene("grid", "photo.png", "--model", "minivgg", "--layer", "relu3_1", *words, "--out", "out", "--quiet")
    assert ran.code == 0
    assert not Path("out/cells/0-0.json").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("photo.png",), 2, "--layer"),
        (("absent.png", "--layer", "relu3_1"), 1, "absent.png"),
        (("photo.png", "--layer", "relu9_1"), 2, "no layer 'relu9_1'"),
        (("photo.png", "--layer", "relu3_1", "--cells", "0"), 2, "cells must be at least 1"),
        (("photo.png", "--layer", "relu3_1", "--whiten", "absent"), 2, "'absent' is no folder of pictures"),
        (("photo.png", "--layer", "output"), 2, "has none"),
    ],
)
def test_slips_are_told_in_a_line(
    phosphene: Command, photo: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = phosphene("grid", *words)
    assert ran.code == code
    assert said in ran.err
    assert not (photo.parent / "out").exists()
