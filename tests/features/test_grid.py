"""The activation grid: cells are directions of the picture, stand where it points there, and can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from phosphene.errors import UsageError
from phosphene.features.grid import GridConfig, Gridding, activation_grid, looked_at, shape
from phosphene.features.rerun import rerun
from phosphene.models import Model
from phosphene.objectives import Direction, directions_of
from phosphene.recipe import RunConfig

CPU = RunConfig(device="cpu", precision="float32")


def halves() -> torch.Tensor:
    """Red on the left, blue on the right, with a faint grain."""
    x = torch.zeros(3, 40, 60)
    x[0, :, :30] = x[2, :, 30:] = 0.9
    return (x + 0.05 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def test_the_shorter_side_is_the_networks_own(tiny_model: Model) -> None:
    assert looked_at(tiny_model, halves()).shape == (3, 32, 48)


@pytest.mark.parametrize(
    ("cells", "positions", "wanted"),
    [(8, (14, 21), (5, 8)), (1, (14, 21), (1, 1)), (99, (14, 21), (14, 21)), (4, (20, 1), (4, 1)), (3, (5, 5), (3, 3))],
)
def test_cells_have_the_proportions_of_the_positions(
    cells: int, positions: tuple[int, int], wanted: tuple[int, int]
) -> None:
    assert shape(cells, positions) == wanted


def test_each_cell_is_the_direction_of_its_place_and_its_strength_the_length(tiny_model: Model) -> None:
    work = Gridding(tiny_model, halves(), GridConfig("features.2", cells=3, size=16, steps=1), CPU)
    assert work.cells == (2, 3)
    seen = directions_of(tiny_model, "features.2", looked_at(tiny_model, halves()), cells=(2, 3))
    assert work.target == Direction("features.2", seen.vectors, "dot_cosine", 2.0)
    lengths = torch.tensor(seen.vectors).norm(dim=1)
    torch.testing.assert_close(torch.tensor(work.strengths), lengths / lengths.max())


def test_pictures_say_what_is_where(squeezenet: Model) -> None:
    """Cells of a red half come out redder than those of a blue one."""
    made = activation_grid(squeezenet, halves(), "features.3", cells=4, size=32, steps=40, run=CPU)
    redness = torch.stack([p.pixels[0].mean() - p.pixels[2].mean() for p in made.sheet]).view(*made.cells)
    assert float(redness[:, 0].min()) > float(redness[:, -1].max())
    assert made[0, 0] is made.sheet[0]
    assert made[1, 0] is made.sheet[made.cells[1]]


def test_a_grid_is_written_whole_and_a_cell_made_again(tiny_model: Model, tmp_path: Path) -> None:
    made = activation_grid(tiny_model, halves(), "features.2", cells=3, size=16, steps=2, run=CPU)
    with Image.open(made.save(tmp_path)) as image:
        assert image.size == (48, 32)
    with Image.open(tmp_path / "beside.png") as image:
        assert image.width > 2 * 48
    names = sorted(file.name for file in (tmp_path / "cells").glob("*.png"))
    assert names == ["0-0.png", "0-1.png", "0-2.png", "1-0.png", "1-1.png", "1-2.png"]
    again = rerun(tmp_path / "cells" / "1-2.png", model=tiny_model)
    assert torch.equal(again.picture.pixels, made[1, 2].pixels)


def test_scaled_cells_are_as_large_as_they_are_strong(tiny_model: Model) -> None:
    made = activation_grid(tiny_model, halves(), "features.2", cells=3, size=32, steps=1, run=CPU)
    weakest = made.strengths.index(min(made.strengths))
    assert made.strengths[weakest] < 0.95
    plain, scaled = made.image(), made.image(scaled=True)
    top, left = weakest // 3 * 32, weakest % 3 * 32
    assert scaled.getpixel((left, top)) == (17, 17, 17)
    assert plain.getpixel((left, top)) != (17, 17, 17)


def test_whitened_cells_are_other_directions_of_the_same_strengths(tiny_model: Model) -> None:
    config = GridConfig("features.2", cells=2, size=16, steps=1)
    pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, white = (Gridding(tiny_model, halves(), config, CPU, pictures=given) for given in ((), pictures))
    assert white.target.vectors != plain.target.vectors
    assert white.strengths == plain.strengths


@pytest.mark.parametrize(
    ("layer", "options", "said"),
    [
        ("head", {}, "a grid needs a layer with places, and head has none"),
        ("features.9", {}, "no layer 'features.9'"),
        ("features.2", {"cells": 0}, "cells must be at least 1, got 0"),
    ],
)
def test_what_makes_no_grid_is_told(tiny_model: Model, layer: str, options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        activation_grid(tiny_model, halves(), layer, run=CPU, **options)
