"""Statistics against NumPy, and their own laws: tiles add up, what is alike costs nothing, gradients are finite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.objectives import INPUT, MASK, Content, Gram, Moments, SlicedWasserstein, Statistic, on_grid
from phosphene.objectives.statistics import OwnProduct
from phosphene.objectives.wasserstein import VARIANCE_FLOOR

GRAMS = [Gram("a", norm=norm) for norm in ("paper", "mean", "sum", "relative")]
STYLES: list[Statistic] = [
    *GRAMS,
    Moments("a"),
    Moments("a", norm="relative"),
    SlicedWasserstein("a"),
    SlicedWasserstein("a", directions=3),
]
CONTENTS: list[Statistic] = [Content("a", form=form) for form in ("mean", "sum", "relative")]
every_style = pytest.mark.parametrize("leaf", STYLES, ids=str)
every_leaf = pytest.mark.parametrize("leaf", CONTENTS + STYLES, ids=str)
ROWS = torch.arange(2)
TILES = (slice(0, 4), slice(4, 11))  # of 9 rows or 11 columns


def features(*shape: int, seed: int = 0) -> Tensor:
    """Activations behind a rectifier whose channels depend on each other."""
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (drawn + drawn.roll(1, 1) + 0.3).relu()


def mask_of(*shape: int, seed: int = 3) -> Tensor:
    """A soft mask that is quite black in places."""
    return (1.6 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 0.3).clamp(0, 1)


# --- the same in NumPy, from the definitions and in float64: f is (channels, positions), w (positions,) ---


def grid(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mean of the mask's pixels that each cell of the grid touches."""
    cells = np.empty(size)
    for i in range(size[0]):
        for j in range(size[1]):
            spans = [
                slice(k * side // cells_here, -(-(k + 1) * side // cells_here))
                for k, side, cells_here in zip((i, j), mask.shape, size, strict=True)
            ]
            cells[i, j] = mask[tuple(spans)].mean()
    return cells


def gram_loss(norm: str) -> Callable[..., float]:
    def loss(f: np.ndarray, w: np.ndarray, g: np.ndarray, v: np.ndarray, leaf: Statistic) -> float:
        ours, theirs = (
            sum(weight * np.outer(column, column) for column, weight in zip(x.T, m, strict=True)) / m.sum()
            for x, m in ((f, w), (g, v))
        )
        c, difference = len(f), ((ours - theirs) ** 2).sum()
        return difference / {"paper": 4 * c**2, "mean": c**4, "sum": c**2, "relative": (theirs**2).sum()}[norm]

    return loss


def moments_loss(f: np.ndarray, w: np.ndarray, g: np.ndarray, v: np.ndarray, leaf: Statistic) -> float:
    """tr (A^1/2 S A^1/2)^1/2 as the sum of the roots of the eigenvalues of S A, which has the same ones."""
    floor = VARIANCE_FLOOR * np.average(g**2, axis=1, weights=v).mean() * np.eye(len(g))
    covariances = [np.cov(x, aweights=m, bias=True).reshape(len(x), len(x)) + floor for x, m in ((f, w), (g, v))]
    means = [np.average(x, axis=1, weights=m) for x, m in ((f, w), (g, v))]
    overlap = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0)).sum()
    spread = np.trace(covariances[0] + covariances[1]) - 2 * overlap
    size = np.average(g**2, axis=1, weights=v).mean() if getattr(leaf, "norm", "channel") == "relative" else 1.0
    return (((means[0] - means[1]) ** 2).sum() + spread) / len(f) / size


def sliced_loss(f: np.ndarray, w: np.ndarray, g: np.ndarray, v: np.ndarray, leaf: Statistic) -> float:
    def quantiles(x: np.ndarray, m: np.ndarray, levels: np.ndarray) -> np.ndarray:
        order = np.argsort(x[m > 0], kind="stable")
        values, weights = x[m > 0][order], m[m > 0][order]
        return np.interp(levels, (np.cumsum(weights) - weights / 2) / weights.sum(), values)

    assert leaf.target is not None
    directions = leaf.target[0].double().numpy()
    even = (np.arange((v > 0).sum()) + 0.5) / (v > 0).sum()
    total = 0.0
    for direction in directions:
        ours, theirs = direction @ f, quantiles(direction @ g, v, even)
        order = np.argsort(ours, kind="stable")
        weights = w[order]
        levels = (np.cumsum(weights) - weights / 2) / weights.sum()
        total += (weights * (ours[order] - np.interp(levels, even, theirs)) ** 2).sum() / weights.sum()
    return total / len(directions)


def style_loss(leaf: Statistic, *pictures: np.ndarray) -> float:
    if isinstance(leaf, Gram):
        return gram_loss(leaf.norm)(*pictures, leaf)
    return (moments_loss if isinstance(leaf, Moments) else sliced_loss)(*pictures, leaf)


@every_style
@pytest.mark.parametrize("masked", [(False, False), (True, False), (False, True), (True, True)], ids=str)
@pytest.mark.parametrize("channels", [1, 6, 40])
def test_a_style_loss_is_what_numpy_says(leaf: Statistic, masked: tuple[bool, bool], channels: int) -> None:
    """40 channels have more dimensions than the 5 x 7 and 4 x 8 positions: the covariances are not of full rank."""
    ours, theirs = features(2, channels, 5, 7), features(1, channels, 4, 8, seed=1) + 0.1
    mask, theirs_mask = mask_of(2, 1, 23, 30), mask_of(1, 1, 16, 40, seed=4)
    aimed = replace(leaf, mask="sky" if masked[0] else "").aimed(theirs, theirs_mask if masked[1] else None)
    scores = aimed({"a": ours, MASK + "sky": mask}, ROWS)
    assert scores.dtype == torch.float32
    weights = grid(theirs_mask[0, 0].double().numpy(), (4, 8)) if masked[1] else np.ones((4, 8))
    reference = theirs[0].double().flatten(1).numpy(), weights.ravel()
    for row in (0, 1):
        weight = grid(mask[row, 0].double().numpy(), (5, 7)) if masked[0] else np.ones((5, 7))
        picture = ours[row].double().flatten(1).numpy(), weight.ravel()
        np.testing.assert_allclose(-float(scores[row]), style_loss(aimed, *picture, *reference), rtol=1e-5)


@pytest.mark.parametrize("form", ["mean", "sum", "relative"])
@pytest.mark.parametrize("mask", ["", "sky"])
def test_a_content_loss_is_what_numpy_says(form: str, mask: str) -> None:
    ours, theirs, sky = features(2, 6, 5, 7), features(1, 6, 5, 7, seed=1), mask_of(1, 1, 23, 30)
    leaf = Content("a", mask=mask, form=form).aimed(theirs)
    squares = (ours - theirs).double().numpy() ** 2
    weight = grid(sky[0, 0].double().numpy(), (5, 7)) if mask else np.ones((5, 7))
    total = (squares * weight).sum((1, 2, 3))
    mean = total / weight.sum() / 6
    expected = {"sum": total / 2, "mean": mean, "relative": mean / (theirs.double().numpy() ** 2).mean()}[form]
    scores = leaf({"a": ours, MASK + "sky": sky}, ROWS)
    np.testing.assert_allclose(-scores.numpy(), expected, rtol=1e-5)


# --- truths that need no reference ---


def test_the_norm_of_the_paper_is_that_of_its_equation_where_positions_are_equally_many() -> None:
    f, a = features(1, 6, 5, 7), features(1, 6, 7, 5, seed=1)
    products = [x.flatten(2)[0] @ x.flatten(2)[0].T for x in (f, a)]
    equation = (products[0] - products[1]).square().sum() / (4 * 6**2 * 35**2)
    torch.testing.assert_close(-Gram("a").aimed(a)({"a": f}, ROWS[:1]), equation[None])


def test_moving_all_features_costs_the_square_of_the_way_per_channel() -> None:
    f, way = features(1, 6, 20, 20), torch.tensor([1.0, 0, 0, -2, 0, 0.5])
    cost = (way.square().sum() / 6)[None]
    torch.testing.assert_close(-Moments("a").aimed(f)({"a": f + way[:, None, None]}, ROWS[:1]), cost)
    many = SlicedWasserstein("a", directions=4000).aimed(f)
    torch.testing.assert_close(-many({"a": f + way[:, None, None]}, ROWS[:1]), cost, rtol=0.05, atol=0)


def test_spreading_centered_features_twice_as_far_costs_their_variance() -> None:
    f = features(1, 6, 20, 20)
    f = f - f.mean((2, 3), keepdim=True)
    variance = f.square().mean()[None]
    torch.testing.assert_close(-Moments("a").aimed(f)({"a": 2 * f}, ROWS[:1]), variance, rtol=1e-4, atol=0)
    torch.testing.assert_close(-Moments("a").aimed(f)({"a": 0 * f}, ROWS[:1]), variance, rtol=2e-2, atol=0)


@every_style
def test_a_style_has_no_place_and_no_size(leaf: Statistic) -> None:
    f = features(1, 6, 5, 8)
    aimed = leaf.aimed(f)
    moved = f.flip(3).transpose(2, 3).reshape(1, 6, 4, 10)
    assert float(-aimed({"a": moved}, ROWS[:1])) == pytest.approx(0, abs=1e-6)
    assert float(-aimed({"a": torch.cat([f, f], 3)}, ROWS[:1])) == pytest.approx(0, abs=2e-3)
    assert float(-aimed({"a": f * 1.5}, ROWS[:1])) > 5e-3


@every_leaf
def test_tiles_add_up_to_the_whole_with_the_same_gradient(leaf: Statistic) -> None:
    whole, weight = features(2, 6, 9, 11).requires_grad_(), on_grid(mask_of(2, 1, 40, 50), (9, 11))
    aimed = leaf.aimed(features(1, 6, 9, 11, seed=1))
    assert leaf.additive == (not isinstance(leaf, SlicedWasserstein))
    if not leaf.additive:
        return
    tiles = [(slice(None), slice(None), rows, columns) for rows in TILES for columns in TILES]
    assert aimed.target is not None
    parts = [
        aimed.sums(whole[tile], weight[tile], aimed.target[0][tile] if isinstance(leaf, Content) else None)
        for tile in tiles
    ]
    tiled = aimed.loss(tuple(sum(tensors, torch.zeros(())) for tensors in zip(*parts, strict=True)))
    straight = aimed.loss(aimed.sums(whole, weight))
    torch.testing.assert_close(tiled, straight, rtol=1e-5, atol=0)
    of_tiles, of_whole = (torch.autograd.grad(losses.sum(), [whole])[0] for losses in (tiled, straight))
    torch.testing.assert_close(of_tiles, of_whole, rtol=1e-4, atol=1e-7)


@every_leaf
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("channels", [3, 9])
def test_the_gradient_is_that_of_finite_differences(leaf: Statistic, weighed: bool, channels: int) -> None:
    """With 9 channels at 6 positions, the covariances are not of full rank."""
    aimed = leaf.aimed(features(1, channels, 2, 3, seed=1).double() + 0.2)
    values = (features(2, channels, 2, 3) + features(2, channels, 2, 3, seed=5)).double().requires_grad_()
    weight = mask_of(2, 1, 2, 3).double() + 0.1 if weighed else None
    assert torch.autograd.gradcheck(
        lambda x: aimed.loss(aimed.sums(x, weight)), [values], eps=1e-5, atol=1e-5, rtol=1e-4
    )


@every_leaf
@pytest.mark.parametrize("channels", [6, 80])
def test_what_is_alike_costs_nothing_and_pulls_nowhere(leaf: Statistic, channels: int) -> None:
    f = features(1, channels, 5, 7)
    x = f.clone().requires_grad_()
    loss = leaf.aimed(f).loss(leaf.aimed(f).sums(x))
    loss.sum().backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert x.grad is not None
    assert float(x.grad.abs().max()) < 1e-5


@every_leaf
@pytest.mark.parametrize(
    ("ours", "theirs"), [(1.0, None), (100.0, None), (0.0, None), (None, 1.0), (None, 0.0), (0.0, 0.0), (2.0, 2.0)]
)
def test_constant_pictures_have_finite_losses_and_gradients(
    leaf: Statistic, ours: float | None, theirs: float | None
) -> None:
    picture, reference = features(1, 40, 5, 7), features(1, 40, 5, 7, seed=1)
    x = (picture if ours is None else torch.full_like(picture, ours)).requires_grad_()
    relative = (Content("a", form="relative"), Gram("a", norm="relative"), Moments("a", norm="relative"))
    if leaf in relative and theirs == 0:
        return  # refused, see below
    aimed = leaf.aimed(reference if theirs is None else torch.full_like(reference, theirs))
    loss = aimed.loss(aimed.sums(x))
    (gradient,) = torch.autograd.grad(loss.sum(), [x])
    assert bool(loss.isfinite().all())
    assert bool(gradient.isfinite().all())
    flat = ours == theirs or (ours == 0 and isinstance(leaf, Gram))  # f f^T is flat around f = 0
    assert (float(gradient.abs().max()) > 0) != flat


@every_leaf
def test_a_region_that_is_nowhere_pulls_at_nothing(leaf: Statistic) -> None:
    aimed = replace(leaf, mask="sky").aimed(features(1, 6, 5, 7, seed=1))
    x = features(2, 6, 5, 7).requires_grad_()
    scores = aimed({"a": x, MASK + "sky": torch.zeros(1, 1, 20, 28)}, ROWS)
    (gradient,) = torch.autograd.grad(scores.sum(), [x])
    assert bool(scores.isfinite().all())
    assert float(gradient.abs().max()) == 0


@every_leaf
def test_what_lies_outside_a_region_does_not_matter(leaf: Statistic) -> None:
    aimed = replace(leaf, mask="left").aimed(features(1, 6, 6, 8, seed=1))
    left = torch.zeros(1, 1, 12, 16)
    left[..., :8] = 1
    x = features(2, 6, 6, 8)
    changed = torch.cat([x[..., :4], 9 + features(2, 6, 6, 4, seed=7)], 3)
    first, second = (aimed({"a": values, MASK + "left": left}, ROWS) for values in (x, changed))
    torch.testing.assert_close(first, second)


@every_style
def test_what_lies_outside_the_mask_of_a_reference_does_not_matter(leaf: Statistic) -> None:
    left = torch.zeros(1, 1, 12, 16)
    left[..., :8] = 1
    reference, x = features(1, 6, 6, 8, seed=1), features(2, 6, 6, 8)
    changed = torch.cat([reference[..., :4], 9 + features(1, 6, 6, 4, seed=7)], 3)
    scores = leaf.aimed(reference, left)({"a": x}, ROWS)
    assert torch.equal(leaf.aimed(changed, left)({"a": x}, ROWS), scores)
    torch.testing.assert_close(leaf.aimed(reference[..., :4])({"a": x}, ROWS), scores)


@every_style
def test_a_faint_mask_counts_like_a_strong_one(leaf: Statistic) -> None:
    aimed, x, mask = (
        replace(leaf, mask="sky").aimed(features(1, 6, 6, 8, seed=1)),
        features(2, 6, 6, 8),
        mask_of(1, 1, 6, 8),
    )
    strong, faint = (aimed({"a": x, MASK + "sky": strength * mask}, ROWS) for strength in (1.0, 1e-3))
    torch.testing.assert_close(faint, strong, rtol=1e-4, atol=0)


@every_leaf
def test_the_views_of_a_row_are_averaged_and_share_its_mask(leaf: Statistic) -> None:
    aimed = replace(leaf, mask="sky").aimed(features(1, 6, 5, 7, seed=1))
    views, masks, pictures = features(4, 6, 5, 7), mask_of(2, 1, 20, 28), torch.zeros(2, 3, 20, 28)
    alone = aimed.loss(aimed.sums(views, on_grid(masks, (5, 7)).repeat_interleave(2, 0)))
    acts = {INPUT: pictures, "a": views, MASK + "sky": masks}
    torch.testing.assert_close(aimed(acts, torch.tensor([0, 0, 1, 1])), -alone.view(2, 2).mean(1))


@every_leaf
def test_sixteen_bits_are_measured_in_thirty_two(leaf: Statistic) -> None:
    x, reference = features(2, 6, 5, 7).bfloat16(), features(1, 6, 5, 7, seed=1).bfloat16()
    plain = leaf.aimed(reference.float())({"a": x.float()}, ROWS)
    with torch.autocast("cpu", torch.bfloat16):
        scores = leaf.aimed(reference)({"a": x}, ROWS)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, plain)


@every_style
def test_a_row_that_is_broken_leaves_its_mates_alone(leaf: Statistic) -> None:
    aimed, sound = leaf.aimed(features(1, 6, 5, 7, seed=1)), features(2, 6, 5, 7)
    broken = sound.clone()
    broken[0, 2, 1, 1] = torch.nan
    x = broken.requires_grad_()
    scores = aimed({"a": x}, ROWS)
    (gradient,) = torch.autograd.grad(scores[1], [x])
    assert not bool(scores[0].isfinite())
    torch.testing.assert_close(scores[1], aimed({"a": sound}, ROWS)[1])
    assert bool(gradient[1].isfinite().all())


def test_directions_belong_to_the_layer_and_its_channels() -> None:
    def directions(leaf: Statistic, channels: int = 6) -> Tensor:
        target = leaf.aimed(features(1, channels, 5, 7)).target
        assert target is not None
        return target[0]

    first = directions(SlicedWasserstein("a"))
    assert first.shape == (6, 6)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(6))
    assert torch.equal(first, directions(SlicedWasserstein("a", "content", "sky")))
    assert not torch.allclose(first, directions(SlicedWasserstein("b")))
    assert directions(SlicedWasserstein("a", directions=9), 4).shape == (9, 4)


def test_the_gradient_of_a_gram_matrix_is_that_of_its_definition() -> None:
    flat = torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(5), requires_grad=True)
    assert torch.autograd.gradcheck(OwnProduct.apply, (flat,))
    weight = torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    (one,) = torch.autograd.grad((OwnProduct.apply(flat) * weight).sum(), flat)
    (other,) = torch.autograd.grad((flat @ flat.mT * weight).sum(), flat)
    assert torch.allclose(one, other)
