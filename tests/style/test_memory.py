"""The estimate against what a process really takes, and the choice that is made from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from phosphene.engine.batching import kept_bytes
from phosphene.errors import UsageError
from phosphene.models import InputSpec, Model, from_module, load, style_layers
from phosphene.objectives import INPUT, TV2, Content, Gram, Moments, Objective, Sum, aim
from phosphene.style.memory import (
    SHARE,
    SHORTEST_HISTORY,
    Choice,
    Estimate,
    Growth,
    choose,
    estimate,
    gigabytes,
    window_pixels,
)
from phosphene.style.method import PRESETS
from phosphene.style.tiles import Reach

LBFGS = replace(PRESETS["quality"], history=20)
ADAM = replace(LBFGS, optimizer="adam")
MARGIN = Reach({"a": 16}, 16, (80, 80), (80, 80), (156, 156))  # VGG-19's to relu5_1
KEPT, WIDEST = 700.0, 64.0  # bytes a pixel, about those of vgg19_cd16x

# A transfer's loop in a process of its own: prints the estimate, and by how much its peak is above what it held before.
CHILD = """
import json, resource, sys
from dataclasses import replace
import torch
from phosphene.engine import optimize
from phosphene.models import load, style_layers
from phosphene.objectives import INPUT, MASK, Content, Gram, Sum, aim
from phosphene.recipe import OptimizerConfig, RenderConfig, TransformConfig
from phosphene.signals import Fourier
from phosphene.style.memory import estimate, window_pixels
from phosphene.style.method import PRESETS
from phosphene.style.tiles import Assembled, measure_reach, tiled
from phosphene.transforms import build

name, height, width, history, side, optimizer = json.loads(sys.argv[1])
size = height, width
model = load(name).prepared(memory_format=torch.channels_last)
content, style = style_layers(model)
grams = [Gram(layer, norm="relative", mask="sky" if side else "") for layer in style]
terms = Sum((Content(content, form="relative"), *grams)).bind(model)
layers = terms.layers - {INPUT}
reach = measure_reach(model, layers) if side else None
still = TransformConfig(transforms="none")

def run(size, steps):
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        acts = Assembled(model, reach, picture, side) if side else model.activations(picture, layers)
    objective = aim(terms, lambda name: (acts, None))
    del acts
    if side:
        objective = tiled(objective, model, reach, size, side, masks={MASK + "sky": torch.ones(1, 1, *size)})
    signal = Fourier(1, size=size, cutoff=1.7)
    signal.encode(picture.flip(3))
    chosen = OptimizerConfig(optimizer, history=history, redirect=False)
    config = RenderConfig(size, steps, transform=still, optimizer=chosen)
    for step in optimize(objective, model, signal, build(still, size=size, steps=steps), config):
        pass

run((64, 64), 2)  # what torch loads once is no part of a transfer
found = estimate(model, terms, size, replace(PRESETS["quality"], optimizer=optimizer, history=history))
with open("/proc/self/statm") as file:
    before = int(file.read().split()[1]) * resource.getpagesize()
run(size, history + 2)
with open("/proc/self/status") as file:  # ru_maxrss would begin at what the parent held when it forked
    peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024
print(json.dumps([found.peak(window=window_pixels(size, side, reach)[1] if side else None), peak - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
@pytest.mark.parametrize(
    ("name", "height", "width", "history", "side", "optimizer"),
    [
        ("vgg19_cd16x", 400, 540, 1, 0, "lbfgs"),
        ("squeezenet1_1", 440, 600, 1, 0, "adam"),
        pytest.param("vgg19_cd16x", 512, 560, 1, 192, "lbfgs", marks=pytest.mark.slow),
        pytest.param("minivgg", 360, 500, 4, 0, "lbfgs", marks=pytest.mark.slow),
    ],
)
def test_the_estimate_is_within_a_quarter_of_the_real_peak(
    name: str, height: int, width: int, history: int, side: int, optimizer: str, shared: object
) -> None:
    """Blocks above 64 kB go back to the system when they are freed, as those of large pictures always do."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    arguments = json.dumps([name, height, width, history, side, optimizer])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    estimated, real = json.loads(child.stdout)
    assert estimated == pytest.approx(real, rel=0.25)


def terms_of(model: Model) -> Objective:
    content, style = style_layers(model)
    return Sum((Content(content), *(Gram(layer) for layer in style), Moments(style[0]), TV2())).bind(model)


@pytest.fixture(scope="module")
def minivgg() -> Model:
    return load("minivgg", weights="random").prepared(memory_format=torch.channels_last)


def test_features_grow_with_the_pixels(minivgg: Model) -> None:
    terms, size = terms_of(minivgg), (400, 330)
    found = estimate(minivgg, terms, size, LBFGS)
    x, layers = torch.rand(1, 3, *size), terms.layers - {INPUT}
    with torch.no_grad():
        acts = minivgg.activations(x, layers)
    aimed = aim(terms, lambda name: (acts, None))
    x.requires_grad_()
    kept = kept_bytes(lambda: aimed({INPUT: x, **minivgg.activations(x, layers)}, torch.arange(1)))
    assert found.kept == pytest.approx(kept, rel=0.02)
    assert found.widest == 24 * 4  # relu1_1: 24 channels of float32 at every pixel


def test_a_small_picture_is_measured_itself(minivgg: Model) -> None:
    """So a network of one input size is never asked for another."""
    seen = []
    minivgg.net.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape[2:])))
    estimate(minivgg, terms_of(minivgg), (100, 140), LBFGS)
    assert set(seen) == {(100, 140)}


class Attention(nn.Module):
    """Every position attends to every other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        return (flat @ (flat.mT @ flat).softmax(-1)).view_as(x)


def test_what_grows_faster_than_the_pixels_is_seen() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), Attention(), nn.Conv2d(4, 4, 1))
    model = from_module(net, InputSpec(size=(64, 64)), name="attentive").prepared()
    found = estimate(model, Gram("2").bind(model), (512, 512), LBFGS)
    assert found.features(4 * 512**2) > 8 * found.features(512**2)  # twice what a line gives


def test_growth_goes_through_what_was_measured() -> None:
    for growth in (Growth((10, 30.0), (40, 90.0)), Growth((10, 10.0), (40, 160.0))):
        assert growth(growth.small[0]) == pytest.approx(growth.small[1])
        assert growth(growth.large[0]) == pytest.approx(growth.large[1])
    assert Growth((10, 30.0), (40, 90.0))(100) == pytest.approx(210)  # 10 + 2 n
    assert Growth((10, 10.0), (40, 160.0))(80) == pytest.approx(640)  # n^2 / 10
    assert Growth((10, 30.0), (10, 30.0))(20) == pytest.approx(60)


def test_adam_has_no_history(minivgg: Model) -> None:
    found = estimate(minivgg, Gram("relu1_1"), (64, 64), ADAM)
    assert found.history == 0
    assert found.peak() < estimate(minivgg, Gram("relu1_1"), (64, 64), LBFGS).peak()


def planned(height: int = 2000, width: int = 3000, history: int = 20) -> Estimate:
    growth = Growth((16384, 16384 * KEPT), (65536, 65536 * KEPT))
    return Estimate((height, width), growth, Growth((1, 2.0), (2, 4.0)), WIDEST, WIDEST, 14, history, 10.0)


def never() -> Reach:
    raise AssertionError("tiles were not needed")


def free_for(peak: float) -> int:
    return int(peak / SHARE) + 2


def test_the_peak_is_the_sum_of_its_parts() -> None:
    found = planned()
    pixels = 6_000_000
    assert found.peak() == pixels * (KEPT + 2 * WIDEST + 2 + 12 * (14 + 40))
    assert found.peak(history=5) == found.peak() - pixels * 12 * 30
    assert found.peak(window=100_000) == pixels * (2 + 12 * (14 + 40) + 12) + 100_000 * (KEPT + 2 * WIDEST)


@pytest.mark.parametrize(
    ("free", "reach", "history", "cut"),
    [
        (lambda found: found.peak(), never, 20, False),
        (lambda found: found.peak() - 10**8, never, 19, False),
        (lambda found: found.peak(history=SHORTEST_HISTORY), never, SHORTEST_HISTORY, False),
        (lambda found: found.peak(history=SHORTEST_HISTORY) - 1000, lambda: MARGIN, 20, True),
        (lambda found: found.peak(history=20, window=400**2) - 1, lambda: MARGIN, 20, True),
        (lambda found: found.peak(history=20, window=200**2), lambda: MARGIN, SHORTEST_HISTORY, True),
    ],
)
def test_the_cheapest_way_that_fits_is_chosen(
    free: Callable[[Estimate], int], reach: Callable[[], Reach], history: int, cut: bool
) -> None:
    found = planned()
    choice = choose(found, free_for(free(found)), reach)
    assert (choice.history, choice.side is not None) == (history, cut)
    assert choice.peak <= SHARE * free_for(free(found))
    if choice.side is not None:
        _, window, total = window_pixels(found.size, choice.side, MARGIN)
        assert choice.peak == found.peak(history=history, window=window)
        assert choice.seconds == pytest.approx(1.5 * 10 * total / found.pixels)
        larger = window_pixels(found.size, choice.side + 16, MARGIN)[1]
        assert larger >= window  # and would not have fitted, or the picture would be one tile
        if history == 20:
            assert choice.side >= 160  # never smaller than its margins while the history can be shorter


def test_less_memory_never_means_larger_tiles() -> None:
    found = planned()
    most, least = found.peak(history=5), found.peak(history=5, window=220**2)
    choices = [choose(found, free_for(least + share * (most - least)), lambda: MARGIN) for share in (0.1, 0.4, 0.7, 1)]
    assert [choice.peak for choice in choices] == sorted(choice.peak for choice in choices)
    assert all(isinstance(choice, Choice) for choice in choices)


def test_what_can_never_fit_is_refused_with_numbers() -> None:
    with pytest.raises(
        UsageError, match=r"3000x2000 pixels need \d\.\d GB .* even in the smallest tiles.* 100 MB are free"
    ):
        choose(planned(), 10**8, lambda: MARGIN)


def test_a_network_that_cannot_be_cut_says_so() -> None:
    def refuse() -> Reach:
        raise UsageError("the picture cannot be cut into tiles: it is attentive")

    with pytest.raises(UsageError, match="attentive"):
        choose(planned(), 10**9, refuse)


def test_every_choice_is_said_in_words() -> None:
    found = planned()
    as_it_is = choose(found, 10**11, never)
    shorter = choose(found, free_for(found.peak() - 10**8), never)
    cut = choose(found, free_for(found.peak(history=20, window=800**2)), lambda: MARGIN)
    assert as_it_is.words == "about 8.9 GB of memory will be used, 100.0 GB are free"
    assert "remembers 19 steps in place of 20" in shorter.words
    assert "tiles of at most" in cut.words
    assert gigabytes(1_449_000_000) == "1.4 GB"
    assert gigabytes(350_400_000) == "350 MB"
