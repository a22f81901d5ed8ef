"""Any photograph comes in as 8-bit sRGB, any tensor goes out exactly, and no file can hurt."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from torch import Tensor

from phosphene.errors import MediaError, UsageError
from phosphene.media import (
    animation_bytes,
    array_bytes,
    decode,
    decode_picture,
    from_tensor,
    opaque,
    panels,
    pixels_sha256,
    png_bytes,
    quantize,
    read_array,
    read_picture,
    to_tensor,
)


def noise(*shape: int) -> Tensor:
    """Values from -0.1 to 1.1: some are out of range."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def decoded(image: Image.Image, format: str = "PNG", **options: object) -> Image.Image:
    return decode_picture(encoded(image, format, **options), name="x")


def png(width: int, height: int, color_type: int, rows: bytes, depth: int = 8) -> bytes:
    """A PNG by hand, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- out: exact ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_saved_picture_reads_back_as_its_quantization(channels: int, tmp_path: Path) -> None:
    x = noise(channels, 9, 7)
    path = tmp_path / "x.png"
    path.write_bytes(png_bytes(x))
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    back = to_tensor(read_picture(path).convert(mode))
    assert back.dtype == torch.float32
    assert torch.equal(back, quantize(x))
    assert from_tensor(x).mode == mode


def test_every_level_survives_and_quantizing_twice_changes_nothing() -> None:
    levels = torch.arange(256) / 255
    assert torch.equal(quantize(levels), levels)
    assert np.array_equal(np.asarray(from_tensor(levels.view(1, 16, 16))).ravel(), np.arange(256))
    assert torch.equal(quantize(quantize(noise(3, 8, 8))), quantize(noise(3, 8, 8)))


@given(st.floats(-2, 2, width=32))
def test_a_level_is_the_nearest_one(value: float) -> None:
    level = quantize(torch.tensor(value)).item() * 255
    assert level == pytest.approx(np.rint(np.clip(np.float32(value), 0, 1) * np.float32(255)), abs=1e-4)


def test_half_precision_and_gradients_do_not_matter() -> None:
    x = noise(3, 4, 4).bfloat16().requires_grad_()
    assert torch.equal(quantize(x), quantize(x.detach().float()))
    assert from_tensor(x).size == (4, 4)


def test_values_that_are_no_picture_are_refused() -> None:
    with pytest.raises(MediaError, match="NaN"):
        from_tensor(torch.full((3, 2, 2), float("nan")))
    for wrong in (torch.zeros(2, 2), torch.zeros(1, 3, 2, 2), torch.zeros(3, 0, 2), torch.zeros(0, 2, 2)):
        with pytest.raises(UsageError, match="shape"):
            from_tensor(wrong)
    with pytest.raises(UsageError, match="uint8"):
        from_tensor(torch.zeros(3, 2, 2, dtype=torch.uint8))
    assert from_tensor(torch.tensor([[[float("inf"), -float("inf")]]])).tobytes() == b"\xff\x00"


@pytest.mark.parametrize(("channels", "grid"), [(2, (2, 1)), (5, (5, 1)), (8, (8, 1)), (12, (4, 3))])
def test_any_number_of_channels_can_be_looked_at(channels: int, grid: tuple[int, int]) -> None:
    x = noise(channels, 6, 10)
    sheet = from_tensor(x)
    columns, rows = grid
    assert sheet.size == (columns * 12 - 2, rows * 8 - 2)
    last = np.asarray(sheet)[-6:, ((channels - 1) % columns) * 12 :][:, :10]
    assert np.array_equal(last, np.asarray(from_tensor(x[-1:])))
    assert sheet.tobytes() == panels(x).tobytes()


def test_the_array_beside_the_panels_is_lossless(tmp_path: Path) -> None:
    x = noise(5, 6, 10)
    path = tmp_path / "x.npy"
    path.write_bytes(array_bytes(x))
    assert torch.equal(read_array(path), quantize(x))


def test_an_array_of_anything_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with pytest.raises(MediaError, match=r"x\.npy"):
        read_array(path)
    np.save(path, np.zeros((3, 4, 4), dtype=np.float32))
    with pytest.raises(MediaError, match="8-bit"):
        read_array(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(MediaError, match=r"x\.npy"):
        read_array(path)
    whole = array_bytes(noise(3, 64, 64))
    for damaged in (b"", whole[:20], whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(MediaError, match=r"x\.npy"):
            read_array(path)


def test_text_stands_uncompressed_before_the_pixels_and_in_order() -> None:
    data = png_bytes(noise(3, 8, 8), {"phosphene": "größe ✓ {}", "Software": "phosphene"})
    first, second, pixels = data.index(b"iTXtphosphene\0\0"), data.index(b"iTXtSoftware\0\0"), data.index(b"IDAT")
    assert first < second < pixels
    assert "größe ✓ {}".encode() in data
    assert Image.open(io.BytesIO(data)).info["phosphene"] == "größe ✓ {}"


@pytest.mark.parametrize("key", ["", "x" * 80, "schlüssel", "a\nb"])
def test_a_key_that_png_cannot_hold_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="key"):
        png_bytes(noise(3, 2, 2), {key: ""})


def test_equal_pixels_give_equal_bytes_and_nothing_hidden_travels_along() -> None:
    image = from_tensor(noise(3, 8, 8))
    plain = png_bytes(image)
    image.info |= {"icc_profile": b"profile", "exif": b"Exif\0\0", "transparency": (1, 2, 3), "dpi": (300, 300)}
    assert png_bytes(image) == plain == png_bytes(noise(3, 8, 8))
    assert "icc_profile" in image.info  # the caller's image is not touched


def test_the_hash_of_the_pixels_is_what_a_stranger_computes() -> None:
    x = noise(3, 8, 8)
    saved = Image.open(io.BytesIO(png_bytes(x, {"a": "b"})))
    assert pixels_sha256(x) == hashlib.sha256(saved.tobytes()).hexdigest() == pixels_sha256(from_tensor(x))
    assert pixels_sha256(x) != pixels_sha256(x.flip(2))


@pytest.mark.parametrize(("format", "fps", "milliseconds"), [("webp", 12, 83), ("gif", 12, 80), ("gif", 100, 20)])
def test_an_animation_holds_every_frame(format: str, fps: int, milliseconds: int) -> None:
    frames = [torch.full((3, 16, 16), i / 3) for i in range(4)]
    data = animation_bytes(frames, format=format, fps=fps)
    with Image.open(io.BytesIO(data)) as movie:
        assert (movie.format, movie.n_frames, movie.info["loop"]) == (format.upper(), 4, 0)
        for i in range(4):
            movie.seek(i)
            movie.load()
            assert movie.info["duration"] == milliseconds
            assert abs(movie.convert("RGB").getpixel((8, 8))[0] - 85 * i) <= 2
    assert data == animation_bytes(frames, format=format, fps=fps)


def test_frames_that_are_no_animation_are_refused() -> None:
    for frames in ([], [noise(3, 4, 4), noise(3, 4, 5)]):
        with pytest.raises(UsageError, match="frame"):
            animation_bytes(frames)
    with pytest.raises(UsageError, match="fps"):
        animation_bytes([noise(3, 4, 4)], fps=0)


# --- in: what a viewer shows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_in_upright(orientation: int) -> None:
    upright = from_tensor(torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(1)))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that a camera held this way applies
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert decoded(stored, exif=exif).tobytes() == upright.tobytes()


def test_a_wide_gamut_profile_is_converted_to_srgb() -> None:
    # A profile whose red, green and blue are rotated: its "red" is our green, so the conversion cannot be missed.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red + 4 : red + 12], profile[green + 4 : green + 12] = (
        profile[green + 4 : green + 12],
        profile[red + 4 : red + 12],
    )
    red_pixel = Image.new("RGB", (2, 2), (255, 0, 0))
    assert decoded(red_pixel, icc_profile=bytes(profile)).getpixel((0, 0)) == (0, 255, 0)
    assert decoded(red_pixel, icc_profile=b"broken").getpixel((0, 0)) == (255, 0, 0)


def test_an_srgb_profile_moves_no_level() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = from_tensor(noise(3, 32, 32))
    assert decoded(image, icc_profile=profile).tobytes() == image.tobytes()


def test_cmyk_comes_in_as_rgb() -> None:
    for format in ("JPEG", "TIFF"):
        picture = decoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), format)
        red, green, blue = picture.getpixel((4, 4))
        assert picture.mode == "RGB"
        assert (red > 250, green < 5, blue < 5) == (True, True, True)


def test_gray_bilevel_and_palette_come_in_as_rgb() -> None:
    gray = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert decoded(gray).tobytes() == gray.convert("RGB").tobytes()
    assert decoded(gray).convert("L").tobytes() == gray.tobytes()
    assert decoded(gray.convert("1")).tobytes() == gray.convert("1").convert("RGB").tobytes()
    palette = from_tensor(noise(3, 8, 8)).quantize(8)
    assert decoded(palette).tobytes() == palette.convert("RGB").tobytes()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_gray_keeps_its_tones(format: str) -> None:
    values = np.array([[0, 1, 128, 129], [257 * 100, 257 * 100 + 128, 257 * 100 + 129, 65535]], dtype=np.uint16)
    picture = decoded(Image.fromarray(values), format)
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture)[..., 0], [[0, 0, 0, 1], [100, 100, 101, 255]])


def test_sixteen_bit_color_keeps_its_tones() -> None:
    pixels = np.array([[[65535, 257 * 50, 0]]], dtype=">u2").tobytes()
    assert decode_picture(png(1, 1, 2, b"\0" + pixels, depth=16), name="x").getpixel((0, 0)) == (255, 50, 0)


def test_float_pictures_must_lie_in_the_unit_range() -> None:
    values = np.array([[0, 0.5, 1]], dtype=np.float32)
    assert decoded(Image.fromarray(values), "TIFF").tobytes() == bytes([0, 0, 0, 128, 128, 128, 255, 255, 255])
    for wrong in (values * 2, values - 1, values * np.float32("nan")):
        with pytest.raises(MediaError, match="outside 0-1"):
            decoded(Image.fromarray(wrong), "TIFF")


def test_transparency_becomes_an_alpha_channel() -> None:
    alpha = from_tensor(noise(4, 8, 8))
    assert decoded(alpha).tobytes() == alpha.tobytes()
    gray = alpha.convert("LA")
    assert decoded(gray).tobytes() == gray.convert("RGBA").tobytes()
    keyed = decoded(Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3))
    assert keyed.getpixel((0, 0)) == (1, 2, 3, 0)
    palette = decoded(Image.new("P", (2, 2), 0), transparency=0)
    assert (palette.mode, palette.getpixel((0, 0))[3]) == ("RGBA", 0)


def test_transparent_pixels_take_the_background() -> None:
    image = Image.new("RGBA", (1, 1), (200, 0, 0, 0))
    assert opaque(image).getpixel((0, 0)) == (255, 255, 255)
    assert opaque(image, background=(1, 2, 3)).getpixel((0, 0)) == (1, 2, 3)
    assert opaque(Image.new("RGB", (1, 1), (9, 9, 9))).getpixel((0, 0)) == (9, 9, 9)


def test_an_animation_comes_in_as_its_first_frame() -> None:
    data = animation_bytes([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)], format="gif")
    assert decode_picture(data, name="x").getpixel((4, 4)) == (0, 0, 0)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "GIF"])
def test_every_format_reads_and_no_notes_travel_along(format: str) -> None:
    picture = decoded(Image.new("RGB", (16, 16), (0, 200, 0)), format)
    assert picture.mode == "RGB"
    assert picture.info == {}
    assert not picture.getexif()
    assert abs(picture.getpixel((8, 8))[1] - 200) <= 3


# --- in: hostile and broken files ------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_a_file_that_is_no_picture_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    assert "no such file" in refusal(path)
    path.write_bytes(b"")
    assert "empty" in refusal(path)
    path.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert "not a PNG" in refusal(path)
    path.write_bytes(b"P6 1 1 255 abc")
    assert "not a PNG" in refusal(path)  # a picture, but not of a format that is needed
    (tmp_path / "folder").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(format: str, kept: float, tmp_path: Path) -> None:
    data = encoded(from_tensor(noise(3, 64, 64)), format)
    path = tmp_path / f"x.{format.lower()}"
    path.write_bytes(data[: int(len(data) * kept)])
    refusal(path)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    for side in (8001, 10_000, 65_000):  # below, at and above the limits of Pillow itself
        path.write_bytes(png(side, side, 0, b""))
        assert "64 megapixels" in refusal(path)
    path.write_bytes(png(100, 100, 0, b"\0" * 100 * 101))
    assert read_picture(path).size == (100, 100)
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", 10)
    assert "larger than" in refusal(path)


@given(st.data())
def test_no_flipped_byte_raises_anything_but_a_media_error(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"]))
    content = bytearray(encoded(Image.new("RGB", (12, 10), (10, 200, 30)), format))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MediaError):
        assert decode_picture(bytes(content), name="x").mode in ("RGB", "RGBA")
