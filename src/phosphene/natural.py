"""Statistics of natural images, which an optimised picture starts from and is scaled by.

Natural images have amplitude spectra that fall as 1/f (Field 1987; van der Schaaf and van Hateren 1996) and
strongly correlated colors. Optimising in a basis where both are whitened makes every step move the picture the
way pictures differ (Olah et al., Distill 2017, "Preconditioning and parameterization").

`Survey` measures both on pictures of one's own; `Natural` holds what it found, small enough for a recipe:

    color      C with C C^T = covariance of the pixels; its columns are directions of color times their deviation
    spectrum   f |F(f, angle)| of each decorrelated color on rings and sectors: 1 everywhere where it falls as 1/f
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import RecipeError, UsageError
from phosphene.files import reason
from phosphene.jsondata import check_schema, from_json, to_json
from phosphene.metadata import MAX_RECIPE_BYTES, parse_untrusted_json

# Square root of the color covariance of ImageNet pixels, RGB in [0, 1]: columns are the principal directions of
# color (light-dark, blue-yellow, green-magenta) times their standard deviation. The figures are those that
# Olah et al. published with Distill 2017; `color_basis` scales them so that the longest column is 1.
IMAGENET_COLOR_SQRT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))

HIGHEST = math.sqrt(0.5)  # cycles per pixel: the corner of the spectrum, and the last ring of `Natural.spectrum`
MOST_NODES = 4096  # rings times sectors of a file that is still sensible
KIND = "natural"
SURVEY_SIDE = 224  # pixels: the size at which most networks saw their pictures
# How much more the mean of a picture varies than the real part of a coefficient of its lowest frequency does:
# over 500 ImageNet pictures at 128 pixels, 3.3 for light and dark, 5.1 and 4.3 for the two colors, 4.2 over all.
MEAN = 4.2
RING_OCTAVES = 0.4  # between two rings; less, and the lowest ones would fall between the coefficients, at 1 and 1.41
SECTORS = 8  # of 22.5 degrees
FEW = 0.5  # coefficients near a node, fewer and it takes its ring's value: the lowest ring has no waves at 22.5 degrees
GRAY_SHARE = 1e-6  # of the variance of light: less in a direction of color is rounding


@dataclass(frozen=True)
class Natural:
    """What a set of pictures has in common.

    color: 3 x 3, rows R, G, B in [0, 1]. spectrum: (3, rings, sectors), f times amplitude, relative. Rings lie evenly
    in log frequency from `lowest` to 0.7071 cycles per pixel, sectors evenly in angle from 0 (waves along x) to 180
    degrees. pictures: how many were measured. Raises UsageError for shapes and numbers that cannot be.
    """

    color: tuple[tuple[float, ...], ...]
    spectrum: tuple[tuple[tuple[float, ...], ...], ...]
    lowest: float
    pictures: int = 0

    def __post_init__(self) -> None:
        rings, sectors = len(self.spectrum[0]) if self.spectrum else 0, 0
        if rings >= 2:
            sectors = len(self.spectrum[0][0])
        whole = all(len(color) == rings and all(len(ring) == sectors for ring in color) for color in self.spectrum)
        if len(self.spectrum) != 3 or sectors < 1 or rings * sectors > MOST_NODES or not whole:
            raise UsageError("the spectrum of natural pictures must be 3 colors x rings (2 or more) x sectors")
        if not all(1e-6 < value < 1e6 for color in self.spectrum for ring in color for value in ring):
            raise UsageError("the spectrum of natural pictures must be positive numbers")
        if len(self.color) != 3 or any(len(row) != 3 for row in self.color):
            raise UsageError("the colors of natural pictures must be a 3 x 3 matrix")
        matrix = torch.tensor(self.color, dtype=torch.float64)
        if not bool(matrix.isfinite().all()) or float(torch.linalg.cond(matrix)) > 1e6:
            raise UsageError("the colors of natural pictures must be an invertible matrix")
        if not 0 < self.lowest < HIGHEST:
            raise UsageError(f"the lowest frequency must lie in 0 .. {HIGHEST:.3f} cycles per pixel, got {self.lowest}")

    def color_basis(self, channels: int = 3) -> Tensor:
        """As the function of that name, with these colors in place of ImageNet's."""
        return scaled(torch.tensor(self.color)) if channels == 3 else torch.eye(channels)

    def amplitudes(self, size: tuple[int, int]) -> Tensor:
        """(3, h, w // 2 + 1) amplitude of each real-FFT coefficient of the decorrelated colors of a picture of `size`.

        Frequencies count in cycles per pixel; below the lowest that was measured it goes on as 1/f.
        """
        height, width = size
        rows = torch.fft.fftfreq(height)[:, None].expand(height, width // 2 + 1)
        columns = torch.fft.rfftfreq(width)[None].expand(height, width // 2 + 1)
        nodes = torch.tensor(self.spectrum)
        rings, sectors = nodes.shape[1:]
        index, weight = polar(rows, columns, self.lowest, (rings, sectors))
        flat = (nodes.flatten(1)[:, index] * weight).sum(1)
        amplitude: Tensor = flat / frequencies(*size).clamp(min=1 / max(size))
        return amplitude

    def slope(self) -> float:
        """The exponent that fits light and dark best between the third ring and half the highest frequency."""
        rings = torch.tensor(self.spectrum[0], dtype=torch.float64).log().mean(1)
        f = torch.linspace(math.log(self.lowest), math.log(HIGHEST), len(rings), dtype=torch.float64)
        fitted = (torch.arange(len(rings)) >= min(2, len(rings) - 2)) & (f <= math.log(HIGHEST / 2))
        fitted = fitted if int(fitted.sum()) >= 2 else torch.ones_like(fitted)
        x, y = f[fitted] - f[fitted].mean(), rings[fitted]
        return 1 - float((x @ (y - y.mean())) / (x @ x))

    def to_text(self) -> str:
        """As one line of JSON, which `natural` reads."""
        return json.dumps({"schema": 1, "kind": KIND, **to_json(self)})


def natural(source: str) -> Natural:
    """The statistics in a file, or in the text of one (which begins with a brace).

    Raises UsageError for a file that cannot be read, RecipeError for one that holds something else.
    """
    text = source if source.lstrip().startswith("{") else _read(Path(source))
    where = "the natural statistics" if text is source else f"'{source}'"
    data = parse_untrusted_json(text)
    check_schema(data, where)
    if data.get("kind") != KIND:
        raise RecipeError(f"{where} holds no statistics of pictures; `phosphene natural DIR --out FILE` measures them")
    return from_json(Natural, data, where=where)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise UsageError(f"'{path}' is too large for statistics of pictures; see `phosphene natural`")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the natural statistics '{path}': {reason(error)}") from error
    except UnicodeDecodeError:
        raise UsageError(f"'{path}' holds no statistics of pictures; see `phosphene natural`") from None


class Survey:
    """Measures pictures one by one: `add` each, then `found`. side: they are cut to a square and brought to this size.

    Under a Hann window, so that the jump from one edge of a picture to the other does not count as its content.
    """

    def __init__(self, side: int = SURVEY_SIDE) -> None:
        if side < 16:
            raise UsageError(f"natural pictures are measured at 16 pixels or more, got {side}")
        self.side, self.pictures = side, 0
        self.sums = torch.zeros(3, dtype=torch.float64)
        self.products = torch.zeros(3, 3, dtype=torch.float64)
        self.power = torch.zeros(3, 3, side, side // 2 + 1, dtype=torch.float64)
        window = torch.hann_window(side, dtype=torch.float64)
        self.window = window[:, None] * window

    def add(self, picture: Tensor) -> None:
        """Count a picture (3, h, w) in [0, 1] with all others; raises UsageError for another shape."""
        if picture.dim() != 3 or picture.shape[0] != 3:
            raise UsageError(f"natural pictures are measured in color, (3, h, w), got {tuple(picture.shape)}")
        x = _square(picture.double(), self.side)
        flat = x.flatten(1)
        self.pictures += 1
        self.sums += flat.mean(1)
        self.products += flat @ flat.T / flat.shape[1]
        level = (x * self.window).sum((1, 2), keepdim=True) / self.window.sum()
        spectrum = torch.fft.rfft2((x - level) * self.window)
        self.power += torch.einsum("ihw,jhw->ijhw", spectrum, spectrum.conj()).real

    def found(self) -> Natural:
        """The statistics of all pictures so far; raises UsageError where they hold nothing to measure."""
        if self.pictures == 0:
            raise UsageError("no picture was measured")
        mean = self.sums / self.pictures
        variances, directions = torch.linalg.eigh(self.products / self.pictures - mean[:, None] * mean)
        variances, directions = variances.flip(0), directions.flip(1)
        if float(variances[0]) <= 0 or float(variances[2]) < GRAY_SHARE * float(variances[0]):
            raise UsageError("the pictures have no color (all are gray, or of one hue): nothing to decorrelate")
        directions = directions * torch.where(directions[:1] < 0, -1.0, 1.0)  # red counts up, as in ImageNet's matrix
        sqrt = directions * variances.sqrt()
        return Natural(_rounded(sqrt), _rounded(self._rings(torch.linalg.inv(sqrt))), 1 / self.side, self.pictures)

    def _rings(self, whitening: Tensor) -> Tensor:
        """(3, rings, sectors) f times amplitude of decorrelated colors, with the energy of 1/f: a mean square of 1."""
        side = self.side
        power = torch.einsum("ci,ijhw,cj->chw", whitening, self.power, whitening)
        rows = torch.fft.fftfreq(side, dtype=torch.float64)[:, None].expand(side, side // 2 + 1)
        columns = torch.fft.rfftfreq(side, dtype=torch.float64)[None].expand(side, side // 2 + 1)
        f = torch.sqrt(rows**2 + columns**2)
        value = 0.5 * torch.log(power.clamp(min=1e-30)) + torch.log(f)
        sound = f >= 1 / side  # all but the mean
        shape = (1 + round(math.log2(HIGHEST * side) / RING_OCTAVES), SECTORS)
        index, weight = polar(rows[sound], columns[sound], 1 / side, shape)
        nodes = math.prod(shape)
        share = torch.zeros(nodes, dtype=torch.float64).index_add_(0, index.flatten(), weight.flatten())
        sums = torch.zeros(3, nodes, dtype=torch.float64)
        sums.index_add_(1, index.flatten(), (value[:, sound][:, None] * weight).flatten(1))
        rings = sums.view(3, *shape).sum(2) / share.view(shape).sum(1)
        few = share < FEW
        filled = torch.where(few, rings.repeat_interleave(SECTORS, 1), sums / share.clamp(min=FEW))
        found = torch.exp(filled - filled.mean()).view(3, *shape)
        return found / found.square().mean().sqrt()


def _square(picture: Tensor, side: int) -> Tensor:
    """The middle square of a picture (c, h, w), brought to `side` pixels."""
    height, width = picture.shape[1:]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = picture[:, top : top + short, left : left + short]
    if short == side:
        return middle
    return F.interpolate(middle[None], (side, side), mode="bilinear", antialias=True, align_corners=False)[0]


def _rounded(values: Tensor) -> Any:
    """Nested tuples of numbers of five digits: enough for a scale, and short in a recipe."""
    if values.dim() == 0:
        return float(f"{float(values):.5g}")
    return tuple(_rounded(value) for value in values)


def polar(rows: Tensor, columns: Tensor, lowest: float, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where frequencies (vertical, horizontal, in cycles per pixel) lie among rings and sectors.

    Returns (4, *s) indices of the nearest nodes in the flattened (rings, sectors) and (4, *s) weights that sum to 1.
    """
    rings, sectors = shape
    radius = torch.sqrt(rows**2 + columns**2).clamp(lowest, HIGHEST)
    ring = torch.log(radius / lowest) / math.log(HIGHEST / lowest) * (rings - 1)
    sector = torch.remainder(torch.atan2(rows, columns) / math.pi, 1.0) * sectors
    inner = ring.floor().clamp(0, rings - 2)
    before = sector.floor()
    far, turn = ring - inner, sector - before
    places = [(inner + r) * sectors + torch.remainder(before + a, sectors) for r in (0, 1) for a in (0, 1)]
    weights = [r * a for r in (1 - far, far) for a in (1 - turn, turn)]
    return torch.stack(places).long(), torch.stack(weights)


def color_basis(channels: int = 3) -> Tensor:
    """(channels, channels) matrix from decorrelated to real colors; the identity when channels is not 3."""
    return scaled(torch.tensor(IMAGENET_COLOR_SQRT)) if channels == 3 else torch.eye(channels)


def scaled(sqrt: Tensor) -> Tensor:
    """A color matrix whose longest column is 1."""
    basis: Tensor = sqrt / sqrt.norm(dim=0).max()
    return basis


def frequencies(height: int, width: int) -> Tensor:
    """(height, width // 2 + 1) spatial frequency of each real-FFT coefficient, in cycles per pixel (0 .. 0.7071)."""
    rows, columns = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    return torch.sqrt(rows[:, None] ** 2 + columns[None, :] ** 2)


def falling(
    size: tuple[int, int], shown: tuple[int, bool, bool], decay: float, natural: Natural | None, *, mean: float = MEAN
) -> Tensor:
    """(c, h, w // 2 + 1) amplitude of natural pictures at each real-FFT coefficient: measured, else 1/f**decay.

    shown: color channels, whether they are whitened, and whether there is an alpha channel. What is no whitened color
    has the measured spectrum of light and dark. The mean has `mean` times the amplitude of the lowest frequency.
    """
    channels, whitened, alpha = shown
    if natural is None:
        amplitude = (frequencies(*size).clamp(min=1 / max(size)) ** -decay).repeat(channels + alpha, 1, 1)
    else:
        measured = natural.amplitudes(size)
        light = measured[:1]
        colors = measured if channels == 3 and whitened else light.expand(channels, -1, -1)
        amplitude = torch.cat([colors, light]) if alpha else colors.clone()
    amplitude[:, 0, 0] *= mean
    return amplitude


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


def polar_rows(magnitude: Tensor, phase: Tensor) -> Tensor:
    """magnitude * exp(i phase), both (b, ...).

    Row by row on the CPU, as in `sigmoid_rows_`: whether cosines at the end of a tensor round as others do depends on
    how torch was built.
    """
    spectrum = torch.empty(phase.shape, dtype=phase.dtype.to_complex(), device=phase.device)
    parts = torch.view_as_real(spectrum)
    for row in range(len(phase)) if phase.device.type == "cpu" else (slice(None),):
        parts[row, ..., 0] = magnitude[row] * torch.cos(phase[row])
        parts[row, ..., 1] = magnitude[row] * torch.sin(phase[row])
    return spectrum
