"""Color profiles at full precision: pixels of a curves-and-matrix ICC profile as sRGB, without the 8 bits of Pillow.

Such a profile (ICC.1:2010, 8.3.3) says: each channel through its curve is linear light, and a 3 x 3 matrix takes the
three to XYZ under D50. sRGB (IEC 61966-2-1) is the same with other numbers, so the way is

    x = encode(clip(M_srgb^-1 M_profile curve(level)))

which is relative colorimetric, so only colors out of range move, with black at zero (black point compensation), as
browsers do. AdobeRGB, Display P3, ProPhoto and gray gammas are of
this kind. A profile that holds tables, as those of printers do, is not, and is left to the caller.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

Array = NDArray[np.float32]

# The colorants of sRGB under D50, as columns (ICC's own sRGB profile), adapted by Bradford's matrix.
SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
SAME = 0.002  # half an 8-bit level: profiles this near to sRGB are sRGB, written with less care
LEVELS = 65536
BAND = 256  # rows converted at a time, which bounds the memory
_HEADER, _ENTRY = 128, 12  # bytes
_DATE = slice(24, 36)  # of the profile's making, in its header


@dataclass(frozen=True)
class Profile:
    """curves: linear light of each 16-bit level, (channels, 65536); matrix: linear light to linear sRGB, (3, channels).

    One channel is gray, three are red, green and blue.
    """

    curves: Array
    matrix: Array

    @property
    def is_srgb(self) -> bool:
        """Whether converting would move no color by half an 8-bit level."""
        if len(self.curves) == 3 and np.abs(self.matrix - np.eye(3)).max() > SAME:
            return False
        return bool(np.abs(_encoded(self.curves) - np.linspace(0, 1, LEVELS)).max() <= SAME)


def parse(data: bytes) -> Profile | None:
    """The curves and the matrix of a profile for gray or RGB; None for any other kind, and for a damaged one."""
    try:
        if data[20:24] != b"XYZ " or data[36:40] != b"acsp":
            return None
        tags = _tags(data)
        if b"A2B0" in tags:  # a table, which counts more than the matrix where a profile has both
            return None
        if data[16:20] == b"GRAY":
            return Profile(_curve(tags[b"kTRC"])[None], np.ones((3, 1), np.float32))
        if data[16:20] != b"RGB ":
            return None
        curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
        to_xyz = np.stack([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
    except (KeyError, ValueError, IndexError, struct.error):
        return None
    return Profile(curves, (np.linalg.inv(SRGB_TO_XYZ) @ to_xyz).astype(np.float32))


def to_srgb(levels: NDArray[np.uint16], profile: Profile) -> Array:
    """(h, w, 3) float32 in [0, 1], sRGB, of 16-bit `levels` (h, w, channels of the profile)."""
    out = np.empty((*levels.shape[:2], 3), np.float32)
    for top in range(0, len(levels), BAND):
        band = levels[top : top + BAND]
        light = np.stack([curve[band[..., i]] for i, curve in enumerate(profile.curves)], axis=-1)
        out[top : top + BAND] = _encoded(light @ profile.matrix.T)
    return out


def _tags(data: bytes) -> dict[bytes, bytes]:
    """The content of each tag. A tag that points outside is cut short, and fails where it is used."""
    (count,) = struct.unpack_from(">I", data, _HEADER)
    entries = data[_HEADER + 4 : _HEADER + 4 + _ENTRY * min(count, len(data) // _ENTRY)]
    return {name: data[at : at + size] for name, at, size in struct.iter_unpack(">4sII", entries)}


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack_from(">3i", tag, 8), np.float64) / 65536  # s15Fixed16


def _curve(tag: bytes) -> Array:
    """Linear light in [0, 1] of each of the 65536 levels."""
    level = np.linspace(0, 1, LEVELS)
    if tag[:4] == b"para":
        with np.errstate(all="ignore"):  # of 0 to a negative power, which only a damaged profile asks for
            return _from_black(_parametric(tag, level))
    if tag[:4] != b"curv":
        raise ValueError(f"no curve: {tag[:4]!r}")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return _from_black(level)
    if count == 1:
        (gamma,) = struct.unpack_from(">H", tag, 12)
        return _from_black(level ** (gamma / 256))  # u8Fixed8
    table = np.frombuffer(tag, ">u2", count, offset=12) / (LEVELS - 1)
    return _from_black(np.interp(level, np.linspace(0, 1, count), table))


def _parametric(tag: bytes, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """ICC.1:2010, table 65: y = (a x + b)^g + c from d on, and a straight line below."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = (1, 3, 4, 5, 7)[kind]
    g, *rest = (float(value) / 65536 for value in struct.unpack_from(f">{count}i", tag, 12))
    if kind == 0:
        return x**g
    a, b = rest[:2]
    if a == 0:
        raise ValueError("a curve without slope")
    if kind < 3:
        c = rest[2] if kind == 2 else 0.0
        return np.where(x >= -b / a, np.maximum(a * x + b, 0) ** g + c, c)
    slope, start = rest[2:4]
    above, below = rest[4:] or (0.0, 0.0)
    return np.where(x >= start, np.maximum(a * x + b, 0) ** g + above, slope * x + below)


def _from_black(light: NDArray[np.float64]) -> Array:
    """Within [0, 1], with the light of level 0 taken away and white where it was."""
    light = np.clip(np.nan_to_num(light), 0, 1)
    risen: NDArray[np.float64] = np.clip((light - light[0]) / max(1 - light[0], SAME), 0, 1)
    return risen.astype(np.float32)


def _encoded(light: Array) -> Array:
    """IEC 61966-2-1: linear light as sRGB values, clipped to [0, 1]."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055).astype(np.float32)


@cache
def srgb_profile() -> bytes:
    """An sRGB profile (588 bytes, by LittleCMS), without the date of its making: the same bytes every time."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[_DATE] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(made)
