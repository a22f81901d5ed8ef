"""Pictures in, 8 bits: any photograph becomes sRGB, upright, RGB or RGBA.

What a viewer shows is what a network must see. Orientation tags are applied, color profiles converted to sRGB, CMYK,
gray, palette and 16-bit pixels become 8-bit RGB, transparency becomes an alpha channel. Files are untrusted: few
formats, the first frame, and a limit on pixels that is checked before anything is decoded. Whatever is wrong with a
file is one `MediaError` of one line.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from phosphene.errors import MediaError
from phosphene.files import reason

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "GIF")  # the rest of Pillow's decoders are rarely fuzzed
SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif")
)  # of files that hold pictures
MAX_PIXELS = 64_000_000  # 64 megapixels: more than any camera a user is likely to bring, 256 MB as RGBA
TOO_LARGE = f"over {MAX_PIXELS // 1_000_000} megapixels; shrink it first"
MAX_FILE_BYTES = 512 << 20  # a 64-megapixel 16-bit RGBA TIFF, uncompressed
MAX_LEVEL_16 = 65535
BITS_PER_SAMPLE, PHOTOMETRIC, PLANAR = 258, 262, 284  # tags of TIFF 6.0
WHITE_IS_ZERO, SEPARATE = 0, 2  # a value of PHOTOMETRIC, and of PLANAR

# Without a handler, Python prints Pillow's complaints about damaged files on stderr, beside the one line raised here.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_MANAGED_AS = {"L": "L", "LA": "L", "CMYK": "CMYK"}  # the modes whose profile is not one of RGB


def read_picture(path: str | Path) -> Image.Image:
    """The picture in a file as 8-bit sRGB, upright: mode RGB, or RGBA when the file has transparency.

    Gray files come back as RGB with equal channels; `.convert("L")` gets their levels back exactly. `read_pixels`
    keeps 16 bits and says what it left out. Raises `MediaError`, one line with file and reason: missing, empty,
    truncated, no picture, over 64 megapixels.
    """
    return decode_picture(file_bytes(path), name=str(path))


def decode_picture(data: bytes, *, name: str) -> Image.Image:
    """As `read_picture`, for the content of a file already in memory; `name` is for the messages."""
    with untrusted(data, name) as image:
        return standard(ImageOps.exif_transpose(image))


def opaque(image: Image.Image, *, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """`image` as RGB, laid over a plain `background` (8-bit RGB) where it is transparent."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert("RGB")


def file_bytes(path: str | Path) -> bytes:
    """The content of a picture file. Raises `MediaError` for a missing, unreadable or huge one, and for a folder."""
    try:
        if Path(path).is_dir():
            raise MediaError(f"cannot read picture '{path}': it is a folder")
        if Path(path).exists() and not Path(path).is_file():
            raise MediaError(f"cannot read picture '{path}': it is not a regular file")
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise MediaError(f"cannot read picture '{path}': it is larger than {MAX_FILE_BYTES >> 20} MB")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise MediaError(f"cannot read picture '{path}': there is no such file") from None
    except OSError as error:
        raise MediaError(f"cannot read picture '{path}': {reason(error)}") from error


@contextmanager
def untrusted(data: bytes, name: str) -> Iterator[Image.Image]:
    """The picture in `data`, opened and not decoded; whatever goes wrong in the block is a `MediaError` on `name`."""
    if not data:
        raise MediaError(f"cannot read picture '{name}': the file is empty")
    with warnings.catch_warnings():
        # Pillow warns of large pictures (refused here), odd EXIF and odd palettes (both read as well as they can be).
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _refuse_large(image)
                _mend(image)
                yield image
        except MediaError as error:
            raise MediaError(f"cannot read picture '{name}': {error}") from None
        except UnidentifiedImageError:
            raise MediaError(f"cannot read picture '{name}': not a {', '.join(FORMATS)} file, or damaged") from None
        except Image.DecompressionBombError:
            raise MediaError(f"cannot read picture '{name}': {TOO_LARGE}") from None
        except Exception as error:  # damaged files make decoders raise nearly anything, from struct.error to TypeError
            what = "truncated" if "truncated" in str(error).lower() else f"damaged ({error})"
            raise MediaError(f"cannot read picture '{name}': the file is {what}") from error


def standard(image: Image.Image) -> Image.Image:
    """8-bit sRGB, RGB or RGBA, without notes. Raises `MediaError` for values that are not those of a picture."""
    image = _eight_bit(image)
    color = _srgb(image)
    if image.has_transparency_data:
        color.putalpha(image.convert("RGBA").getchannel("A"))
    color.info.clear()
    return color


def _refuse_large(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise MediaError(f"{width}x{height} is {TOO_LARGE}")


def is_numeric_gray(image: Image.Image) -> bool:
    """Whether the pixels are numbers of more than 8 bits: modes I, I;16 and F."""
    return image.mode.startswith(("I", "F"))


def gray_values(image: Image.Image) -> NDArray[np.float32]:
    """(h, w) in [0, 1] of numeric gray: 16-bit levels over 65535, floats as they are, which must be in that range."""
    values = np.asarray(image, dtype=np.float32)
    white = 1.0 if image.mode == "F" else MAX_LEVEL_16
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= white):
        raise MediaError(f"its values lie outside 0-{white:g}; save it with 8 or 16 bits")
    return np.divide(values, white, dtype=np.float32)


def _mend(image: Image.Image) -> None:
    """Set right, or refuse, the two kinds of TIFF that Pillow (13.0 and before) misreads without a word."""
    if not isinstance(image, TiffImageFile) or image.tag_v2.get(BITS_PER_SAMPLE, (8,))[0] != 16:
        return
    if image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise MediaError("its 16-bit gray has white as zero; save it with black as zero")
    # Planes of 16 bits, one after the other and not compressed: read as if they had 8.
    order = "B" if image.tag_v2.prefix == b"MM" else "L"
    image.tile = [
        tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:]))
        if tile.codec_name == "raw" and isinstance(tile.args, tuple) and tile.args[0] in ("R", "G", "B", "A")
        else tile
        for tile in image.tile
    ]


def _eight_bit(image: Image.Image) -> Image.Image:
    """Numeric gray as L; any other image as it is."""
    if not is_numeric_gray(image):
        return image
    gray = Image.fromarray((gray_values(image) * 255).round().astype(np.uint8))
    if profile := image.info.get("icc_profile"):
        gray.info["icc_profile"] = profile
    return gray


def _srgb(image: Image.Image) -> Image.Image:
    """The colors as sRGB, mode RGB, ignoring alpha; an unusable profile is ignored, as viewers do."""
    base = image.convert(_MANAGED_AS.get(image.mode, "RGB"))
    if not (profile := image.info.get("icc_profile")):
        return base.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.applyTransform(base, _to_srgb(source, base.mode)) or base.convert("RGB")
    except (ImageCms.PyCMSError, OSError):
        return base.convert("RGB")


def _to_srgb(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if mode == "L":  # LittleCMS's short cut for gray is up to ten levels off in the darks
        flags |= ImageCms.Flags.NOOPTIMIZE
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,  # as browsers do: only colors out of range move
        flags=flags,
    )
