"""Pictures too large for memory: the same score and the same gradient, tile by tile.

A statistic is a function of sums over positions, loss(S) with S = sum over tiles of S_t, so its gradient needs the
network on one tile at a time, and no approximation:

    1. without gradients: S, the network run on every tile
    2. with gradients: d loss / dx = sum over tiles of (d loss / dS) (dS_t / dx), each in its own window of the picture

The windows that tiles are seen in are those of `reach.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, MASK, Acts, Content, Objective, Statistic, on_grid
from phosphene.style.reach import Cut, Pair, Tile
from phosphene.style.reach import Reach as Reach
from phosphene.style.reach import measure_reach as measure_reach
from phosphene.style.reach import spans as spans

NO_MASKS: Mapping[str, Tensor] = MappingProxyType({})


def tiled(
    objective: Objective, model: Model, reach: Reach, size: Pair, side: int, *, masks: Mapping[str, Tensor] = NO_MASKS
) -> Tiled:
    """The same score with the network run on tiles: an objective that reads nothing but the picture.

    objective: bound and aimed (at `Assembled` pictures, where whole ones do not fit); terms on the picture itself (tv2)
    see the whole of it. reach: `measure_reach(model, objective.layers - {"input"})`. size: (height, width) of the
    picture. side: of the largest tile in pixels, rounded down to a multiple of `reach.step` but at least one.
    masks: regions as in `acts`, {"mask:NAME": (1, 1, height, width)}.
    Raises UsageError for a term that is no sum over positions (sliced, a unit) and for a mask that is not given.
    """
    leaves: list[Summed] = []
    summed = _summed(objective, model, leaves)
    cut = Cut(model, reach, size, side)
    weights = {}
    for leaf in (leaf.of for leaf in leaves):
        grid = cut.grids[leaf.layer]
        if isinstance(leaf, Content) and leaf.target is not None and tuple(leaf.target[0].shape[2:]) != grid:
            raise UsageError(f"{leaf} has its target from a picture of another size than {size[1]}x{size[0]}")
        if leaf.mask:
            weights[leaf.layer, leaf.mask] = on_grid(_mask(leaf, masks), grid)
    return Tiled(objective, summed, TileSums(model, cut, tuple(leaves), weights))


@dataclass(frozen=True)
class Summed(Objective, registered=False):
    """A statistic scored by its sums over the whole picture, which it finds in `acts` under `keys`."""

    of: Statistic
    keys: tuple[str, ...]

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return -self.of.loss(tuple(acts[key] for key in self.keys))

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({INPUT})


@dataclass(frozen=True, eq=False, repr=False)
class Tiled(Objective, registered=False):
    """What `tiled` gives. of: the objective as it was. summed: the same tree with `Summed` for its statistics."""

    of: Objective
    summed: Objective
    sums: TileSums

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        x = acts[INPUT]
        if len(rows) != len(x) or tuple(x.shape[2:]) != self.sums.cut.size:
            height, width = self.sums.cut.size
            raise UsageError(f"tiles are cut from pictures of {width}x{height} themselves, not from transformed views")
        return self.summed({**acts, **self.sums(x)}, rows)

    def __str__(self) -> str:
        return str(self.of)

    @property
    def children(self) -> tuple[Objective, ...]:
        return (self.of,)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({INPUT})


@dataclass(frozen=True)
class TileSums:
    """The sums of some statistics over whole pictures, as functions of the pictures with gradients.

    weights: {(layer, region): (1, 1, *grid)}, of every unit of a layer.
    """

    model: Model
    cut: Cut
    leaves: tuple[Summed, ...]
    weights: Mapping[tuple[str, str], Tensor]

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """{key: (b, ...)} for pictures (b, c, *size)."""
        keys = [key for leaf in self.leaves for key in leaf.keys]
        return dict(zip(keys, _Sums.apply(x, self), strict=True))

    def of_tile(self, window: Tensor, tile: Tile) -> list[Tensor]:
        """What a tile adds to each sum, in the order of the keys."""
        acts = self.model.activations(window, list(self.cut.strides))
        return [part for leaf in self.leaves for part in self._parts(leaf.of, acts[leaf.of.layer], tile)]

    def _parts(self, leaf: Statistic, features: Tensor, tile: Tile) -> tuple[Tensor, ...]:
        whole, inside = self.cut.units(tile, leaf.layer)
        own, weight = features[inside], self.weights.get((leaf.layer, leaf.mask))
        part = leaf.target[0][whole] if isinstance(leaf, Content) and leaf.target is not None else None
        return leaf.sums(own, None if weight is None else weight[whole].expand(len(own), -1, -1, -1), part)


class Assembled(Mapping[str, Tensor]):
    """The activations of pictures x (b, c, *size) by layer, each put together from tiles whenever it is asked for.

    For `aim`: it holds one layer at a time, without what lies between the layers.
    """

    def __init__(self, model: Model, reach: Reach, x: Tensor, side: int) -> None:
        self.model, self.x = model, x
        self.cut = Cut(model, reach, (x.shape[2], x.shape[3]), side)

    def __getitem__(self, layer: str) -> Tensor:
        grid, values = self.cut.grids[layer], None
        for tile in self.cut.tiles:
            whole, inside = self.cut.units(tile, layer)
            with torch.no_grad():
                seen = self.model.activations(self.cut.window(self.x, tile), [layer])[layer]
            values = seen.new_empty(*seen.shape[:2], *grid) if values is None else values
            values[whole] = seen[inside]
        assert values is not None  # a picture has at least one tile
        return values

    def __contains__(self, layer: object) -> bool:
        return layer in self.cut.grids

    def __iter__(self) -> Iterator[str]:
        return iter(self.cut.grids)

    def __len__(self) -> int:
        return len(self.cut.grids)


class _Sums(torch.autograd.Function):
    """Sums over tiles. Nothing but the picture is kept for the backward pass, which runs the network again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sums: TileSums) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x)
        ctx.sums = sums
        tiles = (sums.of_tile(sums.cut.window(x, tile), tile) for tile in sums.cut.tiles)
        totals = next(tiles)
        for parts in tiles:
            totals = [total + part for total, part in zip(totals, parts, strict=True)]
        return tuple(totals)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        sums: TileSums = ctx.sums
        total = torch.zeros_like(x)
        for tile in sums.cut.tiles:
            window = sums.cut.window(x, tile).detach().requires_grad_()
            with torch.enable_grad():
                parts = sums.of_tile(window, tile)
            moved = [(part, gradient) for part, gradient in zip(parts, gradients, strict=True) if part.requires_grad]
            (found,) = torch.autograd.grad([part for part, _ in moved], window, [gradient for _, gradient in moved])
            sums.cut.window(total, tile).add_(found)
        return total, None


def _summed(objective: Objective, model: Model, leaves: list[Summed]) -> Objective:
    """The tree with `Summed` in the place of each statistic, which are added to `leaves`."""
    if isinstance(objective, Statistic):
        if not objective.additive:
            raise UsageError(
                f"{objective} is no sum over positions, so it cannot be taken tile by tile; use gram or moments"
            )
        leaves.append(Summed(objective, _keys(objective, len(leaves), model)))
        return leaves[-1]
    if not objective.children:
        if objective.layers - {INPUT}:
            raise UsageError(f"{objective} is no statistic of a layer, so it cannot be taken tile by tile")
        return objective
    changed: dict[str, Any] = {}
    for entry in dataclasses.fields(objective):
        value = getattr(objective, entry.name)
        if isinstance(value, Objective):
            changed[entry.name] = _summed(value, model, leaves)
        elif isinstance(value, tuple) and value and isinstance(value[0], Objective):
            changed[entry.name] = tuple(_summed(part, model, leaves) for part in value)
    return replace(objective, **changed)


def _keys(leaf: Statistic, number: int, model: Model) -> tuple[str, ...]:
    """Names for the sums of a leaf; how many there are is asked of a tile without units."""
    nothing = torch.zeros(1, model.find_layer(leaf.layer).channels, 0, 0)
    return tuple(f"sum {number}.{k}" for k in range(len(leaf.sums(nothing, part=nothing))))


def _mask(leaf: Statistic, masks: Mapping[str, Tensor]) -> Tensor:
    mask = masks.get(MASK + leaf.mask)
    if mask is None:
        raise UsageError(f"{leaf} needs the mask {leaf.mask!r}, which is not given")
    return mask
