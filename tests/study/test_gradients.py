"""The gradient layer by layer: a lattice where a stride is planted, none elsewhere, and a network as it was."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from phosphene.models import InputSpec, Model, from_module
from phosphene.models.backward import gradients, main_path
from phosphene.objectives import parse
from phosphene.study.gradients import gradient_spectra, spike

SIZE = 96


class Planted(nn.Module):
    """Three convolutions, of which the middle one strides; in-place rectifiers between them."""

    def __init__(self, stride: int, kernel: int = 5) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.rectify = nn.ReLU(inplace=True)
        self.strided = nn.Conv2d(8, 8, kernel, stride=stride, padding=kernel // 2)
        self.again = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(8, 4, 3, padding=1)
        generator = torch.Generator().manual_seed(1)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.again(self.strided(self.rectify(self.first(x)))))


def planted(stride: int) -> Model:
    with torch.random.fork_rng(devices=[]):
        return from_module(Planted(stride).eval(), InputSpec(size=(SIZE, SIZE)), name="planted")


def views(side: int = SIZE, count: int = 8) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_a_planted_stride_spikes_at_its_own_frequency_and_nowhere_else(stride: int) -> None:
    model = planted(stride)
    unit = parse("last").bind(model)  # the whole layer: its gradient is not the same at all places
    found = {layer.layer: layer for layer in gradient_spectra(model, views(), unit)}
    before = found["rectify"]
    assert [(s.stride, s.layer) for s in before.spikes] == [(stride, "strided")]
    assert before.spikes[0].strength > 30
    for other in {2, 3, 4, 5} - {stride}:
        if stride % other:
            assert spike(before.lattice, other, math.gcd(stride, other)) < 5
    assert before.strongest == before.spikes[0]
    behind = found["again"]
    assert behind.strongest is None
    assert behind.spikes[0].layer == ""
    assert not behind.spikes[0].strength > 5


def test_the_same_network_without_the_stride_has_no_spike() -> None:
    model = planted(1)
    for layer in gradient_spectra(model, views(), parse("last").bind(model)):
        assert layer.strongest is None
        assert not layer.spikes[0].strength > 5


def test_the_gradients_are_those_of_autograd() -> None:
    model = planted(2)
    x = views(48, 2)

    def score(acts: Mapping[str, Tensor]) -> Tensor:
        return acts["last"][:, 1].square().mean((1, 2))

    found = gradients(model, x, ["first", "rectify", "strided", "last"], ["last"], score)
    net = model.net
    picture = x.clone().requires_grad_(True)
    first = net.first(model.normalize(picture))  # type: ignore[operator]
    rectified = first.relu()
    strided = net.strided(rectified)  # type: ignore[operator]
    last = net.last(strided.relu())  # type: ignore[operator]
    tensors = {"input": picture, "first": first, "rectify": rectified, "strided": strided, "last": last}
    wanted = torch.autograd.grad(last[:, 1].square().mean((1, 2)).sum(), list(tensors.values()))
    assert set(found) == set(tensors)
    for name, gradient in zip(tensors, wanted, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_untouched(fails: bool) -> None:
    model = planted(2)
    model.net.train()
    before = copy.deepcopy(model.net.state_dict())

    def score(acts: Mapping[str, Tensor]) -> Tensor:
        if fails:
            raise ValueError("on purpose")
        return acts["last"].sum((1, 2, 3))

    if fails:
        with pytest.raises(ValueError, match="on purpose"):
            gradients(model, views(32, 1), main_path(model), ["last"], score)
    else:
        gradients(model, views(32, 1), main_path(model), ["last"], score)
    assert all(torch.equal(value, before[name]) for name, value in model.net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.net.parameters())
    assert all(module.training and not module._forward_hooks for module in model.net.modules())


def test_the_main_path_is_the_parts_in_their_order_and_not_the_inside_of_blocks(squeezenet: Model) -> None:
    assert main_path(squeezenet)[:13] == [f"features.{i}" for i in range(13)]


def test_every_stride_of_squeezenet_is_seen_right_before_it(squeezenet: Model) -> None:
    found = {g.layer: g for g in gradient_spectra(squeezenet, views(160, 4), parse("features.12:50").bind(squeezenet))}
    for before, strided in (("input", "features.0"), ("features.1", "features.2"), ("features.4", "features.5")):
        assert found[before].spikes[0].layer == strided
        assert found[before].spikes[0].strength > 100
    assert [s.stride for s in found["input"].spikes] == [2, 4, 8, 16]


def test_a_gradient_that_is_the_same_everywhere_is_left_out() -> None:
    model = planted(2)
    assert "last" not in {layer.layer for layer in gradient_spectra(model, views(), parse("last:1").bind(model))}
