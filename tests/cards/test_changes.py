"""Each change keeps what it says and destroys what it says; a patch is enough, and what is cut of it was not needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from phosphene.cards.changes import (
    CHANGES,
    Scene,
    blurred,
    gray,
    high_passed,
    luminance,
    mirrored,
    shuffled,
    turned,
    turned_hue,
)
from phosphene.cards.patch import alone, cuts, mask, without

COLOR = torch.tensor([0.5, 0.4, 0.3])[:, None, None]
SCENE = Scene((10, 12, 34, 36), COLOR, 0, "a.png")


@pytest.fixture
def picture() -> Tensor:
    return torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1)) * 0.4 + 0.3


def test_gray_keeps_luminance_and_nothing_of_color(picture: Tensor) -> None:
    made = gray(picture, SCENE)
    assert torch.equal(made[0], made[2])
    torch.testing.assert_close(luminance(made), luminance(picture))


def test_turned_hue_keeps_luminance_and_twice_is_as_it_was(picture: Tensor) -> None:
    made = turned_hue(picture, SCENE)
    torch.testing.assert_close(luminance(made), luminance(picture))
    torch.testing.assert_close(turned_hue(made, SCENE), picture)
    red = torch.tensor([0.6, 0.3, 0.3])[:, None, None].expand(3, 4, 4)
    assert turned_hue(red, SCENE)[0, 0, 0] < turned_hue(red, SCENE)[1, 0, 0]


def test_blurred_and_high_passed_add_up(picture: Tensor) -> None:
    torch.testing.assert_close(high_passed(picture, SCENE) - COLOR + blurred(picture, SCENE), picture)
    assert blurred(picture, SCENE).std() < 0.3 * picture.std()
    flat = torch.full((3, 64, 64), 0.7)
    torch.testing.assert_close(blurred(flat, SCENE), flat)


def test_shuffled_keeps_every_pixel_of_a_square_and_the_inside_of_pieces(picture: Tensor) -> None:
    made = shuffled(picture, SCENE)
    square = made[:, 10:34, 12:36], picture[:, 10:34, 12:36]
    assert not torch.equal(*square)
    assert torch.equal(*(part.flatten(1).sort(1).values for part in square))
    pieces = {
        tuple(p.flatten().tolist()) for p in picture[:, 10:34, 12:36].unfold(1, 8, 8).unfold(2, 8, 8)[0].flatten(0, 1)
    }
    assert tuple(made[0, 10:18, 12:20].flatten().tolist()) in pieces
    assert torch.equal(shuffled(picture, SCENE), made)


def test_a_patch_alone_and_the_rest_add_up(picture: Tensor) -> None:
    box = SCENE.patch
    torch.testing.assert_close(alone(picture, box, COLOR) + without(picture, box, COLOR), picture + COLOR)
    assert torch.equal(alone(picture, box, COLOR)[:, 10:34, 12:36], picture[:, 10:34, 12:36])
    assert torch.equal(without(picture, box, COLOR)[:, :4], picture[:, :4])


def test_a_mask_is_soft_outside_its_box_only() -> None:
    made = mask(torch.zeros(1, 64, 64), (10, 12, 34, 36))[0]
    assert bool((made[10:34, 12:36] == 1).all())
    assert 0 < float(made[9, 20]) < 1
    assert float(made[5, 20]) == 0


def test_four_turns_and_two_mirrors_are_none(picture: Tensor) -> None:
    scene = replace(SCENE, patch=(0, 0, picture.shape[1], picture.shape[2]))
    made = picture
    for _ in range(4):
        made = turned(made, scene)
    assert torch.equal(made, picture)
    assert torch.equal(mirrored(mirrored(picture, scene), scene), picture)
    wide = picture[:, :32]
    assert turned(wide, SCENE).shape == wide.shape


def test_no_change_leaves_the_picture_as_it_is(picture: Tensor) -> None:
    for change in CHANGES:
        made = change.make(picture, SCENE)
        assert made.shape == picture.shape
        assert not torch.equal(made, picture), change.name
        assert 0 <= float(made.min()) <= float(made.max()) <= 1
    assert [change.name for change in CHANGES if not change.serves(1)] == ["gray", "hue turned"]


def test_cuts_never_make_a_patch_too_thin() -> None:
    assert cuts((0, 0, 10, 5), 0.4) == [(4, 0, 10, 5), (0, 0, 6, 5)]
    assert cuts((0, 0, 4, 4), 0.4) == []
