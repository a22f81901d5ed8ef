"""Matched colors have the content's mean and covariance; kept chroma has the result's luminance and no other hue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.media import read_pixels
from phosphene.style.colors import FLOOR, keep_luminance, match_histogram

METHODS = ("symmetric", "cholesky")
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
PAIRS = [("the_scream", "petra"), ("starry_night", "chelsea"), ("great_wave", "coffee")]


def numbers(x: Tensor) -> np.ndarray:
    """(n, 3) float64: the colors, pixel by pixel."""
    return x[:3].flatten(1).double().numpy().T


def moments(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return colors.mean(0), np.cov(colors.T, bias=True)


def reference(style: Tensor, content: Tensor, method: str) -> np.ndarray:
    """Gatys et al. 2016, equations 4-8, in NumPy: (n, 3), clipped."""
    (mean, covariance), (wanted_mean, wanted) = moments(numbers(style)), moments(numbers(content))

    def root(matrix: np.ndarray) -> np.ndarray:
        matrix = matrix + FLOOR * np.eye(3)
        if method == "cholesky":
            return np.linalg.cholesky(matrix)
        left, values, right = np.linalg.svd(matrix)
        return left @ np.diag(np.sqrt(values)) @ right

    matched = (numbers(style) - mean) @ (root(wanted) @ np.linalg.inv(root(covariance))).T + wanted_mean
    return matched.clip(0, 1)


def picture(shared: Path, kind: str, name: str) -> Tensor:
    return read_pixels(shared / "images" / kind / f"{name}.jpg").pixels


def noise(seed: int, *, channels: int = 3, height: int = 30, width: int = 40) -> Tensor:
    """Correlated colors around the middle, so that nothing is clipped."""
    white = torch.randn(3, height, width, generator=torch.Generator().manual_seed(seed))
    mix = torch.tensor([[1, 0.3, 0.2], [0, 0.6, 0.4], [0.1, 0, 0.5]]) * 0.04
    colors = torch.einsum("ij,jhw->ihw", mix, white) + 0.5
    return torch.cat([colors, torch.rand(channels - 3, height, width)])


# --- match_histogram -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("style", "content"), PAIRS)
def test_real_pictures_match_as_in_numpy(style: str, content: str, method: str, shared: Path) -> None:
    one, other = picture(shared, "style", style), picture(shared, "content", content)
    assert np.abs(numbers(match_histogram(one, other, method=method)) - reference(one, other, method)).max() < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_the_moments_become_the_contents(method: str) -> None:
    style, content = noise(0), noise(1, height=17).flip(0) * 0.8
    mean, covariance = moments(numbers(match_histogram(style, content, method=method)))
    wanted_mean, wanted = moments(numbers(content))
    assert mean == pytest.approx(wanted_mean, abs=1e-5)
    # what the floor on both sides costs, in the direction of the least variance
    assert np.abs(covariance - wanted).max() < 4 * FLOOR
    assert np.abs(moments(numbers(style))[1] - wanted).max() > 50 * FLOOR


@pytest.mark.parametrize("method", METHODS)
def test_equal_colors_stay(method: str, shared: Path) -> None:
    x = picture(shared, "style", "composition_vii")
    assert (match_histogram(x, x.flip(2), method=method) - x).abs().max() < 1e-4


def test_symmetric_matching_does_not_depend_on_the_order_of_channels() -> None:
    style, content = noise(0), noise(1).flip(0)
    turned = match_histogram(style.roll(1, 0), content.roll(1, 0)).roll(-1, 0)
    assert torch.allclose(turned, match_histogram(style, content), atol=1e-5)
    cholesky = match_histogram(style.roll(1, 0), content.roll(1, 0), method="cholesky").roll(-1, 0)
    assert not torch.allclose(cholesky, match_histogram(style, content, method="cholesky"), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_gray_and_flat_pictures_are_stable(method: str, shared: Path) -> None:
    color = picture(shared, "content", "coffee")
    gray = picture(shared, "style", "great_wave").mean(0, keepdim=True).expand(3, -1, -1)
    flat = torch.full((3, 8, 8), 0.3)
    toned = match_histogram(gray, color, method=method)
    # gray levels become the content's mean and its own main direction of color: still one number a pixel
    assert toned.flatten(1).mean(1).tolist() == pytest.approx(
        color.flatten(1).mean(1).tolist(), abs=0.03
    )  # some of it is clipped
    inside = numbers(toned)[((toned > 0) & (toned < 1)).all(0).flatten().numpy()]
    assert np.linalg.svd(inside - inside.mean(0), compute_uv=False)[1] < 1e-3 * len(inside) ** 0.5
    # and colors become gray, up to the floor
    grayed = match_histogram(color, gray, method=method)
    assert (grayed - grayed.mean(0)).std() < 1 / 255
    assert (match_histogram(flat, color, method=method).std((1, 2)) < 1e-5).all()
    assert match_histogram(color, flat, method=method).std() < 1 / 255


def test_noise_of_rounding_in_a_gray_picture_stays_small(shared: Path) -> None:
    gray = picture(shared, "style", "great_wave").mean(0, keepdim=True).expand(3, -1, -1)
    rounded = gray + (torch.rand(gray.shape, generator=torch.Generator().manual_seed(0)) - 0.5) / 255
    content = picture(shared, "content", "coffee")
    assert (match_histogram(rounded, content) - match_histogram(gray, content)).std() < 10 / 255


def test_alpha_is_kept_in_the_style_and_ignored_in_the_content() -> None:
    style, content = noise(0, channels=4), noise(1, channels=4)
    matched = match_histogram(style, content)
    assert torch.equal(matched[3], style[3])
    assert torch.equal(matched[:3], match_histogram(style[:3], content[:3]))


def test_what_cannot_be_matched_is_refused() -> None:
    with pytest.raises(UsageError, match="'pca'"):
        match_histogram(noise(0), noise(1), method="pca")
    for wrong in (torch.zeros(1, 4, 4), torch.zeros(4, 4), torch.zeros(1, 3, 4, 4)):
        with pytest.raises(UsageError, match="shape"):
            match_histogram(wrong, noise(1))


# --- keep_luminance --------------------------------------------------------------------------------------------------


def both(shared: Path) -> tuple[Tensor, Tensor]:
    content = picture(shared, "content", "coffee")
    style = picture(shared, "style", "composition_vii")
    return style[:, : content.shape[1], : content.shape[2]], content[:, : style.shape[1], : style.shape[2]]


def test_luminance_is_the_results_and_chroma_the_contents(shared: Path) -> None:
    result, content = both(shared)
    kept = numbers(keep_luminance(result, content)) @ YIQ.T
    wanted = np.concatenate([(numbers(result) @ YIQ.T)[:, :1], (numbers(content) @ YIQ.T)[:, 1:]], 1)
    assert np.abs(kept[:, 0] - wanted[:, 0]).max() < 1e-5
    free = ((wanted @ np.linalg.inv(YIQ).T > 0) & (wanted @ np.linalg.inv(YIQ).T < 1)).all(1)  # such a color exists
    assert 0.3 < free.mean() < 0.99
    assert np.abs(kept[free] - wanted[free]).max() < 1e-5


def test_a_color_that_does_not_exist_loses_saturation_and_no_hue(shared: Path) -> None:
    result, content = both(shared)
    kept = keep_luminance(result, content)
    assert kept.min() >= 0
    assert kept.max() <= 1
    before, after = ((numbers(x) @ YIQ.T)[:, 1:] for x in (content, kept))
    strength, left = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
    assert (left <= strength + 1e-5).all()
    assert np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]).max() < 1e-5  # parallel
    assert ((before * after).sum(1) > -1e-6).all()  # and not opposite


def test_a_shrunk_color_is_as_saturated_as_it_can_be() -> None:
    result, content = torch.full((3, 1, 1), 0.9), torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1)
    kept = keep_luminance(result, content)
    assert kept[2].item() == pytest.approx(1)  # blue reached its end
    assert float((kept.flatten() * torch.tensor(YIQ[0]).float()).sum()) == pytest.approx(0.9)


def test_the_content_with_itself_is_the_content(shared: Path) -> None:
    x = picture(shared, "content", "chelsea")
    assert (keep_luminance(x, x) - x).abs().max() < 1e-6
    assert torch.equal(keep_luminance(torch.zeros(3, 2, 2), torch.rand(3, 2, 2)), torch.zeros(3, 2, 2))
    gray = torch.full((3, 2, 2), 0.5)
    assert torch.allclose(keep_luminance(gray, torch.zeros(3, 2, 2)), gray)


def test_sizes_must_agree_and_alpha_is_the_results() -> None:
    with pytest.raises(UsageError, match="40x30 and 40x31"):
        keep_luminance(noise(0), noise(1, height=31))
    result, content = noise(0, channels=4), noise(1, channels=4)
    kept = keep_luminance(result, content)
    assert torch.equal(kept[3], result[3])
    assert torch.equal(kept[:3], keep_luminance(result[:3], content[:3]))
