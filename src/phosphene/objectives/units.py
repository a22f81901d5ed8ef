"""Objectives that read units of a network: a channel, a neuron, a whole layer.

    Channel      mean over space of one channel                       Erhan et al. 2009; Olah et al. 2017
    Neuron       one channel at one position (the center by default)
    WholeLayer   mean square of a layer: DeepDream                    Mordvintsev et al. 2015

For token networks "space" is the tokens. Scores are float32 whatever the network computed in. Classes are units of the
output (`classes.py`); mixtures of channels are directions (`directions.py`).

Departures: lucid's Channel is the mean too, but its DeepDream is the mean of squares over the whole batch; ours is
per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.acts import Acts, average_views, index, views_per_row
from phosphene.objectives.algebra import LayerLike, NetworkLike, Objective
from phosphene.objectives.words import layer_text, place_text, ranges_text

EVERY = "*"  # every unit of a layer, until `bind` knows how many there are


def as_units(units: Any) -> tuple[Any, ...]:
    """One unit or many as a tuple; raises UsageError when there is none or one is negative."""
    many = (units,) if isinstance(units, (int, str)) else tuple(units) if isinstance(units, Iterable) else (units,)
    if not many:
        raise UsageError("a target needs at least one unit")
    for unit in many:
        if isinstance(unit, bool) or not isinstance(unit, (int, str)) or (isinstance(unit, int) and unit < 0):
            raise UsageError(f"a unit is a number from 0 or a name, got {unit!r}")
    return many


def check_layer(layer: Any) -> None:
    """Raises UsageError for what cannot be the name of a layer."""
    if not isinstance(layer, str) or not layer:
        raise UsageError(f"a target needs the name of a layer, got {layer!r:.80}")


@dataclass(frozen=True)
class Units(Objective):
    """Base of the leaves that pick channels of one layer."""

    layer: str
    units: tuple[int | str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", as_units(self.units))
        check_layer(self.layer)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    @property
    def rows(self) -> int:
        return len(self.units)

    def take(self, rows: Sequence[int]) -> Objective:
        return self if len(self.units) == 1 else self._with(units=tuple(self.units[row] for row in rows))

    def bind(self, network: NetworkLike) -> Objective:
        layer = network.find_layer(self.layer)
        if self.units == (EVERY,):
            return self._with(layer=layer.name, units=tuple(range(layer.channels)))
        for unit in self.units:
            if not isinstance(unit, int):
                raise UsageError(f"a unit of layer {layer.name} is a number, got {unit!r}")
            if unit >= layer.channels:
                raise UsageError(
                    f"no unit {unit} in {layer.name} of {network.name}: it has {layer.channels} "
                    f"(0..{layer.channels - 1})"
                )
        return self._with(layer=layer.name)

    def _with(self, **changes: Any) -> Objective:
        return replace(self, **changes)

    def _maps(self, acts: Acts, rows: Tensor) -> Tensor:
        """(b*v, *space) float32: each view's own channel."""
        values = acts[self.layer]
        if len(self.units) == 1:
            return values[:, int(self.units[0])].float()
        views = views_per_row(acts, rows)
        if len(self.units) * views != values.shape[0]:
            raise UsageError(f"{self} has {len(self.units)} units for a batch of {values.shape[0] // views} rows")
        return values[torch.arange(values.shape[0], device=values.device), self._index(views, values.device)].float()

    def _index(self, views: int, device: torch.device) -> Tensor:
        return index(tuple(int(unit) for unit in self.units), views, device)


@dataclass(frozen=True)
class Channel(Units):
    """Mean over space of a channel. layer: dotted name or alias. units: one or many channels, or "*" for all."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        maps = self._maps(acts, rows)
        return average_views(maps.reshape(len(maps), -1).mean(1), views_per_row(acts, rows))

    def __str__(self) -> str:
        return f"{layer_text(self.layer)}:{ranges_text(self.units)}"


@dataclass(frozen=True)
class Neuron(Units):
    """One position of a channel.

    position: (y, x), (token,) or (index,) in the layer's own grid; "cls" for the class token; None for the center
    (the lower right one of four where the grid is even, as in lucid).
    """

    position: tuple[int, ...] | Literal["cls"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.position is not None and self.position != "cls":
            object.__setattr__(self, "position", as_place(self.position))

    def bind(self, network: NetworkLike) -> Objective:
        layer = network.find_layer(self.layer)
        bound = super().bind(network)
        if self.position is None:
            return bound
        assert isinstance(bound, Neuron)
        return bound._with(position=place_in(layer, self.position))

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        maps = self._maps(acts, rows)
        return average_views(at_place(maps, 1, self.layer, self.position), views_per_row(acts, rows))

    def __str__(self) -> str:
        return f"{layer_text(self.layer)}:{ranges_text(self.units)}@{place_text(self.position or 'center')}"


def as_place(position: Any) -> tuple[int, ...]:
    """(y, x) or (token,) as a tuple; UsageError for what is neither."""
    place = tuple(position) if isinstance(position, Iterable) else (position,)
    if not 1 <= len(place) <= 2 or any(isinstance(p, bool) or not isinstance(p, int) or p < 0 for p in place):
        raise UsageError(f"a position is y,x or a token number from 0, got {position!r}")
    return place


def at_place(values: Tensor, axis: int, layer: str, position: tuple[int, ...] | str | None) -> Tensor:
    """Values at a bound position of the space that begins at `axis`, None for its center; UsageError outside of it."""
    space = tuple(values.shape[axis:])
    place = tuple(side // 2 for side in space) if position is None else position
    if isinstance(place, str) or len(place) != len(space) or any(map(int.__ge__, place, space)):
        raise UsageError(f"position {place} is outside {layer}, which is {space} at this size")
    for coordinate in place:
        values = values.select(axis, coordinate)
    return values


def place_in(layer: LayerLike, position: tuple[int, ...] | Literal["cls"]) -> tuple[int, ...]:
    """A position in the layer's own axes: `cls` and (y, x) of a token layer become a token number."""
    if layer.tokens is None:
        if position == "cls":
            raise UsageError(f"{layer.name} has no class token; give a position as y,x")
        if len(position) != len(layer.spatial):
            raise UsageError(f"position {position} does not fit {layer.name}, which is {layer.spatial}")
        return tuple(int(p) for p in position)
    prefix, height, width = layer.tokens
    if position == "cls":
        if prefix == 0:
            raise UsageError(f"{layer.name} has no class token")
        return (0,)
    if len(position) == 1:
        return (int(position[0]),)
    y, x = int(position[0]), int(position[1])
    if y >= height or x >= width:
        raise UsageError(f"position {y},{x} is outside {layer.name}, whose tokens are {height} x {width}")
    return (prefix + y * width + x,)


@dataclass(frozen=True)
class WholeLayer(Objective):
    """Mean square of everything a layer says: DeepDream."""

    layer: str

    def __post_init__(self) -> None:
        check_layer(self.layer)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    def bind(self, network: NetworkLike) -> Objective:
        return WholeLayer(network.find_layer(self.layer).name)

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return average_views(acts[self.layer].float().flatten(1).square().mean(1), views_per_row(acts, rows))

    def __str__(self) -> str:
        return layer_text(self.layer)
