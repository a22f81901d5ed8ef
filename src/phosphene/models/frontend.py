"""From waves to spectrograms, inside the network, so that gradients reach the wave.

    frames:   x[start : start + length] at every hop
    spectrum: |rfft(window * frame)|
    mel:      triangles of equal width on a scale of pitch
    Kaldi:    the frame's mean taken off, first differences, a symmetric window, energies (Povey et al., ASRU 2011)

The two scales are HTK's, m(f) = 2595 log10(1 + f / 700) (O'Shaughnessy 1987), and Slaney's (Auditory Toolbox, 1998):
linear below 1 kHz, logarithmic above. A magnitude has no slope at 0; there the gradient is 0, as torch has it for
complex numbers.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from phosphene.errors import UsageError

Scale = Literal["htk", "slaney"]
Axis = Literal["frames", "bands"]

HTK_FACTOR, HTK_CORNER = 2595.0, 700.0  # mel per decade, Hz
SLANEY_LINEAR = 200 / 3  # Hz per mel below the corner
SLANEY_CORNER = 1000.0  # Hz
SLANEY_STEP = math.log(6.4) / 27  # natural logarithm per mel above it
DEVIATION_FLOOR = 1e-10  # of a frame that is silent; CREPE's (Kim et al. 2018)
KALDI_WINDOW, KALDI_HOP = 0.025, 0.010  # seconds; these four are the defaults of Kaldi's compute-fbank-feats
KALDI_LOWEST = 20.0  # Hz
PREEMPHASIS = 0.97  # of the sample before
KALDI_FLOOR = torch.finfo(torch.float32).eps  # of an energy


class Frames(nn.Module):
    """Waves (b, 1, n) -> frames (b, 1, length, frames), one every `hop` samples; what does not fill one is left out.

    standardized: every frame minus its mean, divided by its standard deviation. Raises UsageError for a wave that is
    shorter than one frame.
    """

    def __init__(self, length: int, hop: int, *, standardized: bool = False) -> None:
        super().__init__()
        self.length, self.hop, self.standardized = length, hop, standardized

    def forward(self, wave: Tensor) -> Tensor:
        if wave.shape[-1] < self.length:
            raise UsageError(
                f"a sound of {wave.shape[-1]} samples is shorter than the {self.length} that the network hears at once"
            )
        frames = wave.unfold(-1, self.length, self.hop).transpose(-1, -2)
        if not self.standardized:
            return frames
        centered = frames - frames.mean(-2, keepdim=True)
        power = centered.square().sum(-2, keepdim=True) / (self.length - 1)
        return centered / power.clamp(min=DEVIATION_FLOOR**2).sqrt()


class Spectrum(nn.Module):
    """Waves (b, 1, n) -> magnitudes (b, bins, frames) of windowed frames (periodic Hann); n_fft // 2 + 1 bins.

    window, hop: in samples; a window shorter than n_fft is filled up with zeros behind it.
    """

    hann: Tensor

    def __init__(self, n_fft: int, *, window: int | None = None, hop: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.frames = Frames(window or n_fft, hop)
        self.register_buffer("hann", torch.hann_window(window or n_fft), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        frames = self.frames(wave)[:, 0].float() * self.hann[:, None]
        magnitudes: Tensor = torch.fft.rfft(frames, n=self.n_fft, dim=1).abs()
        return magnitudes


class LogMel(nn.Module):
    """Waves (b, 1, n) -> log(mel + floor), (b, 1, frames, bands): the front end of most networks that hear.

    rate: Hz. window: samples, n_fft when left out. lowest, highest: in Hz. power: of the magnitudes, before the bands;
    2 makes energies. centered: half a window of the wave, mirrored, is added at both ends, so that frame k lies around
    sample k hop. first: the axis that comes first; "bands" gives (b, 1, bands, frames), as torchaudio and librosa do.
    Its weights are fixed and no part of the network's state.
    """

    weight: Tensor

    def __init__(
        self,
        rate: int,
        *,
        n_fft: int,
        hop: int,
        bands: int,
        lowest: float,
        highest: float,
        window: int | None = None,
        scale: Scale = "htk",
        floor: float = 1e-3,
        power: float = 1.0,
        centered: bool = False,
        first: Axis = "frames",
    ) -> None:
        super().__init__()
        if first not in ("frames", "bands"):
            raise UsageError(f"frames or bands come first, got {first!r}")
        self.spectrum = Spectrum(n_fft, window=window, hop=hop)
        self.floor, self.power, self.first = floor, power, first
        self.around = (window or n_fft) // 2 if centered else 0
        weight = mel_weights(rate, n_fft, bands, lowest, highest, scale=scale)
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        if self.around:
            wave = pad(wave, (self.around, self.around), mode="reflect")
        magnitudes = self.spectrum(wave)
        mel = torch.matmul(self.weight, magnitudes if self.power == 1 else magnitudes**self.power)
        heard = (mel + self.floor).log()
        return (heard if self.first == "bands" else heard.transpose(1, 2))[:, None]


class Fbank(nn.Module):
    """Waves (b, 1, n) -> log-mel energies (b, 1, frames, bands) as Kaldi computes them, without its dither.

    rate: Hz; frames last 25 ms and come every 10, bands (HTK) go from 20 Hz to half the rate. Waves are in [-1, 1]:
    Kaldi itself reads them as 16-bit numbers, which adds 20.8 everywhere.
    """

    weight: Tensor
    window: Tensor

    def __init__(self, rate: int = 16_000, *, bands: int) -> None:
        super().__init__()
        length = int(KALDI_WINDOW * rate)
        self.n_fft = 1 << (length - 1).bit_length()
        self.frames = Frames(length, int(KALDI_HOP * rate))
        weight = mel_weights(rate, self.n_fft, bands, KALDI_LOWEST, rate / 2)
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("window", torch.hann_window(length, periodic=False), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        frames = self.frames(wave)[:, 0].float()
        frames = frames - frames.mean(1, keepdim=True)
        before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
        windowed = (frames - PREEMPHASIS * before) * self.window[:, None]
        energies = torch.fft.rfft(windowed, n=self.n_fft, dim=1).abs().square()
        mel = torch.matmul(self.weight, energies)
        return mel.clamp(min=KALDI_FLOOR).log().transpose(1, 2)[:, None]


def mel_weights(rate: int, n_fft: int, bands: int, lowest: float, highest: float, *, scale: Scale = "htk") -> Tensor:
    """(bands, n_fft // 2 + 1) triangles of height 1, whose corners are evenly spaced in mel from lowest to highest Hz.

    HTK's triangles are straight lines in mel, Slaney's in Hz and of area 1 (their height falls with their width).
    Raises UsageError for frequencies that do not rise or lie above half the rate.
    """
    if not 0 <= lowest < highest <= rate / 2:
        raise UsageError(f"mel bands lie between 0 and half the rate of {rate} Hz, got {lowest:g} .. {highest:g}")
    bins = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    ends = to_mel(torch.tensor([lowest, highest], dtype=torch.float64), scale)
    corners = torch.linspace(float(ends[0]), float(ends[1]), bands + 2, dtype=torch.float64)
    along = to_mel(bins, scale)
    if scale == "slaney":
        corners, along = from_mel(corners, scale), bins
    left, center, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    triangles = torch.minimum((along - left) / (center - left), (right - along) / (right - center)).clamp(min=0)
    if scale == "slaney":
        triangles = triangles * 2 / (right - left)
    triangles[:, 0] = 0  # a constant is no sound
    return triangles.float()


def to_mel(hertz: Tensor, scale: Scale) -> Tensor:
    """Frequencies in Hz as mel."""
    if scale == "htk":
        return HTK_FACTOR * torch.log10(1 + hertz / HTK_CORNER)
    high = SLANEY_CORNER / SLANEY_LINEAR + torch.log(hertz.clamp(min=1e-9) / SLANEY_CORNER) / SLANEY_STEP
    return torch.where(hertz < SLANEY_CORNER, hertz / SLANEY_LINEAR, high)


def from_mel(mel: Tensor, scale: Scale) -> Tensor:
    """Mel as frequencies in Hz."""
    if scale == "htk":
        return HTK_CORNER * (10 ** (mel / HTK_FACTOR) - 1)
    corner = SLANEY_CORNER / SLANEY_LINEAR
    high = SLANEY_CORNER * torch.exp(SLANEY_STEP * (mel - corner))
    return torch.where(mel < corner, mel * SLANEY_LINEAR, high)
