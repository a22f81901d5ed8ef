"""Pictures too large for memory: the same score and the same gradient, tile by tile.

A statistic is a function of sums over positions, loss(S) with S = sum over tiles of S_t, so its gradient needs the
network on one tile at a time, and no approximation:

    1. without gradients: S, the network run on every tile
    2. with gradients: d loss / dx = sum over tiles of (d loss / dS) (dS_t / dx), each in its own window of the picture

A window is a tile with as much of the picture around it as its units see, cut at multiples of the network's coarsest
stride, so that poolings fall as in the whole picture. Where a window ends with the picture the network pads it as it
pads the picture; units near its other ends are those of another tile. What units see is measured, and a trial on noise
proves it: a network that is not local (attention, squeeze-and-excitation, coordinates) is refused, never approximated.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from types import EllipsisType, MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from phosphene.errors import UsageError
from phosphene.models import Layer, Model
from phosphene.models.receptive import Field, measure
from phosphene.models.table import layer_table
from phosphene.objectives import INPUT, MASK, Acts, Content, Objective, Statistic, on_grid

PROBE_SIDES = (128, 256, 512)  # pixels, tried in turn; conv5_1 of VGG-19 sees 156, layer4 of ResNet-50 some 430
TRIAL_SEED = 0  # of the noise that locality is tried on
NO_MASKS: Mapping[str, Tensor] = MappingProxyType({})
REFUSED = "the picture cannot be cut into tiles"

Pair: TypeAlias = tuple[int, int]  # down and across: y and x, height and width
Index: TypeAlias = tuple[EllipsisType, slice, slice]  # of units


@dataclass(frozen=True)
class Reach:
    """How far the units of some layers see, and so what a tile needs around it. All in pixels.

    strides: from one unit to the next, by layer. step: tiles are cut at multiples of it. before, after: what a window
    shows above or left of its tile, and below or right of it; multiples of `step`. extent: what the widest unit sees.
    """

    strides: Mapping[str, int]
    step: int
    before: Pair
    after: Pair
    extent: Pair


def measure_reach(model: Model, layers: Collection[str]) -> Reach:
    """What the units of `layers` see, measured and tried out on the network: seconds, once for pictures of any size.

    Raises UsageError where tiles cannot be exact: a layer that is no grid, one whose units see the whole picture or
    more than 512 pixels of it, a network of one input size, units that depend on their place in the picture, and
    strides that the layer table only knows rounded (no divisors of 64).
    """
    names = [name for name in model.layers if name in {model.find_layer(layer).name for layer in layers}]
    table, fields = _fields(model, names)
    until = max(map(list(table).index, names))
    step = math.lcm(*(layer.stride for layer in list(table.values())[: until + 1] if layer.stride))
    strides = {name: table[name].stride or 1 for name in names}
    first = {name: _seen_by_first(field, strides[name]) for name, field in fields.items()}
    found = Reach(
        strides,
        step,
        before=_each(lambda axis: _up(max(-seen[axis].start for seen in first.values()), step)),
        after=_each(lambda axis: _up(max(seen[axis].stop - strides[name] for name, seen in first.items()), step)),
        extent=_each(lambda axis: max(len(seen[axis]) for seen in first.values())),
    )
    _try_out(model, found)
    return found


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
class Span:
    """A tile along one axis, pixels `first` .. `end` (excluded), in its window, pixels `start` .. `stop`."""

    first: int
    end: int
    start: int
    stop: int
    last: bool

    def units(self, stride: int, count: int) -> tuple[slice, slice]:
        """Which of a layer's `count` units are the tile's (each is of one tile), and where they are in the window."""
        end = count if self.last else min(self.end // stride, count)
        first, before = min(self.first // stride, end), self.start // stride
        return slice(first, end), slice(first - before, end - before)


def spans(length: int, side: int, reach: Reach, axis: int) -> list[Span]:
    """Tiles of nearly equal length, at most `side`, along an axis of `length` pixels. axis: 0 is down, 1 across."""
    cells = -(-length // reach.step)
    count = -(-cells // max(1, side // reach.step))
    edges = [*(k * cells // count * reach.step for k in range(count)), length]
    found = []
    for first, end in pairwise(edges):
        stop = min(length, end + reach.after[axis])
        start = min(first - reach.before[axis], stop - _up(reach.extent[axis], reach.step))
        found.append(Span(first, end, max(0, start // reach.step * reach.step), stop, end == length))
    return found


Tile: TypeAlias = tuple[Span, Span]  # down, across


class Cut:
    """A picture of `size` cut into tiles. grids: (height, width) in units of each layer over the whole picture."""

    def __init__(self, model: Model, reach: Reach, size: Pair, side: int) -> None:
        self.size, self.strides = size, reach.strides
        down, across = (spans(length, side, reach, axis) for axis, length in enumerate(size))
        self.tiles = list(product(down, across))
        corner = self.tiles[-1]  # the grids end where its own end
        blank = torch.zeros(1, model.spec.channels, *(span.stop - span.start for span in corner), device=model.device)
        with torch.no_grad():
            seen = model.activations(blank, list(self.strides))
        starts = [span.start for span in corner]
        self.grids: dict[str, Pair] = {}
        for name, stride in self.strides.items():
            height, width = seen[name].shape[2:]
            self.grids[name] = starts[0] // stride + height, starts[1] // stride + width

    def window(self, x: Tensor, tile: Tile) -> Tensor:
        """The tile's window of pictures (b, c, *size), a view."""
        return x[:, :, tile[0].start : tile[0].stop, tile[1].start : tile[1].stop]

    def units(self, tile: Tile, layer: str) -> tuple[Index, Index]:
        """Where the tile's own units of a layer are in what the whole picture gives, and in what its window gives."""
        stride, (height, width) = self.strides[layer], self.grids[layer]
        (down, down_inside), (across, across_inside) = tile[0].units(stride, height), tile[1].units(stride, width)
        return (..., down, across), (..., down_inside, across_inside)


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


def _fields(model: Model, names: Sequence[str]) -> tuple[dict[str, Layer], dict[str, Field]]:
    """The layer table and the field of each layer, on the smallest pictures of PROBE_SIDES that hold the fields."""
    fields: dict[str, Field] = {}
    for side in PROBE_SIDES:
        spec = replace(model.picture_spec, size=(side, side))
        try:
            table = layer_table(model.net, spec)
        except UsageError as error:
            problem = str(error)
            continue
        missing = [table[name] for name in names if name not in fields and name in table]
        flat = next((layer for layer in missing if layer.layout in ("tokens", "vector")), None)
        if flat is not None:
            raise UsageError(f"{REFUSED}: {flat.name} of {model.name} is no grid of units")
        fields.update({name: field for name, field in measure(model.net, missing, spec).items() if field is not None})
        if len(fields) == len(names):
            return table, fields
        problem = f"{next(name for name in names if name not in fields)} of {model.name} sees the whole picture"
    raise UsageError(f"{REFUSED}: {problem}")


def _seen_by_first(field: Field, stride: int) -> tuple[range, range]:
    """Rows and columns that the layer's first unit would see if the picture went on above and left of it."""
    y0, x0, y1, x1 = field.box
    y, x = (at * stride for at in field.unit)
    return range(y0 - y, y1 - y), range(x0 - x, x1 - x)


def _try_out(model: Model, reach: Reach) -> None:
    """Four tiles of noise against the whole of it; UsageError when a unit of theirs is another."""
    half = max(*reach.before, *reach.after, *(_up(extent, reach.step) for extent in reach.extent)) + reach.step
    size = (2 * half + reach.step // 2, 2 * half + reach.step - 1)  # no multiple of the step
    generator = torch.Generator().manual_seed(TRIAL_SEED)
    noise = torch.rand(1, model.spec.channels, *size, generator=generator).to(model.device)
    cut = Cut(model, reach, size, half + reach.step)
    with torch.no_grad():
        everything = model.activations(noise, list(reach.strides))
        for tile in cut.tiles:
            seen = model.activations(cut.window(noise, tile), list(reach.strides))
            for name, values in everything.items():
                whole, inside = cut.units(tile, name)
                if not _same(seen[name][inside], values[whole], float(values.abs().max())):
                    raise UsageError(
                        f"{REFUSED}: a part of it gives other units of {name} than the whole in {model.name}"
                    )


def _same(one: Tensor, other: Tensor, largest: float) -> bool:
    """Equal up to rounding in another order: half the digits of the number format, of the largest value."""
    tolerance = largest * math.sqrt(torch.finfo(one.dtype).eps)
    return one.shape == other.shape and bool(((one - other).abs() <= tolerance).all())


def _up(length: int, step: int) -> int:
    """The next multiple of `step`, 0 or more."""
    return max(0, -(-length // step) * step)


def _each(of_axis: Callable[[int], int]) -> Pair:
    return of_axis(0), of_axis(1)
