"""The picture as real-FFT coefficients, scaled like natural images.

    x = sigmoid(C @ irfft2(s(f) * p)),    s(f) = w(f) / max(f, 1/max(h, w))**decay * sqrt(h w) / 4

p are the parameters, C the color basis, f the frequency in cycles per pixel (Olah et al., Distill 2017). With equal
steps in every coefficient the picture changes as natural images differ: much at low frequencies, little at high.
w(f) is a low-pass that fades from 1 to 2% between 0.44 and 1 times `cutoff`.

Departures: the low-pass is ours. Strided convolutions and pooling write checkerboards and dither into the gradient
at the highest frequencies; natural pictures have next to nothing there. The basis can still express them (`encode`
is exact), an equal step only moves them 50 times less. `1/4` is lucid's, chosen so that its step size keeps its
meaning. Nor does the mean of the picture count as one more coefficient of the lowest frequency: natural pictures differ
in their means 4.2 times as much, and with equal steps a picture of one color stops at a patch of it on gray.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.natural import MEAN, Natural, falling, frequencies, smoothstep
from phosphene.seeds import Generators
from phosphene.signals.base import Signal, register

SCALE = 0.25  # lucid's constant: a start of deviation 0.01 is a faint picture, and Adam 0.05 a good step
FADE_START = 0.44  # share of the cutoff where the low-pass begins
FLOOR = 0.02  # what the low-pass leaves: keeps `encode` well conditioned


@register("fourier")
class Fourier(Signal):
    """Pictures from 1/f-scaled Fourier coefficients; any height and width, odd too, and any number of channels.

    decay: exponent of the amplitude spectrum; a measured one, `natural`, takes its place. cutoff: end of the low-pass
    in cycles per pixel; above 0.71 / 0.44 nothing is faded at all. mean: amplitude of the mean over that of the lowest
    frequency.
    """

    scale: Tensor

    def __init__(
        self,
        rows: int,
        *,
        channels: int = 3,
        size: tuple[int, int],
        alpha: bool = False,
        decorrelate: bool = True,
        clamped: bool = False,
        natural: Natural | None = None,
        decay: float = 1.0,
        cutoff: float = 0.45,
        mean: float = MEAN,
    ) -> None:
        super().__init__(
            rows, channels=channels, size=size, alpha=alpha, decorrelate=decorrelate, clamped=clamped, natural=natural
        )
        amplitude = falling(size, (channels, decorrelate, alpha), decay, natural, mean=mean)
        scale = spectrum_scale(size, amplitude, cutoff=cutoff)
        self.register_buffer("scale", scale, persistent=False)
        self.coefficients = nn.Parameter(torch.zeros(*self.shape[:3], size[1] // 2 + 1, 2))

    def linear(self) -> Tensor:
        linear: Tensor = ScaledInverseFFT.apply(self.coefficients, self.scale, self.size)
        return linear

    def write(self, linear: Tensor) -> None:
        self.coefficients.copy_(torch.view_as_real(torch.fft.rfft2(linear) / self.scale.double()))

    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        with torch.no_grad():
            self.coefficients.copy_(deviation * generators.normal("start", 0, self.coefficients.shape[1:]))


def spectrum_scale(size: tuple[int, int], amplitude: Tensor, *, cutoff: float) -> Tensor:
    """(..., h, w // 2 + 1) amplitude that a coefficient of 1 has in the unnormalised spectrum."""
    fade = 1 - (1 - FLOOR) * smoothstep(frequencies(*size), FADE_START * cutoff, cutoff)
    return amplitude * fade * math.sqrt(size[0] * size[1]) * SCALE


class ScaledInverseFFT(torch.autograd.Function):
    """irfft2(scale * p) with its exact adjoint as one node: one real FFT each way."""

    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, scale: Tensor, size: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(scale)
        ctx.size = size
        picture: Tensor = torch.fft.irfft2(torch.view_as_complex(coefficients) * scale, s=size)
        return picture

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (scale,) = ctx.saved_tensors
        weight = scale * hermitian_weight(ctx.size, scale)
        return torch.view_as_real(torch.fft.rfft2(gradient) * weight), None, None


def hermitian_weight(size: tuple[int, int], like: Tensor) -> Tensor:
    """(w // 2 + 1,) how often a coefficient counts in the inverse: inner columns stand for their mirror image too."""
    height, width = size
    weight = torch.full((width // 2 + 1,), 2.0, device=like.device)
    weight[0] = 1.0
    if width % 2 == 0:
        weight[-1] = 1.0
    return weight / (height * width)
