"""`phosphene scan`, `merge` and `examples` from the shell: one pass, one line for each slip, JSON as documented."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from phosphene.cli.main import run
from phosphene.examples.index import Index

Command = Callable[..., Any]
Process = Callable[..., "subprocess.Popen[str]"]
SCAN = ("scan", "--data", "textures:24", "--layers", "conv3_1,output", "--quiet")


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index that SCAN makes."""
    folder = tmp_path_factory.mktemp("scanned") / "index"
    assert run([*SCAN, "--out", str(folder)]) == 0
    return folder


def test_a_scan_tells_in_json_what_it_found(phosphene: Command, workplace: Path) -> None:
    ran = phosphene(*SCAN, "--out", "index", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == ["index", "images", "skipped", "layers", "seconds", "images_per_second"]
    assert (ran.json["index"], ran.json["images"], ran.json["skipped"]) == ("index", 24, [])
    assert ran.json["layers"] == {"conv3_1": 96, "output": 64}
    again = phosphene(*SCAN, "--out", "index", "--json")
    assert (again.code, again.json["images"], again.json["images_per_second"]) == (0, 24, None)


def test_shards_merge_to_the_index_of_one_scan(phosphene: Command, workplace: Path, scanned: Path) -> None:
    for part in ("1/3", "2/3", "3/3"):
        assert phosphene(*SCAN, "--out", part.replace("/", "of"), "--shard", part).code == 0
    ran = phosphene("merge", "3of3", "1of3", "2of3", "--out", "joined", "--json")
    assert (ran.code, ran.json["images"], ran.json["complete"]) == (0, 24, True)
    assert content(workplace / "joined") == content(scanned)
    assert "still missing" in phosphene("merge", "1of3", "3of3", "--out", "two").err


def test_examples_are_drawn_and_listed(phosphene: Command, workplace: Path, scanned: Path) -> None:
    shutil.copytree(scanned, "index")
    words = ("examples", "index", "conv3_1:3..4", "logit:spiral", "--data", "textures:24")
    ran = phosphene(*words, "--model", "minivgg", "--out", "sheets", "--json")
    assert ran.code == 0
    assert [one["target"] for one in ran.json["results"]] == ["conv3_1:3", "conv3_1:4", "output:13"]
    assert list(ran.json["results"][0]["examples"]) == ["minimum", "slightly negative", "slightly positive", "maximum"]
    best = ran.json["results"][0]["examples"]["maximum"][0]
    assert best["score"] == Index.load("index").top("conv3_1", 3, k=1)[0].score
    assert len(best["position"]) == 2
    sheet = Image.open(ran.json["results"][0]["path"])
    assert min(sheet.size) > 600
    assert len(sheet.convert("RGB").getcolors(1 << 24)) > 1000


def test_ctrl_c_leaves_an_index_that_the_same_command_completes(
    phosphene: Command, process: Process, workplace: Path
) -> None:
    words = ("scan", "--data", "textures:2000", "--layers", "conv3_1", "--out", "index", "--json")
    started = process(*words)
    assert started.stderr is not None
    while "pictures/s" not in (line := started.stderr.readline()):
        assert line, "it ended before it began"
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=120)
    assert started.returncode == 130
    assert "the same command goes on from there" in err
    assert 0 < json.loads(out)["images"] < 2000
    assert not Index.load("index").complete


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("scan", "--data", "empty"), 2, "no pictures in 'empty'"),
        (("scan", "--data", "nowhere"), 2, "no data in 'nowhere'"),
        (("scan", "--data", "textures:9", "--layers", "conv9_9"), 2, "no layer 'conv9_9' in minivgg"),
        (("scan", "--data", "textures:9", "--shard", "3"), 2, "shard is I/N"),
        (("scan", "resnet5", "--data", "textures:9"), 2, "resnet50"),
        (("examples", "nowhere", "conv3_1:1", "--data", "empty"), 1, "no index in 'nowhere'"),
        (("examples", "index", "--data", "empty"), 2, "its layers are conv3_1, output"),
        (("examples", "index", "conv3_1:96", "--data", "textures:24"), 2, "no unit 96 in conv3_1 of the index"),
        (("examples", "index", "conv3_2:0", "--data", "textures:24"), 2, "no layer 'conv3_2' in the index"),
        (
            ("examples", "index", "conv3_1:0", "--data", "textures:24", "--seed", "1"),
            2,
            "name the data that was scanned",
        ),
        (("examples", "index", "conv3_1:0", "--data", "x", "--model", "nets:rgb"), 1, "was made with other weights"),
        (("merge", "index", "index", "--out", "twice"), 2, "both indexes hold pictures 0 to 23"),
        (("merge", "--out", "none"), 2, "no index to merge"),
    ],
)
def test_slips_end_in_one_line(
    phosphene: Command, workplace: Path, scanned: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    (workplace / "empty").mkdir()
    shutil.copytree(scanned, "index")
    ran = phosphene(*words)
    assert ran.code == code
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (workplace / "out").exists()
