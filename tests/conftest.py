"""What every test may use: a network small enough to know by heart; real networks and pictures where present."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from phosphene.cli.allocator import keep_freed_memory
from phosphene.engine import Step, optimize
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.objectives import Objective
from phosphene.recipe import RenderConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Signal
from phosphene.transforms import build

# The same examples in every run, and no clock: a test that fails here fails for everyone.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

# One thread, here and in the commands that tests start: sums inside kernels depend on how many there are, and threads
# that wait for each other on a busy machine take more time than they save. The cores are used by several workers.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
keep_freed_memory()  # as the command line does: a sixth of a step


class Fork(nn.Module):
    """A layer with a tuple output: its features, and their mean over space."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(x)
        return y, y.mean((2, 3))


class Tokens(nn.Module):
    """(b, c, h, w) -> (b, 1 + h w, c): a class token in front, then the grid row by row, mixed by a linear layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(channels))
        self.mix = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        grid = x.flatten(2).transpose(1, 2)
        front = self.class_token.expand(len(x), 1, -1)
        return grid.mean(1, keepdim=True) + self.mix(torch.cat([front, grid], 1))


class TinyNet(nn.Module):
    """Everything that breaks hooks, in one small network: (b, 3, 32, 32) -> (b, 10) logits.

    `features` has in-place ReLUs, `fork` returns a tuple, `tokens` is (batch, 65, 16), `head` reads the class token.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.fork = Fork(16)
        self.tokens = Tokens(16)
        self.head = nn.Linear(16, 10)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            fan_in = parameter[0].numel() or 1
            parameter.data = torch.randn(parameter.shape, generator=generator) / fan_in**0.5

    def forward(self, x: Tensor) -> Tensor:
        features, pooled = self.fork(self.features(x))
        return self.head(self.tokens(torch.relu(features))[:, 0] + pooled)


@pytest.fixture
def tiny_net() -> TinyNet:
    """A `TinyNet` in eval mode; every test gets its own, always with the same weights."""
    with torch.random.fork_rng(devices=[]):  # the layers' own initialization must not move the global generator
        return TinyNet().eval()


@pytest.fixture
def tiny_model(tiny_net: TinyNet) -> Model:
    """The `TinyNet` as a model of 32 x 32 pictures."""
    return from_module(tiny_net, InputSpec(size=(32, 32)), name="tiny")


@pytest.fixture(scope="session")
def squeezenet(shared: Path) -> Model:
    """SqueezeNet 1.1 with its trained weights, in the memory layout that the engine gives it."""
    assert (shared / "models" / "squeezenet1_1.safetensors").is_file()
    return load("squeezenet1_1").prepared(memory_format=torch.channels_last)


Ascend = Callable[..., list[Step]]


@pytest.fixture
def ascend() -> Ascend:
    """ascend(model, objective, config, ...): start a signal as the features do, optimise it, give all the steps."""

    def run(
        model: Model,
        objective: Objective,
        config: RenderConfig,
        *,
        size: tuple[int, int] = (32, 32),
        kind: type[Signal] = Fourier,
        alpha: bool = False,
        rows: int | None = None,
    ) -> list[Step]:
        rows = rows or objective.rows
        signal = kind(rows, channels=model.spec.channels, size=size, alpha=alpha)
        names = [objective.identity(row if objective.rows > 1 else 0) for row in range(rows)]
        signal.start(Generators(config.seed, names))
        channels = model.spec.channels
        transform = build(config.transform, size=size, steps=config.steps, channels=channels, alpha=alpha)
        return list(optimize(objective, model, signal, transform, config))

    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real networks (`models`), pictures (`images`) and sounds (`audio`).

    It is the parent of $PHOSPHENE_WEIGHTS. A test that asks for it is skipped where there is none, and fails there
    when PHOSPHENE_REQUIRE_WEIGHTS is 1.
    """
    weights = os.environ.get("PHOSPHENE_WEIGHTS", "")
    if weights and Path(weights).is_dir():
        return Path(weights).resolve().parent
    missing = f"PHOSPHENE_WEIGHTS is no folder: {weights!r}" if weights else "PHOSPHENE_WEIGHTS is not set"
    if os.environ.get("PHOSPHENE_REQUIRE_WEIGHTS") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not _has_gpu():
        pytest.skip("needs a CUDA device")


def _has_gpu() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is absent or too old is an answer here, not a warning
        return torch.cuda.is_available()
