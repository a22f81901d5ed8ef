"""Planted units: networks whose optimum is known by construction, and it is found.

A unit answers a filter w; looking away from gray costs energy. With d = picture - gray as the network sees it (n
values), `<w, d> - cost * mean(d^2)` has its one maximum at d = w n / (2 cost); behind a rectifier and averaged over
space, it is the wave that w answers most. Costs are chosen so that the optimum lies well inside [0, 1].
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from phosphene.engine import Step
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import Channel, Neuron, WholeLayer
from phosphene.recipe import OptimizerConfig, RenderConfig, TransformConfig

SIDE, SPREAD = 15, 3.5  # of the Gabor filters, in pixels: side, and deviation of the envelope
SIZE = 48
WAVES = [(0, 6), (6, 0), (4, 4), (5, -3), (3, 7)]  # planted frequencies: cycles per picture, down and across
COLORS = torch.tensor([[1.0, -1.0, -1.0], [0.8, -0.6, -0.2], [-0.5, 0.7, -0.2], [0.1, -0.6, 0.8]])
GAIN = 5.0  # of the color filters
ENOUGH = 0.95  # correlation that counts as found

Ascend = Callable[..., list[Step]]


def envelope() -> Tensor:
    r = torch.arange(SIDE) - SIDE // 2
    return torch.exp(-(r[:, None] ** 2 + r**2) / (2 * SPREAD**2))


def gabor(down: int, across: int) -> Tensor:
    """(side, side) cosine under an envelope, without a mean, of length 1."""
    r = torch.arange(SIDE) - SIDE // 2
    wave = torch.cos(2 * math.pi * (down * r[:, None] + across * r) / SIZE)
    filtered = envelope() * wave - envelope() * (envelope() * wave).sum() / envelope().sum()
    return filtered / filtered.norm()


def planted(filters: Tensor, size: int) -> Model:
    """A network of three layers: what it sees, the filters' answers (circular), and those answers rectified."""
    count, channels, side, _ = filters.shape
    conv = nn.Conv2d(channels, count, side, padding=side // 2, padding_mode="circular", bias=False)
    conv.weight.data = filters.contiguous()
    net = nn.Sequential(OrderedDict(seen=nn.Identity(), filters=conv, fires=nn.ReLU(inplace=True)))
    return from_module(net.eval(), InputSpec(size=(size, size), mean=(0.5,), std=(0.25,)))


def gray_gabors() -> Tensor:
    return torch.stack([gabor(*wave) for wave in WAVES])[:, None].expand(-1, 3, -1, -1) / math.sqrt(3)


def config(steps: int, lr: float, transforms: str = "none") -> RenderConfig:
    return RenderConfig(steps=steps, transform=TransformConfig(transforms=transforms), optimizer=OptimizerConfig(lr=lr))


def best_correlation(picture: Tensor, pattern: Tensor) -> float:
    """Largest correlation of a gray pattern with the picture, over all places, under the pattern's own envelope."""
    window = envelope()
    patches = picture.mean(0).unfold(0, SIDE, 1).unfold(1, SIDE, 1).flatten(0, 1) * window
    patches = patches - patches.sum((1, 2), keepdim=True) / window.sum() * window
    return float(cosine_similarity(patches.flatten(1), pattern.flatten()[None]).max())


def peak(picture: Tensor) -> tuple[int, int]:
    """Strongest frequency of the gray picture, (down, across) in cycles per picture, half plane across >= 0."""
    spectrum = torch.fft.rfft2(picture.mean(0) - picture.mean()).abs()
    down, across = divmod(int(spectrum.argmax()), spectrum.shape[1])
    return (down + SIZE // 2) % SIZE - SIZE // 2, across


def distance(found: tuple[int, int], wave: tuple[int, int]) -> int:
    """Bins between two waves; a wave and its negative are one."""
    return min(max(abs(found[0] - s * wave[0]), abs(found[1] - s * wave[1])) for s in (1, -1))


@pytest.mark.parametrize("transforms", ["none", "standard"])
def test_a_channel_finds_its_orientation_and_frequency(ascend: Ascend, transforms: str) -> None:
    model = planted(gray_gabors(), SIZE)
    objective = Channel("fires", range(len(WAVES))) - 3 * WholeLayer("seen")
    steps = ascend(model, objective, config(128, 0.05, transforms), size=(SIZE, SIZE))
    pictures = steps[-1].signal().detach()
    for picture, wave in zip(pictures, WAVES, strict=True):
        assert best_correlation(picture, gabor(*wave)) > ENOUGH, wave
        assert distance(peak(picture), wave) <= 1, wave


def test_a_channel_does_not_look_like_another_units_filter(ascend: Ascend) -> None:
    model = planted(gray_gabors(), SIZE)
    objective = Channel("fires", 0) - 3 * WholeLayer("seen")
    picture = ascend(model, objective, config(64, 0.05), size=(SIZE, SIZE))[-1].signal().detach()[0]
    own, *others = (best_correlation(picture, gabor(*wave)) for wave in WAVES)
    assert own > ENOUGH > 0.9 > max(others)
    assert all(distance(peak(picture), wave) > 1 for wave in WAVES[1:])


def test_a_neuron_finds_its_filter_in_its_receptive_field_and_gray_around_it(ascend: Ascend) -> None:
    model = planted(gray_gabors(), SIZE)
    objective = Neuron("filters", range(len(WAVES))) - 800 * WholeLayer("seen")
    steps = ascend(model, objective, config(100, 0.05), size=(SIZE, SIZE))
    difference = steps[-1].signal().detach() - 0.5
    corner = SIZE // 2 - SIDE // 2
    field = (slice(None), slice(None), slice(corner, corner + SIDE), slice(corner, corner + SIDE))
    expected = 0.25 * gray_gabors() * 3 * SIZE**2 / (2 * 800)
    assert float(cosine_similarity(difference[field].flatten(1), expected.flatten(1)).min()) > 0.99
    assert float((difference[field] - expected).abs().max()) < 0.05
    outside = difference.clone()
    outside[field] = 0
    assert float(outside.abs().max()) < 0.05


@pytest.mark.parametrize("transforms", ["none", "standard"])
def test_a_channel_finds_its_color(ascend: Ascend, transforms: str) -> None:
    directions = COLORS / COLORS.norm(dim=1, keepdim=True)
    model = planted(GAIN * directions[:, :, None, None], 16)
    objective = Channel("filters", range(len(COLORS))) - 6 * WholeLayer("seen")
    steps = ascend(model, objective, config(300, 0.5, transforms), size=(16, 16))
    means = (steps[-1].signal().detach() - 0.5).mean((2, 3))
    assert float(cosine_similarity(means, directions).min()) > ENOUGH
    expected = 0.25 * GAIN / (2 * 6) * 3  # a picture's n is 3 values per pixel
    assert means.norm(dim=1).tolist() == pytest.approx([expected] * len(COLORS), rel=0.15)
