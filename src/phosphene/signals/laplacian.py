"""The picture as a Laplacian pyramid: bands of detail, each half as fine as the one before, summed up.

    x = sigmoid(C @ (l_0 + up(l_1 + up(l_2 + ... )))),    up: twice the size, bilinear

Burt and Adelson 1983; as a parameterization in lucid (`laplacian_pyramid`). An equal step in every band moves broad
shapes as much as fine ones, where plain pixels move noise most. Unlike Fourier waves its elements are local, so
distant parts of a picture do not disturb each other.

Departures: lucid enlarges every band at once to the full size, ours go up one octave at a time, which costs less and
leaves no bilinear facets of the broad bands.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.natural import Natural
from phosphene.seeds import Generators
from phosphene.signals.base import Signal, register

LEVELS = 4  # bands; lucid's: the broadest has an eighth of the resolution


@register("laplacian")
class Laplacian(Signal):
    """Pictures as sums of bands; any height and width, odd too, and any number of channels.

    levels: how many bands; those that would be smaller than a pixel are left out.
    """

    def __init__(
        self,
        rows: int,
        *,
        channels: int = 3,
        size: tuple[int, int],
        alpha: bool = False,
        decorrelate: bool = True,
        natural: Natural | None = None,
        levels: int = LEVELS,
    ) -> None:
        super().__init__(rows, channels=channels, size=size, alpha=alpha, decorrelate=decorrelate, natural=natural)
        if levels < 1:
            raise UsageError(f"a pyramid needs at least 1 level, got {levels}")
        sizes = band_sizes(size, levels)
        self.bands = nn.ParameterList(torch.zeros(rows, self.shape[1], *band) for band in sizes)

    def linear(self) -> Tensor:
        bands = list(self.bands)
        linear: Tensor = bands.pop()
        while bands:
            band = bands.pop()
            linear = band + enlarged(linear, (band.shape[2], band.shape[3]))
        return linear

    def write(self, linear: Tensor) -> None:
        for band, coarser in zip(self.bands, [*self.bands[1:], None], strict=True):
            below = None if coarser is None else reduced(linear, (coarser.shape[2], coarser.shape[3]))
            band.copy_(linear if below is None else linear - enlarged(below, (band.shape[2], band.shape[3])))
            linear = linear if below is None else below

    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        with torch.no_grad():
            for level, band in enumerate(self.bands):
                band.copy_(deviation * generators.normal("start", level, band.shape[1:]))


def band_sizes(size: tuple[int, int], levels: int) -> list[tuple[int, int]]:
    """Sizes of the bands, finest first; each is half the one before, rounded up, and none is a repetition."""
    sizes = [size]
    while len(sizes) < levels and max(sizes[-1]) > 1:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def enlarged(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (b, c, h, w) brought up to `size`, bilinear."""
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def reduced(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures (b, c, h, w) brought down to `size`, without aliasing."""
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
