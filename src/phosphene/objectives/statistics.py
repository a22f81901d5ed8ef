"""Content and style: statistics of a picture's features, compared with those of a reference picture.

    score = -loss(statistic of the picture, statistic of the reference)      0 where they agree, less elsewhere

    Content  F itself, position by position          Gatys et al. 2015 (arXiv 1508.06576), eq. 1
    Gram     G = F F^T / N, where in space is lost   Gatys et al. 2015, eq. 3 to 5

F is (channels, positions); `wasserstein.py` has the distances between distributions. A leaf is data (layer, name of
the reference, options) until `aim` gives it its target, which is in no text, JSON or comparison. All but the sliced
distance are functions of sums over positions, so that a picture too large for memory is cut into tiles exactly: add
the `sums` of the tiles, then take the `loss`.

Departures: G is per position, so that references of any size fit; with equal N, `norm=paper` is the paper's number.
A soft mask weighs positions (its sum is N), where Gatys et al. 2017 multiply features, and so weigh by its square.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from phosphene.errors import UsageError
from phosphene.objectives.acts import Acts, average_views, views_per_row
from phosphene.objectives.algebra import NetworkLike, Objective, Product, Scale, Sum, number
from phosphene.objectives.words import layer_text, name_text

MASK = "mask:"  # before a region's name in `acts`: where that region is in the optimised picture
MASS_FLOOR = 1e-8  # positions; under a division: a region that is nowhere in the picture pulls at nothing

# Activations of a reference picture, (1, c, *space) each, and its mask (1, 1, h, w) in [0, 1] or None for all of it.
Reference: TypeAlias = Callable[[str], tuple[Mapping[str, Tensor], Tensor | None]]


def on_grid(mask: Tensor, space: Sequence[int]) -> Tensor:
    """A mask (b, 1, h, w) of a picture -> the weights (b, 1, *space) of a layer's positions, by area averaging.

    Raises UsageError for a layer whose positions are no grid.
    """
    if len(space) != mask.dim() - 2:
        raise UsageError(f"a mask {tuple(mask.shape)} does not fit a layer with positions {tuple(space)}")
    return F.interpolate(mask.float(), size=tuple(space), mode="area")


def precise(values: Tensor) -> Tensor:
    """Values in float32, or in float64 where they are so already: sums of squares overflow and round in 16 bits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def mass(values: Tensor, weight: Tensor | None) -> Tensor:
    """(b,) how many positions values (b, c, n) stand for: n, or the sum of their weights (b, 1, n)."""
    return values.new_full(values.shape[:1], values.shape[2]) if weight is None else weight.sum((1, 2))


def per_position(total: Tensor, positions: Tensor) -> Tensor:
    """Sums over positions (b, ...) -> means over positions; positions: (b,)."""
    return total / positions.clamp(min=MASS_FLOOR).view(-1, *[1] * (total.dim() - 1))


@dataclass(frozen=True)
class Statistic(Objective, registered=False):
    """Base of the leaves that compare a layer with the same layer of a reference picture.

    layer: dotted name or alias. of: name of the reference picture. mask: name of the region of the optimised picture
    that is compared, "" for everywhere; the call then needs `acts["mask:NAME"]`, (b or 1, 1, h, w) in [0, 1] at the
    picture's size. target: what `aim` gives. A leaf serves every row; calling it without a target is a UsageError.
    """

    word: ClassVar[str]
    additive: ClassVar[bool] = True  # whether `sums` of tiles add up to those of the whole

    layer: str
    of: str = "style"
    mask: str = ""
    target: tuple[Tensor, ...] | None = field(default=None, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        for what, name in (("layer", self.layer), ("reference picture", self.of)):
            if not isinstance(name, str) or not name:
                raise UsageError(f"{self.word} needs the name of a {what}, got {name!r:.80}")
        if not isinstance(self.mask, str):
            raise UsageError(f"a mask is the name of a region, got {self.mask!r:.80}")

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        views = views_per_row(acts, rows)
        features = acts[self.layer]
        return -average_views(self.loss(self.sums(features, self._weight(acts, features, views))), views)

    def sums(self, features: Tensor, weight: Tensor | None = None, part: Tensor | None = None) -> tuple[Tensor, ...]:
        """Sums over the positions of features (b, c, *space), which may be a tile: a tuple of (b, ...) tensors.

        weight: (b, 1, *space), of each position. part: the tile's part of a Content's target; all of it by default.
        Sums of tiles are added element by element; of a leaf that is not `additive` they stand for their tile alone.
        """
        with torch.autocast(features.device.type, enabled=False):
            flat = None if weight is None else precise(weight).flatten(2)
            return self._sums(features, flat, part)

    def loss(self, sums: tuple[Tensor, ...]) -> Tensor:
        """(b,) losses from the sums of the whole picture; 0 or more where the leaf is a distance."""
        with torch.autocast(sums[0].device.type, enabled=False):
            return self._loss(sums, self._aimed())

    def aimed(self, features: Tensor, mask: Tensor | None = None) -> Self:
        """The same leaf with a target: the statistic of a reference picture.

        features: (1, c, *space). mask: (1, 1, h, w) in [0, 1], the part of the picture that counts.
        Raises UsageError when they are not of one picture, not finite, or the mask leaves nothing.
        """
        if len(features) != 1:
            raise UsageError(f"a reference is one picture, {self.of!r} has {len(features)}")
        if not bool(features.isfinite().all()):
            raise UsageError(f"the reference {self.of!r} gives NaN or infinity at {self.layer}")
        weight = None if mask is None else on_grid(mask, features.shape[2:])
        if weight is not None and not float(weight.sum()) > 0:
            raise UsageError(f"the mask of the reference {self.of!r} is black: nothing of it is left at {self.layer}")
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            return replace(self, target=self._target(precise(features), weight))

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    def bind(self, network: NetworkLike) -> Objective:
        layer = network.find_layer(self.layer)
        if not layer.spatial:
            raise UsageError(
                f"{self.word} compares positions, and {layer.name} of {network.name} has none: it is a vector"
            )
        if self.mask and layer.tokens is not None:
            raise UsageError(f"no mask fits {layer.name} of {network.name}: it is a sequence of tokens, not a grid")
        return replace(self, layer=layer.name)

    def __str__(self) -> str:
        options = ""
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.compare and f.name != "layer" and value != f.default:
                options += f", {f.name}={option_text(value)}"
        return f"{self.word}({layer_text(self.layer)}{options})"

    def _weight(self, acts: Acts, features: Tensor, views: int) -> Tensor | None:
        """(b*v, 1, *space): how much each position counts; None where all count alike."""
        if not self.mask:
            return None
        mask = acts.get(MASK + self.mask)
        if mask is None:
            raise UsageError(f"{self} needs the mask {self.mask!r}, which is not given")
        weight = on_grid(mask, features.shape[2:])
        repeated = weight.repeat_interleave(views, 0) if len(weight) > 1 else weight
        return repeated.expand(len(features), *weight.shape[1:])

    def _aimed(self) -> tuple[Tensor, ...]:
        if self.target is None:
            raise UsageError(f"{self} has no target yet: give it the reference {self.of!r} with `aim`")
        return self.target

    def _refuse_zero(self, size: Tensor) -> None:
        if not float(size) > 0:
            raise UsageError(f"nothing is relative to the reference {self.of!r}: it is all zero at {self.layer}")

    def _sums(self, features: Tensor, weight: Tensor | None, part: Tensor | None) -> tuple[Tensor, ...]:
        """`sums` in float32 of features in the network's own format; weight: (b, 1, n)."""
        raise NotImplementedError

    def _loss(self, sums: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
        """`loss` against a target."""
        raise NotImplementedError

    def _target(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        """What of the reference `_loss` compares with; features: (1, c, *space) in float32."""
        raise NotImplementedError


@dataclass(frozen=True)
class Content(Statistic):
    """Squared difference of features, position by position.

    form: "mean" (F - P)^2 averaged over positions and channels; "sum" 1/2 sum (F - P)^2 (Gatys et al. 2015, eq. 1);
    "relative" the mean divided by that of the reference's P^2, so that layers weigh alike. The reference must have the
    layer's positions; it is masked by `mask` alone.
    """

    word: ClassVar[str] = "content"

    of: str = "content"
    form: Literal["mean", "sum", "relative"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in ("mean", "sum", "relative"):
            raise UsageError(f"the form of content is mean, sum or relative, got {self.form!r:.80}")

    def _sums(self, features: Tensor, weight: Tensor | None, part: Tensor | None) -> tuple[Tensor, ...]:
        expected = self._aimed()[0] if part is None else part
        if features.shape[1:] != expected.shape[1:]:
            raise UsageError(
                f"{self} compares {tuple(features.shape[1:])} with {tuple(expected.shape[1:])} of {self.of!r}: "
                "both pictures must have the same size"
            )
        squares = (precise(features) - expected).square().flatten(2)
        return (squares if weight is None else squares * weight).sum(2), mass(squares, weight)

    def _loss(self, sums: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
        squares, positions = sums
        if self.form == "sum":
            return squares.sum(1) / 2
        mean = per_position(squares, positions).mean(1)
        return mean / target[1] if self.form == "relative" else mean

    def _target(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        if weight is not None:
            raise UsageError(f"content compares position by position: mask the picture, not the reference {self.of!r}")
        square = features.square().mean().view(1)
        if self.form == "relative":
            self._refuse_zero(square)
        return features.detach().clone(), square


@dataclass(frozen=True)
class Gram(Statistic):
    """Squared difference of Gram matrices G = F F^T / N, divided by what `norm` says, for C channels.

    norm: "paper" 4 C^2 (Gatys et al. 2015, eq. 4); "mean" C^4 (neural-style, Gatys's notebook, the PyTorch tutorial);
    "sum" C^2 (gordicaleksa); "relative" |A|^2 of the reference's own Gram matrix A, so that layers weigh alike.
    """

    word: ClassVar[str] = "gram"

    norm: Literal["paper", "mean", "sum", "relative"] = "paper"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm not in ("paper", "mean", "sum", "relative"):
            raise UsageError(f"the norm of gram is paper, mean, sum or relative, got {self.norm!r:.80}")

    def _sums(self, features: Tensor, weight: Tensor | None, part: Tensor | None) -> tuple[Tensor, ...]:
        flat = features.flatten(2)
        if weight is None:
            total: Tensor = OwnProduct.apply(flat)
            return total, total.new_full(total.shape[:1], flat.shape[2])
        flat = precise(flat)
        return (flat * weight) @ flat.mT, mass(flat, weight)

    def _loss(self, sums: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
        (expected,) = target
        squares = (per_position(*sums) - expected).square().sum((1, 2))
        return squares / self._divisor(expected)

    def _divisor(self, expected: Tensor) -> float | Tensor:
        if self.norm == "relative":
            return expected.square().sum((1, 2))
        channels = expected.shape[1]
        return {"paper": 4.0 * channels**2, "mean": float(channels**4), "sum": float(channels**2)}[self.norm]

    def _target(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        total, positions = self.sums(features, weight)
        expected = per_position(total, positions)
        if self.norm == "relative":
            self._refuse_zero(expected.square().sum())
        return (expected,)


class OwnProduct(torch.autograd.Function):
    """F F^T in float32 for F (b, c, n), as one node: its gradient (g + g^T) F is one product, autograd takes two.

    The gradient has the layout that a convolution with channels last wants, and is taken in the format of F: the
    network rounds it to that anyway, and a product of bfloat16 takes a fifth of the time.
    """

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        exact = precise(flat)
        return exact @ exact.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors
        moved: Tensor = flat.mT @ (gradient + gradient.mT).to(flat.dtype)
        return moved.mT


def option_text(value: str | float | None) -> str:
    """The value of an option as the grammar reads it."""
    return name_text(value) if isinstance(value, str) else number(value) if isinstance(value, float) else str(value)


def aim(objective: Objective, reference: Reference) -> Objective:
    """The same tree, each statistic with the target that its reference picture gives.

    reference(name) -> (activations of that picture by layer, its mask or None); asked once for each name. A picture
    with two regions is two references. Raises UsageError where a layer is missing or a target cannot be taken.
    """
    return _aim(objective, cache(reference))


def _aim(objective: Objective, reference: Reference) -> Objective:
    if isinstance(objective, Statistic):
        acts, mask = reference(objective.of)
        if objective.layer not in acts:
            raise UsageError(f"the reference {objective.of!r} has no activations of {objective.layer}")
        return objective.aimed(acts[objective.layer], mask)
    if isinstance(objective, Scale):
        return Scale(objective.factor, _aim(objective.of, reference))
    if isinstance(objective, (Sum, Product)):
        return type(objective)(tuple(_aim(part, reference) for part in objective.parts))
    return objective


def unaimed(objective: Objective) -> list[Statistic]:
    """The statistics of a tree that have no target yet."""
    return [leaf for leaf in objective.leaves() if isinstance(leaf, Statistic) and leaf.target is None]
