"""The gradient layer by layer: a lattice where a stride is planted, none elsewhere, and a network as it was."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from phosphene.models import InputSpec, Model, from_module, load
from phosphene.models.backward import PICTURE, gradients
from phosphene.objectives import parse
from phosphene.study.gradients import TOKENS, gradient_spectra, spike

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

    found = gradients(model, x, ["last"], score)
    net = model.net
    picture = x.clone().requires_grad_(True)
    first = net.first(model.normalize(picture))  # type: ignore[operator]
    rectified = first.relu()
    strided = net.strided(rectified)  # type: ignore[operator]
    again = strided.relu()
    last = net.last(again)  # type: ignore[operator]
    tensors = {"input": picture, "first": first, "rectify": rectified, "strided": strided, "again": again, "last": last}
    wanted = torch.autograd.grad(last[:, 1].square().mean((1, 2)).sum(), list(tensors.values()))
    assert list(found) == list(tensors)
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
            gradients(model, views(32, 1), ["last"], score)
    else:
        gradients(model, views(32, 1), ["last"], score)
    assert all(torch.equal(value, before[name]) for name, value in model.net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.net.parameters())
    assert all(module.training and not module._forward_hooks for module in model.net.modules())


def followed(model: Model, target: str, side: int = 64) -> list[str]:
    """Layers that the gradient of a unit passes, the picture first."""
    unit = parse(target).bind(model)
    return list(
        gradients(model, views(side, 1), unit.layers, lambda acts: unit(acts, torch.zeros(1, dtype=torch.int64)))
    )


def test_a_block_with_a_way_around_its_parts_is_one_layer(squeezenet: Model) -> None:
    assert followed(squeezenet, "features.12:50") == [PICTURE, *(f"features.{i}" for i in range(13))]
    resnet = load("resnet18", weights="random")
    assert followed(resnet, "layer3.1:5") == [
        *(PICTURE, "conv1", "bn1", "relu", "maxpool"),
        *(f"layer{i}.{j}" for i in (1, 2, 3) for j in (0, 1)),
    ]


def test_the_way_ends_at_a_unit_inside_of_a_block() -> None:
    resnet = load("resnet18", weights="random")
    assert followed(resnet, "layer2.0.conv2:5")[-4:] == [
        "layer2.0.conv1",
        "layer2.0.bn1",
        "layer2.0.relu",
        "layer2.0.conv2",
    ]


class Block(nn.Module):
    """Two convolutions, with a skip past them or without."""

    def __init__(self, skips: bool) -> None:
        super().__init__()
        self.one, self.two, self.skips = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), skips

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(self.one(x).relu())
        return x + y if self.skips else y.relu()


class Nested(nn.Module):
    """Parts within parts, none of them a Sequential; `beside` is a branch, and the dropout gives what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.backbone.plain, self.backbone.residual = Block(False), Block(True)
        self.backbone.forward = self.inside  # type: ignore[method-assign]
        self.beside, self.dropout, self.head = nn.Conv2d(8, 8, 1), nn.Dropout(), nn.Conv2d(8, 4, 3)

    def inside(self, x: Tensor) -> Tensor:
        net = self.backbone
        return net.residual(net.plain(net.stem(x).relu()))  # type: ignore[operator, no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        y = self.backbone(x)
        return self.head(self.dropout(torch.cat([self.beside(y)[:, :4], y[:, 4:]], 1)))  # type: ignore[no-any-return]


def test_parts_of_any_module_are_found_down_to_the_blocks_that_have_a_branch() -> None:
    with torch.random.fork_rng(devices=[]):
        model = from_module(Nested().eval(), InputSpec(size=(64, 64)), name="nested")
    way = [
        "backbone.stem",
        "backbone.plain.one",
        "backbone.plain.two",
        "backbone.plain",
        "backbone.residual",
        "dropout",
        "head",
    ]
    assert followed(model, "head:1") == [PICTURE, *way]
    found = {layer.layer: layer for layer in gradient_spectra(model, views(64, 4), parse("head").bind(model))}
    assert found[PICTURE].spikes[0].layer == "backbone.stem"
    assert found[PICTURE].spikes[0].strength > 30
    assert found["backbone.plain.one"].strongest is None


def test_layers_without_a_map_are_named_with_the_reason() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = VisionTransformer(64, 4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=3)
        nn.init.normal_(net.heads.head.weight)  # torchvision's starts at 0, and gives no gradient
    model = from_module(net.eval(), InputSpec(size=(64, 64)), name="vit")
    way = gradient_spectra(model, views(64, 2), parse("logit:1").bind(model))
    assert [(layer.layer, layer.spikes[0].stride) for layer in way] == [(PICTURE, 4), ("conv_proj", 2)]
    assert way.layers[0].spikes[0].layer == "conv_proj"
    blocks = [f"encoder.layers.encoder_layer_{i}" for i in range(2)]
    assert [name for name, reason in way.left_out.items() if reason == TOKENS] == [
        "encoder.dropout",
        *blocks,
        "encoder.ln",
    ]
    assert way.left_out["heads.head"] == "a vector has no places"


def test_every_stride_of_squeezenet_is_seen_right_before_it(squeezenet: Model) -> None:
    found = {g.layer: g for g in gradient_spectra(squeezenet, views(160, 4), parse("features.12:50").bind(squeezenet))}
    for before, strided in (("input", "features.0"), ("features.1", "features.2"), ("features.4", "features.5")):
        assert found[before].spikes[0].layer == strided
        assert found[before].spikes[0].strength > 100
    assert [s.stride for s in found["input"].spikes] == [2, 4, 8, 16]


def test_a_gradient_that_is_the_same_everywhere_is_left_out() -> None:
    model = planted(2)
    way = gradient_spectra(model, views(), parse("last:1").bind(model))
    assert dict.fromkeys(("again", "last"), "it is the same at all places") == way.left_out
    assert way.layers[-1].layer == "strided"
