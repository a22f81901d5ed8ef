"""WAV files, written and read without help: 16 bits out, 8 to 64 in.

A WAV file is RIFF (Microsoft and IBM 1991): chunks of a name, a length and bytes. `fmt ` says how the samples in `data`
are written, `LIST INFO` holds texts. Chunks lie at even places; nothing hidden is written, no clock and no name of a
machine.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.errors import MediaError
from phosphene.files import reason

FULL = 32767  # largest level of 16 bits; the lowest one is never written, so that a clip is as loud both ways
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # format codes
MAX_FILE_BYTES = 512 << 20
HEADER = 12  # bytes: RIFF, length, WAVE
STREAMED = 0x7FFFF000  # bytes from which a length is none: programs that cannot go back to the head write so much

Levels = NDArray[np.int16]
Samples = NDArray[np.float32]


def is_wav(data: bytes) -> bool:
    """Whether a file begins as WAV files do."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def to_levels(wave: NDArray[Any]) -> Levels:
    """Samples in [-1, 1] as 16-bit levels; what lies outside is cut off. Raises MediaError for NaN."""
    if not np.isfinite(wave).all():
        raise MediaError("a sound with NaN or infinite samples cannot be written")
    levels: Levels = np.round(np.clip(wave, -1, 1) * FULL).astype(np.int16)
    return levels


def from_levels(levels: NDArray[Any]) -> Samples:
    """16-bit levels, of any type of number, as samples in [-1, 1]."""
    return (levels / np.float32(FULL)).astype(np.float32)


def wav_bytes(levels: Levels, rate: int, info: Mapping[str, str] | None = None) -> bytes:
    """A 16-bit WAV of `levels` (channels, samples). info: texts by their four letters (ISFT software, ICMT comment)."""
    channels, size = levels.shape[0], 2
    format = struct.pack("<HHIIHH", PCM, channels, rate, rate * channels * size, channels * size, 8 * size)
    texts = b"".join(_chunk(name.encode("ascii"), text.encode() + b"\0") for name, text in (info or {}).items())
    parts = [_chunk(b"fmt ", format)]
    if texts:
        parts.append(_chunk(b"LIST", b"INFO" + texts))
    parts.append(_chunk(b"data", levels.T.astype("<i2").tobytes()))
    body = b"WAVE" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def read_wav(data: bytes, name: str) -> tuple[Samples, int]:
    """Samples (channels, n) float32 and the rate in Hz, of a WAV with 8, 16, 24, 32 bits, or 32 or 64-bit numbers.

    Raises MediaError, one line with the file's name, for anything else and for a file that was cut off.
    """
    chunks = {kind: (body, length) for kind, body, length in _chunks(data)}
    format, _ = chunks.get(b"fmt ", (None, 0))
    body, length = chunks.get(b"data", (None, 0))
    if format is None or len(format) < 16 or body is None:
        raise MediaError(f"'{name}' is a damaged WAV file: it has no {'samples' if format else 'format'}")
    if len(body) < length < STREAMED:
        raise MediaError(f"'{name}' was cut off: {len(body)} of its {length} bytes of samples are there")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", format[:16])
    if code == EXTENSIBLE and len(format) >= 26:
        code = struct.unpack("<H", format[24:26])[0]
    if channels < 1 or rate < 1:
        raise MediaError(f"'{name}' is a damaged WAV file: {channels} channels at {rate} Hz")
    samples = _decoded(body, code, bits, name)
    whole = len(samples) - len(samples) % channels
    return np.ascontiguousarray(samples[:whole].reshape(-1, channels).T), rate


def read_info(path: str | Path) -> dict[str, str]:
    """The texts of a WAV file's INFO, by their four letters; empty for any other file. Reads no samples."""
    try:
        with Path(path).open("rb") as file:
            if not is_wav(file.read(HEADER)):
                return {}
            while len(head := file.read(8)) == 8:
                name, length = struct.unpack("<4sI", head)
                if name == b"LIST" and length <= MAX_FILE_BYTES:
                    body = file.read(length + length % 2)
                    return {key.decode("ascii", "replace"): _text(text) for key, text, _ in _chunks(body[4:], at=0)}
                file.seek(length + length % 2, 1)
    except OSError as error:
        raise MediaError(f"cannot read '{path}': {reason(error)}") from error
    return {}


def wav_length(path: str | Path) -> tuple[int, int] | None:
    """(samples, rate in Hz) that a WAV file's header tells; None for any other file. Reads no samples.

    Raises MediaError for a file that cannot be opened or has no format.
    """
    file = Path(path)
    try:
        with file.open("rb") as source:
            if not is_wav(source.read(HEADER)):
                return None
            rate, frame, size, end = 0, 0, 0, file.stat().st_size
            while len(head := source.read(8)) == 8:
                name, length = struct.unpack("<4sI", head)
                if name == b"fmt " and length >= 16:
                    _, _, rate, _, frame = struct.unpack("<HHIIH", source.read(16)[:14])[:5]
                    length -= 16
                elif name == b"data":
                    size = min(length, end - source.tell())  # of a file that was cut off: what is there
                    break
                source.seek(length + length % 2, 1)
    except OSError as error:
        raise MediaError(f"cannot read '{path}': {reason(error)}") from error
    except struct.error:  # it ends inside its format
        rate = 0
    if not rate or not frame:
        raise MediaError(f"'{file.name}' is a damaged WAV file: it has no format")
    return size // frame, rate


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _decoded(body: bytes, code: int, bits: int, name: str) -> Samples:
    size = bits // 8
    body = body[: len(body) - len(body) % size] if size else b""
    if code == FLOAT and bits in (32, 64):
        return np.frombuffer(body, f"<f{size}").astype(np.float32)
    if code != PCM or bits not in (8, 16, 24, 32):
        raise MediaError(f"'{name}' is a WAV of {bits} bits in format {code}; only plain samples can be read")
    if bits == 8:
        return ((np.frombuffer(body, np.uint8).astype(np.float32) - 128) / 128).astype(np.float32)
    if bits == 24:
        wide = np.zeros((len(body) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        levels = wide.view("<i4")[:, 0]
    else:
        levels = np.frombuffer(body, f"<i{size}")
    return (levels / 2.0 ** (31 if bits == 24 else bits - 1)).astype(np.float32)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _chunks(data: bytes, at: int = HEADER) -> Iterator[tuple[bytes, bytes, int]]:
    """(name, bytes, how many there should be) of each chunk; the last one may be cut off."""
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + length], length
        at += 8 + length + length % 2
