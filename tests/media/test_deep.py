"""Sixteen bits come in whole, upright and with their alpha; a reading says what it left out."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from phosphene.errors import MediaError
from phosphene.media import Reading, animation_bytes, from_tensor, png_bytes, read_picture, read_pixels, to_tensor

WHITE = 65535
COLOR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels


def levels(channels: int, height: int = 5, width: int = 7) -> np.ndarray:
    """(h, w, c) uint16, every byte of it random."""
    return np.random.default_rng(0).integers(0, WHITE + 1, (height, width, channels), dtype=np.uint16)


def png(pixels: np.ndarray, *extra: tuple[bytes, bytes], interlaced: bool = False) -> bytes:
    """A 16-bit PNG by hand: no filter, `extra` chunks before the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def rows(part: np.ndarray) -> bytes:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in part) if part.size else b""

    # Adam7: first row and column of each pass, and its steps (PNG specification, 8.2)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    body = b"".join(rows(pixels[y::down, x::right]) for y, x, down, right in passes) if interlaced else rows(pixels)
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPE[channels], 0, 0, int(interlaced))
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def tiff(
    pixels: np.ndarray, order: str, *, planar: bool = False, packed: bool = False, alpha: int = 2, photometric: int = 2
) -> bytes:
    """A 16-bit TIFF by hand: `order` is < or >; packed is Deflate; alpha is 1 for multiplied colors, 2 for plain."""
    height, width, channels = pixels.shape
    raw = pixels.astype(f"{order}u2")
    planes = [raw[..., i].tobytes() for i in range(channels)] if planar else [raw.tobytes()]
    planes = [zlib.compress(plane) for plane in planes] if packed else planes
    starts = [8 + sum(map(len, planes[:i])) for i in range(len(planes))]
    tags = [
        (256, [width]), (257, [height]), (258, [16] * channels), (259, [8 if packed else 1]), (262, [photometric]),
        (273, starts), (277, [channels]), (278, [height]), (279, [len(plane) for plane in planes]),
        (284, [2 if planar else 1]), *([(338, [alpha])] if channels == 4 else []),
    ]  # fmt: skip
    at = 8 + sum(map(len, planes))
    values_at, values, table = at + 2 + 12 * len(tags) + 4, b"", b""
    for tag, numbers in tags:
        data = struct.pack(f"{order}{len(numbers)}I", *numbers)
        place = data if len(data) == 4 else struct.pack(f"{order}I", values_at + len(values))
        values += data if len(data) > 4 else b""
        table += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + place
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, at)
    return head + b"".join(planes) + struct.pack(f"{order}H", len(tags)) + table + b"\0\0\0\0" + values


def reading(data: bytes, folder: Path, *, suffix: str = "png", least_side: int = 1) -> Reading:
    path = folder / f"x.{suffix}"
    path.write_bytes(data)
    return read_pixels(path, least_side=least_side)


def expected(pixels: np.ndarray) -> Tensor:
    """(3 or 4, h, w): gray comes in as three equal channels."""
    channels = pixels.shape[2]
    color = pixels[..., :1].repeat(3, 2) if channels < 3 else pixels[..., :3]
    whole = np.concatenate([color, pixels[..., -1:]], 2) if channels in (2, 4) else color
    return torch.from_numpy(whole.transpose(2, 0, 1) / np.float32(WHITE))


# --- every level is kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_keeps_sixteen_bits(channels: int, interlaced: bool, tmp_path: Path) -> None:
    pixels = levels(channels, 11, 13)
    found = reading(png(pixels, interlaced=interlaced), tmp_path)
    assert (found.bits, found.notes, found.pixels.dtype) == (16, (), torch.float32)
    assert torch.equal(found.pixels, expected(pixels))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tiff_keeps_sixteen_bits(channels: int, order: str, packed: bool, tmp_path: Path) -> None:
    pixels = levels(channels)
    data = tiff(pixels, order, packed=packed, photometric=1 if channels == 1 else 2)
    found = reading(data, tmp_path, suffix="tif")
    assert (found.bits, found.notes) == (16, ())
    assert torch.equal(found.pixels, expected(pixels))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_planes_that_are_not_compressed_keep_sixteen_bits(channels: int, order: str, tmp_path: Path) -> None:
    pixels = levels(channels)
    found = reading(tiff(pixels, order, planar=True), tmp_path, suffix="tif")
    assert torch.equal(found.pixels, expected(pixels))
    # Pillow alone takes such planes for 8-bit ones, and shows garbage
    assert np.array_equal(np.asarray(read_picture(tmp_path / "x.tif")), pixels >> 8)


def test_compressed_planes_come_in_with_eight_bits_and_say_so(tmp_path: Path) -> None:
    pixels = levels(3)
    found = reading(tiff(pixels, "<", planar=True, packed=True), tmp_path, suffix="tif")
    assert (found.bits, found.notes) == (8, ("16 bits per channel are read as 8: its layout is a rare one",))
    assert torch.equal(found.pixels, torch.from_numpy((pixels >> 8).transpose(2, 0, 1) / np.float32(255)))


@pytest.mark.parametrize("order", ["<", ">"])
def test_colors_multiplied_by_alpha_are_divided(order: str, tmp_path: Path) -> None:
    pixels = levels(4)
    pixels[..., 3] |= 0x8000  # half transparent at most: what is left of a color at alpha 3 says little
    pixels[0, 0, 3] = 0
    stored = pixels.copy()
    stored[..., :3] = (pixels[..., :3].astype(np.float64) * pixels[..., 3:] / WHITE).round()
    found = reading(tiff(stored, order, alpha=1), tmp_path, suffix="tif").pixels
    assert torch.equal(found[3], expected(pixels)[3])
    assert (found - expected(pixels))[:, found[3] > 0].abs().max() <= 1.5 / WHITE
    assert torch.equal(found[:, 0, 0], torch.zeros(4))


def test_a_declared_transparent_color_becomes_alpha_at_its_exact_level(tmp_path: Path) -> None:
    pixels = np.array([[[513, 2, 3], [514, 2, 3]]], dtype=np.uint16)  # one level apart: 8 bits cannot tell them
    found = reading(png(pixels, (b"tRNS", struct.pack(">3H", 513, 2, 3))), tmp_path).pixels
    assert found[3].tolist() == [[0, 1]]
    gray = reading(png(pixels[..., :1], (b"tRNS", struct.pack(">H", 514))), tmp_path).pixels
    assert gray[3].tolist() == [[1, 0]]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_in_upright_with_its_alpha(channels: int, orientation: int, tmp_path: Path) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that a camera held this way applies
    upright = levels(channels)
    bands = [Image.fromarray(np.ascontiguousarray(upright[..., i])) for i in range(channels)]
    if orientation > 1:
        bands = [band.transpose(Image.Transpose(undo[orientation])) for band in bands]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.stack([np.asarray(band) for band in bands], axis=-1)
    found = reading(png(stored, (b"eXIf", exif.tobytes()[6:])), tmp_path)
    assert torch.equal(found.pixels, expected(upright))


def test_an_eight_bit_file_has_the_levels_of_read_picture(tmp_path: Path) -> None:
    x = torch.rand(4, 6, 5, generator=torch.Generator().manual_seed(0))
    found = reading(png_bytes(x), tmp_path)
    assert found.bits == 8
    assert torch.equal(found.pixels, to_tensor(read_picture(tmp_path / "x.png")))


def test_gray_of_floats_keeps_its_tones(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(np.array([[0, 0.1234567, 1]], np.float32)).save(out, "TIFF")
    found = reading(out.getvalue(), tmp_path, suffix="tif")
    assert found.bits == 16
    assert found.pixels[0, 0].tolist() == pytest.approx([0, 0.1234567, 1], abs=0.5 / WHITE)


# --- what is left out is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["WEBP", "GIF", "PNG", "AVIF", "TIFF"])
def test_more_than_one_frame_is_said(format: str, tmp_path: Path) -> None:
    frames = [from_tensor(torch.full((3, 8, 8), i / 2)) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, format, save_all=True, append_images=frames[1:])
    found = reading(out.getvalue(), tmp_path, suffix=format.lower())
    what = "a file of 3 pages" if format == "TIFF" else "an animation of 3 frames"
    assert found.notes == (f"{what}: the first is used",)
    assert found.pixels.max() <= 2 / 255
    assert torch.equal(found.pixels, to_tensor(read_picture(tmp_path / f"x.{format.lower()}")))


def test_a_plain_picture_has_no_notes(tmp_path: Path) -> None:
    for format in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "GIF"):
        out = io.BytesIO()
        Image.new("RGB", (16, 16), (0, 200, 0)).save(out, format)
        assert reading(out.getvalue(), tmp_path, suffix=format.lower()).notes == ()


def test_a_film_that_breaks_off_still_has_its_first_frame(tmp_path: Path) -> None:
    data = animation_bytes([torch.rand(3, 32, 32), torch.rand(3, 32, 32)], format="gif")
    assert reading(data[: int(len(data) * 0.7)], tmp_path, suffix="gif").pixels.shape == (3, 32, 32)


# --- what is no picture to work with ---------------------------------------------------------------------------------


def refusal(path: Path, *, least_side: int = 16) -> str:
    with pytest.raises(MediaError) as caught:
        read_pixels(path, least_side=least_side)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_every_bad_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    assert "no such file" in refusal(path)
    for name, data, words in (
        ("empty", b"", "empty"),
        ("text", b"# Title\n\nSome words.\n", "not a PNG"),
        ("huge", png(levels(3)).replace(struct.pack(">II", 7, 5), struct.pack(">II", 20000, 20000)), "damaged"),
        ("truncated", png(levels(4, 40, 40))[:3000], "truncated"),
        ("1x1", png(levels(3, 1, 1)), "it is 1x1, and no side may be under 16 pixels"),
        ("1x5000", png(levels(3, 5000, 1)), "it is 1x5000"),
        ("5000x1", png(levels(3, 1, 5000)), "it is 5000x1"),
    ):
        path.write_bytes(data)
        assert words in refusal(path), name
    (tmp_path / "folder.png").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.png")


def test_a_small_file_that_declares_400_megapixels_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    with Image.new("1", (20000, 20000)) as image:
        image.save(path)
    assert path.stat().st_size < 60_000
    assert "over 64 megapixels" in refusal(path)


def test_gray_with_white_as_zero_is_refused_and_not_shown_as_a_negative(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(levels(1), "<", photometric=0))
    assert "white as zero" in refusal(path, least_side=1)
    with pytest.raises(MediaError, match="white as zero"):
        read_picture(path)
