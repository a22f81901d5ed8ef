"""A sound as a fine spectrum under an envelope whose slow and broad changes come first, as in natural sounds.

    spectrum = exp(A) z s,    A = irfft2(p / max(m, m0)) on mel bands and frames,    s falls by 3 dB an octave

z is a complex short-time Fourier transform, as in `ShortTime`, and A the logarithm of its envelope. m is the modulation
frequency: in time, and across the bands. The power of the modulations of natural sounds falls with it (Voss and Clarke
1975, of loudness; Singh and Theunissen 2003, of spectrograms), and so does an equal step in p: with it a sweep or a
call grows as a whole, where z alone grows from speckles. It is to a spectrogram what the Fourier basis is to a picture.

Departures: both are optimised at once, so that nothing that a sound has is out of reach; the envelope is bounded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from phosphene.seeds import Generators
from phosphene.signals.waveform import ShortTime, register

BANDS = 64  # of the envelope, as many as networks that hear usually tell apart
BREAK = 700 / 16_000  # cycles per sample below which bands are equally wide: the mel scale's 700 Hz, at 16 kHz
SWING = 0.3  # nepers that the envelope moves by a step of 1 in its slowest wave; by 2.6 dB
BOUND = 8.0  # nepers, 69 dB, that it stays within
FAINT = 0.1  # of the deviation of a start: the envelope begins nearly flat


@register("modulated")
class Modulated(ShortTime):
    """A short-time Fourier transform whose envelope moves as that of natural sounds; it may have any detail.

    settings: those of `Spectral`.
    """

    below: Tensor
    share: Tensor
    slowness: Tensor

    def __init__(self, rows: int, **settings: Any) -> None:
        super().__init__(rows, **settings)
        bins, frames = self.coefficients.shape[2:4]
        bands = min(BANDS, bins)
        places = torch.log1p(torch.fft.rfftfreq(self.size, dtype=torch.float64) / BREAK)
        places = places / places[-1] * (bands - 1)
        below = places.floor().clamp(max=bands - 2).long()
        self.register_buffer("below", below, persistent=False)
        self.register_buffer("share", (places - below).float()[:, None], persistent=False)
        grid = (2 * bands, 2 * frames)  # twice as long each way: the ends of a sound are no neighbors
        across, along = torch.fft.fftfreq(grid[0])[:, None], torch.fft.rfftfreq(grid[1])[None]
        modulation = (across.square() + along.square()).sqrt()
        slowest = 1 / max(grid)
        size = grid[0] * grid[1] / 2  # of a wave, two coefficients stand for it
        self.register_buffer("slowness", SWING * size * slowest / modulation.clamp(min=slowest), persistent=False)
        self.modulations = nn.Parameter(torch.zeros(rows, self.channels, grid[0], grid[1] // 2 + 1, 2))

    def envelope_of_bands(self) -> Tensor:
        """(b, c, bands, frames) the logarithm of the envelope, in nepers; 0 on the mean, before its bound."""
        bands, frames = self.modulations.shape[2] // 2, self.coefficients.shape[3]
        waves = torch.view_as_complex(self.modulations) * self.slowness
        field: Tensor = torch.fft.irfft2(waves, s=(2 * bands, self.modulations.shape[3] * 2 - 2))
        field = field[:, :, :bands, :frames]
        return field - field.mean((2, 3), keepdim=True)

    def linear(self) -> Tensor:
        field = BOUND * torch.tanh(self.envelope_of_bands() / BOUND)
        of_bins = torch.lerp(field[:, :, self.below], field[:, :, self.below + 1], self.share)
        return self.synthesis(torch.view_as_complex(self.coefficients) * self.scale.float() * of_bins.exp())

    def write(self, linear: Tensor) -> None:
        self.modulations.zero_()
        self.coefficients.copy_(torch.view_as_real(self.analysis(linear) / self.scale))

    def start(self, generators: Generators, deviation: float = 1.0) -> None:
        """Noise of deviation 1, for the level is held, under an envelope that is flat but for a trace of noise."""
        super().start(generators, 1.0)
        with torch.no_grad():
            self.modulations.mul_(FAINT * deviation)
