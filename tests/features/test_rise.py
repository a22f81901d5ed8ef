"""A picture that is no better than what nobody optimized is told so; a plain color that is the answer is not."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from phosphene.features.render import render
from phosphene.features.rise import PALE, Rise, contrast, idle, rise, sought
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.objectives import parse
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig, TransformConfig

PICTURE = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(1))
PLAIN = torch.tensor([0.1, 0.5, 0.9])[:, None, None].expand(3, 24, 24)
FAINT = 0.5 + 0.1 * (PICTURE - 0.5)
CPU = RunConfig(device="cpu", precision="float32")


@pytest.mark.parametrize(
    ("picture", "found", "reason"),
    [
        (PICTURE, Rise(2.0, 1.0, 0.0), ""),
        (PICTURE, Rise(1.0, 1.0, 1.0), ""),
        (PICTURE, Rise(0.995, 1.0, 0.0), ""),
        (PICTURE, Rise(0.5, 1.0, 0.0), "fell from 1 at the start to 0.5"),
        (PICTURE, Rise(-2.0, -1.0, 0.0), "fell from -1"),
        (PLAIN, Rise(0.5, 0.0, 0.0), ""),
        (FAINT, Rise(0.5, 0.0, 0.0), ""),
        (FAINT, Rise(0.0, 0.0, 0.0), "nearly one flat color"),
        (PLAIN, Rise(-1.73, -2.2, -1.77), "no better than by chance (-1.77 on plain gray, -2.2 at the start)"),
        (PICTURE, Rise(-1.73, -2.2, -1.77), ""),
        (PLAIN, Rise(1.0, math.nan, 0.0), ""),
    ],
)
def test_what_fell_and_what_is_pale_without_a_rise_are_failures(picture: Tensor, found: Rise, reason: str) -> None:
    told = idle(picture, FAINT, found, found)
    assert reason in told if reason else told == ""
    assert ("--lr" in told and "--seed" in told and "--signal" in told) == bool(reason)


def test_a_faint_picture_that_grows_is_not_one_that_faded() -> None:
    """A short run may still be fainter than it will be."""
    still = Rise(9.5, 4.8, 15.1)
    assert idle(FAINT, 0.5 + 0.5 * (FAINT - 0.5), still, still) == ""
    assert "flat" in idle(FAINT, PICTURE, still, still)
    assert "flat" in idle(PLAIN, PLAIN, still, still)


def test_contrast_is_that_of_the_color_that_varies_most() -> None:
    striped = torch.full((3, 4, 4), 0.5)
    striped[1, ::2] = 0.7
    assert contrast(striped) == pytest.approx(0.1, abs=1e-6)
    assert contrast(PLAIN) < 1e-6 < contrast(FAINT) < PALE < contrast(PICTURE)


def test_a_unit_that_rose_is_no_failure_whatever_its_price_nor_one_that_fell_for_it() -> None:
    up, down = Rise(2.0, 1.0, 0.0), Rise(1.0, 2.0, 0.0)
    assert idle(PICTURE, FAINT, up, down) == idle(PICTURE, FAINT, down, up) == ""
    assert "fell" in idle(PICTURE, FAINT, down, down)


def test_a_target_is_compared_with_its_sign_and_with_or_without_prices(tiny_model: Model) -> None:
    group = parse("-features.2:3,4 - 0.01*tv").bind(tiny_model)
    free, priced = (rise(tiny_model, PICTURE, FAINT, sought(group, 1, prices=prices)) for prices in (False, True))
    unit, price = (rise(tiny_model, PICTURE, FAINT, parse(text).bind(tiny_model)) for text in ("features.2:4", "tv"))
    assert free == Rise(-unit.end, -unit.start, -unit.gray)
    assert priced.end == pytest.approx(-unit.end - 0.01 * price.end, rel=1e-4)
    assert priced.start == pytest.approx(-unit.start - 0.01 * price.start, rel=1e-4)
    assert (
        unit.gray == rise(tiny_model, torch.full_like(PICTURE, 0.5), FAINT, parse("features.2:4").bind(tiny_model)).end
    )


@pytest.mark.parametrize("prices", [False, True])
def test_of_a_family_each_row_is_compared_without_the_others(tiny_model: Model, prices: bool) -> None:
    family = parse("features.2:3,3 - 0.5*diversity(features.2, group=2)").bind(tiny_model)
    unit = parse("features.2:3").bind(tiny_model)
    assert sought(family, 1, prices=prices) == unit


def test_a_price_alone_is_compared_as_it_is(tiny_model: Model) -> None:
    price = parse("-1*tv").bind(tiny_model)
    assert sought(price, 0, prices=False) == sought(price, 0, prices=True) == price


class Shade(nn.Module):
    """One unit that answers how red a picture is, and nothing else: a plain color is the right answer."""

    def __init__(self) -> None:
        super().__init__()
        self.red = nn.Conv2d(3, 1, 1, bias=False)
        with torch.no_grad():
            self.red.weight.copy_(torch.tensor([1.0, -1.0, -1.0])[None, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.red(x)
        return answer


def shade() -> Model:
    net = nn.Sequential(OrderedDict(shade=Shade()))
    return from_module(net.eval(), InputSpec(size=(24, 24), mean=(0.5,), std=(0.25,)))


@pytest.mark.parametrize("signal", ["pixels", "cppn"])
def test_a_plain_color_that_is_the_answer_is_ok(signal: str) -> None:
    config = RenderConfig(
        steps=200,
        signal=SignalConfig(signal=signal),  # type: ignore[arg-type]
        transform=TransformConfig(transforms="none"),
    )
    (picture,) = render(shade(), "shade:0", config=config, run=CPU)
    assert contrast(picture.pixels) < PALE
    assert (picture.status, picture.reason) == ("ok", "")
    assert picture.pixels.mean((1, 2))[0] > 0.7 > 0.3 > picture.pixels.mean((1, 2))[1]


def test_a_target_that_asks_for_less_is_ok_when_its_unit_fell(tiny_model: Model) -> None:
    (picture,) = render(tiny_model, "-features.2:3", steps=24, run=CPU)
    assert picture.activation < 0
    assert (picture.status, picture.reason) == ("ok", "")


def test_an_ascent_that_loses_what_it_started_with_is_a_failure(tiny_model: Model) -> None:
    """Steps as large as these end in noise, wherever they begin."""
    unit = "features.2:3"
    (good,) = render(tiny_model, unit, steps=64, run=CPU)
    wild = RenderConfig(steps=3, optimizer=OptimizerConfig(lr=1e3))
    (lost,) = render(tiny_model, unit, config=wild, run=CPU, init=good.pixels)
    assert lost.activation < good.activation
    assert lost.status == "degenerate"
    assert "fell from" in lost.reason


@pytest.mark.parametrize(("target", "enough"), [("logit:star", 10.0), ("logit:spiral", 4.5)])
def test_a_formula_finds_a_form_where_plain_gray_is_a_hill(target: str, enough: float) -> None:
    """Classes of minivgg that score less on a faint pattern than on none, in a size that has its shape in 48 steps.

    enough: more than from a faint, soft start.
    """
    for seed in (0, 1):
        config = RenderConfig(size=64, steps=48, seed=seed, signal=SignalConfig(signal="cppn"))
        (picture,) = render(load("minivgg"), target, config=config, run=CPU)
        assert picture.status == "ok"
        assert picture.activation > enough
        assert contrast(picture.pixels) > 0.15


class Hill(nn.Module):
    """One unit that gives most for plain gray."""

    def forward(self, x: Tensor) -> Tensor:
        return -x.square().sum(1, keepdim=True)


@pytest.mark.parametrize("signal", ["fourier", "pixels", "laplacian", "cppn"])
def test_a_picture_that_faded_to_gray_is_told(signal: str) -> None:
    net = nn.Sequential(OrderedDict(hill=Hill()))
    model = from_module(net.eval(), InputSpec(size=(24, 24), mean=(0.5,), std=(0.25,)))
    settings = SignalConfig(signal=signal, noise_start=0.01 if signal == "cppn" else 0.1)  # type: ignore[arg-type]
    config = RenderConfig(steps=200, signal=settings, transform=TransformConfig(transforms="none"))
    (picture,) = render(model, "hill:0", config=config, run=CPU)
    assert contrast(picture.pixels) < PALE
    assert picture.status == "degenerate"
    assert "nearly one flat color" in picture.reason
