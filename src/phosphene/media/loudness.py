"""How loud a sound is, and making it as loud as it may be.

ITU-R BS.1770-4 (2015): the signal goes through two filters that stand for the head and the ear (K-weighting), its power
is taken over blocks of 400 ms, three quarters overlapping, and the mean of the blocks that are not too quiet is

    L = -0.691 + 10 log10(power)    in LUFS; 0 dBFS of 997 Hz in one channel is -3.01

The true peak is that of the wave between its samples, at four times the rate.

Departures: the filters are applied to the spectrum, by their own frequency response at any rate; a sound shorter than
a block is one block.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from phosphene.errors import UsageError

LOUDEST = -16.0  # LUFS; nothing is made louder: a sound that was optimised may be unpleasant, and must not hurt
USUAL = -23.0  # LUFS, of a program (EBU R 128)
HIGHEST_PEAK = -1.0  # dBTP (EBU R 128)
SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)  # Hz, dB, quality: the head
HIGHPASS = (38.13547087602444, 0.5003270373238773)  # Hz, quality: the ear
OFFSET = -0.691  # dB, so that 997 Hz is what it says
BLOCK, OVERLAP = 0.4, 0.75  # seconds, share
GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, and LU below the mean of what passes the first
OVERSAMPLING = 4


def loudness(sound: Tensor, rate: int) -> float:
    """Integrated loudness of (channels, samples) in LUFS; -inf where nothing passes the gate of -70."""
    weighted = _weighted(sound.double(), rate)
    length = min(round(BLOCK * rate), sound.shape[-1])
    blocks = weighted.unfold(-1, length, max(1, round(length * (1 - OVERLAP)))).square().mean(-1).sum(0)
    heard = blocks[_lufs(blocks) > GATE]
    if len(heard) == 0:
        return -math.inf
    heard = heard[_lufs(heard) > float(_lufs(heard.mean())) + RELATIVE_GATE]
    return float(_lufs(heard.mean()))


def true_peak(sound: Tensor) -> float:
    """The largest magnitude of the wave between its samples; 1 is full scale."""
    samples = sound.shape[-1]
    spectrum = torch.fft.rfft(sound.double(), n=2 * samples)
    fine = torch.fft.irfft(spectrum, n=2 * samples * OVERSAMPLING) * OVERSAMPLING
    return max(float(fine.abs().max()), float(sound.abs().max()))


def loud(loudness: float, peak: float) -> str:
    """How loud a sound is, in words. peak: its true peak, 1 is full scale."""
    if not math.isfinite(loudness) or peak <= 0:
        return "silent"
    return f"{loudness:.1f} LUFS, peak {20 * math.log10(peak):.1f} dBTP"


def check_loudness(target: float) -> None:
    """Raise UsageError for a target above -16 LUFS."""
    if not target <= LOUDEST:
        raise UsageError(f"loudness is {LOUDEST:g} LUFS at most, so that no sound hurts; got {target:g}")


def leveled(sound: Tensor, rate: int, target: float = USUAL) -> Tensor:
    """The sound (channels, samples) at `target` LUFS, or quieter where its true peak would pass -1 dBTP.

    Silence stays silence. Raises UsageError for a target above -16 LUFS.
    """
    check_loudness(target)
    now, peak = loudness(sound, rate), true_peak(sound)
    if not math.isfinite(now) or peak == 0:
        return sound
    gain = min(10 ** ((target - now) / 20), 10 ** (HIGHEST_PEAK / 20) / peak)
    return sound * gain


def _lufs(power: Tensor) -> Tensor:
    return OFFSET + 10 * torch.log10(power)


def _weighted(sound: Tensor, rate: int) -> Tensor:
    """The sound through both filters; silence behind it takes up what rings on."""
    length = sound.shape[-1] + rate
    turn = torch.exp(-2j * math.pi * torch.fft.rfftfreq(length, dtype=torch.float64))
    response = _shelf(turn, rate) * _highpass(turn, rate)
    weighted: Tensor = torch.fft.irfft(torch.fft.rfft(sound, n=length) * response, n=length)
    return weighted[..., : sound.shape[-1]]


def _shelf(turn: Tensor, rate: int) -> Tensor:
    hertz, gain, quality = SHELF
    k, high = math.tan(math.pi * hertz / rate), 10 ** (gain / 20)
    middle = high**0.4996667741545416  # the standard's own fit
    b = (high + middle * k / quality + k * k, 2 * (k * k - high), high - middle * k / quality + k * k)
    return _ratio(b, (1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k), turn)


def _highpass(turn: Tensor, rate: int) -> Tensor:
    hertz, quality = HIGHPASS
    k = math.tan(math.pi * hertz / rate)
    scale = 1 + k / quality + k * k
    return _ratio((scale, -2 * scale, scale), (scale, 2 * (k * k - 1), 1 - k / quality + k * k), turn)


def _ratio(above: tuple[float, float, float], below: tuple[float, float, float], turn: Tensor) -> Tensor:
    """The response of a filter with these coefficients."""
    return (above[0] + above[1] * turn + above[2] * turn**2) / (below[0] + below[1] * turn + below[2] * turn**2)
