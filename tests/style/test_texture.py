"""Textures: of any size, of the example's grain, and as tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.errors import UnknownNameError, UsageError
from phosphene.media import opaque, read_picture, to_tensor
from phosphene.models import Model, load
from phosphene.recipe import RunConfig, TextureConfig
from phosphene.style.figure import Worked
from phosphene.style.ladder import resized
from phosphene.style.texture import Texturing, canvas, texture

CPU = RunConfig(device="cpu")
LAYERS = ["relu1_1", "relu2_1", "relu3_1"]


@pytest.fixture(scope="module")
def bricks(shared: Path) -> Tensor:
    picture = to_tensor(opaque(read_picture(shared / "images" / "texture" / "brick.jpg")))
    return resized(picture[None], (96, 96))[0]


@pytest.fixture(scope="module")
def vgg(shared: Path) -> Model:
    return load("vgg19_cd16x")


def contrast(x: Tensor, other: Tensor) -> float:
    return float((x - other).abs().mean())


def test_noise_becomes_the_texture_at_any_size(vgg: Model, bricks: Tensor) -> None:
    made = texture(bricks, model=vgg, size=(51, 70), steps=40, run=CPU)
    assert made.pixels.shape == (3, 51, 70)
    assert made.share < 0.01


def test_seeds_give_different_pictures_of_it(vgg: Model, bricks: Tensor) -> None:
    one, other = (texture(bricks, model=vgg, size=48, steps=30, seed=seed, run=CPU) for seed in (0, 1))
    apart = float((one.pixels - other.pixels).square().mean())
    assert apart > 0.8 * float(one.pixels.var())  # twice the variance is where nothing is shared
    assert max(one.share, other.share) < 0.02


def test_a_seamless_texture_has_no_seam(vgg: Model, bricks: Tensor) -> None:
    made = texture(bricks, model=vgg, size=(48, 64), steps=40, seamless=True, layers=LAYERS, run=CPU)
    tiles = made.tiled()
    assert torch.equal(tiles[:, 48:, 64:], made.pixels)
    for axis, side in ((1, 48), (2, 64)):
        steps = [contrast(tiles.select(axis, k), tiles.select(axis, k + 1)) for k in range(side)]
        assert steps[side - 1] < max(steps[: side - 1])  # from the last row to the first is a step like others


def test_a_seamless_texture_is_judged_alike_wherever_it_is_cut(vgg: Model, bricks: Tensor) -> None:
    config = TextureConfig((48, 64), steps=2, seamless=True, style_layers=",".join(LAYERS))
    work = Texturing(vgg, bricks, config, CPU)
    list(work)
    (request,) = work.figure.requests
    (stage,) = request.stages
    terms = work.figure._aimed(request, stage)
    pixels = work.result().pixels
    here, there = (work.figure._losses(request, terms, x)["loss"] for x in (pixels, pixels.roll((24, 16), (1, 2))))
    assert here == pytest.approx(there, rel=1e-4)


def test_a_larger_result_has_more_of_the_pattern_and_not_a_larger_one(vgg: Model, bricks: Tensor) -> None:
    def example_beside(**settings: object) -> int:
        work = Texturing(vgg, bricks, TextureConfig(**settings), CPU)  # type: ignore[arg-type]
        last = work.figure.requests[0].stages[-1]
        return max(last.references["example"].shape[1:])

    assert example_beside(size=96) == 96
    assert example_beside(size=(300, 200)) == 96
    assert example_beside(size=(300, 200), scale=2.0) == 192
    assert example_beside(size=48) == 48  # a larger example is shrunk to the result


def test_every_scale_sees_the_example_in_proportion(vgg: Model, bricks: Tensor) -> None:
    stages = Texturing(vgg, bricks, TextureConfig(size=288), CPU).figure.requests[0].stages
    assert stages[0].size[0] < stages[-1].size[0] == 288
    for stage in stages:
        assert stage.references["example"].shape[1] == pytest.approx(stage.size[0] / 3, abs=1)


def test_when_no_size_is_named_it_is_the_examples_and_not_large() -> None:
    assert canvas(TextureConfig(), (100, 50)) == (100, 50)
    assert canvas(TextureConfig(), (1000, 500)) == (256, 128)
    assert canvas(TextureConfig(size=64), (1000, 500)) == (64, 64)


def test_what_cannot_be_is_told_before_any_work(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="no seamless picture"):
        texture(torch.rand(3, 32, 32), model=tiny_model, layers=["tokens"], seamless=True, run=CPU)
    with pytest.raises(UnknownNameError, match=r"no layer 'features\.9'"):
        texture(torch.rand(3, 32, 32), model=tiny_model, layers=["features.9"], run=CPU)
    for wrong in ({"size": 4}, {"steps": 0}, {"scale": 0.0}, {"scale": float("nan")}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            TextureConfig(**wrong)  # type: ignore[arg-type]


def test_a_stopped_texture_is_kept_as_it_is(tiny_model: Model, tmp_path: Path) -> None:
    config = TextureConfig(size=32, steps=5, style_layers="features.1")
    work = Texturing(tiny_model, torch.rand(3, 32, 32), config, CPU, folder=tmp_path)
    for event in work:
        if isinstance(event, Worked) and event.done == 3:
            work.stop()
    assert work.result().panel.status == "interrupted"
    assert (tmp_path / "texture.png").is_file()
    assert not work.complete


@pytest.mark.parametrize(("settings", "even"), [({}, True), ({"edges": "own"}, False), ({"seamless": True}, False)])
def test_edges_are_even_where_there_are_any(vgg: Model, bricks: Tensor, settings: dict[str, Any], even: bool) -> None:
    """`tests/models/test_edges.py` tells what that means for the border. A tile has none."""
    work = Texturing(vgg, bricks, TextureConfig(size=32, steps=1, style_layers="relu1_1,relu2_1", **settings), CPU)
    assert ("replicated-edges" in work.figure.model.variant) == even
