"""The ear of random filters: the same every time, another one to judge, and no kink at silence."""

from __future__ import annotations

import torch

from phosphene.models import load
from phosphene.models.random_sound import FILTERS, SEEDS, SPEC, WIDTHS


def test_its_filters_are_the_same_every_time_and_the_judge_has_others() -> None:
    state = torch.random.get_rng_state()
    ear, again, judge = load("random_sound"), load("random_sound", weights="random"), load("random_sound_judge")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert ear.weights == again.weights
    mine, theirs = ear.net.state_dict(), judge.net.state_dict()
    assert mine.keys() == theirs.keys()
    assert not any(torch.equal(mine[name], theirs[name]) for name in mine)
    assert set(SEEDS) == {"random_sound", "random_sound_judge"}


def test_every_width_hears_all_frequencies_and_so_many_frames() -> None:
    layers = load("random_sound").layers
    for width in WIDTHS:
        layer = layers[f"width{width}.relu"]
        frames = layers["levels"].spatial[0]
        assert (layer.channels, layer.spatial, layer.stride) == (FILTERS, (frames - width + 1,), 128)


def test_the_shortest_sound_has_one_place_for_the_widest_filters() -> None:
    found = load("random_sound").activations(torch.zeros(1, 1, SPEC.least), ["width64.relu"])
    assert found["width64.relu"].shape == (1, FILTERS, 1)


def test_silence_has_a_gradient_of_zero_and_no_kink() -> None:
    model = load("random_sound")
    slopes = []
    for size in (0.0, 1e-6, 2e-6):
        wave = (size * torch.sin(torch.arange(SPEC.least) * 0.3))[None, None].requires_grad_()
        levels = model.activations(wave, ["levels"])["levels"]
        (gradient,) = torch.autograd.grad(levels.sum(), [wave])
        slopes.append(float(gradient.norm()))
    assert slopes[0] == 0
    assert slopes[1] > 0
    assert abs(slopes[2] / slopes[1] - 2) < 0.05  # it grows in proportion: a parabola
