"""A sound as its file will hold it: quiet ends, at its loudness, in 16 bits; and what tells it from every other."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from phosphene.media.loudness import leveled
from phosphene.media.wav import from_levels, to_levels

ENDS = 160  # samples that fade to silence in the file, 10 ms at 16 kHz: what ends in the middle of a wave clicks


def kept(wave: Tensor, rate: int, loudness: float, *, ends: int = ENDS) -> Tensor:
    """A wave (channels, samples) as its file will hold it, at `loudness` LUFS.

    ends: samples that fade at either end, a quarter of the wave at most; 0 for a loop, which has no ends.
    """
    length = min(ends, wave.shape[-1] // 4)
    envelope = torch.ones(wave.shape[-1])
    if length > 0:
        envelope[:length] = torch.linspace(0, 1, length)
        envelope[-length:] = envelope[:length].flip(0)
    finite = torch.nan_to_num(wave.float().cpu(), nan=0.0, posinf=0.0, neginf=0.0)
    return torch.from_numpy(from_levels(to_levels(leveled(finite * envelope, rate, loudness).numpy())))


def samples_sha256(sound: Tensor) -> str:
    """SHA-256 of the 16-bit levels alone, channel after channel within each sample, as the WAV holds them."""
    return hashlib.sha256(to_levels(sound.numpy()).T.astype("<i2").tobytes()).hexdigest()
