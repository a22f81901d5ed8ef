"""Pictures in, at the precision of their file: 16-bit PNG and TIFF keep every level, as a tensor.

Pillow has no 16-bit color: it unpacks such files to the high byte of each sample. Its decoders do the hard part
(filters, interlacing, LZW, tiles) before that, and the unpacker has a name that can be chosen: one keeps the first
byte of each sample, another the second. So a picture is decoded twice, and level = 256 high + low. This asks for no
further dependency, and every format, limit and refusal is that of `decode`.

A reading says what of the file it does not hold, so that nobody is surprised: frames and pages after the first, bits
that could not be kept.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from phosphene.errors import MediaError
from phosphene.media import icc
from phosphene.media.decode import (
    BITS_PER_SAMPLE,
    MAX_LEVEL_16,
    PLANAR,
    SEPARATE,
    file_bytes,
    gray_values,
    is_numeric_gray,
    standard,
    untrusted,
)
from phosphene.media.levels import to_tensor

Levels = NDArray[np.uint16]

_UNPACKER = re.compile(r"(RGB|RGBA|RGBX|RGBa|R|G|B|A);16([BLN])")  # of 16-bit samples: big, little, native order
_GRAY_ALPHA = "LA;16B"  # PNG's 16-bit gray with alpha, four bytes a pixel


@dataclass(frozen=True)
class Reading:
    """A picture file as a tensor, and what the tensor does not hold.

    pixels: (3, h, w), or (4, h, w) with transparency; float32 in [0, 1], sRGB, upright, on the CPU.
    bits: of each level in `pixels`, 8 or 16.
    notes: for the user, such as "an animation of 12 frames: the first is used"; most files have none.
    """

    pixels: Tensor
    bits: int
    notes: tuple[str, ...] = ()


def read_pixels(path: str | Path, *, least_side: int = 1) -> Reading:
    """The picture in a file, with 16 bits where the file has them: PNG and TIFF, gray and RGB, with alpha or not.

    An 8-bit file has the levels of `read_picture`. Raises `MediaError` as `read_picture` does, and for a picture with
    a side shorter than `least_side` pixels: a network sees nothing in 1 x 5000.
    """
    data, name = file_bytes(path), str(path)
    with untrusted(data, name) as image:
        if min(image.size) < least_side:
            raise MediaError(f"it is {image.width}x{image.height}, and no side may be under {least_side} pixels")
        notes = list(_frames_left_out(image))
        profile = image.info.get("icc_profile")
        curves = icc.parse(profile) if profile else None
        if (profile is None or curves) and (samples := _samples(image, data, name)) is not None:
            return Reading(_colored(samples, curves), 16, tuple(notes))
        if (bits := _declared_bits(image)) > 8:
            why = "its color profile holds tables" if profile and curves is None else "its layout is a rare one"
            notes.append(f"{bits} bits per channel are read as 8: {why}")
    with untrusted(data, name) as image:
        return Reading(to_tensor(standard(ImageOps.exif_transpose(image))), 8, tuple(notes))


@dataclass(frozen=True)
class _Samples:
    """color: (h, w, 1 or 3) levels; alpha: (h, w) levels, or None without transparency."""

    color: Levels
    alpha: Levels | None


def _samples(image: Image.Image, data: bytes, name: str) -> _Samples | None:
    """The 16-bit samples of an opened picture, upright; None where it has 8 bits, or where they cannot be had."""
    if is_numeric_gray(image):
        gray = (gray_values(ImageOps.exif_transpose(image)) * MAX_LEVEL_16).round().astype(np.uint16)[..., None]
        return _Samples(gray, _keyed(gray, image))
    unpacker = _unpacker(image)
    if unpacker == _GRAY_ALPHA:  # four bytes a pixel, unpacked as they are
        pairs = _decoded(image, lambda _: "RGBA")
        return _Samples(_joined(pairs[..., :1], pairs[..., 1:2]), _joined(pairs[..., 2], pairs[..., 3]))
    found = _UNPACKER.fullmatch(unpacker)
    if not found or _is_planar_in_libtiff(image):
        return None
    with untrusted(data, name) as again:
        first = _decoded(image, lambda old: _UNPACKER.sub(r"\1;16B", old).replace("RGBa", "RGBA"))
        second = _decoded(again, lambda old: _UNPACKER.sub(r"\1;16L", old).replace("RGBa", "RGBA"))
    little = found[2] == "L" or (found[2] == "N" and sys.byteorder == "little")
    levels = _joined(second, first) if little else _joined(first, second)
    if levels.shape[2] == 3:
        return _Samples(levels, _keyed(levels, image))
    color, alpha = levels[..., :3], levels[..., 3]
    return _Samples(_divided(color, alpha) if found[1] == "RGBa" else color, alpha)


def _unpacker(image: Image.Image) -> str:
    """The name of the unpacker in the first of the tiles that Pillow is about to decode; "" where there is none."""
    tiles = image.tile if isinstance(image, ImageFile) else []
    args = tiles[0].args if tiles else None
    return str(args[0] if isinstance(args, tuple) and args else args or "")


def _is_planar_in_libtiff(image: Image.Image) -> bool:
    """Whether the picture is in compressed planes, which are unpacked to their high bytes whatever is asked."""
    planar = isinstance(image, TiffImageFile) and image.tag_v2.get(PLANAR) == SEPARATE
    return planar and isinstance(image, ImageFile) and image.tile[0].codec_name == "libtiff"


def _decoded(image: Image.Image, rename: Callable[[str], str]) -> NDArray[np.uint8]:
    """The pixels, upright, decoded with other unpackers than Pillow chose: `rename` is given the name of each."""
    assert isinstance(image, ImageFile)
    image.tile = [
        tile._replace(
            args=(rename(tile.args[0]), *tile.args[1:]) if isinstance(tile.args, tuple) else rename(str(tile.args))
        )
        for tile in image.tile
    ]
    return np.asarray(ImageOps.exif_transpose(image))


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> Levels:
    return np.stack([high, low], axis=-1).view(">u2")[..., 0].astype(np.uint16)


def _keyed(color: Levels, image: Image.Image) -> Levels | None:
    """Alpha of a PNG in which one color is declared transparent; None without one."""
    key = image.info.get("transparency")
    if key is None:
        return None
    return np.where((color == np.asarray(key, np.int64)).all(-1), 0, MAX_LEVEL_16).astype(np.uint16)


def _divided(color: Levels, alpha: Levels) -> Levels:
    """Colors that were stored multiplied by alpha; black where nothing of them is left."""
    whole = color.astype(np.float64) * MAX_LEVEL_16 / np.maximum(alpha, 1)[..., None]
    return whole.round().clip(0, MAX_LEVEL_16).astype(np.uint16)


def _colored(samples: _Samples, profile: icc.Profile | None) -> Tensor:
    """(3 or 4, h, w) sRGB in [0, 1]."""
    color = samples.color
    if profile and not profile.is_srgb and len(profile.curves) == color.shape[2]:
        planes: NDArray[Any] = icc.to_srgb(color, profile)
    else:
        planes = (np.repeat(color, 3, axis=2) if color.shape[2] == 1 else color) / np.float32(MAX_LEVEL_16)
    if samples.alpha is not None:
        planes = np.concatenate([planes, (samples.alpha / np.float32(MAX_LEVEL_16))[..., None]], axis=2)
    return torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1), np.float32))


def _frames_left_out(image: Image.Image) -> Iterator[str]:
    """What to say of a file with more than one picture."""
    try:
        count = int(getattr(image, "n_frames", 1))
    except (OSError, ValueError, SyntaxError, EOFError):  # damage behind the first frame is no matter here
        count = 1
    if count > 1 and image.format != "MPO":  # a camera's JPEG with a preview or a depth map behind the picture
        what = ("a file", "pages") if image.format == "TIFF" else ("an animation", "frames")
        yield f"{what[0]} of {count} {what[1]}: the first is used"


def _declared_bits(image: Image.Image) -> int:
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (8,))))
    return 16 if ";16" in _unpacker(image) else 8
