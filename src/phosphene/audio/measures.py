"""How good a sound is, how much of it is new, and how near it comes to an original: measured, not heard.

    copying           the largest normalized cross-correlation of any half second of the sound with the recording,
                      |<x, r>| / (|x| |r|) over all places of the recording: 1 is a copy, also turned over or louder
    spectral distance root mean square of the difference of two log spectra, in dB, over places and frequencies
    signal to noise   10 log10(c^2 / (1 - c^2)) in dB, c the correlation of the two at their places: the best gain is
                      given to the sound

A steady tone correlates with any other of its pitch, so copying is told beside that of noise with the recording's own
spectrum. The judge is an ear with other filters, which the sound was not made with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from phosphene.audio.recording import at_level
from phosphene.models import Model, load
from phosphene.models.frontend import Spectrum
from phosphene.models.random_sound import JUDGE, WIDTHS
from phosphene.objectives import Gram, aim
from phosphene.seeds import Generators
from phosphene.signals.waveform import DECAY, HIGHEST, LOWEST, amplitudes

PIECE = 0.5  # seconds that are looked for in the recording: longer than a note, shorter than a phrase
QUIET = 1e-3  # power of a piece, as a share of the loudest: 30 dB below it nothing is heard to be copied
N_FFT, HOP = 512, 128  # samples, of the spectra that are compared
FLOOR = 1e-3  # of a spectrum's largest magnitude: 60 dB below it nothing is compared
BASE = "judge"  # whose random numbers the noises are


@dataclass(frozen=True)
class HeldOut:
    """Distance from the recording by the judge's relative Gram matrices, mean over its layers. white: that of white
    noise. spectrum: that of noise with the recording's own spectrum."""

    distance: float
    white: float
    spectrum: float

    @property
    def share(self) -> float:
        """The distance as a share of white noise's."""
        return self.distance / self.white

    def data(self) -> dict[str, Any]:
        """As a recipe and `--json` have it."""
        return {
            "network": JUDGE,
            "distance": self.distance,
            "share_of_white_noise": self.share,
            "share_of_noise_with_its_spectrum": self.distance / self.spectrum,
        }


def held_out(sound: Tensor, recording: Tensor, judge: Model | None = None) -> HeldOut | None:
    """What the judge says of a sound (1, n) made like a recording (1, m); None where one is too short for it."""
    judge = judge or load(JUDGE)
    if min(sound.shape[-1], recording.shape[-1]) < judge.audio_spec.least:
        return None
    layers = [f"width{width}.relu" for width in WIDTHS]
    reference = _heard(judge, recording, layers)
    leaves = [aim(Gram(layer, norm="relative"), lambda _: (reference, None)) for layer in layers]

    def distance(x: Tensor) -> float:
        acts = _heard(judge, x, layers)
        rows = torch.zeros(1, dtype=torch.int64)
        return -sum(float(leaf(acts, rows)) for leaf in leaves) / len(leaves)

    noise = white_noise((1, sound.shape[-1]))
    return HeldOut(distance(sound), distance(noise), distance(with_spectrum(noise, recording)))


def copying(sound: Tensor, recording: Tensor, rate: int) -> float:
    """The largest normalized cross-correlation of any half second of a sound (c, n) with a recording (c, m); 0 .. 1."""
    x, r = sound[0].double(), recording[0].double()
    length = min(round(PIECE * rate), len(x), len(r))
    pieces = x.unfold(0, length, max(1, length // 2))
    power = pieces.square().sum(1)
    pieces = pieces[power > QUIET * power.max()]
    size = len(r) + length
    energy = torch.cat([r.new_zeros(1), r.square().cumsum(0)])
    under = (energy[length:] - energy[:-length]).clamp(min=QUIET * float(r.square().mean()) * length)
    spectrum = torch.fft.rfft(r, size)
    largest = 0.0
    for piece in pieces:
        products = torch.fft.irfft(spectrum * torch.fft.rfft(piece, size).conj(), size)[: len(under)]
        largest = max(largest, float((products.abs() / (under.sqrt() * piece.norm())).max()))
    return largest


def spectral_distance(sound: Tensor, original: Tensor) -> float:
    """Log-spectral distance of two sounds (c, n) in dB, both at one level, down to 60 dB below the original's peak."""
    hear = Spectrum(N_FFT, hop=HOP)
    mine, theirs = (hear(at_level(x)[None, :1])[0] for x in (sound, original))
    floor = FLOOR * float(theirs.max())
    decibels = 20 * (mine.clamp(min=floor) / theirs.clamp(min=floor)).log10()
    return float(decibels.square().mean().sqrt())


def signal_to_noise(sound: Tensor, original: Tensor) -> float | None:
    """Decibels between two sounds (c, n), the first with the gain that suits it best; None where nothing is lost."""
    x, r = sound.double().flatten(), original.double().flatten()
    square = float((x @ r).square() / (x.square().sum() * r.square().sum()))
    return None if square >= 1 else 10 * math.log10(max(square, 1e-12) / (1 - square))


def white_noise(shape: tuple[int, int], seed: int = 0, unit: str = BASE) -> Tensor:
    """(channels, samples) at -23 dBFS: what distances are compared with, and what a texture may start from."""
    return at_level(Generators(seed, [unit]).normal("white", 0, shape)[0])


def natural_noise(shape: tuple[int, int], seed: int, unit: str) -> Tensor:
    """(channels, samples) at -23 dBFS that falls by 3 dB an octave, as natural sounds do (Voss and Clarke 1975)."""
    spectrum = torch.fft.rfft(white_noise(shape, seed, unit))
    frequencies = torch.fft.rfftfreq(shape[1], dtype=torch.float64)
    fall = amplitudes(frequencies, decay=DECAY, low=LOWEST, high=HIGHEST)
    return at_level(torch.fft.irfft(spectrum * fall.float(), n=shape[1]))


def with_spectrum(noise: Tensor, recording: Tensor) -> Tensor:
    """Noise (c, n) with the mean spectrum of a recording (c, m), at -23 dBFS."""
    power = Spectrum(N_FFT, hop=HOP)(recording[None, :1])[0].square().mean(1)
    spectrum = torch.fft.rfft(noise)
    places = torch.linspace(0, len(power) - 1, spectrum.shape[-1])
    low = places.long().clamp(max=len(power) - 2)
    shape = torch.lerp(power[low], power[low + 1], places - low).sqrt()
    shaped: Tensor = torch.fft.irfft(spectrum * shape, n=noise.shape[-1])
    return at_level(shaped)


def _heard(judge: Model, sound: Tensor, layers: list[str]) -> dict[str, Tensor]:
    with torch.no_grad():
        return judge.activations(at_level(sound)[None], layers)
