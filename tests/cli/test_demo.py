"""`phosphene demo` from the shell: the page, what it says, its commands, and how it ends."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from phosphene.cli import demo as demo_command
from phosphene.cli import main as command_line
from phosphene.cli.demo import suggestions
from phosphene.cli.options import Network
from phosphene.demo import PIECES, Demo
from phosphene.demo.pieces import sound
from phosphene.errors import EXIT_FAILED
from phosphene.models import DEFAULT_MODEL, Model
from phosphene.objectives import parse

PATIENCE = 240.0  # seconds until a test gives up on another process: starved machines are slow, not wrong
OWN = ("--model", "nets:rgb", "--device", "cpu")
BARE = ("--model", "nets:bare", "--input-size", "24", "--mean", "0.5", "--std", "0.25", "--device", "cpu")


@pytest.fixture(autouse=True)
def short_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds in few steps: the network that hears is large, and nothing here asks how its clips sound."""
    monkeypatch.setattr(sound, "STEPS", 2)


def pixels(file: Path) -> np.ndarray[Any, Any]:
    """What one sees, or hears."""
    if file.suffix == ".wav":
        with wave.open(str(file)) as sound:
            return np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    with Image.open(file) as image:
        return np.asarray(image)


def test_the_json_names_the_page_and_everything_on_it(phosphene: Any, workplace: Path) -> None:
    ran = phosphene("demo", *OWN, "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("\n") == 1
    assert set(ran.json) == {"page", "model", "pieces", "seconds"}
    assert ran.json["page"] == "out/demo/index.html"
    assert [piece["name"] for piece in ran.json["pieces"]] == [piece.name for piece in PIECES]
    told = {piece["name"]: piece["pictures"][0] for piece in ran.json["pieces"] if piece["pictures"]}
    assert {"path", "status", "loss", "size"} <= set(told["style"])
    assert {"path", "status", "losses", "psnr"} <= set(told["reconstruct"])
    for piece in ran.json["pieces"]:
        assert bool(piece["commands"]) == bool(piece["pictures"])
        assert all(Path(picture["path"]).is_file() for picture in piece["pictures"])
    assert {path.name for path in workplace.iterdir()} - {"__pycache__"} == {"nets.py", "out"}


def test_the_commands_on_the_page_make_the_same_pixels(phosphene: Any, workplace: Path) -> None:
    ran = phosphene("demo", *BARE, "--size", "20x24", "--seed", "3", "--out", "my page", "--json", "--quiet")
    pieces = ran.json["pieces"]
    shapes = {
        "style": (36, 36, 3),
        "dream": (36, 36, 3),
        "reconstruct": (18, 18, 3),
    }  # square, in proportion to the longer side
    assert sum(len(piece["commands"]) for piece in pieces) >= 6
    for piece in pieces:
        before = {picture["path"]: pixels(Path(picture["path"])) for picture in piece["pictures"]}
        films = {film: film.read_bytes() for film in Path("my page", piece["name"]).glob("*.webp")}
        for path in [*before, *films]:
            Path(path).unlink()
        for command in piece["commands"]:
            program, *words = shlex.split(command)
            ended = phosphene(*words, "--quiet")
            assert (program, ended.err) == ("phosphene", "")
            assert ended.code in (0, EXIT_FAILED)  # failed: where every unit of --no-redirect stays silent
        for path, then in before.items():
            assert path.endswith(".wav") or then.shape == shapes.get(piece["name"], (20, 24, 3))
            assert np.array_equal(pixels(Path(path)), then), path
        assert all(film.read_bytes() == then for film, then in films.items())


def test_it_ends_with_where_to_look_and_what_to_try(
    phosphene: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_command, "Demo", partial(Demo, pieces=(PIECES[0], PIECES[-1])))
    ran = phosphene("demo", *OWN, "--size", "16")
    lines = ran.out.splitlines()
    assert lines[0].startswith("out/demo/index.html ")
    commands = [line.strip() for line in lines if line.startswith("  phosphene ")]
    assert len(commands) == 3
    assert "1/2" in ran.err
    assert "2/2" in ran.err
    assert "100%" in ran.err


def test_suggestions_are_commands_that_work(tiny_model: Model, tmp_path: Path) -> None:
    for network in ((DEFAULT_MODEL,), ("my nets:rgb", "--weights", "a b.pth")):
        for command, _ in suggestions(Demo(tiny_model, tmp_path, network=network), []):
            words = shlex.split(command)[1:]
            if "--help" in words:
                words.remove("--help")
                words += [DEFAULT_MODEL, "conv:1"]
            found, bound, _ = command_line.build().parse_args(words, exit_on_error=False, print_error=False)
            assert found.__name__ == words[0]
            for target in bound.arguments.get("target", []):
                parse(target)


def test_the_flags_that_opened_a_network_open_it_again() -> None:
    opened = Network(weights="a b.pth", channels=1, value_range="0,255")
    assert opened.words() == ["--weights", "a b.pth", "--channels", "1", "--value-range", "0,255"]
    assert Network().words() == []


def test_a_demo_without_a_picture_failed(phosphene: Any, workplace: Path) -> None:
    (workplace / "nets.py").write_text(
        "from torch import nn\nfrom phosphene.models import InputSpec\n"
        "def flat(): return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 1)), InputSpec(size=(8, 8))\n"
    )
    ran = phosphene("demo", "--model", "nets:flat")
    assert ran.code == 1
    assert "phosphene layers nets:flat" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--size", "many"), "--size"), (("--model", "nets:nowhere"), "nowhere"), (("--device", "cuda:99"), "cuda:99")],
)
def test_wrong_use_is_refused_before_anything_is_written(
    phosphene: Any, workplace: Path, words: tuple[str, ...], said: str
) -> None:
    ran = phosphene("demo", *OWN[:2], *words) if "--model" not in words else phosphene("demo", *words)
    assert ran.code == 2
    assert said in ran.err
    assert not list(workplace.rglob("index.html"))


def test_interrupted_it_leaves_a_page_of_what_is_done(
    phosphene: Any, process: Callable[..., subprocess.Popen[str]], workplace: Path
) -> None:
    running = process("demo", *OWN, "--size", "96", "--json")
    page = workplace / "out" / "demo" / "index.html"
    deadline = time.monotonic() + PATIENCE
    while not page.exists() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    made = json.loads(out)["pieces"]
    assert 1 <= len(made) < len(PIECES)
    text = page.read_text(encoding="utf-8")
    assert f"stopped: {len(made)} of its {len(PIECES)} parts" in text
    assert [f'id="{piece.name}"' in text for piece in PIECES] == [i < len(made) for i in range(len(PIECES))]
