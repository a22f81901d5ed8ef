"""`phosphene reconstruct`, `texture` and `tradeoff` from the shell: what they write, print, and how they end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from phosphene.cli.console import Meter
from phosphene.errors import EXIT_FAILED, EXIT_USAGE
from phosphene.metadata import parse_untrusted_json, read_recipe_text

INTERRUPTED = 130
FAST = ("--model", "minivgg", "--size", "32", "--steps", "2", "--device", "cpu", "--json", "--quiet")
RECIPE = ["kind", "model", "target", "method", "inputs", "schema", "app", "created", "environment", "result"]


@pytest.fixture
def photo(workplace: Path) -> Path:
    return drawn(workplace / "photo.png", 0)


@pytest.fixture
def painting(workplace: Path) -> Path:
    return drawn(workplace / "painting.png", 1)


def drawn(path: Path, seed: int) -> Path:
    levels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(levels).resize((48, 36), Image.Resampling.BICUBIC).save(path)
    return path


def recipe(path: str) -> dict[str, Any]:
    return parse_untrusted_json(read_recipe_text(path))


def test_reconstruct_gives_ten_pictures_and_a_sheet(phosphene: Any, photo: Path) -> None:
    ran = phosphene("reconstruct", "photo.png", *FAST)
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.json) == {"sheet", "model", "results"}
    assert Path(ran.json["sheet"]).is_file()
    assert [result["kind"] for result in ran.json["results"]] == ["content"] * 5 + ["style"] * 5
    assert ran.json["results"][9]["layer"] == "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1"
    for result in ran.json["results"]:
        assert list(result) == ["layer", "kind", "path", "loss", "psnr"]
        with Image.open(result["path"]) as image:
            assert image.size == (32, 24)
        written = recipe(result["path"])
        assert list(written) == RECIPE
        assert written["kind"] == "reconstruction"
        assert written["result"]["losses"]["loss"] == result["loss"]


def test_texture_has_the_size_that_was_asked_for(phosphene: Any, painting: Path) -> None:
    flags = [*FAST[:2], "--size", "34x50", *FAST[4:]]
    ran = phosphene("texture", "painting.png", *flags, "--seamless", "--style-layers", "relu1_1,relu2_1")
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["size"], ran.json["seamless"], ran.json["status"]) == ([50, 34], True, "ok")
    with Image.open(ran.json["path"]) as image:
        assert image.size == (50, 34)
    assert recipe(ran.json["path"])["method"]["seamless"] is True


def test_tradeoff_gives_a_cell_for_each_row_and_ratio(phosphene: Any, photo: Path, painting: Path) -> None:
    ran = phosphene("tradeoff", "photo.png", "painting.png", *FAST, "--ratios", "1e-4,1e-2")
    assert (ran.code, ran.err) == (0, "")
    found = [(len(cell["layers"]), cell["ratio"]) for cell in ran.json["results"]]
    assert found == [(k, ratio) for k in range(1, 6) for ratio in (1e-4, 1e-2)]
    assert len({cell["path"] for cell in ran.json["results"]}) == 10
    assert all(list(cell) == ["layers", "ratio", "path", "content", "style"] for cell in ran.json["results"])


def test_a_second_run_makes_nothing_again(phosphene: Any, photo: Path) -> None:
    flags = (*FAST[:-1], "--style-layers", "relu1_1", "--content-layers", "relu1_1")
    first = phosphene("reconstruct", "photo.png", *flags)
    again = phosphene("reconstruct", "photo.png", *flags)
    assert again.json == first.json
    assert "2 of the pictures were there already" in again.err
    assert "there already" not in first.err


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    phosphene: Any, photo: Path, painting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("tradeoff", "photo.png", "painting.png", *FAST[:-1], "--ratios", "1e-4,1e-2", "--style-layers", "relu1_1")

    def pressed(meter: Meter, event: Any) -> None:
        if event.batch == 1:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Meter, "show", pressed)
        ran = phosphene(*words)
    assert ran.code == INTERRUPTED
    assert "the same command goes on from there" in ran.err
    assert len(ran.json["results"]) == 2
    assert Path(ran.json["sheet"]).is_file()
    assert [recipe(cell["path"])["result"]["status"] for cell in ran.json["results"]] == ["ok", "interrupted"]
    again = phosphene(*words)
    assert again.code == 0
    assert "1 of the pictures was there already" in again.err
    assert [recipe(cell["path"])["result"]["status"] for cell in again.json["results"]] == ["ok", "ok"]


def test_without_json_every_line_names_a_file(phosphene: Any, photo: Path) -> None:
    flags = (*FAST[:-2], "--content-layers", "relu1_1", "--style-layers", "relu1_1")
    ran = phosphene("reconstruct", "photo.png", *flags)
    lines = ran.out.splitlines()
    assert len(lines) == 3
    assert all(Path(line.split("  ")[0]).is_file() for line in lines)
    assert "content of minivgg at relu1_1; style at relu1_1" in ran.err


FIGURES = {
    "content": ("reconstruct", "photo.png", "--content-layers", "relu3_2", "--out", "r"),
    "style": ("reconstruct", "photo.png", "--style-layers", "relu1_1,relu2_1", "--pooling", "average", "--out", "r"),
    "texture": ("texture", "painting.png", "--scale", "1.5", "--seamless", "--style-layers", "relu1_1", "--out", "r"),
    "paper": ("tradeoff", "photo.png", "painting.png", "--ratios", "1e-4,0.003", "--out", "r"),
    "quality": ("tradeoff", "photo.png", "painting.png", "--ratios", "0.3", "--scale", "quality", "--out", "r"),
    "noise": ("tradeoff", "photo.png", "painting.png", "--ratios", "0.01", "--start", "noise", "--out", "r"),
}
NAMES = {
    "content": "content-1",
    "style": "style-2",
    "texture": "texture",
    "paper": "style-2-ratio-0.003",
    "quality": "style-3-ratio-0.3",
    "noise": "style-1-ratio-0.01",
}


@pytest.mark.parametrize("which", FIGURES)
def test_rerun_gives_the_same_pixels(phosphene: Any, photo: Path, painting: Path, which: str) -> None:
    assert phosphene(*FIGURES[which], *FAST).code == 0
    file = f"r/{NAMES[which]}.png"
    shown = ("--input", "painting.png", "--input", "photo.png")  # in any order
    ran = phosphene("rerun", file, *shown, "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["same_pixels"] is True
    assert ran.json["path"] == f"out/rerun/{NAMES[which]}.png"
    assert recipe(ran.json["path"])["result"]["losses"] == recipe(file)["result"]["losses"]
    lacking = phosphene("rerun", file)
    assert lacking.code == EXIT_FAILED
    assert "--input FILE" in lacking.err
    assert recipe(file)["kind"] in phosphene("info", file).out


@pytest.mark.parametrize(
    ("command", "name"), [("reconstruct", "content-2.png"), ("texture", "texture.png"), ("texture", "sheet.png")]
)
def test_the_picture_that_was_handed_in_is_never_written_over(
    phosphene: Any, photo: Path, command: str, name: str
) -> None:
    photo.rename(name)
    before = Path(name).read_bytes()
    ran = phosphene(command, name, *FAST, "--out", ".")
    assert ran.code == EXIT_USAGE
    assert ran.err == f"error: '{name}' would be written over, and it was handed in; write to another place\n"
    assert Path(name).read_bytes() == before


@pytest.mark.parametrize("command", ["reconstruct", "texture"])
def test_bad_pictures_are_one_line_and_leave_nothing(phosphene: Any, workplace: Path, command: str) -> None:
    (workplace / "text.png").write_text("no picture")
    Image.new("RGB", (1, 5000)).save(workplace / "thin.png")
    for file in ("absent.png", "text.png", "thin.png", "."):
        ran = phosphene(command, file, *FAST)
        assert ran.code == EXIT_FAILED, file
        assert ran.err.startswith("error: ")
        assert ran.err.count("\n") == 1
    assert not (workplace / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("reconstruct", "photo.png", "--size", "99999999"), "99999999x74999999 is over 64 megapixels"),
        (("texture", "photo.png", "--size", "99999999"), "over 64 megapixels"),
        (("tradeoff", "photo.png", "photo.png", "--size", "99999999"), "over 64 megapixels"),
        (("reconstruct", "photo.png", "--size", "1"), "1x1 pixels show nothing"),
        (("tradeoff", "photo.png", "photo.png", "--size", "6"), "minivgg cannot look at 6x4 pixels"),
        (("texture", "photo.png", "--size", "32", "--scale", "1e9"), "scale 1e+09 makes the example 3.2e+10 pixels"),
        (("texture", "photo.png", "--size", "32", "--scale", "1e-9"), "scale 1e-09 leaves 1x1 pixels"),
    ],
)
def test_sizes_that_cannot_be_are_one_line_and_leave_nothing(
    phosphene: Any, photo: Path, words: tuple[str, ...], said: str
) -> None:
    ran = phosphene(*words, "--model", "minivgg", "--steps", "1", "--quiet")
    assert (ran.code, ran.out) == (EXIT_USAGE, "")
    assert ran.err.startswith("error: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--steps", "0"),
        ("--content-layers", "relu9_9"),
        ("--style-layers", "relu1_1,"),
        ("--style-layers", "relu1_1,relu2_1,relu1_1"),
        ("--size", "0"),
    ],
)
def test_what_cannot_be_meant_is_usage_and_leaves_nothing(phosphene: Any, photo: Path, flags: tuple[str, ...]) -> None:
    ran = phosphene("reconstruct", "photo.png", "--model", "minivgg", *flags)
    assert ran.code == EXIT_USAGE
    assert ran.err.count("\n") <= 2  # the layers that were chosen may be said before
    assert not Path("out").exists()
