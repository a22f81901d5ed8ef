"""Tensors and levels: what x in [0, 1] becomes in a file, and what a reader of that file finds.

The level of x is round((2^bits - 1) x), ties to even, with 8 or 16 bits. `quantize` gives back what a reader of the
file will find, to the bit, so a score can be measured on the picture that is saved and not on the one that was
optimized. Any number of channels can be looked at: 1, 3 and 4 are a picture, others stand side by side as panels.
"""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from phosphene.errors import MediaError, UsageError
from phosphene.media.decode import MAX_PIXELS, standard

PANELS_IN_A_ROW = 8  # up to here the channels stand side by side; more are wrapped to a near-square
PANEL_GAP = 2  # pixels between panels

Picture = Image.Image | Tensor
Bits = Literal[8, 16]


def to_tensor(image: Image.Image) -> Tensor:
    """(c, h, w) float32 in [0, 1], level / 255, on the CPU: c is 1 for mode L, 3 for RGB, 4 for RGBA.

    Other modes are brought to RGB or RGBA first.
    """
    levels = np.array(image if image.mode in ("L", "RGB", "RGBA") else standard(image))
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
    planes = levels_of(x)
    return Image.fromarray(planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0)))


def panels(x: Tensor) -> Image.Image:
    """One gray panel per channel of `x` (c, h, w), side by side, so that a 5-channel input can be looked at.

    More than eight channels are wrapped to a near-square. Use `array_bytes` to keep the values themselves.
    """
    levels = levels_of(x)
    channels, height, width = levels.shape
    columns = channels if channels <= PANELS_IN_A_ROW else math.ceil(math.sqrt(channels))
    rows = math.ceil(channels / columns)
    sheet = Image.new("L", (columns * (width + PANEL_GAP) - PANEL_GAP, rows * (height + PANEL_GAP) - PANEL_GAP))
    for i, panel in enumerate(levels):
        place = (i % columns * (width + PANEL_GAP), i // columns * (height + PANEL_GAP))
        sheet.paste(Image.fromarray(panel), place)
    return sheet


def quantize(x: Tensor, *, bits: Bits = 8) -> Tensor:
    """What the saved file of `x` (any shape, in [0, 1]) will read back as, to the bit: float32 on x's device."""
    return _unit(_rounded(x, bits), bits)


def levels_of(x: Tensor, bits: Bits = 8) -> NDArray[Any]:
    """The levels of `x` (any shape, in [0, 1], clipped) as uint8 or uint16 of the same shape.

    Raises `MediaError` for NaN, `UsageError` for integers.
    """
    return _rounded(x, bits).cpu().numpy().astype(np.uint8 if bits == 8 else np.uint16)


def pixels_sha256(picture: Picture) -> str:
    """SHA-256 of the 8-bit levels alone, row by row: what `hashlib.sha256(Image.open(png).tobytes())` gives."""
    return hashlib.sha256(bare(picture).tobytes()).hexdigest()


def array_bytes(x: Tensor) -> bytes:
    """An .npy file of the 8-bit levels of `x`, uint8 of the same shape: lossless beside a PNG of panels."""
    out = io.BytesIO()
    np.save(out, levels_of(x), allow_pickle=False)
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


def bare(picture: Picture) -> Image.Image:
    """Only the pixels: L, RGB or RGBA without the notes that Pillow would write along."""
    image = from_tensor(picture) if isinstance(picture, Tensor) else picture
    image = image.copy() if image.mode in ("L", "RGB", "RGBA") else standard(image)
    image.info.clear()
    return image


def _rounded(x: Tensor, bits: Bits) -> Tensor:
    """The levels as whole float32 numbers (exact to 2^24), on x's device."""
    if not x.is_floating_point():
        raise UsageError(f"pixels are floats in [0, 1], got {x.dtype}")
    values = x.detach().float()
    if values.isnan().any():
        raise MediaError("cannot show a picture that holds NaN")
    return (values.clamp(0, 1) * white(bits)).round()


def white(bits: Bits) -> int:
    """The level of white: 255 or 65535."""
    return (1 << bits) - 1


def _unit(levels: Tensor, bits: Bits = 8) -> Tensor:
    return levels.float() / white(bits)
