"""What the units of a network see of a picture, and a picture cut so that no unit misses anything.

A window is a tile with as much of the picture around it as its units see, cut at multiples of the network's coarsest
stride, so that poolings fall as in the whole picture. Where a window ends with the picture the network pads it as it
pads the picture; units near its other ends are those of another tile. What units see is measured, and a trial on noise
proves it: a network that is not local (attention, squeeze-and-excitation, coordinates) is refused, never approximated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from types import EllipsisType
from typing import TypeAlias

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.models import Layer, Model
from phosphene.models.receptive import Field, measure
from phosphene.models.table import layer_table

PROBE_SIDES = (128, 256, 512)  # pixels, tried in turn; conv5_1 of VGG-19 sees 156, layer4 of ResNet-50 some 430
TRIAL_SEED = 0  # of the noise that locality is tried on
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
