"""Random changes between picture and network: what survives them is pattern, not noise (transformation robustness).

Pad, jitter, scale, rotate and crop are ONE affine resampling, drawn per row and view: chained resamplings blur
(three keep 6% of white noise's highest frequencies, one keeps 34%) and cost three times as much.

    view(u) = x(A u + t),   A = R(angle) / scale,   u in pixels from the center of the view

(Mordvintsev et al. 2015; Olah et al., Distill 2017.) Departures: lucid shows a gray margin beyond the picture's
edge, we mirror the picture (`fill`), which leaves no frame; and the strength of all changes falls linearly to the
`relax` share, reached at 5/6 of the run, so that the picture is first found robustly and then finished as it will be
measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.natural import sigmoid_rows_
from phosphene.recipe import TransformConfig
from phosphene.seeds import Generators

RELAXED_AT = 5 / 6  # share of the run after which the transforms stay at their relaxed strength
CROP_CENTER_DEVIATION = 0.15  # crop centers, as a share of the picture; Fel et al. 2023 (arXiv 2306.06805)
NUMBERS = 6  # uniform draws per view: angle, scale, two shifts, crop size, spare
GRAY = 0.5  # the value between black and white
BILINEAR = 0  # torch's number for the interpolation
PADDING = {"gray": 0, "reflect": 2}  # torch's numbers for padding_mode "zeros" and "reflection"


@dataclass(frozen=True)
class Ranges:
    """Largest changes: jitter in pixels, scale as a share, rotate in degrees, noise as a standard deviation."""

    jitter: float
    scale: float
    rotate: float
    noise: float = 0.0
    crops: int = 1
    crop_size: float = 0.5
    relax: float = 0.1


# lucid's standard list: jitter 8 (a crop that moves by up to 4 each way), scale 0.9 .. 1.1, rotate +-10 degrees,
# jitter 4 (up to 2 each way): together up to 6 pixels each way.
PRESETS: dict[str, Ranges] = {
    "standard": Ranges(jitter=6, scale=0.1, rotate=10),
    "strong": Ranges(jitter=16, scale=0.25, rotate=20, relax=0.3),
    "none": Ranges(jitter=0, scale=0, rotate=0, relax=1.0),
}


@dataclass(frozen=True)
class Params:
    """What one step drew. matrix: (b*v, 2, 3) from view pixels to picture pixels. noise: (b*v, c, h, w) or None."""

    matrix: Tensor | None
    noise: Tensor | None
    backgrounds: Tensor | None


@dataclass(frozen=True)
class Warp:
    """Shift, scale, turn and crop as one resampling; then noise. One instance serves every step of a run.

    ranges: the largest changes. size: (height, width) of the views. steps: length of the run, for `relax`.
    alpha: the signal's last channel is opacity; each step lays the picture over a random background first.
    """

    ranges: Ranges
    size: tuple[int, int]
    steps: int
    fill: Literal["reflect", "gray"] = "reflect"
    alpha: bool = False
    channels: int = 3

    @property
    def views(self) -> int:
        """Views per row."""
        return self.ranges.crops

    @property
    def still(self) -> bool:
        """Whether nothing is drawn, so that every step shows the same views."""
        r = self.ranges
        return not (r.jitter or r.scale or r.rotate or r.noise or r.crops > 1 or self.alpha)

    def strength(self, step: int) -> float:
        """Share of the full ranges at this step: 1 at the start, `relax` from 5/6 of the run on."""
        return max(self.ranges.relax, 1 - (1 - self.ranges.relax) * step / max(1.0, RELAXED_AT * self.steps))

    def draw(self, generators: Generators, step: int, device: torch.device | str = "cpu") -> Params:
        """The random part of one step: a function of (seed, unit, step) only."""
        return Params(
            self._matrix(generators, step, device),
            self._noise(generators, step, device),
            self._backgrounds(generators, step, device),
        )

    def __call__(self, x: Tensor, params: Params) -> tuple[Tensor, Tensor]:
        """Pictures (b, c, h, w) -> views (b*v, c, *size) and the row (b*v,) that each view shows."""
        rows = torch.arange(x.shape[0], device=x.device).repeat_interleave(self.views)
        if params.backgrounds is not None:
            opacity = x[:, -1:]
            x = x[:, :-1] * opacity + params.backgrounds * (1 - opacity)
        seen = x if self.views == 1 else x[rows]
        if params.matrix is not None:
            seen = self._resample(seen, params.matrix)
        elif tuple(seen.shape[2:]) != self.size:
            seen = F.interpolate(seen, self.size, mode="bilinear", antialias=True, align_corners=False)
        if params.noise is not None:
            seen = seen + params.noise
        return seen, rows

    def _resample(self, x: Tensor, matrix: Tensor) -> Tensor:
        grid = sampling_grid(matrix, self.size, (x.shape[2], x.shape[3]))
        gray = GRAY if self.fill == "gray" else 0.0
        seen: Tensor = Resample.apply(x - gray if gray else x, grid, PADDING[self.fill])
        return seen + gray if gray else seen

    def _matrix(self, generators: Generators, step: int, device: torch.device | str) -> Tensor | None:
        r, strength = self.ranges, self.strength(step)
        if not (r.jitter or r.scale or r.rotate or r.crops > 1):
            return None
        numbers = generators.uniform("transform", step, NUMBERS * r.crops).view(-1, NUMBERS)
        signed = numbers * 2 - 1
        angle = signed[:, 0] * math.radians(r.rotate) * strength
        zoom = 1 / (1 + signed[:, 1] * r.scale * strength)
        shift = signed[:, 2:4] * r.jitter * strength
        if r.crops > 1:
            zoom = zoom * (r.crop_size + (1 - r.crop_size) * numbers[:, 4])
            deviation = CROP_CENTER_DEVIATION * math.sqrt(12)  # a uniform number of that standard deviation
            reach = (1 - zoom.clamp(max=1)) / 2  # the crop stays inside
            center = (signed[:, 2:4] * deviation / 2).clamp(-reach[:, None], reach[:, None])
            shift = shift + center * torch.tensor([float(self.size[1]), float(self.size[0])])
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        top = torch.stack([cos, -sin, shift[:, 0]], 1)
        bottom = torch.stack([sin, cos, shift[:, 1]], 1)
        return torch.stack([top, bottom], 1).to(device, non_blocking=True)

    def _noise(self, generators: Generators, step: int, device: torch.device | str) -> Tensor | None:
        if not self.ranges.noise:
            return None
        shape = (self.views, self.channels, *self.size)
        drawn = generators.normal("noise", step, shape, device) * self.ranges.noise * self.strength(step)
        return drawn.flatten(0, 1)

    def _backgrounds(self, generators: Generators, step: int, device: torch.device | str) -> Tensor | None:
        """Smooth random color fields: flat color alone lets the picture hide its shape in one gray."""
        if not self.alpha:
            return None
        coarse = generators.normal("background", step, (self.channels, 8, 8), device)
        fine = generators.normal("background fine", step, (self.channels, 32, 32), device)
        fields = [F.interpolate(f, self.size, mode="bicubic", align_corners=False) for f in (coarse, fine)]
        return sigmoid_rows_(1.5 * fields[0] + 0.75 * fields[1])


class Resample(torch.autograd.Function):
    """Bilinear grid_sample whose backward pass knows pictures only.

    torch's own backward kernel always makes the gradient of the grid too, and for that reads the picture at four places
    per pixel. Nobody asks for it: given one number in the picture's place, the kernel takes two thirds of the time.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape, ctx.padding = x.shape, padding
        views: Tensor = torch.ops.aten.grid_sampler_2d(x, grid, BILINEAR, padding, False)
        return views

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        nothing = gradient.new_zeros(()).expand(ctx.shape)
        found: tuple[Tensor, Tensor] = torch.ops.aten.grid_sampler_2d_backward(
            gradient, nothing, grid, BILINEAR, ctx.padding, False, [True, False]
        )
        return found[0], None, None


def sampling_grid(matrix: Tensor, view: tuple[int, int], picture: tuple[int, int]) -> Tensor:
    """(n, h, w, 2) normalised coordinates (align_corners=False) at which each view pixel looks at the picture.

    matrix: (n, 2, 3) from view pixels, counted from the view's center, to picture pixels from the picture's center;
    when sizes differ the view is first stretched over the picture.

    x and y are one complex number, so that the grid is one sum of a row and a column: a single pass over memory.
    """
    matrix = matrix.to(torch.float32)
    ys = (torch.arange(view[0], device=matrix.device) - (view[0] - 1) / 2) * (picture[0] / view[0])
    xs = (torch.arange(view[1], device=matrix.device) - (view[1] - 1) / 2) * (picture[1] / view[1])
    x, y = matrix[:, 0] * (2 / picture[1]), matrix[:, 1] * (2 / picture[0])
    along_x, along_y, shift = torch.complex(x, y).unbind(1)
    row, column = along_x[:, None] * xs, along_y[:, None] * ys + shift[:, None]
    return torch.view_as_real(row[:, None, :] + column[:, :, None])


def ranges(config: TransformConfig) -> Ranges:
    """The preset's ranges with the config's own values in place of those it sets."""
    names = ("jitter", "scale", "rotate", "noise", "crops", "crop_size", "relax")
    given: dict[str, Any] = {n: getattr(config, n) for n in names if getattr(config, n) is not None}
    return replace(PRESETS[config.transforms], **given)


def build(
    config: TransformConfig,
    *,
    size: tuple[int, int],
    steps: int,
    channels: int = 3,
    alpha: bool = False,
) -> Warp:
    """The transform that `config` describes, for views of `size` in a run of `steps`."""
    return Warp(ranges(config), size, steps, fill=config.fill, alpha=alpha, channels=channels)
