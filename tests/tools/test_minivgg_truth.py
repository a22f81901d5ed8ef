"""What the measures of class pictures say of pictures whose truth is known: those of the generator."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from phosphene.textures import CLASSES, Textures
from phosphene.textures.ruled import TILT

TOOLS = Path(__file__).parents[2] / "tools"
EACH = 24  # pictures of a class


@pytest.fixture
def truth(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("minivgg_truth")


def pictures(name: str) -> Iterator[np.ndarray]:
    data = Textures(EACH * len(CLASSES), size=128, seed=11)
    for k in range(EACH):
        yield data.array(k * len(CLASSES) + CLASSES.index(name)).transpose(2, 0, 1) / 255


@pytest.mark.parametrize("name", CLASSES[:8])
def test_lines_have_the_angle_that_they_were_drawn_with(truth: ModuleType, name: str) -> None:
    off = [truth.measured(name, picture)["off"] for picture in pictures(name)]
    assert np.median(off) < 4  # they are drawn up to 4 degrees off


def test_fine_lines_do_not_bend_towards_the_diagonals(truth: ModuleType) -> None:
    x, y = np.meshgrid(np.arange(128), np.arange(128))
    for angle in (12.0, 22.5, 67.5, 100.0, 157.5):
        across = np.deg2rad(angle + 90)
        wave = 0.5 + 0.5 * np.cos(2 * np.pi / 4 * (x * np.cos(across) - y * np.sin(across)))  # 4 pixels a period
        assert truth.apart(truth.orientation(np.stack([wave] * 3)), angle) < 1


@pytest.mark.parametrize(("name", "direction"), [("checkerboard", 45.0), ("grid", 0.0)])
def test_squares_have_a_lattice(truth: ModuleType, name: str, direction: float) -> None:
    found = [truth.lattice(picture) for picture in pictures(name)]
    assert np.mean([truth.apart(angle, direction, 90) < TILT + 2 for angle, _ in found]) > 0.9
    assert np.median([strength for _, strength in found]) > 0.2


@pytest.mark.parametrize("name", ["honeycomb", "rings"])
def test_what_has_no_right_angles_has_no_lattice(truth: ModuleType, name: str) -> None:
    assert np.median([truth.lattice(picture)[1] for picture in pictures(name)]) < 0.1
