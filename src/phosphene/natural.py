"""Statistics of natural images, which an optimised picture starts from and is scaled by.

Natural images have amplitude spectra that fall as 1/f (Field 1987; van der Schaaf and van Hateren 1996) and
strongly correlated colors. Optimising in a basis where both are whitened makes every step move the picture the
way pictures differ (Olah et al., Distill 2017, "Preconditioning and parameterization").
"""

from __future__ import annotations

import torch
from torch import Tensor

# Square root of the color covariance of ImageNet pixels, RGB in [0, 1]: columns are the principal directions of
# color (light-dark, blue-yellow, green-magenta) times their standard deviation. The figures are those that
# Olah et al. published with Distill 2017; `color_basis` scales them so that the longest column is 1.
IMAGENET_COLOR_SQRT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


def color_basis(channels: int = 3) -> Tensor:
    """(channels, channels) matrix from decorrelated to real colors; the identity when channels is not 3."""
    if channels != 3:
        return torch.eye(channels)
    sqrt = torch.tensor(IMAGENET_COLOR_SQRT)
    basis: Tensor = sqrt / sqrt.norm(dim=0).max()
    return basis


def frequencies(height: int, width: int) -> Tensor:
    """(height, width // 2 + 1) spatial frequency of each real-FFT coefficient, in cycles per pixel (0 .. 0.7071)."""
    rows, columns = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    return torch.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)


def smoothstep(x: Tensor, low: float, high: float) -> Tensor:
    """0 below `low`, 1 above `high`, and the cubic 3t^2 - 2t^3 between: no ringing corner."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def sigmoid_rows_(x: Tensor) -> Tensor:
    """The sigmoid of (b, ...), in place, such that a row's bits do not depend on its place in the batch.

    torch's CPU kernel rounds the elements that are left over at the end of its vectors and of its threads' shares
    differently; given one row at a time, they are the same elements of every row.
    """
    for part in x if x.device.type == "cpu" else (x,):
        part.sigmoid_()
    return x
