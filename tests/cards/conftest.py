"""Networks whose units are known by construction, and pictures made for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from phosphene.models import InputSpec, Model, from_module, load

SIDE = 64
PERIOD = 4  # pixels of the stripes
STRIPES, COLOR, SHAPE = 0, 1, 2  # the units
COPIES = 6  # pictures by each painter
LAYER = "unit.2"
WINDOW = 21  # pixels of the parts that a unit looks for, at most
AROUND = 27  # pixels over which stripes are averaged

Canvas = NDArray[np.float64]


def cross() -> Canvas:
    """A plus sign of 17 pixels in the middle of a window: 1 on it, 0 beside it."""
    shape = np.zeros((WINDOW, WINDOW))
    middle = WINDOW // 2
    shape[middle - 2 : middle + 3, 2:-2] = 1
    shape[2:-2, middle - 2 : middle + 3] = 1
    return shape


def filters() -> torch.Tensor:
    """(6, 3, window, window): upright stripes in four phases, small; red against the rest; a bright cross."""
    found = torch.zeros(6, 3, WINDOW, WINDOW)
    middle = WINDOW // 2
    for phase in range(PERIOD):
        wave = np.where((np.arange(2 * PERIOD) + phase) % PERIOD < PERIOD // 2, 1.0, -1.0)[:-1]
        small = torch.from_numpy((wave - wave.mean())[None].repeat(3, 0)).float()
        found[phase, :, middle - 1 : middle + 2, middle - 3 : middle + 4] = small / small.numel()
    found[4] = torch.tensor([1.0, -0.5, -0.5])[:, None, None] / WINDOW**2
    plus = cross()
    found[5] = torch.from_numpy(np.where(plus > 0, 1 / plus.sum(), -1 / (1 - plus).sum())).float() / 3
    return found


class Planted(nn.Module):
    """Units for the mean of stripes of any phase over a neighborhood, for red, for a cross; the output: the largest."""

    def __init__(self) -> None:
        super().__init__()
        parts = nn.Conv2d(3, 6, WINDOW, padding=WINDOW // 2)
        parts.weight.data = filters()
        parts.bias.data = torch.tensor([-0.2] * PERIOD + [0.0, -0.1])  # type: ignore[union-attr]
        whole = nn.Conv2d(6, 3, AROUND, padding=AROUND // 2, bias=False)
        whole.weight.data = torch.zeros(3, 6, AROUND, AROUND)
        whole.weight.data[STRIPES, :PERIOD] = 1 / AROUND**2
        for unit, part in ((COLOR, 4), (SHAPE, 5)):
            whole.weight.data[unit, part, AROUND // 2, AROUND // 2] = 1
        self.unit = nn.Sequential(parts, nn.ReLU(), whole)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.unit(x).amax((2, 3))


@pytest.fixture(scope="session")
def small() -> Model:
    """The package's own network for pictures of 64 pixels, which take a quarter of the time."""
    own = load()
    spec = InputSpec(size=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3)
    return from_module(own.net, spec, name="small", labels=own.labels)


@pytest.fixture(scope="session")
def planted() -> Model:
    """A unit for stripes, one for red, one for a cross: what they answer to is written into their weights."""
    spec = InputSpec(size=(SIDE, SIDE), mean=(0.5,), std=(0.5,))
    return from_module(Planted().eval(), spec, name="planted")


def ground(draw: np.random.Generator) -> Canvas:
    """A gray picture with faint noise."""
    return 0.5 + 0.02 * draw.standard_normal((SIDE, SIDE, 3))


def with_stripes(picture: Canvas, y: int, x: int, size: int = 36) -> Canvas:
    """Upright stripes of black and white in a square."""
    wave = np.where(np.arange(size) % PERIOD < PERIOD // 2, 0.95, 0.05)
    picture[y : y + size, x : x + size] = wave[None, :, None]
    return picture


def with_ball(picture: Canvas, y: int, x: int, radius: int = 8) -> Canvas:
    """A red disk around (y, x)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    picture[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = (0.9, 0.1, 0.1)
    return picture


def with_cross(picture: Canvas, y: int, x: int) -> Canvas:
    """A white plus sign on dark ground."""
    picture[y : y + WINDOW, x : x + WINDOW] = np.where(cross() > 0, 0.95, 0.05)[..., None]
    return picture


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """drawn(name, [painters]): a folder of pictures by each painter, (picture, y, x) -> picture, and empty ones."""

    def draw(name: str, painters: list[Callable[[Canvas, int, int], Canvas]]) -> Path:
        folder, random = tmp_path_factory.mktemp(name), np.random.default_rng(7)
        for number in range(COPIES * (len(painters) + 1)):
            picture, kind = ground(random), number % (len(painters) + 1)
            y, x = (int(at) for at in random.integers(2, SIDE - 38, 2))
            if kind:
                picture = painters[kind - 1](picture, y, x)
            pixels = (picture.clip(0, 1) * 255).round().astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        return folder

    return draw


@pytest.fixture(scope="session")
def scenes(drawn: Callable[..., Path]) -> Path:
    """Pictures of stripes, of red balls, of crosses, and of nothing."""

    def ball(picture: Canvas, y: int, x: int) -> Canvas:
        return with_ball(picture, y + 12, x + 12, 13)

    return drawn("scenes", [with_stripes, ball, with_cross])


@pytest.fixture(scope="session")
def plant() -> SimpleNamespace:
    """Names and painters of what is planted: LAYER, STRIPES, COLOR, SHAPE, SIDE, with_stripes, with_ball."""
    return SimpleNamespace(
        LAYER=LAYER,
        STRIPES=STRIPES,
        COLOR=COLOR,
        SHAPE=SHAPE,
        SIDE=SIDE,
        with_stripes=with_stripes,
        with_ball=with_ball,
    )
