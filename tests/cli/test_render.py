"""`phosphene render` and `rerun` from the shell: files, JSON, interruption and resumption, the same pixels again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from phosphene.cli.main import run
from phosphene.features import rendering as rendering_module
from phosphene.features.rerun import read_recipe
from phosphene.features.store import WORK

Process = Callable[..., "subprocess.Popen[str]"]
RESULT = {"path", "target", "layer", "unit", "seed", "steps", "size", "activation", "status", "seconds"}
PATIENCE = 240.0  # seconds until a test gives up on another process: starved machines are slow, not wrong


def pixels(file: Path) -> np.ndarray[Any, Any]:
    with Image.open(file) as image:
        return np.asarray(image)


def wait_for(pattern: str, folder: Path, other: subprocess.Popen[str]) -> Path:
    """The first file of that pattern that another process writes."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for file in folder.glob(pattern):
            return file
        if other.poll() is not None:
            break
        time.sleep(0.005)
    pytest.fail(f"no {pattern} came: {other.communicate()}")


@pytest.mark.parametrize(
    ("factory", "mode", "array"), [("gray", "L", False), ("rgb", "RGB", False), ("five", "L", True)]
)
def test_a_network_of_ones_own_is_rendered(
    phosphene: Any, workplace: Path, factory: str, mode: str, array: bool
) -> None:
    ran = phosphene("render", f"nets:{factory}", "conv:0,2", "logit:1", "--steps", "4", "--device", "cpu", "--json")
    assert ran.code == 0
    names = ["conv-0", "conv-2", "logit-1"]
    assert [result["path"] for result in ran.json["results"]] == [f"out/{name}.png" for name in names]
    files = {f"{name}.{end}" for name in names for end in (["png", "json", "npy"] if array else ["png", "json"])}
    assert {file.name for file in (workplace / "out").iterdir()} == {*files, "sheet.png"}
    with Image.open("out/conv-2.png") as image:
        assert image.mode == mode
        assert json.loads(image.info["phosphene"]) == json.loads(Path("out/conv-2.json").read_text())
    if array:
        assert np.load("out/conv-2.npy").shape == (5, 24, 24)


def test_the_json_object_is_the_promised_one_and_alone_on_stdout(phosphene: Any, workplace: Path, shared: Path) -> None:
    words = ["features.7:5..6", "prob:goldfish", "--size", "64x80", "--steps", "3", "--seed", "2", "--out", "a/b"]
    ran = phosphene("render", "squeezenet1_1", *words, "--json", "--device", "cpu")
    assert ran.out.count("\n") == 1
    said = ran.json
    assert set(said) >= {"sheet", "results", "device", "precision", "seconds"}
    assert said["sheet"] == "a/b/sheet.png"
    assert said["device"] == "cpu"
    assert said["precision"] in ("float32", "bfloat16")
    assert [set(result) >= RESULT for result in said["results"]] == [True] * 3
    last = said["results"][2]
    assert (last["target"], last["layer"], last["unit"], last["seed"]) == ("prob:goldfish", "output", 1, 2)
    assert (last["steps"], last["size"], last["status"]) == (3, [64, 80], "ok")
    for result in said["results"]:
        recipe = read_recipe(result["path"])
        assert recipe["result"]["activation"] == result["activation"]
        assert recipe["target"]["text"] == result["target"]
    with Image.open(said["sheet"]) as sheet:
        assert sheet.width >= 3 * 80


def test_quiet_says_nothing_on_stderr_and_plain_output_names_the_files(phosphene: Any, workplace: Path) -> None:
    ran = phosphene("render", "nets:rgb", "conv:0", "--steps", "3", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0].startswith("out/conv-0.png  conv:0  activation ")
    loud = phosphene("render", "nets:rgb", "conv:0", "--steps", "3")
    assert "nets:rgb: 1 picture of 24 x 24, 3 steps" in loud.err
    assert "100%" in loud.err


def test_no_metadata_strips_everything(phosphene: Any, workplace: Path) -> None:
    phosphene("render", "nets:rgb", "conv:0", "--steps", "2")
    assert Path("out/conv-0.json").exists()
    assert phosphene("render", "nets:rgb", "conv:0", "--steps", "2", "--no-metadata").code == 0
    assert {file.name for file in Path("out").rglob("*")} == {"conv-0.png", "sheet.png"}
    with Image.open("out/conv-0.png") as image:
        assert image.info == {}


def test_snapshots_and_animation_are_written(phosphene: Any, workplace: Path) -> None:
    ran = phosphene("render", "nets:rgb", "conv:0", "--steps", "40", "--snapshots", "1,32", "--animate")
    assert ran.code == 0
    assert not np.array_equal(pixels(Path("out/conv-0.step00001.png")), pixels(Path("out/conv-0.step00032.png")))
    kept = {max(1, round(40 * (k / 32) ** 2)) for k in range(1, 33)} | {1, 32}
    with Image.open("out/conv-0.webp") as film:
        milliseconds = 0
        for i in range(film.n_frames):  # the encoder joins frames that are alike, and shows them longer
            film.seek(i)
            film.load()
            milliseconds += film.info["duration"]
    assert milliseconds == (len(kept) + 6) * round(1000 / 12)


def test_alpha_and_a_start_picture_of_either_kind(phosphene: Any, workplace: Path) -> None:
    rng = np.random.default_rng(0)
    for mode, channels in (("RGB", 3), ("RGBA", 4)):
        levels = rng.integers(30, 220, (24, 24, channels), dtype=np.uint8)
        Image.fromarray(levels).save(f"{mode}.png")
        for alpha in ("--alpha", "--no-alpha"):
            words = ["conv:0", "--init", f"{mode}.png", "--steps", "1", "--lr", "1e-6", alpha, "--out", alpha[2:]]
            assert phosphene("render", "nets:rgb", *words, "--device", "cpu").code == 0
            (file,) = Path(alpha[2:]).glob("conv*.png")
            made = pixels(file)
            assert made.shape == (24, 24, 4 if alpha == "--alpha" else 3)
            if (mode, alpha) != ("RGBA", "--no-alpha"):
                assert np.abs(made[..., :3].astype(int) - levels[..., :3]).max() <= 1
            again = phosphene("rerun", str(file), "--model", "nets:rgb", "--init", f"{mode}.png", "--json")
            assert again.json["same_pixels"]
            assert "--init" in phosphene("rerun", str(file), "--model", "nets:rgb").err


def test_diversity_makes_a_family_of_each_unit(phosphene: Any, workplace: Path) -> None:
    words = ["render", "nets:rgb", "conv:0,2", "--steps", "4", "--device", "cpu"]
    ran = phosphene(*words, "--diversity", "3", "--json")
    assert ran.code == 0
    results = ran.json["results"]
    assert [result["unit"] for result in results] == [0, 0, 0, 2, 2, 2]
    assert len({result["path"] for result in results}) == len({result["target"] for result in results}) == 6
    assert all("*diversity(conv, group=3, members=" in result["target"] for result in results)
    again = phosphene("rerun", results[4]["path"], "--model", "nets:rgb", "--json")
    assert again.json["same_pixels"]
    assert again.json["target"] == results[4]["target"]
    resumed = phosphene(*words, "--diversity", "3", "--json", "--resume")
    assert [result["path"] for result in resumed.json["results"]] == [result["path"] for result in results]


def test_diversity_auto_says_the_weight_that_it_found(phosphene: Any, workplace: Path) -> None:
    words = ["render", "nets:rgb", "conv:0", "--steps", "2", "--device", "cpu"]
    ran = phosphene(*words, "--diversity", "auto")
    assert ran.code == 0
    assert "looking for the largest diversity weight that holds: 5 runs of 2 steps" in ran.err
    assert "conv:0: the largest diversity weight that holds is " in ran.err
    assert len(ran.out.splitlines()) == 5
    two = phosphene(*words, "--diversity", "2", "--diversity-weight", "auto")
    assert "the largest diversity weight" in two.err
    assert len(two.out.splitlines()) == 3


@pytest.mark.parametrize("words", [["--diversity", "0"], ["--diversity", "many"], ["--diversity-weight", "-1"]])
def test_a_diversity_that_cannot_be_is_bad_usage(phosphene: Any, workplace: Path, words: list[str]) -> None:
    ran = phosphene("render", "nets:rgb", "conv:0", *words)
    assert ran.code == 2
    assert "diversity" in ran.err
    assert not Path("out").exists()


def test_lbfgs_goes_through(phosphene: Any, workplace: Path) -> None:
    ran = phosphene(
        "render", "minivgg", "conv3_1:0,1", "--size", "48", "--optimizer", "lbfgs", "--steps", "3", "--json"
    )
    assert [result["status"] for result in ran.json["results"]] == ["ok", "ok"]


def test_a_dead_unit_is_degenerate_with_a_reason_and_alone_ends_in_failure(phosphene: Any, workplace: Path) -> None:
    ran = phosphene("render", "nets:dead", "rectify:1,2", "--steps", "30", "--no-redirect", "--json")
    assert ran.code == 0
    assert [result["status"] for result in ran.json["results"]] == ["ok", "degenerate"]
    assert "silent" in ran.json["results"][1]["reason"]
    assert "rectify:2: the unit stays silent" in ran.err
    assert phosphene("render", "nets:dead", "rectify:2,3", "--steps", "4").code == 1


def test_memory_that_runs_out_is_told_and_then_an_error(phosphene: Any, workplace: Path, monkeypatch: Any) -> None:
    whole = rendering_module.Loop.step

    def step(loop: Any, i: int) -> Any:
        if loop.signal.rows > holds:
            raise torch.OutOfMemoryError("out")
        return whole(loop, i)

    monkeypatch.setattr(rendering_module.Loop, "step", step)
    holds = 2
    ran = phosphene("render", "nets:rgb", "conv:0..3", "--steps", "2")
    assert ran.code == 0
    assert ran.err.count("out of memory at 4 pictures a batch; going on with 2") == 1
    holds = 1
    ran = phosphene("render", "nets:rgb", "conv:0..3", "--steps", "2", "--quiet")
    assert ran.code == 1
    assert ran.err == "error: out of memory at 2 pictures of 24 x 24 a batch; use a smaller --batch or --size\n"


LONG = ["render", "nets:rgb", "--device", "cpu", "--precision", "float32", "--batch", "2"]
SETTINGS = ["conv:0..2", "--steps", "400"]
NAMES = ["conv-0", "conv-1", "conv-2"]


@pytest.fixture(scope="module")
def kept() -> dict[str, np.ndarray[Any, Any]]:
    """What tests of this file look at together."""
    return {}


@pytest.fixture
def unbroken(workplace: Path, kept: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """The pictures of LONG, made without a break."""
    if not kept:
        assert run([*LONG, *SETTINGS, "--out", "unbroken", "--quiet", "--json"]) == 0
        kept.update({name: pixels(workplace / "unbroken" / f"{name}.png") for name in NAMES})
    return kept


def test_killed_and_resumed_is_the_same_to_the_bit(
    phosphene: Any, process: Process, workplace: Path, unbroken: dict[str, Any]
) -> None:
    killed = process(*LONG, *SETTINGS, "--checkpoint-every", "20")
    wait_for(f"{WORK}/batch-0-2-*", workplace / "out", killed)  # of the second batch
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    made = {name: Path(f"out/{name}.png") for name in NAMES}
    assert [file.exists() for file in made.values()] == [True, True, False]

    others = [[*SETTINGS, "--seed", "1"], [*SETTINGS, "--size", "32"], ["conv:0..2"], ["conv:0,1,3", "--steps", "400"]]
    for other in others:
        refused = phosphene(*LONG, *other, "--resume")
        assert refused.code == 2
        assert refused.err.startswith("error: cannot resume 'out': it holds another rendering (its ")

    before = {name: made[name].stat().st_mtime_ns for name in NAMES[:2]}
    resumed = phosphene(*LONG, *SETTINGS, "--resume", "--json")
    assert resumed.code == 0
    assert "batch 2 resumes at step" in resumed.err
    assert [result["target"] for result in resumed.json["results"]] == ["conv:0", "conv:1", "conv:2"]
    assert {name: made[name].stat().st_mtime_ns for name in NAMES[:2]} == before
    assert all(np.array_equal(pixels(made[name]), unbroken[name]) for name in NAMES)


def test_interrupted_keeps_the_pictures_and_goes_on_the_same(
    phosphene: Any, process: Process, workplace: Path, unbroken: dict[str, Any]
) -> None:
    running = process(*LONG, *SETTINGS, "--checkpoint-every", "20", "--json")
    wait_for(f"{WORK}/batch-*", workplace / "out", running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert {result["status"] for result in json.loads(out)["results"]} == {"interrupted"}
    assert "go on with --resume" in err
    assert "Traceback" not in err
    assert read_recipe("out/conv-0.png")["result"]["status"] == "interrupted"

    assert phosphene(*LONG, *SETTINGS, "--resume").code == 0
    assert all(np.array_equal(pixels(Path(f"out/{name}.png")), unbroken[name]) for name in NAMES)
    assert not Path("out", WORK).exists()


def test_a_rerun_in_a_new_process_gives_the_same_pixels(phosphene: Any, process: Process, workplace: Path) -> None:
    phosphene("render", "nets:rgb", "conv:0..2 - 0.1*tv", "--steps", "30", "--device", "cpu")
    file = str(next(Path("out").glob("conv-1*.png")))
    other = process("rerun", file, "--model", "nets:rgb", "--json", "--out", "again")
    out, err = other.communicate(timeout=PATIENCE)
    assert other.returncode == 0, err
    said = json.loads(out)
    assert said["same_pixels"] is True
    assert said["differences"] == []
    assert np.array_equal(pixels(Path(said["path"])), pixels(Path(file)))
    assert read_recipe(said["path"])["result"]["pixels_sha256"] == read_recipe(file)["result"]["pixels_sha256"]


def test_a_rerun_of_code_or_of_other_weights_is_refused(phosphene: Any, workplace: Path) -> None:
    phosphene("render", "nets:rgb", "conv:0", "--steps", "2", "--device", "cpu")
    ran = phosphene("rerun", "out/conv-0.png", "--out", "again")
    assert ran.code == 1
    assert "may not start" in ran.err
    changed = read_recipe("out/conv-0.png")
    changed["model"]["weights"]["sha256"] = "0" * 64
    Path("other.json").write_text(json.dumps(changed))
    ran = phosphene("rerun", "other.json", "--model", "nets:rgb", "--out", "again")
    assert ran.code == 1
    assert "are not the recipe's (000000000000)" in ran.err
    assert not Path("again").exists()
    allowed = phosphene("rerun", "other.json", "--model", "nets:rgb", "--allow-different-weights", "--json")
    assert allowed.json["same_pixels"]
    assert allowed.json["differences"] == ["other weights"]


def test_info_shows_the_recipe(phosphene: Any, workplace: Path) -> None:
    phosphene("render", "nets:rgb", "conv:0", "--steps", "2")
    assert phosphene("info", "out/conv-0.png", "--json").json == read_recipe("out/conv-0.json")
    lines = [line.split() for line in phosphene("info", "out/conv-0.png").out.splitlines()]
    assert ["target.text", "conv:0"] in lines
    assert ["method.steps", "2"] in lines


def test_a_minus_sign_in_front_minimises(phosphene: Any, workplace: Path) -> None:
    up, down = (
        phosphene("render", "nets:rgb", target, "--steps", "40", "--json").json["results"][0]["activation"]
        for target in ("conv:1", "-conv:1")
    )
    assert down < up - 0.1


def test_stdout_that_closes_early_is_no_traceback(process: Process, workplace: Path) -> None:
    other = process("layers", "minivgg", "--json")
    assert other.stdout is not None
    other.stdout.close()
    other.stdout = None
    _, err = other.communicate(timeout=PATIENCE)
    assert other.returncode == 1
    assert err == ""


def test_stdout_on_a_full_disk_is_one_line(process: Process, workplace: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        other = process("layers", "minivgg", stdout=full)
        _, err = other.communicate(timeout=PATIENCE)
    assert other.returncode == 1
    assert err == "error: no space left on the disk\n"


@pytest.fixture
def photo(workplace: Path) -> Path:
    levels = torch.randint(60, 200, (30, 40, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    Image.fromarray(levels.numpy()).save(workplace / "photo.png")
    return workplace / "photo.png"


NEAR = (
    "--size",
    "32",
    "--steps",
    "3",
    "--precision",
    "float32",
    "--device",
    "cpu",
    "--json",
    "--quiet",
    "--out",
    "out",
)


def test_a_target_looks_at_a_reference_and_is_made_again_with_it(phosphene: Any, photo: Path) -> None:
    ran = phosphene("render", "minivgg", "caricature(relu3_1)", "--reference", "photo.png", *NEAR)
    assert (ran.code, ran.err) == (0, "")
    (made,) = ran.json["results"]
    again = phosphene("rerun", made["path"], "--input", "photo.png", "--out", "again", "--json", "--quiet")
    assert (again.code, again.json["same_pixels"]) == (0, True)
    missing = phosphene("rerun", made["path"])
    assert (missing.code, "add it with --input FILE" in missing.err) == (1, True)


def test_a_unit_is_raised_in_a_photograph(phosphene: Any, photo: Path) -> None:
    ran = phosphene("render", "minivgg", "relu3_1:3", "--init", "photo.png", "--near", "relu2_1", *NEAR)
    (made,) = ran.json["results"]
    assert "content(relu2_1, of=start, form=relative)" in made["target"]
    again = phosphene("rerun", made["path"], "--init", "photo.png", "--out", "again", "--json", "--quiet")
    assert again.json["same_pixels"] is True


def test_families_share_coarse_parts(phosphene: Any, workplace: Path) -> None:
    target = "[1, 0.5, 0]*relu3_1:3 + [0, 0.5, 1]*relu3_1:7 + 0.01*alignment(relu2_1, group=3)"
    ran = phosphene("render", "minivgg", target, "--shared", *NEAR)
    assert ran.code == 0
    first = ran.json["results"][0]["path"]
    assert phosphene("info", first, "--json").json["method"]["signal"]["shared"] is True
    again = phosphene("rerun", first, "--out", "again", "--json", "--quiet")
    assert again.json["same_pixels"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("caricature(relu3_1)",), "--reference content=FILE"),
        (("relu3_1:3", "--reference", "photo.png"), "a reference is given, but the target looks at none"),
        (
            ("caricature(relu3_1)", "--reference", "photo.png", "--reference", "photo.png"),
            "two pictures under one name",
        ),
        (("relu3_1:3", "--near", "relu2_1"), "give that with --init FILE"),
        (("relu3_1:3", "--shared"), "shared is for pictures that belong together"),
        (("relu3_1:3", "--shared", "--signal", "maco"), "shared goes with fourier, pixels, laplacian, not with maco"),
    ],
)
def test_slips_with_pictures_and_families_are_told(
    phosphene: Any, photo: Path, words: tuple[str, ...], said: str
) -> None:
    ran = phosphene("render", "minivgg", *words)
    assert ran.code == 2
    assert said in ran.err
    assert not (photo.parent / "out").exists()
