"""The warp against an explicit sampler in NumPy, and what a draw may depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.recipe import TransformConfig
from phosphene.seeds import Generators
from phosphene.transforms import PRESETS, Params, Ranges, Warp, build, ranges
from phosphene.transforms.image import CROP_CENTER_DEVIATION, RELAXED_AT, sampling_grid

UNITS = ["a:0", "a:1", "b:7"]
STILL = Ranges(jitter=0, scale=0, rotate=0, relax=1.0)


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def reflected(place: float, side: int) -> float:
    """A coordinate in pixels, mirrored at the outer edges of the first and the last pixel."""
    period = 2 * side
    place = (place + 0.5) % period
    return min(max((period - place if place > side else place) - 0.5, 0.0), side - 1.0)


def value_at(channel: np.ndarray, y: float, x: float, fill: str) -> float:
    """Bilinear value of (h, w); outside lies the mirrored picture, or gray."""
    height, width = channel.shape
    if fill == "reflect":
        y, x = reflected(y, height), reflected(x, width)
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            inside = 0 <= row < height and 0 <= column < width
            if inside or fill == "gray":
                value = channel[row, column] if inside else 0.5
                total += value * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def warp_reference(picture: np.ndarray, matrix: np.ndarray, view: tuple[int, int], fill: str) -> np.ndarray:
    """view(u) = x(A u + t), u in pixels from the view's center, stretched over the picture first."""
    channels, height, width = picture.shape
    out = np.zeros((channels, *view))
    for i in range(view[0]):
        for j in range(view[1]):
            u = np.array([(j - (view[1] - 1) / 2) * width / view[1], (i - (view[0] - 1) / 2) * height / view[0], 1.0])
            x, y = matrix @ u
            for c in range(channels):
                out[c, i, j] = value_at(picture[c], y + (height - 1) / 2, x + (width - 1) / 2, fill)
    return out


@pytest.mark.parametrize("fill", ["reflect", "gray"])
@pytest.mark.parametrize(
    ("picture", "view"), [((12, 12), (12, 12)), ((11, 13), (11, 13)), ((9, 14), (7, 8)), ((6, 6), (11, 5))]
)
def test_the_warp_samples_as_the_reference_does(picture: tuple[int, int], view: tuple[int, int], fill: str) -> None:
    warp = Warp(Ranges(jitter=20, scale=0.4, rotate=60), view, steps=10, fill=fill)
    params = warp.draw(Generators(1, UNITS), 0)
    x = pictures(3, 2, *picture)
    seen, rows = warp(x, params)
    assert rows.tolist() == [0, 1, 2]
    for row in range(3):
        expected = warp_reference(x[row].numpy(), params.matrix[row].numpy(), view, fill)
        np.testing.assert_allclose(seen[row].numpy(), expected, atol=2e-4)


@pytest.mark.parametrize("fill", ["reflect", "gray"])
@pytest.mark.parametrize("view", [(9, 14), (7, 8)])
def test_the_gradient_of_the_warp_is_that_of_the_sampler(view: tuple[int, int], fill: str) -> None:
    warp = Warp(Ranges(jitter=20, scale=0.4, rotate=60), view, steps=10, fill=fill)
    params = warp.draw(Generators(1, UNITS), 0)
    ours, theirs = (pictures(3, 2, 9, 14).requires_grad_() for _ in range(2))
    grid = sampling_grid(params.matrix, view, (9, 14))
    padding = {"reflect": "reflection", "gray": "zeros"}[fill]
    weight = pictures(3, 2, *view, seed=1)
    (warp(ours, params)[0] * weight).sum().backward()
    (F.grid_sample(theirs, grid, padding_mode=padding, align_corners=False) * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert params.matrix.grad is None


def moved(x: Tensor, matrix: list[list[float]], fill: str = "reflect") -> Tensor:
    warp = Warp(PRESETS["standard"], (x.shape[2], x.shape[3]), steps=10, fill=fill)
    return warp(x, Params(torch.tensor([matrix]), None, None))[0]


def test_a_whole_pixel_shift_is_exact_and_mirrors_the_edge() -> None:
    x = pictures(1, 3, 6, 8)
    seen = moved(x, [[1, 0, 2], [0, 1, -1]])  # looks two columns to the right and one row up
    torch.testing.assert_close(seen[..., 1:, :-2], x[..., :-1, 2:], atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[..., 1:, -2:], x[..., :-1, [7, 6]], atol=1e-5, rtol=0)
    gray = moved(x, [[1, 0, 3], [0, 1, 0]], fill="gray")
    torch.testing.assert_close(gray[..., -3:], torch.full((1, 3, 6, 3), 0.5), atol=1e-5, rtol=0)


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    x = pictures(1, 1, 7, 7)
    turned = moved(x, [[0, -1, 0], [1, 0, 0]])
    torch.testing.assert_close(turned, x.rot90(1, (2, 3)), atol=1e-5, rtol=0)


def test_a_drawn_matrix_turns_and_scales_within_its_ranges() -> None:
    warp = Warp(Ranges(jitter=6, scale=0.1, rotate=10, relax=1.0), (32, 32), steps=10)
    matrices = torch.cat([warp.draw(Generators(0, UNITS), step).matrix for step in range(200)])
    angles = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    zooms = torch.linalg.det(matrices[:, :, :2].double()).sqrt()
    shifts = matrices[:, :, 2]
    assert 9.5 < float(angles.abs().max()) <= 10.001
    assert 5.7 < float(shifts.abs().max()) <= 6
    assert 1 / 1.1 - 1e-5 <= float(zooms.min()) < 0.92
    assert 1.09 < float(zooms.max()) <= 1 / 0.9 + 1e-5
    assert abs(float(angles.mean())) < 1
    assert float(shifts.mean(0).abs().max()) < 0.5
    torch.testing.assert_close(matrices[:, 0, 0], matrices[:, 1, 1])
    torch.testing.assert_close(matrices[:, 0, 1], -matrices[:, 1, 0])


def drawn_tensors(params: Params) -> list[Tensor]:
    return [params.matrix, params.noise, params.backgrounds]


@pytest.mark.parametrize("crops", [1, 3])
def test_what_a_row_draws_depends_on_its_unit_and_the_step_only(crops: int) -> None:
    warp = Warp(Ranges(6, 0.1, 10, noise=0.2, crops=crops), (9, 7), steps=10, alpha=True)
    alone, mates = Generators(5, ["b:7"]), Generators(5, [*UNITS, "c:1"])
    later_first = Generators(5, ["b:7"])
    for step in (9, 3, 0):
        expected = drawn_tensors(warp.draw(alone, step))
        batched = drawn_tensors(warp.draw(mates, step))
        for one, many in zip(expected, batched, strict=True):
            views = len(one)
            assert torch.equal(many[2 * views : 3 * views], one)
    for step in (0, 3, 9):
        for one, again in zip(
            drawn_tensors(warp.draw(alone, step)), drawn_tensors(warp.draw(later_first, step)), strict=True
        ):
            assert torch.equal(one, again)


def test_two_units_and_two_steps_draw_different_transforms() -> None:
    warp = Warp(PRESETS["standard"], (8, 8), steps=10)
    generators = Generators(0, UNITS)
    first, second = warp.draw(generators, 0).matrix, warp.draw(generators, 1).matrix
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, second)


def test_a_gradient_at_one_view_reaches_its_own_row_only() -> None:
    warp = Warp(Ranges(6, 0.1, 10, noise=0.1, crops=2), (8, 8), steps=10)
    x = pictures(3, 3, 8, 8).requires_grad_()
    views, rows = warp(x, warp.draw(Generators(0, UNITS), 0))
    assert views.shape == (6, 3, 8, 8)
    assert rows.tolist() == [0, 0, 1, 1, 2, 2]
    views[2:4].square().sum().backward()
    touched = x.grad.flatten(1).abs().sum(1) > 0
    assert touched.tolist() == [False, True, False]


def test_without_transforms_the_view_is_the_picture() -> None:
    warp = build(TransformConfig(transforms="none"), size=(6, 8), steps=10)
    x = pictures(3, 3, 6, 8)
    params = warp.draw(Generators(0, UNITS), 0)
    assert drawn_tensors(params) == [None, None, None]
    assert torch.equal(warp(x, params)[0], x)


def test_without_transforms_a_picture_of_another_size_is_resized() -> None:
    warp = Warp(STILL, (6, 8), steps=10)
    seen, _ = warp(torch.full((1, 3, 12, 20), 0.25), warp.draw(Generators(0, ["a"]), 0))
    assert seen.shape == (1, 3, 6, 8)
    torch.testing.assert_close(seen, torch.full_like(seen, 0.25))


def test_strength_falls_to_the_relaxed_share_at_five_sixths_of_the_run() -> None:
    warp = Warp(Ranges(6, 0.1, 10, relax=0.1), (8, 8), steps=60)
    assert warp.strength(0) == 1
    assert warp.strength(round(RELAXED_AT * 60 / 2)) == pytest.approx(0.55)
    assert [warp.strength(step) for step in (50, 55, 59)] == pytest.approx([0.1] * 3)
    assert Warp(Ranges(6, 0.1, 10, relax=1.0), (8, 8), steps=60).strength(59) == 1
    early, late = (warp.draw(Generators(0, UNITS), step).matrix for step in (0, 59))
    assert float(late[:, :, 2].abs().max()) < 0.6 < float(early[:, :, 2].abs().max())


def test_noise_has_the_asked_deviation_and_is_drawn_per_view() -> None:
    ranges_ = Ranges(jitter=0, scale=0, rotate=0, noise=0.2, crops=1, relax=1.0)
    warp = Warp(ranges_, (64, 64), steps=10)
    x = torch.full((3, 3, 64, 64), 0.5)
    seen, _ = warp(x, warp.draw(Generators(0, UNITS), 0))
    assert float((seen - x).std()) == pytest.approx(0.2, rel=0.02)
    assert not torch.equal(seen[0], seen[1])


def test_crops_look_at_parts_inside_the_picture() -> None:
    size, share = (40, 60), 0.5
    crops = Ranges(jitter=0, scale=0, rotate=0, crops=4, crop_size=share, relax=1.0)
    warp = Warp(crops, size, steps=10)
    matrices = torch.cat([warp.draw(Generators(0, UNITS), step).matrix for step in range(50)])
    zooms = matrices[:, 0, 0]
    assert share <= float(zooms.min()) < 0.55
    assert 0.95 < float(zooms.max()) <= 1
    room = (1 - zooms[:, None]) / 2 * torch.tensor([60.0, 40.0])
    assert bool((matrices[:, :, 2].abs() <= room + 1e-4).all())
    free = matrices[zooms < 0.55][:, 0, 2] / 60  # far from the clamp: the centers have their full spread
    assert float(free.std()) == pytest.approx(CROP_CENTER_DEVIATION, rel=0.15)


def test_alpha_shows_the_picture_where_opaque_and_the_background_where_not() -> None:
    warp = build(TransformConfig(transforms="none"), size=(8, 8), steps=10, alpha=True)
    generators = Generators(0, UNITS)
    params = warp.draw(generators, 0)
    color = pictures(3, 3, 8, 8)
    opaque, clear = (torch.cat([color, torch.full((3, 1, 8, 8), a)], 1) for a in (1.0, 0.0))
    assert torch.equal(warp(opaque, params)[0], color)
    assert torch.equal(warp(clear, params)[0], params.backgrounds)
    assert params.backgrounds.shape == (3, 3, 8, 8)
    assert bool(((params.backgrounds > 0) & (params.backgrounds < 1)).all())
    assert not torch.equal(params.backgrounds, warp.draw(generators, 1).backgrounds)


def test_given_values_replace_those_of_the_preset() -> None:
    assert ranges(TransformConfig()) == PRESETS["standard"]
    changed = ranges(TransformConfig(transforms="strong", jitter=0.0, noise=0.1, crops=2))
    strong = PRESETS["strong"]
    assert changed == Ranges(0.0, strong.scale, strong.rotate, 0.1, 2, strong.crop_size, strong.relax)
    warp = build(TransformConfig(fill="gray"), size=(5, 6), steps=7, channels=1, alpha=True)
    assert warp == Warp(PRESETS["standard"], (5, 6), 7, fill="gray", alpha=True, channels=1)
