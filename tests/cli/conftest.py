"""What the tests of the command line share: a command run in process, and a network of the user's own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from phosphene.cli.main import run

NETWORKS = """
import torch
from torch import nn
from phosphene.models import InputSpec, load


class Small(nn.Module):
    def __init__(self, channels=3, labels=6):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, stride=2)
        self.rectify = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, labels)

    def forward(self, x):
        return self.head(self.rectify(self.conv(x)).mean((2, 3)))


class Dead(Small):
    def forward(self, x):
        a = self.conv(x)
        return self.rectify(torch.cat([a[:, :2], a[:, 2:] - 1e9], 1))


def spec(channels):
    return InputSpec(channels=channels, size=(24, 24), mean=(0.5,), std=(0.25,))


def gray():
    return Small(1), spec(1)


def rgb():
    return Small(3), spec(3)


def five():
    return Small(5), spec(5)


def dead():
    return Dead(3), spec(3)


def tokens():
    from torchvision.models import VisionTransformer

    return VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16), InputSpec(size=(32, 32))


def quick():
    own = load()  # the package's own, for pictures that take a quarter of the time
    return own.net, InputSpec(size=(64, 64), mean=(0.5,) * 3, std=(0.25,) * 3)


def bare():
    return Small(3)


def broken():
    net = Small(3)
    net.conv.weight.data[0, 0, 0, 0] = float("nan")
    return net, spec(3)


def fails():
    raise ValueError("no such checkpoint")


def nothing():
    return 3
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


Command = Callable[..., Ran]


@pytest.fixture
def phosphene(capsys: pytest.CaptureFixture[str]) -> Command:
    """phosphene("render", ...) in this process."""

    def command(*words: str) -> Ran:
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return command


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder but for `nets.py` with networks of the user's own, and no weights but those given."""
    (tmp_path / "nets.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    yield tmp_path
    sys.modules.pop("nets", None)


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """process("render", ...): the real command, started; stdout may be a file. None outlives its test."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "phosphene", *words]
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs are born deaf to Ctrl-C
        try:
            started.append(subprocess.Popen(command, text=True, stdout=stdout, stderr=subprocess.PIPE))
        finally:
            signal.signal(signal.SIGINT, before)
        return started[-1]

    yield start
    for other in started:
        other.kill()
        with other:  # waits, and closes its pipes
            pass
