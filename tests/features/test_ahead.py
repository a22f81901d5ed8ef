"""Classes that overlap: the margin is added where the network asks for it, and where each class stands is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.features.ahead import AheadConfig, Standing, advice, kept_ahead, standing
from phosphene.features.audio_config import AudioConfig
from phosphene.features.sound import render_sound
from phosphene.models import AudioSpec, Model, from_module
from phosphene.objectives import parse

NAMES = ("bird", "animal", "drum")


class Kinds(nn.Module):
    """Planted: low, middle and high tones; `animal` answers to low ones too, and more than `bird`, which needs them."""

    def __init__(self) -> None:
        super().__init__()
        t = torch.arange(-32, 33)
        self.bands = nn.Conv1d(1, 3, 65, bias=False)
        tones = torch.stack([torch.cos(2 * torch.pi * f * t) for f in (0.05, 0.15, 0.3)])
        self.bands.weight.data = (tones * torch.hann_window(65, periodic=False))[:, None]
        self.head = nn.Linear(3, 3)
        self.head.weight.data = torch.tensor([[2.0, 1.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        self.head.bias.data.zero_()

    def forward(self, wave: Tensor) -> Tensor:
        heads: Tensor = self.head(self.bands(wave).square().mean(2))
        return heads


@pytest.fixture
def kinds() -> Model:
    return from_module(Kinds().eval(), AudioSpec(samples=2000), name="kinds", labels=NAMES)


def texts(model: Model, targets: list[str], ahead: float | None) -> list[str]:
    return [str(target) for target in kept_ahead(model, targets, AheadConfig(ahead))]


def test_only_targets_that_raise_one_class_alone_take_the_margin(kinds: Model) -> None:
    assert texts(kinds, ["logit:bird", "2*logit:drum - 5*density", "logit:0..2"], 3.0) == [
        "logit:0 + 3*margin:0",
        "2*logit:2 - 5*density + 6*margin:2",
        "logit:0..2 + 3*margin:0..2",
    ]
    others = ["-logit:bird", "logit:bird - logit:animal", "logit:bird + margin:bird", "bands:1", "prob:bird"]
    assert texts(kinds, ["logit:drum", *others], 1.0)[1:] == others


def test_a_network_says_what_its_classes_need_and_zero_takes_it_away(kinds: Model) -> None:
    said: list[str] = []
    assert kept_ahead(kinds, "logit:bird", AheadConfig(), say=said.append) == ["logit:bird"]
    kinds.ahead = 2.0
    (led,) = kept_ahead(kinds, "logit:bird", AheadConfig(), say=said.append)
    assert str(led) == "logit:0 + 2*margin:0"
    assert len(said) == 1
    assert "logit:bird + 2*margin:bird (--ahead 0: not)" in said[0]
    assert kept_ahead(kinds, "logit:bird", AheadConfig(0.0), say=said.append) == ["logit:bird"]
    assert kept_ahead(kinds.prepared(), ["bands:1", "logit:bird"], AheadConfig())[1] == led
    assert len(said) == 1


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_weights_that_cannot_be_are_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match=r"ahead must be (at least 0|a finite number)"):
        AheadConfig(wrong)


def test_a_weight_that_no_target_takes_is_refused(kinds: Model) -> None:
    with pytest.raises(UsageError, match=r"ahead is of logit:CLASS, raised by itself, and -logit:bird is something"):
        kept_ahead(kinds, "-logit:bird", AheadConfig(1.0))


def test_a_class_behind_its_relative_is_told_and_the_margin_brings_it_ahead(kinds: Model) -> None:
    config = AudioConfig(steps=40, still=True)
    plain, led = (render_sound(kinds, "logit:bird", config=config, ahead=ahead)[0] for ahead in (None, 3.0))
    assert (plain.target, led.target) == ("logit:bird", "logit:bird + 3*margin:bird")
    assert plain.standing is not None
    assert led.standing is not None
    assert (plain.standing.rank, plain.standing.other) == (2, "animal")
    assert (led.standing.rank, led.standing.of) == (1, 3)
    with torch.no_grad():
        logits = kinds.net(plain.sound[None])[0]
    assert plain.standing.lead == pytest.approx(float(logits[0] - logits[1]), abs=1e-3)
    assert plain.recipe["result"]["standing"]["rank"] == 2
    assert "rank 2 of 3" in advice(plain.target, plain.standing)
    assert advice(led.target, led.standing) == ""


def test_advice_is_for_who_asked_for_more_of_a_class() -> None:
    second = Standing(2, 3, -0.5, "animal")
    assert "; --ahead 3, or" in advice("logit:bird", second)
    assert "a larger --ahead" in advice("logit:bird + margin:bird", second)
    assert advice("-logit:bird", second) == advice("prob:bird", second) == ""
    assert advice("logit:bird", replace(second, rank=1)) == ""


def test_what_is_no_class_stands_nowhere(kinds: Model) -> None:
    sound = torch.zeros(1, 2000)
    assert standing(kinds, sound, parse("bands:1").bind(kinds)) is None
    alone = from_module(nn.Sequential(nn.Conv1d(1, 1, 9), nn.AdaptiveAvgPool1d(1), nn.Flatten()), AudioSpec(samples=90))
    assert standing(alone, torch.zeros(1, 90), parse("logit:0").bind(alone)) is None
