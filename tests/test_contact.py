"""A contact sheet shows every picture, sharp and whole, in an even grid with text that stays in its column."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont
from torch import Tensor

from phosphene.contact import MAX_SIDE, THEMES, contact_sheet, shorten
from phosphene.errors import UsageError
from phosphene.media import from_tensor

COLOR = (200, 40, 90)  # occurs neither in the ground nor in any text


def flat(height: int = 100, width: int = 100) -> Tensor:
    return (torch.tensor(COLOR) / 255).view(3, 1, 1).expand(3, height, width)


def boxes(sheet: Image.Image) -> list[tuple[int, int, int, int]]:
    """(left, top, width, height) of every flat picture on a sheet, row by row."""
    mask = (np.asarray(sheet) == COLOR).all(-1)
    found = []
    for top, bottom in runs(mask.any(1)):
        found += [(left, top, right - left, bottom - top) for left, right in runs(mask[top:bottom].any(0))]
    return found


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@pytest.mark.parametrize(
    ("count", "grid"),
    [
        (1, (1, 1)),
        (2, (2, 1)),
        (3, (3, 1)),
        (4, (2, 2)),
        (5, (3, 2)),
        (8, (4, 2)),
        (9, (3, 3)),
        (12, (4, 3)),
        (64, (8, 8)),
    ],
)
def test_the_grid_is_near_square_and_even(count: int, grid: tuple[int, int]) -> None:
    sheet = contact_sheet([flat()] * count, [["name", "1.0"]] * count, title="Title")
    found = boxes(sheet)
    assert len(found) == count
    assert (len({box[0] for box in found}), len({box[1] for box in found})) == grid
    assert {box[2:] for box in found} == {(100, 100)}
    lefts = sorted({box[0] for box in found})
    assert len(set(np.diff(lefts).tolist())) <= 1
    assert lefts[0] == sheet.width - lefts[-1] - 100  # the margins on both sides


def test_columns_and_thumb_are_obeyed() -> None:
    found = boxes(contact_sheet([flat()] * 6, columns=2, thumb=40))
    assert len({box[0] for box in found}) == 2
    assert {box[2:] for box in found} == {(40, 40)}


def test_pictures_stand_in_reading_order() -> None:
    pictures = [torch.full((3, 80, 80), 0.3 + i / 10) for i in range(4)]
    sheet = contact_sheet(pictures, columns=2)
    for i, x in enumerate(pictures):
        assert at(sheet, i % 2, i // 2) == from_tensor(x).getpixel((0, 0))


def at(sheet: Image.Image, column: int, row: int) -> tuple[int, ...] | float | None:
    """The color in the middle of a quarter of a sheet without text."""
    return sheet.getpixel((sheet.width * (1 + 2 * column) // 4, sheet.height * (1 + 2 * row) // 4))


def test_a_picture_of_its_own_size_is_shown_pixel_for_pixel() -> None:
    x = torch.rand(3, 110, 110, generator=torch.Generator().manual_seed(0))
    sheet = np.asarray(contact_sheet([x]))
    margin = (len(sheet) - 110) // 2
    assert np.array_equal(sheet[margin : margin + 110, margin : margin + 110], np.asarray(from_tensor(x)))


@pytest.mark.parametrize("side", [1, 8, 28, 32, 63, 99])
def test_a_tiny_picture_is_enlarged_in_whole_sharp_pixels(side: int) -> None:
    x = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    sheet = np.asarray(contact_sheet([x]))
    levels = np.asarray(from_tensor(x))
    times = -(-128 // side)
    margin = (len(sheet) - side * times) // 2
    inside = sheet[margin : margin + side * times, margin : margin + side * times]
    assert np.array_equal(inside, levels.repeat(times, 0).repeat(times, 1))


def test_pictures_of_any_shape_and_channels_fit_their_cells() -> None:
    pictures = [
        flat(100, 50),
        flat(50, 100),
        flat(100, 100),
        torch.zeros(1, 90, 90),
        torch.zeros(4, 90, 90),
        torch.zeros(5, 9, 9),
    ]
    assert [box[2:] for box in boxes(contact_sheet(pictures, columns=1))] == [(50, 100), (100, 50), (100, 100)]


def test_a_low_picture_stands_on_its_label() -> None:
    sheet = contact_sheet([flat(100), flat(50)], columns=2)
    mask = (np.asarray(sheet) == COLOR).all(-1)
    bottoms = {int(np.flatnonzero(mask[:, x])[-1]) for x in np.flatnonzero(mask.any(0))}
    assert len(bottoms) == 1


def test_a_transparent_picture_lies_on_the_ground() -> None:
    for name in ("dark", "light"):
        sheet = contact_sheet([torch.zeros(4, 80, 80)], theme=name)
        assert sheet.getcolors() == [(sheet.width * sheet.height, THEMES[name].ground)]


def test_each_picture_has_its_label_below_it() -> None:
    ground = THEMES["dark"].ground
    sheet = np.asarray(contact_sheet([flat()] * 2, [["one"], ["two", "more"]]))
    (left, top, width, height), (second, *_) = boxes(Image.fromarray(sheet))
    below = (sheet[top + height :] != ground).any((1, 2))
    assert len(runs(below)) == 2  # two lines of text under the row
    first_line = runs(below)[0][1]
    more = sheet[top + height + first_line :]
    assert (more[:, left : left + width] == ground).all()
    assert (more[:, second : second + width] != ground).any()


def test_a_long_label_stays_in_its_column() -> None:
    ground = THEMES["dark"].ground
    sheet = np.asarray(contact_sheet([flat()] * 2, [["W" * 200] * 3, ["i" * 500]]))
    (left, top, width, height), (second, *_) = boxes(Image.fromarray(sheet))
    text = sheet[top + height :]
    assert (text[:, left : left + width] != ground).any()
    assert (text[:, left + width : second] == ground).all()
    assert (text[:, second + width :] == ground).all()


def test_a_long_title_stays_on_the_sheet() -> None:
    ground = THEMES["dark"].ground
    sheet = np.asarray(contact_sheet([flat()], title="A title " * 50 + "\nand a second line " + "x" * 400))
    (left, top, width, _), *_ = boxes(Image.fromarray(sheet))
    assert (sheet[:top, left : left + width] != ground).any()
    assert (sheet[:top, left + width + 1 :] == ground).all()


@pytest.mark.parametrize("text", ["layer4.1.conv2:17", "W" * 80, "i" * 400, "ab"])
@pytest.mark.parametrize("width", [30, 60, 90, 1000])
def test_a_label_is_cut_in_its_middle_and_no_more_than_it_must(text: str, width: int) -> None:
    font = ImageFont.load_default(12)
    short = shorten(text, font, width)
    if font.getlength(text) <= width:
        assert short == text
        return
    head, tail = short.split("…")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert 0 <= len(head) - len(tail) <= 1
    assert font.getlength(short) <= width
    longer = (
        f"{text[: len(head) + 1]}…{tail}" if len(head) == len(tail) else f"{head}…{text[len(text) - len(tail) - 1 :]}"
    )
    assert font.getlength(longer) > width


def test_signs_that_the_face_lacks_are_spelled_out() -> None:
    plain = contact_sheet([flat()], [["cafe 3x3 -> -1 ? ?"]])
    assert contact_sheet([flat()], [["café 3×3 → −1 猫 \N{SNOWMAN}"]]).tobytes() == plain.tobytes()


def test_a_sheet_of_a_thousand_fits_a_viewer() -> None:
    sheet = contact_sheet([flat(300, 300)] * 1000, [["name"]] * 1000)
    assert MAX_SIDE * 0.9 < max(sheet.size) <= MAX_SIDE


def test_equal_input_gives_equal_pixels() -> None:
    one, other = (contact_sheet([flat()] * 3, [["a", "b"]] * 3, title="t") for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_counts_that_cannot_be_meant_are_refused() -> None:
    for pictures in ([], [flat(2, 2)] * 1001):
        with pytest.raises(UsageError, match=f"got {len(pictures)}"):
            contact_sheet(pictures)
    with pytest.raises(UsageError, match="labels"):
        contact_sheet([flat()], [["a"], ["b"]])
    with pytest.raises(UsageError, match="columns"):
        contact_sheet([flat()], columns=0)
    with pytest.raises(UsageError, match="thumb"):
        contact_sheet([flat()], thumb=-1)
