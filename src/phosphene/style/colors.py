"""The content's own colors in a picture of another's style: two ways (Gatys et al. 2016, arXiv 1606.05897).

Before: recolor the style picture, so that there is no other color to transfer. Its colors x are moved by one affine map
to the content's mean m and covariance S:

    x' = A (x - m_style) + m_content     with     A S_style A^T = S_content

A = L_content L_style^-1 with Cholesky factors, or S_content^1/2 S_style^-1/2 with symmetric roots by eigenvalues (the
color matching of image analogies). After: keep the result's luminance and take the content's chroma, in YIQ.

Departures: both covariances get `FLOOR` on their diagonals, so that a gray picture, whose colors lie on a line, has
finite maps; equal pictures still map by the identity. Chroma that luminance leaves no room for is shrunk towards gray
instead of being clipped by channel, so hue and luminance stay.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from phosphene.errors import UsageError

FLOOR = 1e-5  # variance of (0.8 / 255)^2, a little above the rounding to 8 bits; as in Gatys's NeuralImageSynthesis
LUMA = (0.299, 0.587, 0.114)  # Y of YIQ (NTSC 1953); ITU-R BT.601 has the same


def match_histogram(
    style: Tensor, content: Tensor, *, method: Literal["symmetric", "cholesky"] = "symmetric"
) -> Tensor:
    """`style` with the mean and covariance of `content`'s colors: (3, h, w) in [0, 1] of any sizes; gives style's.

    method: "symmetric" mixes the channels as little as their correlations ask for; "cholesky" depends on the order of
    the channels. A fourth channel is ignored in `content` and kept in `style`. Colors that the map takes out of
    [0, 1] are clipped, so the moments are exact only where nothing was.
    """
    source, target = _colors(style).flatten(1), _colors(content).flatten(1)
    (mean, covariance), (wanted_mean, wanted) = _moments(source), _moments(target)
    if method == "cholesky":
        root, wanted_root = torch.linalg.cholesky(covariance), torch.linalg.cholesky(wanted)
    elif method == "symmetric":
        root, wanted_root = _root(covariance), _root(wanted)
    else:
        raise UsageError(f"colors are matched by symmetric or cholesky roots, got {method!r}")
    matrix = (wanted_root @ torch.linalg.inv(root)).to(source)
    matched = matrix @ (source - mean.to(source)) + wanted_mean.to(source)
    return torch.cat([matched.view_as(style[:3]).clamp(0, 1), style[3:]])


def keep_luminance(result: Tensor, content: Tensor) -> Tensor:
    """The luminance of `result` with the chroma of `content`: (3, h, w) in [0, 1], both of one size.

    In YIQ: Y of the one, I and Q of the other; gray has no I and Q, so this is a shift of all channels by the
    difference in Y. Where such a color does not exist, I and Q are shrunk by one factor until it does, which keeps hue
    and luminance and loses saturation. A fourth channel is ignored in `content` and
    kept in `result`. Raises `UsageError` for different sizes.
    """
    if result.shape[1:] != content.shape[1:]:
        sizes = " and ".join(f"{x.shape[2]}x{x.shape[1]}" for x in (result, content))
        raise UsageError(f"luminance and chroma must be of one size, got {sizes}")
    luminance = _luminance(_colors(result))
    chroma = _colors(content) - _luminance(_colors(content))  # the color whose YIQ is (0, I, Q)
    room = torch.where(chroma > 0, 1 - luminance, luminance)  # how far each channel can go its way
    factor = (room / chroma.abs().clamp(min=torch.finfo(chroma.dtype).tiny)).amin(0, keepdim=True).clamp(max=1)
    return torch.cat([(luminance + factor * chroma).clamp(0, 1), result[3:]])


def _colors(x: Tensor) -> Tensor:
    if x.ndim != 3 or x.shape[0] not in (3, 4):
        raise UsageError(f"a color picture has shape (3, height, width), got {tuple(x.shape)}")
    return x[:3]


def _luminance(colors: Tensor) -> Tensor:
    return torch.einsum("c,chw->hw", colors.new_tensor(LUMA), colors)[None]


def _moments(colors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3, 1) and covariance (3, 3) plus the floor, of colors (3, n).

    In float64, on the CPU: chroma varies a hundred times less than light, and the inverse root magnifies its error.
    """
    exact = colors.detach().cpu().double()
    mean = exact.mean(1, keepdim=True)
    centered = exact - mean
    return mean, centered @ centered.T / exact.shape[1] + FLOOR * torch.eye(3, dtype=torch.float64)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a positive definite matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=FLOOR).sqrt() @ vectors.T
    return root
