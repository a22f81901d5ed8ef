"""Regions: read by area, shared where they overlap, and refused in words where nothing could be meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.media import write_picture
from phosphene.style.masks import feathered, left_alone, read_color_masks, read_mask, resize_by_area, share

RED, BLUE = (255, 0, 0), (0, 0, 255)


def half(height: int = 40, width: int = 60, *, soft: int = 0) -> Tensor:
    """White on the left, black on the right; `soft` pixels of ramp between."""
    across = torch.arange(width).float() + 0.5
    ramp = ((width / 2 - across) / soft + 0.5).clamp(0, 1) if soft else (across < width / 2).float()
    return ramp.expand(1, height, width)


def written(path: Path, x: Tensor, *, bits: int = 8) -> Path:
    write_picture(path, x, bits=bits)
    return path


def refused(path: Path, size: tuple[int, int] = (40, 60), colors: dict[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        read_color_masks(path, colors, size) if colors is not None else read_mask(path, size)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- by area ---------------------------------------------------------------------------------------------------------


def area_reference(x: np.ndarray, length: int) -> np.ndarray:
    """The last axis by a dense matrix of overlaps."""
    before = x.shape[-1]
    step = before / length
    overlap = np.array(
        [[max(0, min((i + 1) * step, j + 1) - max(i * step, j)) for j in range(before)] for i in range(length)]
    )
    return x @ (overlap / step).T


@pytest.mark.parametrize("size", [(3, 4), (7, 11), (10, 14), (20, 28), (23, 9), (1, 1)])
def test_resizing_takes_the_mean_of_each_area(size: tuple[int, int]) -> None:
    x = torch.rand(1, 10, 14, generator=torch.Generator().manual_seed(0))
    expected = area_reference(area_reference(x.numpy(), size[1]).swapaxes(1, 2), size[0]).swapaxes(1, 2)
    found = resize_by_area(x, size)
    assert found.shape == (1, *size)
    assert found.numpy() == pytest.approx(expected, abs=1e-6)
    assert found.mean().item() == pytest.approx(x.mean().item(), abs=1e-6)


# --- one picture a region --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 60), (20, 30), (80, 120), (27, 40)])
def test_white_is_inside_at_any_size(size: tuple[int, int], tmp_path: Path) -> None:
    mask = read_mask(written(tmp_path / "m.png", half()), size)
    assert mask.shape == (1, *size)
    assert mask.mean().item() == pytest.approx(0.5, abs=1e-6)
    assert (mask[..., : size[1] // 2 - 1] == 1).all()
    assert (mask[..., size[1] // 2 + 1 :] == 0).all()


def test_a_soft_edge_stays_soft(tmp_path: Path) -> None:
    mask = read_mask(written(tmp_path / "m.png", half(soft=20), bits=16), (20, 30))
    assert mask[0, 0].tolist() == pytest.approx(half(20, 30, soft=10)[0, 0].tolist(), abs=1e-4)
    assert ((mask > 0.1) & (mask < 0.9)).float().mean() > 0.2


def test_transparency_is_outside_and_colors_count_by_their_light(tmp_path: Path) -> None:
    white = torch.ones(4, 40, 60)
    white[3] = half()[0]
    assert torch.equal(read_mask(written(tmp_path / "m.png", white), (40, 60)), half())
    green = torch.zeros(3, 40, 60)
    green[1] = 1
    assert read_mask(written(tmp_path / "m.png", green), (40, 60)).mean().item() == pytest.approx(0.587, abs=1e-4)


def test_a_mask_that_cannot_be_meant_is_refused_and_quoted(tmp_path: Path) -> None:
    path = tmp_path / "sky.png"
    assert "no such file" in refused(path)
    path.write_bytes(b"some words")
    assert "not a PNG" in refused(path)
    assert "is a folder" in refused(tmp_path)
    for level in (0.0, 3 / 255):
        assert "black everywhere" in refused(written(path, torch.full((1, 40, 60), level)))
    path.unlink()
    for message in (refused(path), refused(written(path, torch.zeros(1, 40, 60)))):
        assert str(path) in message


@pytest.mark.parametrize(
    ("mask", "canvas", "fits"),
    [
        ((40, 60), (400, 600), True),
        ((400, 600), (401, 600), True),  # 0.25%
        ((400, 600), (408, 600), False),  # 2%
        ((64, 64), (64, 65), False),
        ((60, 40), (40, 60), False),  # turned
        ((1000, 3000), (43, 128), True),  # a small canvas is rounded: 43 for 42.7
        ((1000, 3000), (45, 128), False),
    ],
)
def test_a_mask_has_the_shape_of_the_picture(
    mask: tuple[int, int], canvas: tuple[int, int], fits: bool, tmp_path: Path
) -> None:
    path = written(tmp_path / "m.png", torch.ones(1, *mask))
    if fits:
        assert read_mask(path, canvas).shape == (1, *canvas)
    else:
        message = refused(path, canvas)
        assert f"{mask[1]}x{mask[0]}" in message
        assert f"{canvas[1]}x{canvas[0]}" in message
        assert str(path) in message


# --- one picture for all regions -------------------------------------------------------------------------------------


def coded(path: Path, *, quality: int | None = None) -> Path:
    """Red on the left third, blue in the middle, black on the right."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20], pixels[:, 20:40] = RED, BLUE
    Image.fromarray(pixels).save(path, **({"quality": quality} if quality else {}))
    return path


@pytest.mark.parametrize("name", ["m.png", "m.jpg"])
def test_each_color_is_a_region_and_the_others_are_left_alone(name: str, tmp_path: Path) -> None:
    path = coded(tmp_path / name, quality=80 if name.endswith("jpg") else None)
    masks = read_color_masks(path, {"sky": "#ff0000", "sea": "blue"}, (40, 60))
    assert list(masks) == ["sky", "sea"]
    expected = torch.zeros(3, 40, 60)
    expected[0, :, :20], expected[1, :, 20:40], expected[2, :, 40:] = 1, 1, 1
    found = torch.cat([*masks.values(), left_alone(share(masks))])
    assert (found - expected).abs().mean() < 0.05  # JPEG smears the colors of two columns or so
    assert torch.equal(found.sum(0), torch.ones(40, 60))
    if name.endswith("png"):
        assert torch.equal(found, expected)


def test_a_color_that_is_not_declared_is_no_region_of_another(tmp_path: Path) -> None:
    masks = read_color_masks(coded(tmp_path / "m.png"), {"sky": "red"}, (40, 60))
    assert masks["sky"].mean().item() == pytest.approx(1 / 3)  # blue is nearer to red than to white, and still not red


def test_an_edge_between_two_regions_leaves_no_gap(tmp_path: Path) -> None:
    big = np.zeros((400, 600, 3), np.uint8)
    big[:, :300], big[:, 300:] = RED, BLUE
    Image.fromarray(big).resize((150, 100), Image.Resampling.LANCZOS).save(tmp_path / "m.png")
    masks = read_color_masks(tmp_path / "m.png", {"a": "red", "b": "blue"}, (100, 150))
    assert torch.equal(left_alone(masks), torch.zeros(1, 100, 150))


def test_a_region_that_is_not_there_is_refused_with_the_colors_that_are(tmp_path: Path) -> None:
    path = coded(tmp_path / "m.png")
    message = refused(path, colors={"grass": "#00ff00"})
    assert "grass" in message
    assert str(path) in message
    for color in ("#ff0000 (33%)", "#0000ff (33%)", "#000000 (33%)"):
        assert color in message
    assert "no color" in refused(path, colors={"sky": "reddish"})
    assert "too near" in refused(path, colors={"sky": "#ff0000", "sea": "#f00500"})
    assert "another shape" in refused(path, (60, 60), colors={"sky": "red"})


# --- sharing ---------------------------------------------------------------------------------------------------------


def test_overlapping_regions_share_and_the_rest_is_left_alone() -> None:
    one, other = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    one[..., 0], one[..., 1], other[..., 1], other[..., 2] = 0.25, 1.0, 0.6, 0.0
    shared = share({"a": one, "b": other})
    assert shared["a"][0, 0].tolist() == pytest.approx([0.25, 1 / 1.6, 0])
    assert shared["b"][0, 0].tolist() == pytest.approx([0, 0.6 / 1.6, 0])
    assert left_alone(shared)[0, 0].tolist() == pytest.approx([0.75, 0, 1], abs=1e-6)
    assert share({}) == {}


@pytest.mark.parametrize("feather", [0, 1, 4.5, 200])
def test_soft_weights_sum_to_at_most_one(feather: float) -> None:
    masks = {"a": half(), "b": half().flip(2), "c": half().clone()}
    shared = share(masks, feather=feather)
    total = torch.cat([*shared.values()]).sum(0)
    assert total.max() <= 1 + 1e-6
    assert total.min() >= 1 - 1e-5  # three that cover everything leave nothing
    assert torch.equal(masks["a"], half())  # the given ones are not touched


@pytest.mark.parametrize("pixels", [2, 6, 12])
def test_a_feathered_edge_is_as_wide_as_asked(pixels: int) -> None:
    edge = feathered(half(), pixels)[0, 20]
    middle = 30
    assert edge[middle - 1 : middle + 1].mean().item() == pytest.approx(0.5, abs=1e-4)
    assert edge[middle - pixels - 1].item() > 0.97
    assert edge[middle + pixels].item() < 0.03
    assert edge[middle - pixels // 2 - 1].item() < 0.97
    assert (edge[1:] <= edge[:-1]).all()
    assert feathered(torch.ones(1, 5, 5), pixels).min().item() == pytest.approx(1)  # borders do not fade


@pytest.mark.parametrize("feather", [-1, float("nan"), float("inf")])
def test_a_feather_that_is_no_width_is_refused(feather: float) -> None:
    with pytest.raises(UsageError, match="feather"):
        share({"a": half()}, feather=feather)
