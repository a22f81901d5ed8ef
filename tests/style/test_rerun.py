"""Pictures of figures, made again: only from a recipe that says one thing, and within bounds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.errors import RecipeError
from phosphene.media import read_pixels, write_picture
from phosphene.models import Model, load
from phosphene.recipe import RunConfig, TextureConfig, TradeoffConfig
from phosphene.style.figure import Work
from phosphene.style.rerun import compare_figure, prepare_figure
from phosphene.style.texture import Texturing
from phosphene.style.tradeoff import Tradeoff

CPU = RunConfig(device="cpu")
Recipe = dict[str, Any]


@pytest.fixture(scope="module")
def vgg() -> Model:
    return load("vgg19_cd16x", weights="random")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two pictures of 8 bits."""
    generator = torch.Generator().manual_seed(0)
    made = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in made:
        write_picture(file, torch.rand(3, 40, 48, generator=generator))
    return made


def read(file: Path) -> Tensor:
    return read_pixels(file).pixels


@pytest.fixture
def texture(vgg: Model, files: list[Path]) -> Recipe:
    """The recipe of a texture in two steps."""
    work = Texturing(vgg, read(files[0]), TextureConfig((32, 36), steps=2, style_layers="relu1_1,relu2_1"), CPU)
    assert list(work)
    return work.figure.panels[0].recipe


def made(work: Work) -> Work:
    assert list(work)
    return work


def test_the_same_pixels_come_out(vgg: Model, texture: Recipe, files: list[Path]) -> None:
    again = made(prepare_figure(texture, files, model=vgg))
    assert compare_figure(texture, again) == (True, ())


def test_a_cell_needs_the_layers_that_its_network_was_normalized_by(vgg: Model, files: list[Path]) -> None:
    config = TradeoffConfig(32, 2, ratios="0.001", style_layers="relu1_1,relu2_1")
    work = made(Tradeoff(vgg, read(files[0]), read(files[1]), config, CPU))
    recipe = work.figure.panels[0].recipe  # of relu1_1 alone, on a network whose relu2_1 is normalized too
    again = made(prepare_figure(recipe, files, model=vgg))
    assert len(again.figure.panels) == 1
    assert compare_figure(recipe, again)[0]
    fewer = changed(recipe, lambda r: r["method"].update(normalized=["relu1_1"]))
    with pytest.raises(RecipeError, match="was changed"):
        prepare_figure(fewer, files, model=vgg)


def changed(recipe: Recipe, change: Callable[[Recipe], object]) -> Recipe:
    other = copy.deepcopy(recipe)
    change(other)
    return other


def test_another_picture_is_not_taken_for_it(vgg: Model, texture: Recipe, files: list[Path]) -> None:
    with pytest.raises(RecipeError, match="the example picture"):
        prepare_figure(texture, files[1:], model=vgg)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["target"]["loss"].update(text="gram(relu1_1, of=example"), "cannot be read"),
        (lambda r: r["target"]["loss"].update(text="relu1_1:3"), "compares 0 layers"),
        (lambda r: r["target"]["loss"].update(text="content(relu1_1, of=example)"), "contradict"),
        (lambda r: r["target"]["loss"].update(weight=2.0), "contradict"),
        (lambda r: r["target"].update(loss=3), "target.loss.text"),
        (lambda r: r["method"].update(size=[1 << 20, 32]), "sensible is"),
        (lambda r: r["method"].update(size=[32]), "height and width"),
        (lambda r: r["method"].update(size=[True, 32]), "height and width"),
        (lambda r: r["method"].update(steps=10**12), "sensible is"),
        (lambda r: r["method"].update(scale=1e9), "sensible is"),
        (lambda r: r["method"].update(scale="large"), "scale"),
        (lambda r: r["method"].update(seamless=1), "seamless"),
        (lambda r: r.update(method=None), "method.size"),
        (lambda r: r.update(inputs={}), "no example picture"),
        (lambda r: r["inputs"].update(example=[1]), "inputs.example"),
        (lambda r: r["model"].update(variant=3), "was changed"),
        (lambda r: r.update(kind="style"), "not one of"),
        (lambda r: r.update(schema=99), "update phosphene"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_any_work(
    vgg: Model, texture: Recipe, files: list[Path], change: Callable[[Recipe], object], said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        prepare_figure(changed(texture, change), files, model=vgg)
