"""The recorded number is what the plain network gives for the saved picture; a picture that failed says why."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from phosphene.features.measure import BEHIND, Measured, failure, measure
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import parse

PICTURE = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("target", ["features.2:3", "features.2:3@2,5", "logit:4", "prob:4", "fork:2"])
def test_the_value_is_the_plain_networks_own(tiny_model: Model, tiny_net: nn.Module, target: str) -> None:
    x = (PICTURE[None] - torch.tensor(tiny_model.spec.mean)[:, None, None]) / torch.tensor(tiny_model.spec.std)[
        :, None, None
    ]
    with torch.no_grad():
        conv = tiny_net.features[2](tiny_net.features[1](tiny_net.features[0](x)))[0]  # type: ignore[index]
        fork = tiny_net.fork(torch.relu(conv)[None])[0][0]  # type: ignore[operator]
        logits = tiny_net(x)[0]
    expected = {
        "features.2:3": conv[3].mean(),
        "features.2:3@2,5": conv[3, 2, 5],
        "logit:4": logits[4],
        "prob:4": logits.softmax(0)[4],
        "fork:2": fork[2].mean(),
    }[target]
    measured = measure(tiny_model, PICTURE, parse(target).bind(tiny_model))
    assert measured.value == pytest.approx(float(expected), rel=1e-5)
    assert not measured.silent


def test_measuring_leaves_the_network_as_it_is(tiny_model: Model, tiny_net: nn.Module) -> None:
    tiny_net.train()
    measure(tiny_model, PICTURE, parse("logit:1").bind(tiny_model))
    assert tiny_net.training
    assert all(p.grad is None and p.requires_grad for p in tiny_net.parameters())


def test_what_is_transparent_is_gray(tiny_model: Model) -> None:
    unit = parse("features.2:3").bind(tiny_model)
    clear = torch.cat([PICTURE, torch.zeros(1, 32, 32)])
    gray = torch.full_like(PICTURE, BEHIND)
    assert measure(tiny_model, clear, unit).value == measure(tiny_model, gray, unit).value
    opaque = torch.cat([PICTURE, torch.ones(1, 32, 32)])
    assert measure(tiny_model, opaque, unit).value == measure(tiny_model, PICTURE, unit).value


class Late(nn.Module):
    """Units that wake only above a threshold."""

    def __init__(self, threshold: float, gain: float = 1.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.rectify = nn.ReLU()
        self.threshold, self.gain = threshold, gain

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * self.rectify(self.conv(x) - self.threshold).mean((2, 3))


def test_a_unit_below_its_threshold_is_silent() -> None:
    model = from_module(Late(1e9), InputSpec(size=(32, 32)), name="late")
    assert measure(model, PICTURE, parse("rectify:1").bind(model)) == Measured(0.0, silent=True)
    awake = from_module(Late(-1e3), InputSpec(size=(32, 32)), name="late")
    assert not measure(awake, PICTURE, parse("rectify:1").bind(awake)).silent


def test_a_softmax_that_reached_one_is_not_silent() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Late(-3.0, gain=1.0)
    with torch.no_grad():
        net.conv.weight[:] = torch.tensor([1.0, -1.0])[:, None, None, None]
        net.conv.bias.zero_()  # type: ignore[union-attr]
        net.gain = 1e4
    model = from_module(net, InputSpec(size=(32, 32), mean=(0.5,), std=(1.0,)), name="late")
    white = torch.ones(3, 32, 32)
    assert measure(model, white, parse("prob:0").bind(model)) == Measured(1.0, silent=False)


@pytest.mark.parametrize(
    ("measured", "options", "reason"),
    [
        (Measured(1.0), {"broken_at": 7}, "step 7"),
        (Measured(1.0), {"finite": False}, "stopped being finite"),
        (Measured(math.nan), {}, "gives nan"),
        (Measured(math.inf), {}, "gives inf"),
        (Measured(0.0, silent=True), {}, "silent"),
    ],
)
def test_each_failure_has_its_reason(measured: Measured, options: dict[str, object], reason: str) -> None:
    assert reason in failure(measured, **{"broken_at": 0, "finite": True, **options})  # type: ignore[arg-type]


def test_a_sound_picture_has_no_reason() -> None:
    assert failure(Measured(1.0), broken_at=0, finite=True) == ""
