"""TIFF out, 8 and 16 bits: what printers and photo editors take, with alpha and the sRGB profile.

Pillow has no 16-bit color, and the format is small: a header, strips of compressed rows, and a table of tags (Adobe
TIFF 6.0, 1992; Deflate: Adobe's supplement of 2002). Rows are differenced along x (predictor 2) before they are
compressed, which is what makes photographs shrink. The baseline's required tags are all there, and no date, name or
software. Offsets are 32 bits: 4 GB is far above the largest picture that is read.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.media.icc import srgb_profile
from phosphene.media.levels import Bits, levels_of

STRIP_BYTES = 1 << 18  # before compression: small enough for readers that hold a strip, large enough to compress
COMPRESSION = 6  # zlib's usual compromise
DOTS_PER_INCH = 72  # required by the baseline; means nothing for a picture on a screen

_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7  # field types, TIFF 6.0 section 2
_SIZE = {_SHORT: 2, _LONG: 4, _RATIONAL: 8, _UNDEFINED: 1}
_DEFLATE, _DIFFERENCES, _UNASSOCIATED_ALPHA, _GRAY, _RGB, _INCH = 8, 2, 2, 1, 2, 2


def tiff_bytes(x: Tensor, *, bits: Bits = 8) -> bytes:
    """A TIFF of `x` (1, 3 or 4 channels, h, w) in [0, 1], values outside clipped; a fourth channel is alpha.

    Raises `UsageError` for another shape or for integers, `MediaError` for NaN.
    """
    if x.ndim != 3 or x.shape[0] not in (1, 3, 4) or 0 in x.shape:
        raise UsageError(f"a TIFF has shape (1, 3 or 4 channels, height, width), got {tuple(x.shape)}")
    levels = levels_of(x, bits).transpose(1, 2, 0)
    height, width, channels = levels.shape
    rows = max(1, STRIP_BYTES // (width * channels * bits // 8))
    strips = [_strip(levels[top : top + rows]) for top in range(0, height, rows)]
    starts = 8 + np.cumsum([0, *map(len, strips)])  # behind the header of 8 bytes
    profile = srgb_profile() if channels > 1 else b""
    tags: list[tuple[int, int, Any]] = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [bits] * channels),
        (259, _SHORT, [_DEFLATE]),
        (262, _SHORT, [_GRAY if channels == 1 else _RGB]),
        (273, _LONG, starts[:-1].tolist()),
        (277, _SHORT, [channels]),
        (278, _LONG, [rows]),
        (279, _LONG, [len(strip) for strip in strips]),
        (282, _RATIONAL, [DOTS_PER_INCH, 1]),
        (283, _RATIONAL, [DOTS_PER_INCH, 1]),
        (284, _SHORT, [1]),  # the samples of a pixel stand together
        (296, _SHORT, [_INCH]),
        (317, _SHORT, [_DIFFERENCES]),
        *([(338, _SHORT, [_UNASSOCIATED_ALPHA])] if channels == 4 else []),
        *([(34675, _UNDEFINED, profile)] if profile else []),
    ]
    padding = b"\0" * (starts[-1] % 2)  # the table starts on a word
    table_at = int(starts[-1]) + len(padding)
    return b"".join([struct.pack("<2sHI", b"II", 42, table_at), *strips, padding, _table(tags, table_at)])


def _strip(rows: NDArray[Any]) -> bytes:
    """Rows (h, w, c) of levels as differences along x, modulo the word, compressed."""
    differences = np.concatenate([rows[:, :1], rows[:, 1:] - rows[:, :-1]], axis=1)
    return zlib.compress(differences.astype(rows.dtype.newbyteorder("<")).tobytes(), COMPRESSION)


def _table(tags: list[tuple[int, int, Any]], at: int) -> bytes:
    """The image file directory, which lies at byte `at`, and behind it the values that do not fit in its entries."""
    entries, values = [], b""
    values_at = at + 2 + 12 * len(tags) + 4
    for tag, kind, content in tags:
        data = (
            content if kind == _UNDEFINED else struct.pack(f"<{len(content)}{'H' if kind == _SHORT else 'I'}", *content)
        )
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", values_at + len(values))
        values += data + b"\0" * (len(data) % 2) if len(data) > 4 else b""
        entries.append(struct.pack("<HHI", tag, kind, len(data) // _SIZE[kind]) + place)
    return struct.pack("<H", len(tags)) + b"".join(entries) + struct.pack("<I", 0) + values
