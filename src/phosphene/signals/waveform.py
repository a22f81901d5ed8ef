"""A sound as a signal: waves (b, c, samples) in [-1, 1] whose level is held.

    x = h(e * linear),    h(w) = w * min(level / rms(w), 1 / max |w|)

`linear` is what a kind of wave brings of its own, e an envelope that fades in and out. The level is a constraint on the
root mean square of each row and not a clamp: louder is the cheapest way to most activations, and clipped waves are
full of overtones that nobody asked for. A wave too spiky for its level is turned down as a whole.

Three kinds: samples (Erhan et al. 2009, as pixels are for pictures), a real FFT whose coefficients fall as natural
sounds do, by 3 dB an octave (Voss and Clarke 1975), and a complex short-time Fourier transform, where an equal step
moves one place of a spectrogram. Outside of the band a coefficient moves a thousand times less: it can still be
encoded.

In the last two a parameter z stands for the coefficient z |z|^2. Adam moves all parameters by equal steps, those too
whose gradient is chance; in the third power what grows steadily leaves them behind, and the sound is tones and not
noise (sparse by its parameterization, the more so the deeper: Vaskevicius et al. 2019, arXiv 1909.05122; Woodworth et
al. 2020, arXiv 2002.09277).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.seeds import Generators

LEVEL = 10 ** (-23 / 20)  # -23 dBFS: about what EBU R 128 calls the loudness of a program
FADE = 160  # samples, each way; 10 ms at 16 kHz
FADE_FLOOR = 0.01  # -40 dB, where the envelope begins: 0 could not be divided by in `encode`
OUTSIDE = 1e-3  # of the amplitude that is left outside of the band
DECAY = 0.5  # amplitude falls by 3 dB an octave
LOWEST, HIGHEST = 0.0025, 0.47  # cycles per sample; 40 and 7520 Hz at 16 kHz
N_FFT = 512  # samples in a window of the short-time transform
DEPTH = 3  # power of its parameter that a coefficient grows by: 2 leaves noise, 4 breaks sweeps into dots
SILENT = 1e-9  # root mean square below which there is nothing to hold

# name -> class, for the command line, recipes, and the tests that run every law over every wave
WAVES: dict[str, type[Wave]] = {}


def register(name: str) -> Callable[[type[Wave]], type[Wave]]:
    """Class decorator: make a kind of wave known by name."""

    def add(kind: type[Wave]) -> type[Wave]:
        WAVES[name] = kind
        return kind

    return add


class Wave(nn.Module, ABC):
    """Base of all sounds.

    rows: clips in the batch. channels: of each. samples: length. level: root mean square that each row is held at;
    `encode` takes that of the sounds it is given. fade: samples that fade in, and out.
    """

    step_size: ClassVar[float] = 0.05  # Adam's

    envelope: Tensor
    level: Tensor

    def __init__(self, rows: int, *, channels: int = 1, samples: int, level: float = LEVEL, fade: int = FADE) -> None:
        super().__init__()
        if min(rows, channels, samples) < 1:
            raise UsageError(f"a wave needs rows, channels and samples of at least 1: {rows}, {channels}, {samples}")
        if not 0 < level <= 1:
            raise UsageError(f"a level lies above 0 and up to 1, got {level:g}")
        self.rows, self.channels, self.samples = rows, channels, samples
        self.register_buffer("envelope", faded(samples, fade), persistent=False)
        self.register_buffer("level", torch.full((rows, 1, 1), level))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(b, c, samples) of the waves."""
        return (self.rows, self.channels, self.samples)

    @abstractmethod
    def linear(self) -> Tensor:
        """(b, c, samples) the wave at any level."""

    @abstractmethod
    def write(self, linear: Tensor) -> None:
        """Set the parameters so that `linear()` gives this (b, c, samples) float64, to rounding; gradients are off."""

    def forward(self) -> Tensor:
        """Waves (b, c, samples) in [-1, 1]."""
        return held(self.linear() * self.envelope, self.level)

    def encode(self, waves: Tensor) -> None:
        """Set the parameters so that forward() gives `waves` (b, c, samples), to rounding (60 dB and better).

        Raises UsageError for another shape, for values outside -1 .. 1, and for silence, which has no level to hold.
        """
        if tuple(waves.shape) != self.shape:
            raise UsageError(f"cannot encode waves of shape {tuple(waves.shape)} in a signal of {self.shape}")
        if not bool((waves.abs() <= 1).all()):
            raise UsageError("cannot encode waves with values outside -1 .. 1")
        rms = waves.double().square().mean((1, 2), keepdim=True).sqrt()
        if bool((rms < SILENT).any()):
            raise UsageError("cannot encode silence: it has no level to hold")
        with torch.no_grad():
            self.level.copy_(rms)
            self.write(waves.double() / self.envelope.double() / rms)

    def finished(self) -> Tensor:
        """Waves as they are kept."""
        waves: Tensor = self()
        return waves

    def start(self, generators: Generators, deviation: float = 1.0) -> None:
        """Noise, each row from its own generator: white in the coefficients, shaped as the kind shapes them."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(deviation * generators.normal(f"start {name}", 0, parameter.shape[1:]))


def faded(samples: int, fade: int) -> Tensor:
    """(samples,) an envelope of 1 with raised cosines of `fade` samples at its ends; at most a quarter each."""
    length = min(fade, samples // 4)
    envelope = torch.ones(samples, dtype=torch.float64)
    if length > 0:
        rise = 0.5 - 0.5 * torch.cos(math.pi * torch.arange(length, dtype=torch.float64) / length)
        envelope[:length] = FADE_FLOOR + (1 - FADE_FLOOR) * rise
        envelope[samples - length :] = envelope[:length].flip(0)
    return envelope.float()


def held(waves: Tensor, level: Tensor) -> Tensor:
    """Each row at its level (root mean square), or quieter where its peak would leave -1 .. 1."""
    rms = (waves.square().mean((1, 2), keepdim=True) + SILENT**2).sqrt()
    peak = waves.abs().amax((1, 2), keepdim=True).clamp(min=SILENT)
    return (waves * torch.minimum(level / rms, 1 / peak)).clamp(-1, 1)  # the clamp only takes rounding off


def amplitudes(frequencies: Tensor, *, decay: float, low: float, high: float) -> Tensor:
    """What a coefficient of 1 is worth at each frequency (cycles per sample): 1 on average over the band.

    It falls as f ** -decay inside of low .. high, and is a thousandth outside. Raises UsageError for an empty band.
    """
    if not 0 <= low < high:
        raise UsageError(f"a band rises from low to high, got {low:g} .. {high:g} cycles per sample")
    inside = (frequencies >= low) & (frequencies <= high) & (frequencies > 0)
    if not bool(inside.any()):
        raise UsageError(f"no frequency lies in {low:g} .. {high:g} cycles per sample; the clip is too short for it")
    slope = frequencies.clamp(min=float(frequencies[inside].min())) ** -decay
    slope = slope / slope[inside].square().mean().sqrt()
    return torch.where(inside, slope, OUTSIDE * slope)


def grown(parameters: Tensor) -> Tensor:
    """Parameters (..., 2) as complex coefficients z |z|^(DEPTH - 1)."""
    z = torch.view_as_complex(parameters)
    return z * torch.view_as_real(z).square().sum(-1) ** ((DEPTH - 1) / 2)


def ungrown(coefficients: Tensor) -> Tensor:
    """Inverse of `grown`, (..., 2)."""
    return torch.view_as_real(coefficients * coefficients.abs().clamp(min=SILENT**2) ** (1 / DEPTH - 1))


@register("samples")
class Samples(Wave):
    """The wave as its own parameters: the honest baseline, with all the noise of the network's gradient."""

    def __init__(self, rows: int, *, channels: int = 1, samples: int, level: float = LEVEL, fade: int = FADE) -> None:
        super().__init__(rows, channels=channels, samples=samples, level=level, fade=fade)
        self.values = nn.Parameter(torch.zeros(self.shape))

    def linear(self) -> Tensor:
        return self.values

    def write(self, linear: Tensor) -> None:
        self.values.copy_(linear)


class Spectral(Wave):
    """Base of the waves whose parameters are the complex coefficients of a spectrum.

    decay, low, high: a coefficient is worth what `amplitudes` says, by its frequency in cycles per sample.
    """

    scale: Tensor

    def __init__(
        self,
        rows: int,
        *,
        channels: int = 1,
        samples: int,
        level: float = LEVEL,
        fade: int = FADE,
        decay: float = DECAY,
        low: float = LOWEST,
        high: float = HIGHEST,
    ) -> None:
        super().__init__(rows, channels=channels, samples=samples, level=level, fade=fade)
        self.size, *frames = self.grid()
        frequencies = torch.fft.rfftfreq(self.size, dtype=torch.float64)
        scale = amplitudes(frequencies, decay=decay, low=low, high=high) * math.sqrt(self.size)
        self.register_buffer("scale", scale.view(-1, *[1] * len(frames)), persistent=False)
        self.coefficients = nn.Parameter(torch.zeros(rows, channels, len(frequencies), *frames, 2))

    @abstractmethod
    def grid(self) -> tuple[int, ...]:
        """Samples that are transformed at once, and how many times, where that is more than once."""

    @abstractmethod
    def synthesis(self, spectrum: Tensor) -> Tensor:
        """(b, c, samples) the wave of a complex spectrum (b, c, bins, ...)."""

    @abstractmethod
    def analysis(self, waves: Tensor) -> Tensor:
        """Inverse of `synthesis`: of float64 waves (b, c, samples)."""

    def linear(self) -> Tensor:
        return self.synthesis(grown(self.coefficients) * self.scale.float())

    def write(self, linear: Tensor) -> None:
        self.coefficients.copy_(ungrown(self.analysis(linear) / self.scale))


@register("fourier")
class FourierWave(Spectral):
    """The wave as coefficients of one real FFT."""

    def grid(self) -> tuple[int, ...]:
        return (self.samples,)

    def synthesis(self, spectrum: Tensor) -> Tensor:
        waves: Tensor = torch.fft.irfft(spectrum, n=self.samples)
        return waves

    def analysis(self, waves: Tensor) -> Tensor:
        spectrum: Tensor = torch.fft.rfft(waves)
        return spectrum


@register("stft")
class ShortTime(Spectral):
    """The wave as a complex short-time Fourier transform: windows of 512 samples (Hann), a quarter apart.

    A shorter clip has shorter windows.
    """

    def grid(self) -> tuple[int, ...]:
        if self.samples < 8:
            raise UsageError(f"a short-time transform needs 8 samples or more, got {self.samples}")
        size = min(N_FFT, 1 << (self.samples.bit_length() - 1))
        return (size, self.samples // (size // 4) + 1)

    def synthesis(self, spectrum: Tensor) -> Tensor:
        window = torch.hann_window(self.size, device=spectrum.device)
        waves = torch.istft(spectrum.flatten(0, 1), self.size, self.size // 4, window=window, length=self.samples)
        return waves.view(self.shape)

    def analysis(self, waves: Tensor) -> Tensor:
        window = torch.hann_window(self.size, dtype=waves.dtype, device=waves.device)
        spectrum = torch.stft(
            waves.flatten(0, 1), self.size, self.size // 4, window=window, pad_mode="constant", return_complex=True
        )
        return spectrum.view(self.rows, self.channels, *spectrum.shape[1:])
