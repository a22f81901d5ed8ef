"""Panels: measured as saved, found again by their recipe, refused when it is not theirs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.errors import RecipeError
from phosphene.media import pixels_sha256, png_bytes, quantize
from phosphene.style.panel import Panel, find_panel, panel_of, psnr


def picture(seed: int) -> Tensor:
    return quantize(torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(seed)))


def recipe(pixels: Tensor, **changed: Any) -> dict[str, Any]:
    identity = {"kind": "texture", "model": {}, "target": {}, "method": {"steps": 3}, "inputs": {}}
    measured = {"losses": {"loss": 0.5}, "noise": {"loss": 2.0}, "psnr": 20.0}
    result = {**measured, "status": "ok", "seconds": 1.0, "pixels_sha256": pixels_sha256(pixels)}
    return {**identity, "result": {**result, **changed}}


def saved(folder: Path, **changed: Any) -> Panel:
    return panel_of("p", picture(0), recipe(picture(0), **changed)).save(folder / "p.png")


def test_psnr_is_ten_times_the_logarithm_of_the_mean_square() -> None:
    x, y = picture(0), picture(1)
    expected = 10 * math.log10(1 / float(((x.numpy() - y.numpy()).astype(np.float64) ** 2).mean()))
    assert psnr(x, y) == pytest.approx(expected, rel=1e-5)


def test_psnr_is_none_where_there_is_nothing_to_compare() -> None:
    assert psnr(picture(0), None) is None
    assert psnr(picture(0), picture(0)[:, 1:]) is None
    assert psnr(picture(0), picture(0)) is None


def test_a_finished_panel_is_found_again_with_its_numbers(tmp_path: Path) -> None:
    before = saved(tmp_path)
    found = find_panel(tmp_path, "p", before.recipe)
    assert found is not None
    assert torch.equal(found.pixels, before.pixels)
    assert (found.losses, found.noise, found.psnr) == (before.losses, before.noise, before.psnr)


def test_a_panel_of_other_settings_is_not_found(tmp_path: Path) -> None:
    before = saved(tmp_path)
    assert find_panel(tmp_path, "p", {**before.recipe, "method": {"steps": 4}}) is None
    assert find_panel(tmp_path, "q", before.recipe) is None


def test_an_interrupted_panel_is_not_found(tmp_path: Path) -> None:
    assert find_panel(tmp_path, "p", saved(tmp_path, status="interrupted").recipe) is None


def test_a_picture_that_was_changed_is_not_found(tmp_path: Path) -> None:
    before = saved(tmp_path)
    (tmp_path / "p.png").write_bytes(png_bytes(picture(1)))  # the recipe beside it speaks of other pixels
    assert find_panel(tmp_path, "p", before.recipe) is None
    (tmp_path / "p.png").write_bytes(b"no picture")
    assert find_panel(tmp_path, "p", before.recipe) is None


def test_a_damaged_recipe_is_refused() -> None:
    with pytest.raises(RecipeError, match="another picture"):
        panel_of("p", picture(1), recipe(picture(0)))
    with pytest.raises(RecipeError, match="damaged"):
        panel_of("p", picture(0), {"result": {"pixels_sha256": pixels_sha256(picture(0)), "losses": 3}})


def test_without_metadata_no_recipe_is_left_behind(tmp_path: Path) -> None:
    panel = saved(tmp_path)
    panel.save(tmp_path / "p.png", metadata=False)
    assert [file.name for file in tmp_path.iterdir()] == ["p.png"]
    assert b"phosphene" not in (tmp_path / "p.png").read_bytes()
