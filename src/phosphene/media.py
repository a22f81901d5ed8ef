"""Pictures in and out: any photograph becomes 8-bit sRGB, any (c, h, w) tensor becomes a picture, exactly.

In: what a viewer shows is what a network must see. Orientation tags are applied, color profiles converted to sRGB,
CMYK, gray, palette and 16-bit pixels become 8-bit RGB, transparency becomes an alpha channel. Files are untrusted:
few formats, the first frame, and a limit on pixels that is checked before anything is decoded.

Out: the 8-bit level of x in [0, 1] is round(255 x), ties to even. `quantize` gives back what a reader of the file
will find, to the bit, so a score can be measured on the picture that is saved and not on the one that was optimized.
PNG is written without clock, profile or other hidden state: the same pixels and text give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, features
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from phosphene.errors import MediaError, UsageError
from phosphene.files import reason

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "GIF")  # the rest of Pillow's decoders are rarely fuzzed
MAX_PIXELS = 64_000_000  # 64 megapixels: more than any camera a user is likely to bring, 256 MB as RGBA
MAX_FILE_BYTES = 512 << 20  # a 64-megapixel 16-bit RGBA TIFF, uncompressed
MAX_LEVEL_16 = 65535
PANELS_IN_A_ROW = 8  # up to here the channels stand side by side; more are wrapped to a near-square
PANEL_GAP = 2  # pixels between panels
GIF_TICK_MS = 10  # GIF counts time in hundredths of a second
GIF_SHORTEST_MS = 20  # browsers play shorter frames slowly

Picture = Image.Image | Tensor

# Without a handler, Python prints Pillow's complaints about damaged files on stderr, beside the one line raised here.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_MANAGED_AS = {"L": "L", "LA": "L", "CMYK": "CMYK"}  # the modes whose profile is not one of RGB


def read_picture(path: str | Path) -> Image.Image:
    """The picture in a file as 8-bit sRGB, upright: mode RGB, or RGBA when the file has transparency.

    Gray files come back as RGB with equal channels; `.convert("L")` gets their levels back exactly. Raises
    `MediaError`, one line with file and reason: missing, empty, truncated, no picture, over 64 megapixels.
    """
    try:
        if Path(path).is_dir():
            raise MediaError(f"cannot read picture '{path}': it is a folder")
        if Path(path).exists() and not Path(path).is_file():
            raise MediaError(f"cannot read picture '{path}': it is not a regular file")
        if Path(path).stat().st_size > MAX_FILE_BYTES:
            raise MediaError(f"cannot read picture '{path}': it is larger than {MAX_FILE_BYTES >> 20} MB")
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise MediaError(f"cannot read picture '{path}': there is no such file") from None
    except OSError as error:
        raise MediaError(f"cannot read picture '{path}': {reason(error)}") from error
    return decode_picture(data, name=str(path))


def decode_picture(data: bytes, *, name: str) -> Image.Image:
    """As `read_picture`, for the content of a file already in memory; `name` is for the messages."""
    if not data:
        raise MediaError(f"cannot read picture '{name}': the file is empty")
    with warnings.catch_warnings():
        # Pillow warns of large pictures (refused here), odd EXIF and odd palettes (both read as well as they can be).
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _refuse_large(image)
                return _standard(ImageOps.exif_transpose(image))
        except MediaError as error:
            raise MediaError(f"cannot read picture '{name}': {error}") from None
        except UnidentifiedImageError:
            raise MediaError(f"cannot read picture '{name}': not a {', '.join(FORMATS)} file, or damaged") from None
        except Image.DecompressionBombError:
            raise MediaError(f"cannot read picture '{name}': over {MAX_PIXELS // 1_000_000} megapixels") from None
        except Exception as error:  # damaged files make decoders raise nearly anything, from struct.error to TypeError
            what = "truncated" if "truncated" in str(error).lower() else f"damaged ({error})"
            raise MediaError(f"cannot read picture '{name}': the file is {what}") from error


def opaque(image: Image.Image, *, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """`image` as RGB, laid over a plain `background` (8-bit RGB) where it is transparent."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """(c, h, w) float32 in [0, 1], level / 255, on the CPU: c is 1 for mode L, 3 for RGB, 4 for RGBA.

    Other modes are brought to RGB or RGBA first.
    """
    levels = np.array(image if image.mode in ("L", "RGB", "RGBA") else _standard(image))
    planes = levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)
    return _unit(torch.from_numpy(planes.copy()))


def from_tensor(x: Tensor) -> Image.Image:
    """The picture of `x` (c, h, w) in [0, 1]; values outside are clipped.

    1, 3 and 4 channels are mode L, RGB and RGBA, and `to_tensor` of the result is `quantize(x)`. Any other number
    is shown as `panels(x)`. Raises `MediaError` for NaN, `UsageError` for another shape or for integers.
    """
    if x.ndim != 3 or 0 in x.shape:
        raise UsageError(f"a picture has shape (channels, height, width), got {tuple(x.shape)}")
    if x.shape[0] not in (1, 3, 4):
        return panels(x)
    planes = _levels(x).numpy()
    return Image.fromarray(planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0)))


def panels(x: Tensor) -> Image.Image:
    """One gray panel per channel of `x` (c, h, w), side by side, so that a 5-channel input can be looked at.

    More than eight channels are wrapped to a near-square. Use `array_bytes` to keep the values themselves.
    """
    levels = _levels(x).numpy()
    channels, height, width = levels.shape
    columns = channels if channels <= PANELS_IN_A_ROW else math.ceil(math.sqrt(channels))
    rows = math.ceil(channels / columns)
    sheet = Image.new("L", (columns * (width + PANEL_GAP) - PANEL_GAP, rows * (height + PANEL_GAP) - PANEL_GAP))
    for i, panel in enumerate(levels):
        place = (i % columns * (width + PANEL_GAP), i // columns * (height + PANEL_GAP))
        sheet.paste(Image.fromarray(panel), place)
    return sheet


def quantize(x: Tensor) -> Tensor:
    """What the saved 8-bit file of `x` (any shape, in [0, 1]) will read back as, to the bit: float32 on x's device."""
    return _unit(_levels(x)).to(x.device)


def png_bytes(picture: Picture, text: Mapping[str, str] | None = None) -> bytes:
    """A PNG of `picture` (an image, or a tensor as for `from_tensor`) with `text` in uncompressed iTXt chunks.

    The chunks stand before the pixels, in the order given, so a reader finds them without decoding. Nothing else of
    the image travels along (profile, EXIF, dates). Raises `UsageError` for a key that PNG cannot hold.
    """
    image = _bare(picture)
    info = PngInfo()
    for key, value in (text or {}).items():
        if not (1 <= len(key) <= 79 and key.isascii() and key.isprintable()):  # 79: PNG specification, keyword
            raise UsageError(f"a PNG text key is 1-79 printable ASCII characters, got {key!r}")
        info.add_itxt(key, value, zip=False)
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=info)
    return out.getvalue()


def pixels_sha256(picture: Picture) -> str:
    """SHA-256 of the 8-bit levels alone, row by row: what `hashlib.sha256(Image.open(png).tobytes())` gives."""
    return hashlib.sha256(_bare(picture).tobytes()).hexdigest()


def array_bytes(x: Tensor) -> bytes:
    """An .npy file of the 8-bit levels of `x`, uint8 of the same shape: lossless beside a PNG of panels."""
    out = io.BytesIO()
    np.save(out, _levels(x).numpy(), allow_pickle=False)
    return out.getvalue()


def read_array(path: str | Path) -> Tensor:
    """What `array_bytes` kept, as float32 in [0, 1]: equal to `quantize` of the tensor that was saved.

    Raises `MediaError` when the file is missing, damaged, not 8-bit, or larger than a picture may be.
    """
    try:
        levels = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a lying header cannot make it allocate
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise MediaError(f"cannot read array '{path}': {error}") from error
    if not isinstance(levels, np.ndarray) or levels.dtype != np.uint8 or levels.size > 4 * MAX_PIXELS:
        raise MediaError(f"cannot read array '{path}': not 8-bit levels of at most {4 * MAX_PIXELS} values")
    return _unit(torch.from_numpy(np.array(levels)))


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


def _levels(x: Tensor) -> Tensor:
    """round(255 x) clipped to 0-255, uint8 on the CPU."""
    if not x.is_floating_point():
        raise UsageError(f"pixels are floats in [0, 1], got {x.dtype}")
    values = x.detach().float()
    if values.isnan().any():
        raise MediaError("cannot show a picture that holds NaN")
    return (values.clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def _unit(levels: Tensor) -> Tensor:
    return levels.float() / 255


def _bare(picture: Picture) -> Image.Image:
    """Only the pixels: L, RGB or RGBA without the notes that Pillow would write along."""
    image = from_tensor(picture) if isinstance(picture, Tensor) else picture
    image = image.copy() if image.mode in ("L", "RGB", "RGBA") else _standard(image)
    image.info.clear()
    return image


def _refuse_large(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise MediaError(f"{width}x{height} is over {MAX_PIXELS // 1_000_000} megapixels")


def _standard(image: Image.Image) -> Image.Image:
    """8-bit sRGB, RGB or RGBA, without notes."""
    image = _eight_bit(image)
    color = _srgb(image)
    if image.has_transparency_data:
        color.putalpha(image.convert("RGBA").getchannel("A"))
    color.info.clear()
    return color


def _eight_bit(image: Image.Image) -> Image.Image:
    """Gray of 16 bits, or of floats in [0, 1], as L; any other image as it is."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image, dtype=np.float32)
    white = 1.0 if image.mode == "F" else MAX_LEVEL_16
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= white):
        raise MediaError(f"its values lie outside 0-{white:g}; save it with 8 or 16 bits")
    gray = Image.fromarray((values * (255 / white)).round().astype(np.uint8))
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
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,  # as browsers do: only colors out of range move
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
