"""The layers that stand for content and style: the paper's where they are, and sensible ones in any other network."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.models import InputSpec, Model, average_pooling, from_module, load, style_layers

PAPER = ("relu4_2", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"))
FIRES = ("features.7", ("features.1", "features.4", "features.7", "features.9", "features.12"))
CHOSEN = {
    "minivgg": PAPER,
    "vgg19_cd16x": PAPER,
    "squeezenet1_1": FIRES,
    "squeezenet1_0": ("features.7", ("features.1", "features.4", "features.7", "features.8", "features.12")),
    "alexnet": ("features.4", ("features.1", "features.4", "features.7")),
    "resnet18": (
        "layer3.0.relu",
        ("relu", "layer1.0.relu", "layer2.0.relu", "layer3.0.relu", "layer4.0.relu"),
    ),
    "mobilenet_v3_small": (
        "features.4.block.1.2",
        (
            "features.0.2",
            "features.1.block.0.2",
            "features.2.block.1.2",
            "features.4.block.1.2",
            "features.9.block.1.2",
        ),
    ),
    "convnext_tiny": (
        "features.5.0.block.4",
        ("features.1.0.block.4", "features.3.0.block.4", "features.5.0.block.4", "features.7.0.block.4"),
    ),
    "vit_b_16": (
        "encoder.layers.encoder_layer_9",
        tuple(f"encoder.layers.encoder_layer_{k}" for k in (2, 4, 7, 9, 11)),
    ),
    "googlenet": ("inception4e", ("conv1", "conv3", "inception3b", "inception4e", "inception5b")),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_each_family_has_its_layers(name: str) -> None:
    model = load(name, weights="random")
    content, style = style_layers(model)
    assert (content, style) == CHOSEN[name]
    assert style_layers(load(name, weights="random")) == (content, style)
    found = [model.find_layer(layer) for layer in style]
    assert all(len(layer.spatial) == 2 and min(layer.spatial) > 1 for layer in found)
    strides = [layer.stride or 0 for layer in found]
    assert strides == sorted(strides)


@pytest.mark.parametrize("letter", ["D", "E"], ids=["vgg16", "vgg19"])
def test_vgg_has_the_papers_layers(letter: str) -> None:
    torch.manual_seed(0)
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs[letter])  # the classifier takes seconds
    assert style_layers(from_module(features, InputSpec())) == PAPER


@pytest.mark.parametrize("name", ["minivgg", "squeezenet1_1"])
def test_other_pooling_changes_no_choice(name: str) -> None:
    model = load(name, weights="random")
    assert style_layers(average_pooling(model)) == style_layers(model)


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("yamnet", ("layer5.depthwise_relu", ("mel",))),
        (
            "random_sound",
            ("width8.relu", ("levels", *(f"width{width}.relu" for width in (1, 2, 4, 8, 16, 32, 64)))),
        ),
        ("crepe_tiny", ("relu5", ("relu2", "relu3", "relu4", "relu5", "relu6"))),
    ],
)
def test_a_network_that_hears_has_the_layers_of_its_entry_or_those_of_its_table(
    name: str, roles: tuple[str, tuple[str, ...]]
) -> None:
    model = load(name, weights="random")
    assert style_layers(model) == roles
    assert [layer for layer in (roles[0], *roles[1]) if layer not in model.layers] == []


def test_rectifiers_have_no_negative_values() -> None:
    model = load("resnet18", weights="random")
    _, style = style_layers(model)
    values = model.activations(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)), style)
    assert all(float(value.min()) >= 0 for value in values.values())


class Functional(nn.Module):
    """Two strides whose rectifiers are function calls, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.two(F.relu(self.one(x)))).mean((2, 3)))


def model_of(net: nn.Module) -> Model:
    return from_module(net, InputSpec(size=(32, 32)), name="mine")


def test_a_stride_without_an_activation_module_gives_its_last_layer() -> None:
    assert style_layers(model_of(Functional())) == ("one", ("one", "two"))


def test_a_pooling_alone_is_no_style_layer() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2))
    assert style_layers(model_of(net)) == ("1", ("1", "3"))


def test_finer_layers_of_a_decoder_are_not_taken() -> None:
    down = [part for _ in range(3) for part in (nn.Conv2d(3, 3, 3, 2, 1), nn.ReLU())]
    up = [part for _ in range(3) for part in (nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())]
    assert style_layers(model_of(nn.Sequential(*down, *up))) == ("3", ("1", "3", "5"))


@pytest.mark.parametrize(
    ("rectifiers", "content", "style"),
    [
        (1, "1", ("1",)),
        (2, "1", ("1", "3")),
        (5, "7", ("1", "3", "5", "7", "9")),
        (8, "13", ("3", "7", "9", "13", "15")),
    ],
)
def test_a_network_of_one_stride_is_cut_into_fifths(rectifiers: int, content: str, style: tuple[str, ...]) -> None:
    parts = [part for _ in range(rectifiers) for part in (nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())]
    assert style_layers(model_of(nn.Sequential(*parts))) == (content, style)


def test_a_network_without_space_is_refused() -> None:
    with pytest.raises(UsageError, match="mine has no layer with space"):
        style_layers(model_of(nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.ReLU())))
