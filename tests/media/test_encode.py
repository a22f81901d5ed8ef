"""Pictures go out in the format of their suffix: exact where it can be, sRGB, whole, and the same bytes every time."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, JpegImagePlugin
from torch import Tensor

from phosphene.errors import MediaError, UsageError
from phosphene.files import FileError
from phosphene.media import encode_picture, output_format, quantize, read_picture, read_pixels, write_picture
from phosphene.media.encode import FORMAT_OF, LONGEST_SIDE
from phosphene.media.png import BAND
from phosphene.media.tiff import STRIP_BYTES

LOSSY = (".jpg", ".jpeg", ".webp", ".avif")


def noise(*shape: int) -> Tensor:
    """Values from -0.1 to 1.1: some are out of range."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1


def smooth(channels: int) -> Tensor:
    """A gradient of 48 x 64 that compresses well; its fourth channel goes from clear to opaque."""
    down, across = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij")
    return torch.stack([down, across, 1 - down, across])[:channels]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_and_tiff_read_back_as_the_quantization(channels: int, suffix: str, bits: int, tmp_path: Path) -> None:
    x = noise(channels, 9, 7)
    path = tmp_path / f"x{suffix}"
    assert write_picture(path, x, bits=bits) == ()
    found = read_pixels(path)
    assert found.bits == bits
    assert torch.equal(found.pixels[-channels:], quantize(x, bits=bits))


def test_sixteen_bits_are_what_another_reader_finds(tmp_path: Path) -> None:
    x = noise(1, 2 * BAND + 3, 600)  # more than two bands and more than two strips
    assert x.numel() * 2 > 2 * STRIP_BYTES
    levels = (x[0].clamp(0, 1).numpy() * np.float32(65535)).round()
    for suffix in (".png", ".tif"):
        write_picture(tmp_path / f"x{suffix}", x, bits=16)
        with Image.open(tmp_path / f"x{suffix}") as image:  # Pillow's own 16-bit gray
            assert image.mode == "I;16"
            assert np.array_equal(np.asarray(image), levels)


def test_colors_of_sixteen_bits_are_in_the_order_of_another_reader(tmp_path: Path) -> None:
    x = noise(4, 5, 6)
    levels = (x.clamp(0, 1).permute(1, 2, 0).numpy() * np.float32(65535)).round().astype(np.uint16)
    for suffix in (".png", ".tif"):
        write_picture(tmp_path / f"x{suffix}", x, bits=16)
        with Image.open(tmp_path / f"x{suffix}") as image:  # Pillow shows the high bytes
            assert np.array_equal(np.asarray(image), levels >> 8)


@pytest.mark.parametrize("suffix", LOSSY)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_others_are_near(channels: int, suffix: str, tmp_path: Path) -> None:
    x = smooth(channels)
    assert write_picture(tmp_path / f"x{suffix}", x) == ()
    assert (read_pixels(tmp_path / f"x{suffix}").pixels - x).abs().mean() < 2 / 255


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_alpha_is_kept_where_the_format_has_it(suffix: str, tmp_path: Path) -> None:
    x = smooth(4)
    assert write_picture(tmp_path / f"x{suffix}", x) == ()
    found = read_pixels(tmp_path / f"x{suffix}").pixels
    assert found.shape == x.shape
    assert (found[3] - x[3]).abs().max() < 6 / 255


def test_jpeg_lays_transparency_over_white_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    x = smooth(4)
    assert write_picture(path, x) == (f"JPEG has no transparency: '{path}' is laid over white",)
    assert (read_pixels(path).pixels - (x[3] * x[:3] + 1 - x[3])).abs().mean() < 2 / 255
    x[3] = 1
    assert write_picture(path, x) == ()  # nothing was lost


def test_jpeg_has_no_color_subsampling() -> None:
    red_lines = torch.zeros(3, 32, 32)
    red_lines[0, :, ::2] = 1
    image = Image.open(io.BytesIO(encode_picture(red_lines, "JPEG")))
    assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
    assert np.asarray(image)[:, ::2, 0].min() > 230
    assert np.asarray(image)[:, 1::2, 0].max() < 25


@pytest.mark.parametrize("format", ["TIFF", "JPEG", "WEBP"])
def test_the_profile_inside_is_srgb(format: str) -> None:
    with Image.open(io.BytesIO(encode_picture(smooth(3), format))) as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_profile_of_srgb_moves_no_level(bits: int, tmp_path: Path) -> None:
    x = noise(3, 16, 16)
    write_picture(tmp_path / "x.tif", x, bits=bits)
    assert torch.equal(read_pixels(tmp_path / "x.tif").pixels, quantize(x, bits=bits))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_equal_pixels_give_equal_bytes(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from phosphene.media import icc

    first = encode_picture(smooth(3), format)
    icc.srgb_profile.cache_clear()
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    later = made[:24] + b"\x07\xf0\0\x02\0\x03\0\x04\0\x05\0\x06" + made[36:]  # as if made on another day
    monkeypatch.setattr(ImageCms.ImageCmsProfile, "tobytes", lambda _: later)
    assert encode_picture(smooth(3), format) == first


@pytest.mark.parametrize("bits", [8, 16])
def test_text_travels_in_a_png_of_either_depth(bits: int, tmp_path: Path) -> None:
    write_picture(tmp_path / "x.png", smooth(3), bits=bits, text={"phosphene": "größe ✓ {}", "Software": "phosphene"})
    with Image.open(tmp_path / "x.png") as image:
        assert image.info == {"phosphene": "größe ✓ {}", "Software": "phosphene"}
    data = (tmp_path / "x.png").read_bytes()
    assert data.index(b"iTXtphosphene\0\0") < data.index(b"iTXtSoftware\0\0") < data.index(b"IDAT")


def test_what_no_format_can_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for name, bits, words in (
        ("x", 8, ".avif"),
        ("x.bmp", 8, "suffix"),
        ("x.jpg", 16, "JPEG has 8"),
        ("x.png", 12, "12"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            output_format(tmp_path / name, bits=bits)
        assert name in str(caught.value)
        with pytest.raises(UsageError):
            write_picture(tmp_path / name, smooth(3), bits=bits)
    for x in (noise(2, 4, 4), noise(4, 4), noise(3, 0, 4)):
        with pytest.raises(UsageError, match="shape"):
            write_picture(tmp_path / "x.png", x, bits=16)
    for suffix in FORMAT_OF:
        with pytest.raises(MediaError, match="NaN"):
            write_picture(tmp_path / f"x{suffix}", torch.full((3, 4, 4), float("nan")))
    for format, limit in LONGEST_SIDE.items():
        with pytest.raises(UsageError, match=str(limit)):
            encode_picture(torch.zeros(3, 1, limit + 1), format)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    with pytest.raises(FileError, match="folder"):
        write_picture(tmp_path / "x.png", smooth(3))
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_suffix_counts_whatever_its_case(tmp_path: Path) -> None:
    write_picture(tmp_path / "X.JPG", smooth(3))
    with Image.open(tmp_path / "X.JPG") as image:
        assert image.format == "JPEG"
    assert read_picture(tmp_path / "X.JPG").size == (64, 48)
