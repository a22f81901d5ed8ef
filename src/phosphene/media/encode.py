"""Pictures out: the format is that of the file's suffix, the pixels are sRGB, and the bytes depend on nothing else.

PNG and TIFF keep every level, with 8 or 16 bits. JPEG, WebP and AVIF are for the web and for sending: JPEG and AVIF
without color subsampling, because optimized pictures are full of thin colored lines that 4:2:0 turns to mud. WebP has
no other choice. Alpha is kept wherever the format has it. JPEG, WebP and TIFF carry an sRGB profile, AVIF says sRGB by
number, and PNG goes without one, which means sRGB everywhere.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import features
from torch import Tensor

from phosphene.errors import MediaError, UsageError
from phosphene.files import atomic_write
from phosphene.media.decode import opaque
from phosphene.media.icc import srgb_profile
from phosphene.media.levels import Bits, from_tensor, quantize
from phosphene.media.png import png_bytes
from phosphene.media.tiff import tiff_bytes

Format = Literal["PNG", "TIFF", "JPEG", "WEBP", "AVIF"]
FORMAT_OF: dict[str, Format] = {
    ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".avif": "AVIF",
}  # fmt: skip
DEEP: tuple[Format, ...] = ("PNG", "TIFF")  # the formats with 16 bits
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65535}  # pixels: libjpeg's, WebP's and AVIF's own limits

# Each encoder's scale is its own. On a photograph of 640x427 these give 46, 41 and 45 dB in 75, 47 and 64 kB.
JPEG_QUALITY, WEBP_QUALITY, AVIF_QUALITY = 92, 92, 92

GIF_TICK_MS = 10  # GIF counts time in hundredths of a second
GIF_SHORTEST_MS = 20  # browsers play shorter frames slowly


def output_format(path: str | Path, *, bits: int = 8) -> Format:
    """The format that `path` is written in, by its suffix. Call it before a long computation.

    Raises `UsageError` for a suffix of no known format, for 16 bits in a format without them, for other bits;
    `MediaError` where this build of Pillow lacks the encoder.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMAT_OF:
        raise UsageError(f"cannot write a picture as '{path}': the suffix must be one of {', '.join(FORMAT_OF)}")
    format = FORMAT_OF[suffix]
    if bits not in (8, 16):
        raise UsageError(f"cannot write '{path}' with {bits} bits: a picture has 8 or 16")
    if bits == 16 and format not in DEEP:
        raise UsageError(f"cannot write '{path}' with 16 bits: {format} has 8; use .png or .tif")
    if format in ("WEBP", "AVIF") and not features.check(format.lower()):
        raise MediaError(f"cannot write '{path}': this build of Pillow has no {format}; use .png")
    return format


def write_picture(
    path: str | Path, x: Tensor, *, bits: Bits = 8, text: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Write `x` (1, 3 or 4 channels, h, w) in [0, 1] to `path`, whole or not at all, in the format of its suffix.

    text: for PNG, as in `png_bytes`; other formats carry none. Returns notices for the user: transparency that the
    format cannot hold is laid over white. Raises `UsageError` as `output_format` and for another shape or a side that
    the format cannot have, `MediaError` for NaN, `FileError` when the file cannot be written.
    """
    format = output_format(path, bits=bits)
    atomic_write(path, encode_picture(x, format, bits=bits, text=text))
    if format == "JPEG" and len(x) == 4 and bool((quantize(x[3]) < 1).any()):
        return (f"JPEG has no transparency: '{path}' is laid over white",)
    return ()


def encode_picture(x: Tensor, format: Format, *, bits: Bits = 8, text: Mapping[str, str] | None = None) -> bytes:
    """The content of such a file. The same pixels and text give the same bytes."""
    if x.ndim != 3 or x.shape[0] not in (1, 3, 4) or 0 in x.shape:
        raise UsageError(f"a picture file has shape (1, 3 or 4 channels, height, width), got {tuple(x.shape)}")
    if max(x.shape[1:]) > (limit := LONGEST_SIDE.get(format, max(x.shape))):
        raise UsageError(f"{format} has sides of at most {limit} pixels, got {x.shape[2]}x{x.shape[1]}; use .png")
    if format == "PNG":
        return png_bytes(x, text, bits=bits)
    if format == "TIFF":
        return tiff_bytes(x, bits=bits)
    image = from_tensor(x)
    options: dict[str, Any] = {"icc_profile": b"" if image.mode == "L" else srgb_profile()}
    if format == "JPEG":
        image = image if image.mode == "L" else opaque(image)
        options |= {"quality": JPEG_QUALITY, "subsampling": "4:4:4", "optimize": True}
    elif format == "WEBP":
        options |= {"quality": WEBP_QUALITY, "exact": True}  # exact: colors under alpha 0 stay
    else:
        # Without tiling by the number of processors, which would make the bytes depend on the machine.
        options = {"quality": AVIF_QUALITY, "subsampling": "4:4:4", "autotiling": False, "icc_profile": b""}
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def animation_bytes(frames: Sequence[Tensor], *, format: Literal["webp", "gif"] = "webp", fps: float = 12.0) -> bytes:
    """An endless animation of `frames`, each (c, h, w) in [0, 1] and all of one shape, `fps` frames per second.

    GIF has 256 colors a frame and times in hundredths of a second, at most 50 frames per second.
    """
    if not frames or len({tuple(frame.shape) for frame in frames}) != 1:
        raise UsageError("an animation needs at least one frame, and all frames of one shape")
    if not 0 < fps <= 1000:
        raise UsageError(f"fps must be above 0 and at most 1000, got {fps}")
    if format == "webp" and not features.check("webp"):
        raise MediaError("this build of Pillow cannot write WebP; use gif")
    milliseconds = 1000 / fps
    if format == "gif":
        milliseconds = max(round(milliseconds / GIF_TICK_MS) * GIF_TICK_MS, GIF_SHORTEST_MS)
    first, *rest = [from_tensor(frame) for frame in frames]
    out = io.BytesIO()
    first.save(out, format.upper(), save_all=True, append_images=rest, duration=round(milliseconds), loop=0, quality=90)
    return out.getvalue()
