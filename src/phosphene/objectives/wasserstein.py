"""Style as a distribution: how far the features of two pictures must be moved until they are distributed alike.

    Moments            W2^2 of the Gaussians with the same mean and covariance:
                       |mu - mu'|^2 + tr(S + S' - 2 (S'^1/2 S S'^1/2)^1/2)      Dowson and Landau 1982; K. Crowson's
                                                                                style-transfer-pytorch
    SlicedWasserstein  W2^2 in one dimension, over random directions            Heitz et al. 2021 (arXiv 2006.07229)

Both are per channel: moving every feature of C channels by d costs |d|^2 / C (the sliced one on average).

The trace of a square root. Only tr(M^1/2) is needed, and its gradient is M^(-1/2) / 2: one eigendecomposition gives
both, and the differences of eigenvalues that make its own derivative explode never occur. Newton-Schulz iterations, the
usual choice, leave eigenvalues below some 1e-4 of the largest unconverged after a dozen steps, and those of M are
products of two variances. The decomposition is in float64 for the same reason. At the features the gradient is
2 (f - T f) / N with T the map from one Gaussian to the other, bounded however small a variance is.

Departures: Heitz et al. draw new directions at every step; ours belong to the layer, so that the loss is a function of
the picture and L-BFGS can follow it. Where the counts of positions differ, quantiles are interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from phosphene.errors import UsageError
from phosphene.objectives.statistics import MASS_FLOOR, Statistic, mass, per_position, precise
from phosphene.seeds import Generators

# Variance given to every direction of both pictures, as a share of the reference's mean square per channel: a hundred
# times what sums in float32 resolve (6e-8), so that a covariance without full rank (fewer positions than channels, a
# constant picture) keeps a square root whose slope is more than rounding.
VARIANCE_FLOOR = 1e-5
DIRECTIONS_SEED = 0  # of the directions: a constant, since they belong to the layer and not to a run
MAX_DIRECTIONS = 16_384  # eight times the widest layers in common use (2048); more is an accident


@dataclass(frozen=True)
class Moments(Statistic):
    """Squared Wasserstein-2 distance of Gaussians that have the features' means and covariances, per channel.

    The covariances of both sides get VARIANCE_FLOOR times the reference's mean square on their diagonal. norm:
    "channel" is the distance itself, "relative" the share of that mean square, so that layers weigh alike.
    """

    word: ClassVar[str] = "moments"

    norm: Literal["channel", "relative"] = "channel"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm not in ("channel", "relative"):
            raise UsageError(f"the norm of moments is channel or relative, got {self.norm!r:.80}")

    def _sums(self, features: Tensor, weight: Tensor | None, part: Tensor | None) -> tuple[Tensor, ...]:
        flat = precise(features).flatten(2)
        if weight is None:
            return flat.sum(2), flat @ flat.mT, mass(flat, weight)
        root = flat * weight.sqrt()  # its product is symmetric and has no negative eigenvalue, also when rounded
        return (flat * weight).sum(2), root @ root.mT, mass(flat, weight)

    def _loss(self, sums: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
        expected_mean, expected_root, floor = target
        mean, covariance = moments(sums, floor)
        overlap: Tensor = RootTrace.apply(expected_root @ covariance @ expected_root, floor.square())
        spread = trace(covariance) + expected_root.square().sum((1, 2)) - 2 * overlap
        shift = (mean - expected_mean).square().sum(1)
        size = floor / VARIANCE_FLOOR if self.norm == "relative" else 1.0
        return ((shift + spread) / mean.shape[1] / size).to(sums[0])

    def _target(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        sums = self.sums(features, weight)
        square = trace(per_position(sums[1], sums[2])) / features.shape[1]
        if self.norm == "relative":
            self._refuse_zero(square)
        floor = double(VARIANCE_FLOOR * square).clamp(min=torch.finfo(torch.float32).tiny)
        mean, covariance = moments(sums, floor)
        return mean, square_root(covariance), floor


@dataclass(frozen=True)
class SlicedWasserstein(Statistic):
    """Squared Wasserstein-2 distance of the features' projections on random directions, averaged over directions.

    directions: how many unit vectors; None is as many as the layer has channels (Heitz et al. 2021). They are a
    function of the layer's name and its channels. Costs a sort of every projection. Not additive over tiles.
    """

    word: ClassVar[str] = "sliced"
    additive: ClassVar[bool] = False

    directions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        count = self.directions
        if count is not None and (
            isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_DIRECTIONS
        ):
            raise UsageError(f"sliced takes 1 to {MAX_DIRECTIONS} directions, got {count!r:.80}")

    def _sums(self, features: Tensor, weight: Tensor | None, part: Tensor | None) -> tuple[Tensor, ...]:
        directions = self._directions(features) if self.target is None else self.target[0]
        flat = precise(features).flatten(2)
        projections = directions.to(flat.dtype) @ flat
        return (projections,) if weight is None else (projections, weight)

    def _loss(self, sums: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
        values, order = sums[0].sort(dim=-1, stable=True)
        if len(sums) == 1:
            expected = at_levels(target[1], even_levels(values)[None, None])
            return (values - expected).square().mean((1, 2))
        weight = sums[1].expand_as(values).gather(-1, order)
        squares = (values - at_levels(target[1], levels(weight))).square()
        return ((squares * weight).sum(2) / weight.sum(2).clamp(min=MASS_FLOOR)).mean(1)

    def _target(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        directions = self._directions(features)
        values, order = (directions @ features.flatten(2)).sort(dim=-1, stable=True)
        if weight is not None:
            seen = weight.flatten(2).expand_as(values).gather(-1, order)
            values = even_quantiles(values[0], seen[0])[None]
        return directions, values

    def _directions(self, features: Tensor) -> Tensor:
        """(directions, c) unit vectors, drawn on the CPU: the same ones on every device."""
        channels = features.shape[1]
        generators = Generators(DIRECTIONS_SEED, [self.layer])
        drawn = generators.normal("directions", 0, (self.directions or channels, channels))[0]
        return F.normalize(drawn, dim=1).to(features)


class RootTrace(torch.autograd.Function):
    """tr(M^1/2) (b,) of symmetric matrices M (b, c, c) whose eigenvalues are `floor` (1,) or more, but for rounding.

    A matrix with NaN or infinity gives NaN and leaves its mates alone.
    """

    @staticmethod
    def forward(ctx: Any, matrices: Tensor, floor: Tensor) -> Tensor:
        sound = matrices.isfinite().all(-1).all(-1)
        safe = torch.where(sound[:, None, None], matrices, torch.eye(matrices.shape[-1]).to(matrices))
        values, vectors = torch.linalg.eigh(safe)
        roots = torch.where(sound[:, None], torch.maximum(values, floor).sqrt(), torch.nan)
        ctx.save_for_backward(roots, vectors)
        return roots.sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        roots, vectors = ctx.saved_tensors
        return gradient[:, None, None] * (vectors / (2 * roots[:, None, :])) @ vectors.mT, None


def moments(sums: tuple[Tensor, ...], floor: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (b, c) and covariance (b, c, c), with `floor` (1,) added to its diagonal, in float64."""
    total, products, positions = map(double, sums)
    mean, square = per_position(total, positions), per_position(products, positions)
    eye = torch.eye(mean.shape[1]).to(mean)
    return mean, square - mean[:, :, None] * mean[:, None, :] + floor * eye


def square_root(matrices: Tensor) -> Tensor:
    """Square roots of symmetric matrices (b, c, c) without negative eigenvalues, but for rounding."""
    values, vectors = torch.linalg.eigh(matrices)
    roots: Tensor = (vectors * values.clamp(min=0).sqrt()[:, None, :]) @ vectors.mT
    return roots


def trace(matrices: Tensor) -> Tensor:
    """(b, c, c) -> (b,)."""
    return matrices.diagonal(dim1=1, dim2=2).sum(1)


def double(values: Tensor) -> Tensor:
    """Values in float64; on the CPU when they come from Apple's GPUs, which have neither it nor `eigh`."""
    return values.to("cpu" if values.device.type == "mps" else values.device, torch.float64)


def widest(device: torch.device) -> torch.dtype:
    """The widest floating-point format of a device."""
    return torch.float32 if device.type == "mps" else torch.float64


def even_levels(values: Tensor) -> Tensor:
    """(n,) quantile levels of n sorted values (..., n) that count alike: (i + 1/2) / n."""
    count = values.shape[-1]
    return (torch.arange(count, device=values.device, dtype=widest(values.device)) + 0.5) / count


def levels(weight: Tensor) -> Tensor:
    """(..., n) quantile levels of sorted values with these weights: the share below each, and half of its own."""
    filled = weight.to(widest(weight.device)).cumsum(-1)
    return (filled - weight / 2) / filled[..., -1:].clamp(min=MASS_FLOOR)


def at_levels(quantiles: Tensor, wanted: Tensor) -> Tensor:
    """A quantile function at levels (b, k or 1, n), linear between its values (1, k, m) at the m even levels."""
    count = quantiles.shape[-1]
    place = (wanted * count - 0.5).clamp(0, count - 1)
    low = place.long()
    share = (place - low).to(quantiles.dtype)
    known = quantiles.expand(len(wanted), -1, -1)
    below, above = (index.expand(-1, known.shape[1], -1) for index in (low, (low + 1).clamp(max=count - 1)))
    return known.gather(-1, below).lerp(known.gather(-1, above), share)


def even_quantiles(values: Tensor, weight: Tensor) -> Tensor:
    """Sorted values (k, n) with weights -> their quantiles (k, m) at the m even levels.

    m is the number of values with a weight: all the others are left out. The rows have the same weights, each in its
    own order.
    """
    kept = weight > 0
    values, weight = values[kept].view(len(values), -1), weight[kept].view(len(values), -1)
    places = levels(weight)
    wanted = even_levels(values).expand_as(places).contiguous()
    high = torch.searchsorted(places, wanted).clamp(max=values.shape[1] - 1)
    low = (high - 1).clamp(min=0)
    start, end = places.gather(1, low), places.gather(1, high)
    share = ((wanted - start) / (end - start).clamp(min=torch.finfo(places.dtype).tiny)).clamp(0, 1)
    return values.gather(1, low).lerp(values.gather(1, high), share.to(values.dtype))
