"""`phosphene style` from the shell: files, JSON, sweeps, films, resumption, the same pixels again, and bad input."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from phosphene.cli import style as style_module
from phosphene.media import read_pixels, write_picture
from phosphene.style.ladder import resized
from phosphene.style.transfer import StepDone, Transfer

QUICK = ("--size", "48", "--smallest", "0", "--steps", "2", "--device", "cpu")
NETWORK = ("--model", "vgg19_cd16x", "--weights", "random", "--judge", "none")
PLAIN = ("content.png", "a.png", *QUICK, *NETWORK)


@pytest.fixture
def pictures(workplace: Path) -> Path:
    """A working folder with a content, two styles and a mask."""
    generator = torch.Generator().manual_seed(0)
    for name in ("content.png", "a.png", "b.png"):
        write_picture(workplace / name, resized(torch.rand(1, 3, 6, 8, generator=generator), (48, 64))[0])
    mask = torch.zeros(1, 48, 64)
    mask[:, :, :32] = 1
    write_picture(workplace / "mask.png", mask)
    return workplace


def test_the_json_of_style_is_exactly_what_is_promised(phosphene: Any, pictures: Path) -> None:
    ran = phosphene("style", "content.png", "a.png", *QUICK, *NETWORK[:4], "--judge", "minivgg", "--json")
    assert ran.code == 0
    names = ["path", "size", "seconds", "peak_memory_mb", "evaluations", "loss", "layers", "heldout"]
    assert list(ran.json) == names
    assert ran.json["path"] == "out/content-a.png"
    assert ran.json["size"] == [48, 36]
    assert list(ran.json["loss"]) == ["total", "content", "style", "tv"]
    assert list(ran.json["layers"]) == ["content relu4_2", *(f"style relu{k}_1" for k in range(1, 6))]
    assert ran.json["heldout"]["network"] == "minivgg"
    with Image.open("out/content-a.png") as image:
        assert image.size == (48, 36)
        assert json.loads(image.info["phosphene"])["kind"] == "style"


def test_a_second_run_finds_it_done(phosphene: Any, pictures: Path) -> None:
    first = phosphene("style", *PLAIN, "--json")
    second = phosphene("style", *PLAIN, "--json")
    assert second.json == first.json
    assert "is there already" in second.err


def test_one_file_is_written_where_out_names_one(phosphene: Any, pictures: Path) -> None:
    assert phosphene("style", *PLAIN, "--out", "art/mine.webp", "--no-report").code == 0
    assert {file.name for file in (pictures / "art").iterdir()} == {"mine.webp", "mine.json"}


def test_folders_are_painted_each_with_each_and_a_bad_file_is_told(phosphene: Any, pictures: Path) -> None:
    for folder, names in (("contents", ("content.png",)), ("styles", ("a.png", "b.png"))):
        (pictures / folder).mkdir()
        for name in names:
            (pictures / folder / name).write_bytes((pictures / name).read_bytes())
    (pictures / "contents" / "notes.txt").write_text("no picture, and not called one")
    (pictures / "contents" / "torn.png").write_text("no picture")
    ran = phosphene("style", "contents", "styles", *QUICK, *NETWORK, "--json", "--no-report", "--quiet")
    assert ran.code == 1
    assert [one["path"] for one in ran.json["results"]] == ["out/content-a.png", "out/content-b.png"]
    assert [one["path"] for one in ran.json["failed"]] == ["out/torn-a.png", "out/torn-b.png"]
    assert [line.partition(": cannot read")[0] for line in ran.err.splitlines()] == [
        "error: torn-a.png",
        "error: torn-b.png",
    ]


def test_what_is_wrong_with_every_painting_is_said_once(phosphene: Any, pictures: Path) -> None:
    ran = phosphene("style", "content.png", "a.png", "b.png", "--each", *QUICK, *NETWORK, "--style-layers", "relu9_9")
    assert ran.code == 2
    assert ran.err.startswith("error: no layer 'relu9_9'")
    assert len(ran.err.splitlines()) == 1
    assert not (pictures / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("content.png", "a.png", "--out", "content.png"),
        ("content.png", "a.png", "--out", "./a.png"),
        ("content.png", "a.png", "--preview", "a.png"),
        ("content.png", "a.png", "--start", "b.png", "--out", "b.png"),
        ("content.png", "a.png", "--mask", "1=mask.png", "--out", "mask.png"),
    ],
)
def test_no_picture_that_was_handed_in_is_written_over(phosphene: Any, pictures: Path, words: tuple[str, ...]) -> None:
    before = {file: file.read_bytes() for file in pictures.glob("*.png")}
    ran = phosphene("style", *words, *QUICK, *NETWORK, "--again", "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert "would be written over" in ran.err
    assert {file: file.read_bytes() for file in pictures.rglob("*.png")} == before


def test_a_sweep_gives_a_painting_for_each_value_and_a_sheet(phosphene: Any, pictures: Path) -> None:
    ran = phosphene("style", *PLAIN, "--sweep", "content-weight=0,0.1", "--json", "--no-report")
    assert ran.code == 0
    paths = [one["path"] for one in ran.json["results"]]
    assert paths == ["out/content-a.content_weight-0.png", "out/content-a.content_weight-0.1.png"]
    assert ran.json["results"][0]["loss"]["content"] == 0
    assert (pictures / "out" / "sweep.png").is_file()


def test_the_film_and_the_preview_are_written(phosphene: Any, pictures: Path) -> None:
    assert phosphene("style", *PLAIN, "--animate", "--preview", "now.png").code == 0
    with Image.open("out/content-a.film.webp") as film:
        assert film.is_animated
        assert film.size == (48, 36)
    assert read_pixels("now.png").pixels.shape == (3, 36, 48)


def test_the_walk_leads_from_the_content_to_the_style(phosphene: Any, pictures: Path) -> None:
    longer = ("--size", "48", "--smallest", "0", "--steps", "12", "--device", "cpu")
    ran = phosphene("style", "content.png", "a.png", *longer, "--model", "minivgg", "--judge", "none", "--walk", "3")
    assert ran.code == 0
    with Image.open("out/content-a.walk.webp") as film:
        assert film.n_frames >= 3
    weights = [float(line.rpartition(" ")[2]) for line in ran.err.splitlines() if line.startswith("frame ")]
    assert weights == pytest.approx([5, 0.005 * (1000 / 30) ** 0.5, 0.005 / 30], rel=0.01)


def test_interrupted_is_130_and_resumed_is_as_unbroken(
    phosphene: Any, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phosphene("style", *PLAIN, "--out", "whole.png")
    plain = style_module.PaintMeter.show

    def stop(meter: Any, event: StepDone, transfer: Transfer) -> None:
        plain(meter, event, transfer)
        import signal

        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(style_module.PaintMeter, "show", stop)
    ran = phosphene("style", *PLAIN, "--out", "art.png")
    assert ran.code == 130
    assert "--resume" in ran.err
    assert Path("art.png").is_file()
    monkeypatch.undo()
    monkeypatch.chdir(pictures)
    resumed = phosphene("style", *PLAIN, "--out", "art.png", "--resume")
    assert resumed.code == 0
    assert all(float(left) < 1000 for left in re.findall(r"(\d+) s left", resumed.err))  # no faster for what was done
    assert torch.equal(read_pixels("art.png").pixels, read_pixels("whole.png").pixels)


def test_rerun_and_info_know_a_painting(phosphene: Any, pictures: Path) -> None:
    phosphene("style", *PLAIN, "--mask", "1=mask.png")
    file = "out/content-a.png"
    shown = [word for name in ("mask.png", "a.png", "content.png") for word in ("--input", name)]
    ran = phosphene("rerun", file, *shown, "--json")
    assert ran.code == 0
    assert ran.json["same_pixels"] is True
    assert ran.json["path"] == "out/rerun/content-a.png"
    lacking = phosphene("rerun", file, "--input", "a.png")
    assert lacking.code == 1
    assert "the content picture" in lacking.err
    assert "--input FILE" in lacking.err
    assert "resolved.optimizer" in phosphene("info", file).out


def test_channels_measured_on_a_folder_are_asked_for_again(phosphene: Any, pictures: Path) -> None:
    (pictures / "folder").mkdir()
    (pictures / "folder" / "b.png").write_bytes((pictures / "b.png").read_bytes())
    assert phosphene("style", *PLAIN, "--normalize", "folder").code == 0
    shown = ("--input", "a.png", "--input", "content.png")
    assert "--normalize DIR" in phosphene("rerun", "out/content-a.png", *shown).err
    ran = phosphene("rerun", "out/content-a.png", *shown, "--normalize", "folder", "--json")
    assert ran.json["same_pixels"] is True


def test_the_network_that_nobody_named_is_said(phosphene: Any, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(pictures))
    ran = phosphene("style", "content.png", "a.png", *QUICK, "--judge", "none")
    assert ran.code == 0
    assert "minivgg, the small network inside phosphene" in ran.err
    assert "content layer of minivgg" in ran.err


def huge_png() -> bytes:
    """A small file that declares 20000 x 20000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(48_000)))
        + chunk(b"IEND", b"")
    )


def make_bad_files(folder: Path) -> None:
    whole = (folder / "content.png").read_bytes()
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "huge.png").write_bytes(huge_png())
    (folder / "folder").mkdir()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(folder / "dot.png")
    Image.fromarray(np.zeros((1, 5000, 3), np.uint8)).save(folder / "line.png")
    Image.fromarray(np.zeros((64, 48), np.uint8) + 255).save(folder / "tall.png")
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(folder / "black.png")
    Image.fromarray(np.zeros((48, 64, 4), np.uint8)).save(folder / "clear.png")


BAD = [
    (("text.png", "a.png"), 1, "cannot read picture 'text.png'"),
    (("content.png", "text.png"), 1, "cannot read picture 'text.png'"),
    (("empty.png", "a.png"), 1, "the file is empty"),
    (("cut.png", "a.png"), 1, "truncated"),
    (("huge.png", "a.png"), 1, "over 64 megapixels; shrink it first"),
    (("clear.png", "a.png"), 1, "'clear.png': it is transparent everywhere"),
    (("content.png", "clear.png"), 1, "'clear.png': it is transparent everywhere"),
    (("dot.png", "a.png"), 1, "1x1"),
    (("content.png", "line.png"), 1, "5000x1"),
    (("nowhere.png", "a.png"), 1, "no such file"),
    (("folder", "a.png"), 2, "no picture in the folder 'folder'"),
    (("content.png",), 2, "STYLE"),
    (("content.png", "a.png", "--mask", "1=folder"), 2, "it is a folder"),
    (("content.png", "a.png", "--mask", "1=tall.png"), 2, "of another shape"),
    (("content.png", "a.png", "--mask", "1=black.png"), 2, "black everywhere"),
    (("content.png", "a.png", "--mask", "2=mask.png"), 2, "there is a mask for style 2"),
    (("content.png", "a.png", "--mask", "1=mask.png", "--mask", "1=mask.png"), 2, "names style 1 twice"),
    (("content.png", "a.png", "--mask", "mask.png"), 2, "N=FILE"),
    (("content.png", "a.png", "--style-mask", "1=black.png"), 2, "black everywhere"),
    (("content.png", "a.png", "--leave", "tall.png"), 2, "of another shape"),
    (("content.png", "a.png", "--content-weight", "0", "--style-weight", "0"), 2, "both 0"),
    (("content.png", "a.png", "--style-weights", "0"), 2, "all 0"),
    (("content.png", "a.png", "--style-weights", "1,2"), 2, "2 style weights for 1 style picture"),
    (("content.png", "a.png", "--style-weights", "nan"), 2, "--style-weights"),
    (("content.png", "a.png", "--content-weight", "nan"), 2, "content_weight"),
    (("content.png", "a.png", "--layer-weights", "1,inf,1,1,1"), 2, "layer_weights must be 0 or more"),
    (("content.png", "a.png", "--lr", "inf"), 2, "lr must be a finite number, got inf"),
    (("content.png", "a.png", "--memory", "inf"), 2, "memory must be a finite number, got inf"),
    (("content.png", "a.png", "--memory", "1e-9"), 2, "choose a smaller size"),
    (
        ("content.png", "a.png", "--style-scale", "1e9"),
        2,
        "style_scale 1e+09 makes the style picture 4.8e+10 pixels long; 8000 are the most",
    ),
    (("content.png", "a.png", "--style-scale", "1e-4"), 2, "style_scale 0.0001 leaves 1x1 pixels"),
    (("content.png", "a.png", "--history", "9" * 20, "--memory", "1e-9"), 2, "choose a smaller size"),
    (("content.png", "a.png", "--size", "0"), 2, "size"),
    (("content.png", "a.png", "--style-layers", "relu9_9"), 2, "no layer 'relu9_9'"),
    (("content.png", "a.png", "--start", "nois"), 2, "no start 'nois'"),
    (("content.png", "a.png", "--start", "text.png"), 1, "cannot read picture 'text.png'"),
    (("content.png", "a.png", "--out", "art.xyz"), 2, "suffix"),
    (("content.png", "a.png", "--out", "art.jpg", "--bits", "16"), 2, "16 bits"),
    (("content.png", "a.png", "--out", "a.png/out"), 1, "is a file"),
    (("content.png", "a.png", "--preview", "a.png/now.png"), 1, "is a file"),
    (("content.png", "a.png", "b.png", "--each", "--out", "art.png"), 2, "name a folder"),
    (("content.png", "a.png", "--sweep", "colour=1,2"), 2, "--sweep"),
    (("content.png", "a.png", "--walk", "1"), 2, "2 frames or more"),
    (("content.png", "a.png", "b.png", "--each", "--walk", "3"), 2, "one painting"),
    (("content.png", "a.png", "--sweep", "size=1,x"), 2, "size"),
    (("content.png", "a.png", "--sweep", "preset=quality,foo"), 2, "'foo' is none of quality, gatys2015"),
    (("content.png", "a.png", "--normalize", "folder"), 2, "no picture in 'folder'"),
    (("content.png", "a.png", "--judge", "minivg"), 2, "no model 'minivg'"),
]


@pytest.mark.parametrize(("words", "code", "said"), BAD, ids=[" ".join(words) for words, _, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    phosphene: Any, pictures: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    make_bad_files(pictures)
    network = NETWORK[:4] if "--judge" in words else NETWORK
    size = () if "--size" in words else QUICK
    before = set(pictures.rglob("*"))
    ran = phosphene("style", *words, *size, *network, "--quiet")
    assert ran.code == code
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""
    assert {file for file in pictures.rglob("*") if "__pycache__" not in file.parts} <= before
