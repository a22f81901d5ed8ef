"""Color profiles: what LittleCMS makes of them with 8 bits, this makes of them with 16; alpha stays as it is."""

from __future__ import annotations

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

from phosphene.media import decode_picture, from_tensor, quantize, read_pixels, to_tensor
from phosphene.media.icc import parse, srgb_profile, to_srgb
from phosphene.media.png import png_bytes

# Colorants under D50, as the publishers' profiles have them
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def table(values: np.ndarray) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + (values * 65535).round().astype(">u2").tobytes()


def parametric(kind: int, *values: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*values)


CURVES = {
    "gamma": gamma(2.2),
    "straight": b"curv\0\0\0\0" + struct.pack(">I", 0),
    "table": table(np.linspace(0, 1, 1024) ** 1.8),
    "para 0": parametric(0, 1.8),
    "para 1": parametric(1, 2.0, 0.9, 0.1),
    "para 2": parametric(2, 2.0, 0.8, 0.1, 0.1),
    "para 3": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "para 4": parametric(4, 2.4, 0.9, 0.05, 0.08, 0.05, 0.02, 0.01),
}


def profile(curve: bytes, colorants: tuple[tuple[float, float, float], ...] = ADOBE) -> bytes:
    """A version 4 profile by hand: of gray where there are no colorants."""
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.82491))]
    if colorants:
        tags += [(letter + b"TRC", curve) for letter in (b"r", b"g", b"b")]
        tags += [(b"%cXYZ" % "rgb"[i].encode(), b"XYZ \0\0\0\0" + fixed(*colorants[i])) for i in range(3)]
    else:
        tags += [(b"kTRC", curve)]
    entries, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        entries += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    space = b"RGB " if colorants else b"GRAY"
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x04300000, b"mntr", space, b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + fixed(0.9642, 1, 0.82491)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


def with_profile(x: Tensor, data: bytes, path: Path, *, bits: int) -> Path:
    """A PNG of `x` that declares the profile `data`."""
    plain = png_bytes(x, bits=bits)
    content = b"iCCPx\0\0" + zlib.compress(data)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    path.write_bytes(plain[:33] + chunk + plain[33:])  # behind the signature and the header
    return path


def colors() -> Tensor:
    return torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("colorants", [ADOBE, P3], ids=["adobe", "p3"])
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES.keys())
def test_sixteen_bits_agree_with_littlecms(
    curve: bytes, colorants: tuple[tuple[float, float, float], ...], tmp_path: Path
) -> None:
    data = profile(curve, colorants)
    x = quantize(colors())  # levels that both depths have
    deep = read_pixels(with_profile(x, data, tmp_path / "x.png", bits=16))
    exactly = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(data)),
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE,
    )
    theirs = to_tensor(ImageCms.applyTransform(from_tensor(x), exactly))
    assert deep.bits == 16
    assert (deep.pixels - theirs).abs().max() <= 1 / 255  # they round to 8 bits
    assert (deep.pixels - x).abs().max() > 10 / 255  # the profile was not ignored


@pytest.mark.parametrize("curve", ["gamma", "straight", "table", "para 0", "para 3"])
def test_eight_bits_agree_with_sixteen(curve: str, tmp_path: Path) -> None:
    data = profile(CURVES[curve], P3)
    x = quantize(colors())
    deep, flat = (read_pixels(with_profile(x, data, tmp_path / "x.png", bits=bits)) for bits in (16, 8))
    assert (deep.bits, flat.bits) == (16, 8)
    assert (deep.pixels - flat.pixels).abs().max() <= 1.5 / 255


def test_sixteen_bits_follow_the_closed_formula() -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    to_xyz = np.array(P3).T
    srgb = np.array([[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]]).T
    light = np.clip((levels / 65535) ** 2.2 @ (np.linalg.inv(srgb) @ to_xyz).T, 0, 1)
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    parsed = parse(profile(parametric(0, 2.2), P3))
    assert parsed is not None
    assert np.abs(to_srgb(levels, parsed) - expected).max() < 1e-3  # 2.2 and the matrix have 16 bits behind the point


def test_a_gray_gamma_is_converted(tmp_path: Path) -> None:
    x = torch.linspace(0, 1, 256).view(1, 16, 16)
    deep = read_pixels(with_profile(x, profile(gamma(1.0), ()), tmp_path / "x.png", bits=16))
    light = x[0]
    expected = torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert deep.bits == 16
    assert (deep.pixels - expected).abs().max() < 2e-4
    flat = read_pixels(with_profile(x, profile(gamma(1.0), ()), tmp_path / "x.png", bits=8))
    assert (flat.pixels - expected).abs().max() < 1.5 / 255


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_is_no_color(bits: int, tmp_path: Path) -> None:
    alpha = torch.rand(1, 40, 50, generator=torch.Generator().manual_seed(1))
    x = quantize(torch.cat([colors(), alpha]))
    data = profile(gamma(1.0))
    found = read_pixels(with_profile(x, data, tmp_path / "x.png", bits=bits)).pixels
    alone = read_pixels(with_profile(x[:3], data, tmp_path / "x.png", bits=bits)).pixels
    assert torch.equal(found[3], x[3])
    assert torch.equal(found[:3], alone)


def test_palette_and_gray_with_alpha_keep_it() -> None:
    def decoded(image: Image.Image, **options: object) -> Image.Image:
        out = io.BytesIO()
        image.save(out, "PNG", **options)
        return decode_picture(out.getvalue(), name="x")

    palette = Image.new("P", (4, 1))
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.putdata([0, 1, 2, 3])
    found = decoded(palette, transparency=bytes([0, 85, 170, 255]))
    assert [found.getpixel((i, 0)) for i in range(4)] == [
        (0, 0, 0, 0),
        (255, 0, 0, 85),
        (0, 255, 0, 170),
        (0, 0, 255, 255),
    ]
    gray = from_tensor(torch.rand(4, 6, 6, generator=torch.Generator().manual_seed(2))).convert("LA")
    turned = Image.Exif()
    turned[0x0112] = 6
    stored = gray.transpose(Image.Transpose.ROTATE_90)
    assert decoded(stored, exif=turned).tobytes() == gray.convert("RGBA").tobytes()


def test_a_profile_of_tables_is_read_with_eight_bits_and_said(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    found = read_pixels(with_profile(colors(), lab, tmp_path / "x.png", bits=16))
    assert (found.bits, found.notes) == (8, ("16 bits per channel are read as 8: its color profile holds tables",))


def test_srgb_is_recognized_and_others_are_not() -> None:
    own = parse(srgb_profile())
    assert own is not None
    assert own.is_srgb
    for curve in CURVES.values():
        other = parse(profile(curve, P3))
        assert other is not None
        assert not other.is_srgb


def test_curves_that_are_none_do_not_raise() -> None:
    assert parse(profile(parametric(1, 2.0, 0.0, 0.1))) is None  # no slope: it would start nowhere
    steep = parse(profile(parametric(0, -2.0)))  # infinite at 0
    assert steep is not None
    assert np.isfinite(steep.curves).all()


@given(st.data())
def test_no_damaged_profile_raises(data: st.DataObject) -> None:
    whole = bytearray(profile(data.draw(st.sampled_from([*CURVES.values()]))))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6)):
        whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for damaged in (bytes(whole), cut):
        if parsed := parse(damaged):
            levels = np.zeros((1, 1, len(parsed.curves)), np.uint16)
            assert np.isfinite(to_srgb(levels, parsed)).all()
