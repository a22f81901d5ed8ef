"""Loops: what a network hears of a sound without ends."""

from __future__ import annotations

import pytest
import torch

from phosphene.audio.loop import Wrap, inside, surround
from phosphene.errors import UsageError
from phosphene.models import Model, load
from phosphene.models.random_sound import HOP
from phosphene.seeds import Generators

LAYERS = ("levels", "width1.relu", "width16.relu")


@pytest.fixture(scope="module")
def ear() -> Model:
    return load("random_sound")


def noise(samples: int) -> torch.Tensor:
    return 0.1 * Generators(0, ["loop"]).normal("noise", 0, (1, samples))


def heard(model: Model, loop: torch.Tensor, layers: tuple[str, ...]) -> dict[str, torch.Tensor]:
    around = surround(model, layers)
    with torch.no_grad():
        return inside(model.activations(Wrap(around)(loop)[0], layers), loop.shape[-1], around)


def test_a_turned_loop_has_turned_features(ear: Model) -> None:
    loop = noise(80 * HOP)
    plain, turned = heard(ear, loop, LAYERS), heard(ear, loop.roll(7 * HOP, -1), LAYERS)
    for layer in LAYERS:
        assert plain[layer].shape[-1] == 80
        torch.testing.assert_close(plain[layer].roll(7, -1), turned[layer], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "layers", "stride"), [("yamnet", ("layer1.relu", "layer3.relu"), 640), ("crepe_tiny", ("relu1",), 512)]
)
def test_a_margin_of_any_network_hears_the_endless_loop(name: str, layers: tuple[str, ...], stride: int) -> None:
    model = load(name)
    loop = noise(30 * stride)
    around = surround(model, layers)
    first, length = 2 * loop.shape[-1] - around.before, around.before + 2 * loop.shape[-1] + around.behind
    with torch.no_grad():  # a whole loop longer: YAMNet pads by the parity of what it is given
        middle = model.activations(loop.repeat(1, 1, 5)[..., first : first + length], layers)
    mine = heard(model, loop, layers)
    for layer in layers:
        wanted = inside(middle, loop.shape[-1], around)[layer]
        torch.testing.assert_close(mine[layer], wanted, atol=1e-4, rtol=1e-3)


def test_a_layer_without_time_makes_no_loop() -> None:
    with pytest.raises(UsageError, match="classifier of yamnet has no time of its own"):
        surround(load("yamnet", weights="random"), ["classifier"])
