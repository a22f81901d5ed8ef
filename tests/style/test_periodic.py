"""Tiles: what the network sees of them, and that no place in them is an edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.models import Model, load
from phosphene.objectives import INPUT, Gram, aim
from phosphene.style.periodic import Inside, Wrap, surround, wrapped

LAYERS = ("relu1_1", "relu3_1")


@pytest.fixture(scope="module")
def vgg() -> Model:
    return load("vgg19_cd16x", weights="random")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def aimed(model: Model) -> Gram:
    layer = LAYERS[1]
    target = aim(
        Gram(layer, norm="relative"), lambda _: (model.activations(noise(1, 3, 40, 40, seed=1), [layer]), None)
    )
    assert isinstance(target, Gram)
    return target


@pytest.mark.parametrize("margin", [0, 3, 11, 25])
def test_a_picture_is_surrounded_by_itself(margin: int) -> None:
    x = noise(2, 3, 7, 10)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="wrap")
    assert np.array_equal(wrapped(x, margin).numpy(), expected)


def test_a_tile_scores_the_same_wherever_it_is_cut(vgg: Model) -> None:
    gram, around = aimed(vgg), surround(vgg, LAYERS)
    x = noise(1, 3, 24, 32)
    moved = x.roll((12, -8), (2, 3))  # multiples of the stride 4
    rows = torch.zeros(1, dtype=torch.long)

    def plain(x: Tensor) -> float:
        return float(gram({INPUT: x, **vgg.activations(x, [LAYERS[1]])}, rows))

    def periodic(x: Tensor) -> float:
        views, _ = Wrap(around.margin)(x, None)
        return float(Inside(gram, (24, 32), around)({INPUT: x, **vgg.activations(views, [LAYERS[1]])}, rows))

    assert periodic(moved) == pytest.approx(periodic(x), rel=1e-4)
    assert plain(moved) != pytest.approx(plain(x), rel=1e-3)  # the network's own padding sees the edges


def test_inside_are_the_positions_of_the_picture(vgg: Model) -> None:
    around = surround(vgg, LAYERS)
    inside = Inside(aimed(vgg), (24, 32), around)
    views = wrapped(noise(1, 3, 24, 32), around.margin)
    for layer, stride in around.strides.items():
        features = inside.cropped(layer, vgg.activations(views, [layer])[layer])
        assert features.shape[2:] == (24 // stride, 32 // stride)


def test_a_layer_that_sees_everything_has_no_margin(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="no seamless picture"):
        surround(tiny_model, ["tokens"])
