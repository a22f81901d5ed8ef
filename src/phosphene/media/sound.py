"""Sounds in: any recording as (channels, samples) at the rate and in the channels that a network wants.

WAV files are read by `wav.py`; all other formats (FLAC, OGG, MP3, AIFF) by soundfile, the extra "audio". What had to be
changed is said: a network that was trained at 16 kHz hears something else at 44.1.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phosphene.errors import MediaError, MissingExtraError
from phosphene.files import reason
from phosphene.media.wav import MAX_FILE_BYTES, Samples, is_wav, read_wav, wav_length

SILENT = 1e-4  # peak below which a recording is silent: 80 dB below full scale
SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff"))  # of files that hold sounds
NO_SOUND = "'{}' is no sound that can be read (WAV, FLAC, OGG, MP3, AIFF)"
CONSTANT_SHARE = 0.999  # of the power in the mean: no sound


def read_sound(
    path: str | Path, *, rate: int, channels: int = 1, longest: float | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """A recording (channels, samples) in [-1, 1] at `rate` Hz, and notes on what was changed.

    longest: seconds that may be read. Raises MediaError, one line with the file's name: missing, no sound, empty, too
    long, silent, constant, NaN; MissingExtraError
    for a format that needs soundfile.
    """
    name = Path(path).name
    if longest is not None:
        _refuse_long(name, *sound_length(path), longest)  # before an hour of it is decoded
    samples, own = _read(Path(path))
    if samples.shape[1] < 2:
        count = "1 sample" if samples.shape[1] else "0 samples"
        raise MediaError(f"'{name}' has {count}; there is nothing to hear")
    if longest is not None:
        _refuse_long(name, samples.shape[1], own, longest)  # a head may say less than there is
    if not np.isfinite(samples).all():
        raise MediaError(f"'{name}' has samples that are NaN or infinite; export it again")
    sound = torch.from_numpy(samples)
    loudest = float(sound.abs().max())
    notes = []
    if own != rate:
        sound = resampled(sound, own, rate)
        notes.append(f"'{name}' is resampled from {own} to {rate} Hz")
    if len(sound) != channels:
        notes.append(f"'{name}' has {len(sound)} channels; they are averaged to {channels}")
        sound = sound.double().mean(0, keepdim=True).float().expand(channels, -1).contiguous()
    peak = float(sound.abs().max())
    if peak > 1:
        sound = sound / peak
        notes.append(f"'{name}' leaves full scale (peak {peak:.3g}); it is turned down")
    if peak < SILENT:
        canceled = f": its {len(samples)} channels cancel each other out" if loudest >= SILENT else ""
        raise MediaError(f"'{name}' is silent{canceled}")
    if float(sound.mean().square()) > CONSTANT_SHARE * float(sound.square().mean()):
        raise MediaError(f"'{name}' is a constant (DC), no sound")
    return sound, tuple(notes)


def sound_length(path: str | Path) -> tuple[int, int]:
    """(samples, rate in Hz) of a recording, as its header says: nothing is decoded.

    Raises MediaError, one line with the file's name, for what is no sound; MissingExtraError for a format that needs
    soundfile.
    """
    file = Path(path)
    if (found := wav_length(file)) is not None:
        return found
    if file.suffix.lower() == ".wav":
        raise MediaError(f"'{file}' is named .wav and is no WAV file")
    soundfile = _soundfile()
    try:
        told = soundfile.info(str(file))
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise MediaError(NO_SOUND.format(file)) from error
    return int(told.frames), int(told.samplerate)


def _refuse_long(name: str, samples: int, rate: int, longest: float) -> None:
    if samples > longest * rate:
        raise MediaError(f"'{name}' lasts {samples / rate:.0f} s, and {longest:g} s is the most; cut a part out")


def resampled(sound: Tensor, rate: int, wanted: int) -> Tensor:
    """(c, n) at `rate` Hz -> (c, n') at `wanted` Hz: its spectrum, cut off or filled up with zeros."""
    samples = sound.shape[-1]
    length = max(1, round(samples * wanted / rate))
    spectrum = torch.fft.rfft(sound.double())
    kept = min(spectrum.shape[-1], length // 2 + 1)
    found: Tensor = torch.fft.irfft(spectrum[..., :kept], n=length) * (length / samples)
    return found.float()


def _read(path: Path) -> tuple[Samples, int]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise MediaError(f"'{path}' is larger than {MAX_FILE_BYTES >> 20} MB")
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot read '{path}': {reason(error)}") from error
    if is_wav(data):
        return read_wav(data, path.name)
    if path.suffix.lower() == ".wav":
        raise MediaError(f"'{path}' is named .wav and is no WAV file")
    return _other(data, path)


def _other(data: bytes, path: Path) -> tuple[Samples, int]:
    soundfile = _soundfile()
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise MediaError(NO_SOUND.format(path)) from error
    return np.ascontiguousarray(samples.T), int(rate)


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there and the library it wraps is not
        raise MissingExtraError("soundfile", "audio") from error
    return soundfile
