"""Fig. 1: shallow layers give the picture back, deep ones what is where, Gram matrices the texture alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from phosphene.errors import MediaError, UnknownNameError, UsageError
from phosphene.media import opaque, read_picture, to_tensor
from phosphene.models import Model, load
from phosphene.recipe import ReconstructConfig, RunConfig
from phosphene.style.panel import psnr
from phosphene.style.reconstruct import Reconstructing, Reconstructions, depths, reconstruct

CPU = RunConfig(device="cpu")
SIZE, STEPS = 64, 50


@pytest.fixture(scope="module")
def cat(shared: Path) -> Tensor:
    return to_tensor(opaque(read_picture(shared / "images" / "content" / "chelsea.jpg")))


@pytest.fixture(scope="module")
def figure(shared: Path, cat: Tensor) -> Reconstructions:
    return reconstruct(cat, model=load("vgg19_cd16x"), size=SIZE, steps=STEPS, run=CPU)


def kind(figure: Reconstructions, which: str) -> list[float]:
    return [item.panel.psnr or 0.0 for item in figure if item.kind == which]


def test_content_fades_with_depth_and_is_nearly_whole_at_the_first(figure: Reconstructions) -> None:
    decibels = kind(figure, "content")
    assert len(decibels) == 5
    assert decibels == sorted(decibels, reverse=True)
    assert decibels[0] > 25


def test_style_comes_back_and_the_picture_does_not(figure: Reconstructions) -> None:
    styles = [item for item in figure if item.kind == "style"]
    assert all(item.share < 0.01 for item in styles)
    assert max(kind(figure, "style")) < 18  # two pictures of the same colors, not the same picture


def test_seeds_give_different_pictures_of_one_texture(figure: Reconstructions, cat: Tensor) -> None:
    deepest = figure[-1].layer.split(",")
    settings = ReconstructConfig(SIZE, STEPS, seed=1, content_layers="relu5_1", style_layers=",".join(deepest))
    work = Reconstructing(load("vgg19_cd16x"), cat, settings, CPU)
    assert list(work)
    other = work.result()[-1]
    assert other.layer == figure[-1].layer
    assert other.share < 0.01
    assert (psnr(other.panel.pixels, figure[-1].panel.pixels) or 99) < 18


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vgg19_cd16x", ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_1")),
        ("minivgg", ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_1")),
    ],
)
def test_the_depths_are_the_papers(name: str, content: tuple[str, ...]) -> None:
    assert depths(load(name, weights="random")) == (content, tuple(f"relu{b}_1" for b in range(1, 6)))


def test_any_network_has_depths(tiny_model: Model) -> None:
    content, style = depths(tiny_model)
    assert content == style
    assert len(style) >= 2


def tiny(model: Model, folder: Path | None = None, steps: int = 2) -> Reconstructing:
    config = ReconstructConfig(32, steps, content_layers="features.1", style_layers="features.1,features.3")
    return Reconstructing(model, torch.rand(3, 40, 50), config, CPU, folder=folder)


def test_the_sheet_has_the_original_above_a_row_of_each_kind(tiny_model: Model) -> None:
    work = tiny(tiny_model)
    assert len(list(work)) == 3 * (2 + 1)
    result = work.result()
    assert [(item.kind, item.layer) for item in result] == [
        ("content", "features.1"), ("style", "features.1"), ("style", "features.1,features.3"),
    ]  # fmt: skip
    sheet = result.image()
    assert sheet.height > 3 * result.original.shape[1]
    assert 2 * result.original.shape[2] < sheet.width


def test_python_writes_pictures_and_sheet_and_finds_them_again(tiny_model: Model, tmp_path: Path) -> None:
    picture = torch.rand(3, 40, 50)
    options = {"size": 32, "steps": 2, "content_layers": ["features.1"], "style_layers": ["features.3"]}
    first = reconstruct(picture, model=tiny_model, run=CPU, out=tmp_path, **options)  # type: ignore[arg-type]
    assert {file.name for file in tmp_path.glob("*.png")} == {"content-1.png", "style-1.png", "sheet.png"}
    again = reconstruct(picture, model=tiny_model, run=CPU, out=tmp_path, **options)  # type: ignore[arg-type]
    assert [item.panel.seconds for item in again] == [item.panel.seconds for item in first]
    assert again._repr_png_().startswith(b"\x89PNG")


def test_what_cannot_be_is_told_before_any_work(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no layer 'features\.9'"):
        reconstruct(torch.rand(3, 40, 50), model=tiny_model, content_layers=["features.9"], run=CPU)
    with pytest.raises(MediaError, match="absent"):
        reconstruct(tmp_path / "absent.png", model=tiny_model)
    with pytest.raises(UsageError, match="steps"):
        ReconstructConfig(steps=0)


def test_too_small_a_picture_is_one_clear_line(tiny_model: Model) -> None:
    work = Reconstructing(load("vgg19_cd16x", weights="random"), torch.rand(3, 40, 50), ReconstructConfig(12, 1), CPU)
    with pytest.raises(UsageError, match="12x10"):
        list(work)
