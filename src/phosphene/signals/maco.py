"""The picture as the phases of its Fourier transform; the magnitudes are those of natural pictures and stay (MACO).

    x = sigmoid(C @ irfft2(m(f) * exp(i p)))        p: the parameters, m: the template

Fel et al. 2023 (arXiv 2306.06805): phases hold where edges are, magnitudes how much of each frequency there is. With
these fixed, no step can write noise of high frequency, nor drive the colors to their limits.

Departures: where nothing was measured the template is 1/f with our low-pass, in each decorrelated color. The paper's
code brings the picture to zero mean and unit deviation at every step, over all that it holds, a batch too; a fixed
magnitude fixes both (Parseval), so the template carries them, and rows stay apart by construction. Phases are free
angles, which the code standardises too. The first and the last column of a real transform hold each wave twice; they
get one phase, not two that cancel in part, so that the spectrum of what comes out IS the template. `encode` takes the
magnitudes of the picture as well, so that a run from a photograph keeps the photograph's own spectrum.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.natural import Natural, falling, polar_rows
from phosphene.seeds import Generators
from phosphene.signals.base import Signal, register
from phosphene.signals.fourier import hermitian_weight, spectrum_scale

CONTRAST = 1.6  # standard deviation of each decorrelated color before the squash: pictures then vary like photographs
STEP_SIZE = 0.1  # radians: half of it finds less, ten times as much never settles (measured on SqueezeNet)


@register("maco")
class Maco(Signal):
    """Pictures of fixed magnitude and free phase; any height and width, odd too, and any number of channels.

    decay: exponent of the template 1/f**decay. cutoff: where its low-pass ends, in cycles per pixel, as in `Fourier`:
    pictures that were brought to a network's size have hardly more above. A measured template, `natural`, takes the
    place of both.
    """

    step_size = STEP_SIZE
    magnitude: (
        Tensor  # (b, c, h, w // 2 + 1); its own for each row, since `encode` sets it. May be negative at the mean
    )

    def __init__(
        self,
        rows: int,
        *,
        channels: int = 3,
        size: tuple[int, int],
        alpha: bool = False,
        decorrelate: bool = True,
        natural: Natural | None = None,
        decay: float = 1.0,
        cutoff: float = 0.45,
    ) -> None:
        super().__init__(rows, channels=channels, size=size, alpha=alpha, decorrelate=decorrelate, natural=natural)
        amplitude = falling(size, (channels, decorrelate, alpha), decay, natural)
        if natural is None:
            amplitude = spectrum_scale(size, amplitude, cutoff=cutoff)
        self.register_buffer("magnitude", template(amplitude, size).expand(rows, -1, -1, -1).clone())
        self.phase = nn.Parameter(torch.zeros(self.magnitude.shape))

    def linear(self) -> Tensor:
        linear: Tensor = PhaseInverseFFT.apply(self.phase, self.magnitude, self.size)
        return linear

    def write(self, linear: Tensor) -> None:
        spectrum = torch.fft.rfft2(linear)
        alone = own_conjugates(self.size)
        self.phase.copy_(torch.where(alone, 0.0, torch.angle(spectrum)))
        self.magnitude.copy_(torch.where(alone, spectrum.real, spectrum.abs()))

    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        """Random phases, whatever the deviation: equal phases would be one bright spot in a corner."""
        with torch.no_grad():
            self.phase.copy_(math.pi * generators.normal("start", 0, self.phase.shape[1:]))


def template(amplitude: Tensor, size: tuple[int, int]) -> Tensor:
    """(c, h, w // 2 + 1) magnitudes in the proportions of `amplitude`: zero mean, and CONTRAST in every channel."""
    magnitude = amplitude.double().clone()
    magnitude[..., 0, 0] = 0
    pixels = size[0] * size[1]
    variance = (magnitude.square() * hermitian_weight(size, magnitude)).sum((-2, -1), keepdim=True) / pixels
    return (magnitude * CONTRAST / variance.sqrt().clamp(min=1e-12)).float()


def own_conjugates(size: tuple[int, int]) -> Tensor:
    """(h, w // 2 + 1) where a coefficient of a real picture is its own conjugate: a real number, without phase."""
    height, width = size
    rows = torch.tensor([row in (0, height / 2) for row in range(height)])
    columns = torch.tensor([column in (0, width / 2) for column in range(width // 2 + 1)])
    return rows[:, None] & columns


class PhaseInverseFFT(torch.autograd.Function):
    """irfft2(m exp(i p)) with its exact adjoint as one node: one real FFT each way."""

    @staticmethod
    def forward(ctx: Any, phase: Tensor, magnitude: Tensor, size: tuple[int, int]) -> Tensor:
        conjugate = phase.clone()
        for column in shared_columns(size):
            conjugate[..., column] = antisymmetric(phase[..., column])
        spectrum = polar_rows(magnitude, conjugate)
        ctx.save_for_backward(spectrum)
        ctx.size = size
        picture: Tensor = torch.fft.irfft2(spectrum, s=size)
        return picture

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (spectrum,) = ctx.saved_tensors
        at = torch.fft.rfft2(gradient)
        turned = (at.imag * spectrum.real - at.real * spectrum.imag) * hermitian_weight(ctx.size, gradient)
        for column in shared_columns(ctx.size):
            upper, half = turned[..., column], (ctx.size[0] - 1) // 2
            upper[..., 1 : half + 1] -= upper[..., ctx.size[0] - half :].flip(-1)
            upper[..., 0] = 0
            upper[..., half + 1 :] = 0
        return turned, None, None


def shared_columns(size: tuple[int, int]) -> tuple[int, ...]:
    """Columns of a real FFT in which each wave stands twice: the first, and the last of an even width."""
    return (0, size[1] // 2) if size[1] % 2 == 0 else (0,)


def antisymmetric(column: Tensor) -> Tensor:
    """(..., h) phases of a column as those of a real picture: the upper half as it is, the lower its mirror image."""
    half = (column.shape[-1] - 1) // 2
    phases = torch.zeros_like(column)
    phases[..., 1 : half + 1] = column[..., 1 : half + 1]
    phases[..., column.shape[-1] - half :] = -column[..., 1 : half + 1].flip(-1)
    return phases
