"""The sizes of a dream, and what is carried from one to the next."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from phosphene.deepdream.octaves import LEAST_SIDE, carried, octaves, resized, toned, zoomed


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_each_octave_is_a_ratio_larger_and_the_last_is_the_picture() -> None:
    assert octaves(196, 392, 3, 1.4) == [(100, 200), (140, 280), (196, 392)]
    assert octaves(50, 60, 1, 1.4) == [(50, 60)]


def test_octaves_too_small_to_see_anything_in_are_left_out() -> None:
    sizes = octaves(64, 96, 9, 1.5)
    assert sizes == [(43, 64), (64, 96)]
    assert min(min(size) for size in sizes) >= LEAST_SIDE
    assert octaves(20, 90, 5, 1.4) == [(20, 90)]  # the picture itself never is


def test_a_change_of_nothing_gives_the_picture_with_all_its_details() -> None:
    picture = noise(1, 3, 40, 60)
    assert torch.allclose(carried(picture, resized(picture, (20, 30)), (40, 60)), picture, atol=1e-6)


def test_what_is_carried_is_the_change_and_the_details_are_the_pictures_own() -> None:
    picture = 0.25 + 0.5 * noise(1, 3, 40, 60)
    before = resized(picture, (20, 30)) + 0.1
    assert torch.allclose(carried(picture, before, (40, 60)), picture + 0.1, atol=1e-5)


def test_a_zoom_keeps_the_center_and_moves_the_rest_outwards() -> None:
    ramp = torch.linspace(0, 1, 41).expand(1, 3, 31, 41).contiguous()
    seen = zoomed(ramp, 2.0)
    assert seen.shape == ramp.shape
    assert torch.allclose(seen[..., 20], ramp[..., 20], atol=1e-5)
    assert float(seen[0, 0, 15, 10]) == pytest.approx(float(ramp[0, 0, 15, 15]), abs=1e-3)
    assert torch.allclose(zoomed(ramp, 1.0), ramp, atol=1e-5)


def test_tones_are_brought_back() -> None:
    like, x = 0.4 + 0.2 * noise(1, 3, 24, 32), 0.1 + 0.8 * noise(1, 3, 24, 32, seed=1)
    found = toned(x, like)
    assert torch.allclose(found.mean((2, 3)), like.mean((2, 3)), atol=1e-3)
    assert torch.allclose(found.std((2, 3)), like.std((2, 3)), atol=1e-3)
    assert bool(toned(torch.full_like(x, 0.5), like).isfinite().all())
