"""Changes of a sound that keep one thing and destroy another, and the smallest band of frequencies that is enough.

Sounds are (c, 1, samples), as pictures of height 1, so that a patch is a stretch of time and all that is told of
patches holds. Filters are zero-phase, by one Fourier transform of the whole sound: their slopes are a sixth of an
octave. What is split at 1 kHz adds up to the sound. What a filter or a cut leaves lies on the faint noise that
stands for nothing (`faint_noise`): it would be digital silence otherwise, which no recording has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from phosphene.cards.changes import Change, Scene
from phosphene.cards.eye import Eye
from phosphene.cards.patch import alone, shrunk, without
from phosphene.seeds import Generators, key

Band = tuple[float, float]  # Hz

SPLIT = 1000.0  # Hz: half of the mel scale of 16 kHz lies below 1.8 kHz, and most pitches lie below 1 kHz
SLOPE = 1 / 6  # octaves over which a filter falls
LOWEST = 40.0  # Hz: a band that begins there begins at 0
THINNEST = 1 / 3  # octaves: no band is narrower, as the ear's own are not
PIECES = 6  # to the length of the patch
LEAST_PIECE = 0.008  # seconds
EDGE = 0.001  # seconds that a piece fades in and out, so that a cut makes no click
FADE = 0.005  # seconds that a part fades in and out
SHORTEST = 0.01  # seconds: no part is shorter
SOFTER = 20.0  # dB
NOISE = 10.0  # dB below the sound


@dataclass(frozen=True)
class SoundScene(Scene):
    """rate: of the sound, in Hz. band: the smallest one that is enough."""

    rate: int = 16_000
    band: Band = (0.0, 8000.0)


def passed(sound: Tensor, band: Band, rate: int) -> Tensor:
    """What of a sound lies in a band. One that begins at `LOWEST` passes all below, one that ends at half the rate all
    above."""
    return _filtered(sound, _gain(sound, band, rate))


def stopped(sound: Tensor, band: Band, rate: int) -> Tensor:
    """The rest."""
    return _filtered(sound, 1 - _gain(sound, band, rate))


def _filtered(sound: Tensor, gain: Tensor) -> Tensor:
    found: Tensor = torch.fft.irfft(torch.fft.rfft(sound) * gain, n=sound.shape[-1])
    return found


def _gain(sound: Tensor, band: Band, rate: int) -> Tensor:
    """1 in the band, and half a wave of a cosine down to 0 outside it, over the slope."""
    hertz = torch.fft.rfftfreq(sound.shape[-1], 1 / rate).clamp(min=1e-3)
    outside = torch.zeros_like(hertz)
    if band[0] > LOWEST:
        outside = torch.maximum(outside, (band[0] / hertz).log2())
    if band[1] < rate / 2:
        outside = torch.maximum(outside, (hertz / band[1]).log2())
    return 0.5 + 0.5 * (math.pi * (outside / SLOPE).clamp(max=1)).cos()


def smallest_band(
    eye: Eye, sound: Tensor, place: tuple[int, int] | None, nothing: Tensor, rate: int, *, keep: float
) -> Band:
    """The band that still keeps a share of the response at a place, found as the smallest patch is: cut off, in
    octaves, whatever the unit misses least. All frequencies where the sound excites it no more than nothing does."""
    ends = eye.at(torch.stack([sound, nothing]), place)
    whole, blank = float(ends[0]), float(ends[1])
    every = (math.log2(LOWEST), math.log2(rate / 2))
    if not whole > blank:
        return LOWEST, rate / 2

    def shares(bands: list[Band]) -> Tensor:
        heard = torch.stack([passed(sound, (2**low, 2**high), rate) + nothing for low, high in bands])
        return (eye.at(heard, place) - blank) / (whole - blank)

    (low, high), _ = shrunk(every, shares, _narrower, keep)
    return 2**low, 2**high


def _narrower(band: Band, share: float) -> list[Band]:
    cut = share * (band[1] - band[0])
    if band[1] - band[0] - cut < THINNEST:
        return []
    return [(band[0] + cut, band[1]), (band[0], band[1] - cut)]


def shuffled(sound: Tensor, scene: SoundScene) -> Tensor:
    """Cut into short pieces, six to the length of the patch, and six at a time in another order."""
    first, end = scene.patch[1], scene.patch[3]
    size = max(round(LEAST_PIECE * scene.rate), (end - first) // PIECES)
    draw = np.random.Generator(np.random.Philox(key=key(scene.seed, scene.key, "shuffle")))
    edge = max(1, min(round(EDGE * scene.rate), size // 4))
    rise = (torch.arange(edge, dtype=torch.float32) + 0.5) / edge
    fade = torch.cat([rise, torch.ones(size - 2 * edge), rise.flip(0)])
    out = sound.clone()
    for start in range(first % (PIECES * size), sound.shape[-1] - PIECES * size + 1, PIECES * size):
        for place, source in enumerate(draw.permutation(PIECES).tolist()):
            to, at = start + place * size, start + source * size
            out[..., to : to + size] = fade * sound[..., at : at + size]
    return out


def noisy(sound: Tensor, scene: SoundScene) -> Tensor:
    """With white noise 10 dB below the level of the patch."""
    part = sound[..., scene.patch[1] : scene.patch[3]]
    level = float(part.square().mean().sqrt()) * 10 ** (-NOISE / 20)
    return sound + level * Generators(scene.seed, [scene.key]).normal("noise", 0, tuple(sound.shape))[0]


LOW, HIGH = "low-passed", "high-passed"
REVERSED, SHUFFLED = "reversed", "short pieces shuffled"
QUIETER, IN_NOISE = "softer", "in noise"
BAND, NO_BAND = "band alone", "band removed"
PART, NO_PART = "part alone", "part removed"


def laid(make: Callable[[Tensor, SoundScene], Tensor]) -> Callable[[Tensor, SoundScene], Tensor]:
    """A filter whose result lies on the faint noise."""
    return lambda sound, scene: make(sound, scene) + scene.color


SOUND_CHANGES = (
    Change(LOW, "what lies below 1 kHz", "all above", laid(lambda x, at: stopped(x, (SPLIT, at.rate / 2), at.rate))),
    Change(HIGH, "what lies above 1 kHz", "all below", laid(lambda x, at: passed(x, (SPLIT, at.rate / 2), at.rate))),
    Change(REVERSED, "pitches, timbre", "direction in time", lambda x, at: x.flip(-1)),
    Change(SHUFFLED, "pitches, timbre", "order, rhythm", shuffled),
    Change(QUIETER, "all but the level", "the level: 20 dB of it", lambda x, at: x * 10 ** (-SOFTER / 20)),
    Change(IN_NOISE, "what stands out of noise", "pauses, what is faint", noisy),
    Change(BAND, "the smallest band", "all other pitches", laid(lambda x, at: passed(x, at.band, at.rate))),
    Change(NO_BAND, "all other pitches", "the smallest band", laid(lambda x, at: stopped(x, at.band, at.rate))),
    Change(PART, "the shortest part", "before and after", lambda x, at: alone(x, at.patch, at.color, at.soft)),
    Change(NO_PART, "before and after", "the shortest part", lambda x, at: without(x, at.patch, at.color, at.soft)),
)
