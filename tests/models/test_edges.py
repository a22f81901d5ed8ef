"""Replicated edges: every unit counts as often as any other, in a private copy, or a refusal that says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.media import read_pixels
from phosphene.models import InputSpec, Model, from_module, load, replicated_edges
from phosphene.models.edges import VARIANT
from phosphene.models.weights import weights_sha256

PHOTOGRAPHS = ("chelsea", "coffee", "petra")
SPEC = InputSpec(size=(32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def chain(*modules: nn.Module) -> Model:
    return from_module(nn.Sequential(*modules), SPEC, name="chain")


def sums(count: int) -> nn.Conv2d:
    """A 3x3 convolution that sums its window over all `count` channels."""
    convolution = nn.Conv2d(count, count, 3, padding=1, bias=False)
    nn.init.ones_(convolution.weight)
    return convolution


def asked(model: Model, size: tuple[int, int]) -> Tensor:
    """(h, w): what the sum of the last layer's units asks of each pixel."""
    x = noise(1, 3, *size).requires_grad_()
    last = list(model.layers)[-1]
    (gradient,) = torch.autograd.grad(model.activations(x, [last])[last].sum(), x)
    return gradient[0].sum(0)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_every_pixel_counts_as_often_as_any_other(depth: int) -> None:
    own = chain(*(sums(3) for _ in range(depth)))
    even, uneven = asked(replicated_edges(own), (16, 20)), asked(own, (16, 20))
    torch.testing.assert_close(even, even[8, 10].expand_as(even))
    assert uneven[0].max() < 0.7 * uneven[8, 10]


def test_mirrored_edges_are_exchanged_too() -> None:
    mirrored = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
    own = chain(mirrored)
    x = noise(1, 3, 8, 9)
    found = replicated_edges(own).activations(x, ["0"])["0"]
    torch.testing.assert_close(
        found, F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), mirrored.weight, mirrored.bias)
    )


@pytest.mark.parametrize("size", [(32, 32), (33, 31), (18, 47)])
def test_no_pixel_is_left_out(size: tuple[int, int]) -> None:
    own = chain(sums(3), nn.AvgPool2d(2), nn.AvgPool2d(2), nn.AvgPool2d(2))
    assert bool((asked(replicated_edges(own), size) > 0).all())
    assert bool((asked(own, size) > 0).all()) == (size == (32, 32))


@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
def test_rounding_up_is_repeating_the_last_unit(kind: type[nn.Module]) -> None:
    own = chain(sums(3), kind(2))
    x = noise(1, 3, 7, 9)
    found = replicated_edges(own).activations(x, ["0", "1"])
    repeated = F.pad(found["0"], (0, 1, 0, 1), mode="replicate")
    torch.testing.assert_close(found["1"], kind(2)(repeated))


def test_a_style_layer_asks_as_much_at_the_border_as_inside(shared: Path) -> None:
    """On photographs; `models/edges.py` quotes the figures."""
    own = load("vgg19_cd16x")
    found = [read_pixels(shared / "images" / "content" / f"{name}.jpg").pixels[:3, :256, :256] for name in PHOTOGRAPHS]
    mixtures = torch.randn(8, 128, 128, generator=torch.Generator().manual_seed(0))

    def share(model: Model) -> float:
        """Root mean square over photographs and mixtures of the gradient at the border, over that inside."""
        energy = torch.zeros(256, 256)
        for picture in found:
            x = picture[None].clone().requires_grad_()
            units = model.activations(x, ["relu5_1"])["relu5_1"][0].flatten(1)
            gram = units @ units.T
            for mixture in mixtures:
                (gradient,) = torch.autograd.grad((gram * mixture).sum(), x, retain_graph=True)
                energy += gradient[0].square().sum(0) / gradient.square().sum()
        border = torch.cat([energy[0], energy[-1], energy[:, 0], energy[:, -1]]).mean()
        return float((border / energy[64:-64, 64:-64].mean()).sqrt())

    assert share(own) < 0.4
    assert 0.7 < share(replicated_edges(own)) < 1.4


def test_the_network_is_untouched_and_the_copy_says_what_it_is() -> None:
    own = load("minivgg", weights="random")
    before = weights_sha256(own.net)
    edges = {name: module.padding_mode for name, module in own.net.named_modules() if isinstance(module, nn.Conv2d)}
    even = replicated_edges(own)
    assert VARIANT in even.variant
    assert VARIANT not in own.variant
    assert weights_sha256(own.net) == before == weights_sha256(even.net)
    assert set(edges.values()) == {"zeros"}
    assert edges == {n: module.padding_mode for n, module in own.net.named_modules() if isinstance(module, nn.Conv2d)}
    assert list(even.layers) == list(own.layers)


class Branches(nn.Module):
    """A pooling beside a strided convolution, as in Inception: their maps must stay of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.pool, self.strided = nn.MaxPool2d(3, 2), nn.Conv2d(4, 4, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.cat([self.pool(x), self.strided(x)], 1)


@pytest.mark.parametrize("side", [32, 33])
def test_branches_stay_of_one_size(side: int) -> None:
    even = replicated_edges(from_module(Branches(), SPEC, name="branches"))
    assert even.net(noise(1, 3, side, side)).shape[1:2] == (8,)


class OwnPadding(nn.Conv2d):
    """A convolution whose forward does not ask for its padding mode."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, self.bias, padding=self.padding)


def test_a_convolution_that_pads_in_its_own_way_is_not_said_to_be_changed() -> None:
    with pytest.raises(UsageError, match="no convolution module that pads"):
        replicated_edges(chain(OwnPadding(3, 4, 3, padding=1), nn.ReLU()))


def test_a_network_without_edges_is_refused() -> None:
    with pytest.raises(UsageError, match="chain has no convolution module that pads"):
        replicated_edges(chain(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3)))
