"""Bad input: one clear line on stderr, the right exit code, nothing written."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from phosphene.media import write_picture

NET = ("render", "nets:rgb")
SQUEEZE = ("render", "squeezenet1_1")


def refused(ran: Any, code: int, *said: str, lines: int = 1) -> None:
    """The command ended so, with one line that says all this, and wrote nothing."""
    assert ran.err.startswith("error: "), ran.err
    assert [part for part in said if part not in ran.err] == [], ran.err
    assert ran.err.count("\n") == lines, ran.err
    assert ran.out == ""
    assert ran.code == code
    assert [file.name for file in Path().rglob("*") if file.suffix in (".png", ".json", ".part")] == []
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("render", "squeezenet1", "features.2:1"), ("squeezenet1", "did you mean squeezenet1_1")),
        (("layers", "resnet5"), ("resnet5", "did you mean")),
        ((*NET, "cov:1"), ("cov", "did you mean conv?", "phosphene layers")),
        ((*NET, "conv:99"), ("no unit 99 in conv", "it has 4 (0..3)")),
        ((*NET, "logit:99"), ("no class 99", "0 to 5")),
        ((*NET, "logit:cat"), ("no class names", "'cat'")),
        ((*NET, "conv:1@40,40"), ("outside conv",)),
        ((*NET, "conv:1@cls"), ("conv has no class token",)),
        ((*NET, "conv:0..1 + logit:0..2"), ("cannot join", "2 and 3 units")),
        ((*NET, "conv:1 * (1 - opacity)"), ("--alpha",)),
        ((*NET, "conv:1", "--size", "1"), ("size must be at least 2",)),
        (
            (*NET, "conv:1", "--size", "2"),
            ("nets:rgb cannot take a picture of 2 x 2 as far as conv", "--size 16 works"),
        ),
        ((*NET, "conv:1", "--size", "99999"), ("megapixels",)),
        ((*NET, "conv:1", "--size", "big"), ("--size", "'big'")),
        ((*NET, "conv:1", "--steps", "0"), ("steps must be at least 1, got 0",)),
        ((*NET, "conv:1", "--steps", "8", "--snapshots", "4,9"), ("snapshots must lie in 1 .. 8", "9")),
        ((*NET, "conv:1", "--snapshots", "1,x"), ("--snapshots", "'1,x'")),
        ((*NET, "conv:1", "--betas", "0.9", "1.5"), ("betas must lie in 0 .. 1", "1.5")),
        ((*NET, "conv:1", "--lr", "-1"), ("lr must be positive, got -1",)),
        ((*NET, "conv:1", "--noise", "nan"), ("noise must be a finite number",)),
        ((*NET, "conv:1", "--device", "abacus"), ("no device 'abacus'", "cpu")),
        ((*NET, "conv:1", "--device", "cuda:999"), ("'cuda:999' is not available",)),
        ((*NET, "conv:1", "--batch", "0"), ("batch must be positive",)),
        (("render", "nets:bare", "conv:1"), ("nothing says what nets:bare takes",)),
        (("render", "nets:nothing", "conv:1"), ("must return a torch.nn.Module", "int")),
        (("render", "nets:rbg", "conv:1"), ("no factory 'rbg' in nets", "did you mean rgb?")),
        (("render", "netz:rgb", "conv:1"), ("cannot import 'netz'",)),
        (("render", "nets:rgb", "conv:1", "--weights", "random"), ("decides its own weights",)),
        (("models", "no-such-network"), ("no model has 'no-such-network'",)),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    phosphene: Any, workplace: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    refused(phosphene(*words), 2, *said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("render", "nets:broken", "conv:1"), ("NaN", "conv.weight")),
        (("render", "nets:fails", "conv:1"), ("the factory nets:fails failed", "no such checkpoint")),
        (("info", "missing.png"), ("missing.png", "no such file")),
        (("rerun", "missing.png"), ("missing.png", "no such file")),
        ((*NET, "conv:1", "--init", "missing.png"), ("missing.png", "no such file")),
    ],
)
def test_failed_work_is_one_line_and_exit_1(
    phosphene: Any, workplace: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    refused(phosphene(*words), 1, *said)


def test_errors_are_the_same_with_json_and_quiet(phosphene: Any, workplace: Path) -> None:
    refused(phosphene(*NET, "cov:1", "--json", "--quiet"), 2, "did you mean conv?")


def test_layers_and_classes_of_a_registered_network_are_suggested(
    phosphene: Any, workplace: Path, shared: Path
) -> None:
    refused(phosphene(*SQUEEZE, "feature.12:1"), 2, "no layer 'feature.12' in squeezenet1_1", "features.12")
    refused(phosphene(*SQUEEZE, "logit:goldfsh"), 2, "no class 'goldfsh'", "did you mean goldfish")
    refused(phosphene(*SQUEEZE, "features.12:1", "--size", "8"), 2, "8 x 8 as far as features.12", "--size 24 works")


HEARS = ("--model", "crepe_tiny", "--weights", "random")


@pytest.mark.parametrize(
    "words",
    [
        ("style", "photo.png", "photo.png", *HEARS, "--judge", "none"),
        ("style", "photo.png", "photo.png", "--model", "minivgg", "--judge", "crepe_tiny"),
        ("dream", "crepe_tiny", "photo.png", *HEARS[2:]),
        ("demo", *HEARS),
        ("demo", *HEARS, "--size", "32"),
        ("reconstruct", "photo.png", *HEARS),
        ("texture", "photo.png", *HEARS),
        ("tradeoff", "photo.png", "photo.png", *HEARS),
        ("grid", "photo.png", "--layer", "relu2", *HEARS),
        ("render", "crepe_tiny", "relu2:1", *HEARS[2:]),
        ("study", "regularization", "crepe_tiny", "relu2:1", *HEARS[2:]),
    ],
)
def test_a_network_that_hears_is_refused_with_the_command_for_it_and_leaves_nothing(
    phosphene: Any, workplace: Path, words: tuple[str, ...]
) -> None:
    write_picture(workplace / "photo.png", torch.full((3, 40, 40), 0.5))
    before = set(workplace.iterdir())
    ran = phosphene(*words, "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.strip() == (
        "error: crepe_tiny hears sounds and sees no pictures; use phosphene audio render crepe_tiny TARGET"
    )
    assert set(workplace.iterdir()) == before


@pytest.mark.parametrize(
    ("target", "position", "problem"),
    [
        ("conv:", 6, "expected a unit number"),
        ("conv:1 -", 9, "expected a unit"),
        ("conv:1..", 9, "expected the last unit"),
        ("conv:5..2", 6, "the range 5..2 is empty"),
        ("conv:1 ? 2", 8, "unexpected '?'"),
        ("(conv:1", 8, "expected ')'"),
        ("conv:1@x", 8, "a position is"),
        ("", 1, "expected a unit"),
    ],
)
def test_a_target_that_does_not_parse_is_shown_with_the_place(
    phosphene: Any, workplace: Path, target: str, position: int, problem: str
) -> None:
    ran = phosphene("render", "no_such_network", target)  # the target is read before a network is looked for
    refused(ran, 2, f"cannot read target {target!r} at character {position}: {problem}", lines=3)
    caret = ran.err.splitlines()[2]
    assert caret.index("^") == 2 + position - 1


class Code:
    """Unpickling it makes a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("it-ran",)


def weights(net: str) -> dict[str, torch.Tensor]:
    import importlib

    return {
        name: value.clone() for name, value in getattr(importlib.import_module("nets"), net)()[0].state_dict().items()
    }


def test_weights_that_cannot_be_used_are_refused(phosphene: Any, workplace: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(workplace))
    good, other = weights("rgb"), weights("five")
    save_file(good, "good.safetensors")
    save_file(other, "other.safetensors")
    save_file({**good, "head.bias": good["head.bias"] * torch.nan}, "nan.safetensors")
    Path("cut.safetensors").write_bytes(Path("good.safetensors").read_bytes()[:-40])
    Path("empty.pth").write_bytes(b"")
    Path("code.pth").write_bytes(pickle.dumps({"head.bias": Code()}))
    torch.save({"head.bias": Code()}, "zip.pth")
    for file, said in {
        "missing.pth": "missing.pth",
        "cut.safetensors": "cut.safetensors",
        "empty.pth": "empty.pth",
        "other.safetensors": "conv.weight",
        "nan.safetensors": "NaN",
        "code.pth": "code.pth",
        "zip.pth": "zip.pth",
    }.items():
        refused(phosphene(*NET, "conv:1", "--weights", file), 1, said)
    assert not Path("it-ran").exists()
    assert phosphene(*NET, "conv:1", "--weights", "good.safetensors", "--steps", "1").code == 0


def test_published_weights_that_are_absent_name_the_ways_to_get_them(
    phosphene: Any, workplace: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(workplace))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(workplace / "hub"))
    monkeypatch.setattr("urllib.request.urlopen", offline)
    refused(phosphene("render", "alexnet", "features.0:1"), 1, "alexnet", "random")


def offline(*_: object, **__: object) -> None:
    raise OSError(errno.ENETUNREACH, "Network is unreachable")


def test_a_start_picture_that_is_none_is_refused(phosphene: Any, workplace: Path) -> None:
    Path("text.jpg").write_text("no picture")
    refused(phosphene(*NET, "conv:1", "--init", "text.jpg"), 1, "text.jpg")
    Image.new("RGB", (30, 30)).save("black.bmp")
    ran = phosphene("render", "nets:five", "conv:1", "--init", "black.bmp")
    refused(ran, 2, "--init needs a network of 1 or 3 channels, this one takes 5")
    assert phosphene("render", "nets:gray", "conv:1", "--init", "black.bmp", "--steps", "1").code in (0, 1)


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/phosphene", "/dev/null/out"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(
    phosphene: Any, workplace: Path, out: str, monkeypatch: Any
) -> None:
    Path("file").write_text("mine")
    monkeypatch.setattr("phosphene.features.rendering.optimize", None)  # the work must not begin
    refused(phosphene(*NET, "conv:1", "--out", out), 1, f"cannot use folder '{out}'")
    assert Path("file").read_text() == "mine"


def test_a_full_disk_is_one_line_and_leaves_whole_files(phosphene: Any, workplace: Path, monkeypatch: Any) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    phosphene(*NET, "conv:1", "--steps", "20", "--quiet")
    before = Path("out/conv-1.png").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    ran = phosphene(*NET, "conv:1", "--steps", "30", "--quiet")
    assert ran.code == 1
    assert ran.out == ""
    assert "no space left on the disk" in ran.err
    assert ran.err.count("\n") == 1
    assert Path("out/conv-1.png").read_bytes() == before
    assert not list(Path("out").rglob("*.part"))


def test_a_vision_transformer_names_its_size_and_knows_its_class_token(phosphene: Any, workplace: Path) -> None:
    vit = ("render", "nets:tokens")
    refused(phosphene(*vit, "encoder.layers.encoder_layer_0:1", "--size", "24"), 2, "--size 32 works")
    ran = phosphene(*vit, "encoder.layers.encoder_layer_0:1@cls", "--steps", "1", "--json")
    assert ran.code == 0
    assert ran.json["results"][0]["layer"] == "encoder.layers.encoder_layer_0"


def test_a_picture_without_a_recipe_is_told_so(phosphene: Any, workplace: Path) -> None:
    Image.new("RGB", (8, 8)).save("plain.bmp")
    for command in ("info", "rerun"):
        refused(phosphene(command, "plain.bmp"), 1, "no recipe for 'plain.bmp'", "plain.json")


@pytest.mark.parametrize("text", ['{"schema": 99, "kind": "feature"}', '{"schema": 1, "kind": "sound"}', "[1]", "{"])
def test_a_recipe_that_cannot_be_read_is_one_line(phosphene: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    ran = phosphene("rerun", str(tmp_path / "a.json"), "--out", str(tmp_path / "new"))
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("error: ")
    assert not (tmp_path / "new").exists()
