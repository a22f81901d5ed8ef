"""Fig. 3: what content gains, style loses, along every row; and cells are kept, one by one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.errors import UnknownNameError, UsageError
from phosphene.media import opaque, read_picture, to_tensor
from phosphene.models import Model, load
from phosphene.recipe import TRADEOFF_RATIOS, RunConfig, TradeoffConfig
from phosphene.style.figure import Made, Worked
from phosphene.style.tradeoff import Grid, Tradeoff

CPU = RunConfig(device="cpu")


@pytest.fixture(scope="module")
def pictures(shared: Path) -> tuple[Tensor, Tensor]:
    files = ("content/chelsea.jpg", "style/starry_night.jpg")
    content, style = (to_tensor(opaque(read_picture(shared / "images" / file))) for file in files)
    return content, style


def grid(model: Model, pictures: tuple[Tensor, Tensor], **settings: Any) -> Grid:
    work = Tradeoff(model, *pictures, TradeoffConfig(**settings), CPU)
    assert list(work)
    return work.grid()


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 48, "steps": 25},
        {"size": 48, "steps": 25, "scale": "quality"},
    ],
    ids=["gatys2015", "quality"],
)
def test_as_alpha_grows_content_error_falls_and_style_error_rises(
    pictures: tuple[Tensor, Tensor], settings: dict[str, Any]
) -> None:
    made = grid(load("vgg19_cd16x"), pictures, **settings)
    assert [len(row) for row in made.rows] == [4] * 5
    for row in made.rows:
        assert [cell.ratio for cell in row] == sorted(cell.ratio for cell in row)
        assert all(before.content > after.content for before, after in pairwise(row))
        assert all(before.style < after.style for before, after in pairwise(row))


def test_rows_are_subsets_from_the_first_layer_on() -> None:
    work = Tradeoff(load("vgg19_cd16x", weights="random"), torch.rand(3, 40, 40), torch.rand(3, 40, 40), run=CPU)
    rows = [layers for layers, ratio in work.asked if ratio == 1e-5]
    assert rows == [tuple(f"relu{b}_1" for b in range(1, 1 + k)) for k in range(1, 6)]
    assert [ratio for layers, ratio in work.asked if len(layers) == 1] == list(TRADEOFF_RATIOS["gatys2015"])


def test_the_papers_network_pools_averages_and_is_normalized_and_quality_takes_it_as_it_is() -> None:
    model = load("vgg19_cd16x", weights="random")
    pictures = torch.rand(3, 40, 40), torch.rand(3, 40, 40)
    paper, quality = (
        Tradeoff(model, *pictures, TradeoffConfig(64, scale=scale), CPU) for scale in ("gatys2015", "quality")
    )
    assert paper.model.variant[0] == "average-pooling"
    assert paper.model.variant[1].startswith("normalized:")
    assert len(paper.notes) == 3
    assert quality.model is model
    assert model.variant == ()


SMALL = {"size": 32, "steps": 2, "content_layer": "features.3", "style_layers": "features.1,features.3"}


def tiny(model: Model, folder: Path | None = None, **changed: Any) -> Tradeoff:
    x = torch.linspace(0, 1, 3 * 32 * 40).view(3, 32, 40)
    return Tradeoff(model, x, x.flip(2), TradeoffConfig(**{**SMALL, **changed}), CPU, folder=folder)


def test_finished_cells_are_skipped_and_others_are_made(tiny_model: Model, tmp_path: Path) -> None:
    first = tiny(tiny_model, tmp_path, ratios="1e-4,1e-2")
    for event in first:
        if isinstance(event, Worked) and event.number == 3:
            first.stop()
    assert len(first.grid()) == 3
    assert not first.complete
    second = tiny(tiny_model, tmp_path, ratios="1e-4,1e-3,1e-2")
    found = [event.found for event in second if isinstance(event, Made)]
    assert found == [True, False, True, False, False, False]  # by row; the third cell had been interrupted
    assert second.complete


def test_a_cell_is_a_function_of_its_own_settings(tiny_model: Model) -> None:
    alone, among = tiny(tiny_model, ratios="1e-3"), tiny(tiny_model)
    assert list(alone)
    assert list(among)
    cells = {(cell.layers, cell.ratio): cell.panel.pixels for cell in among.grid()}
    for cell in alone.grid():
        assert torch.equal(cell.panel.pixels, cells[cell.layers, cell.ratio])


def test_the_sheet_has_a_column_for_each_ratio(tiny_model: Model) -> None:
    work = tiny(tiny_model)
    assert list(work)
    sheet = work.grid().image()
    assert sheet.width > 4 * 32
    assert "1e-05" in work.grid()[0].caption()[0]


@pytest.mark.parametrize(
    "wrong", [{"ratios": "0,1"}, {"ratios": "nan"}, {"ratios": "a"}, {"steps": 0}, {"scale": "x"}, {"start": "white"}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TradeoffConfig(**wrong)


def test_a_layer_that_is_not_there_is_told_before_any_work(tiny_model: Model) -> None:
    with pytest.raises(UnknownNameError, match=r"no layer 'features\.9'"):
        tiny(tiny_model, content_layer="features.9")
