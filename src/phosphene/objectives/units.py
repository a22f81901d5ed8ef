"""Objectives that read the network: neuron, channel, layer, direction, class.

    Channel      mean over space of one channel                       Erhan et al. 2009; Olah et al. 2017
    Neuron       one channel at one position (the center by default)
    WholeLayer   mean square of a layer: DeepDream                    Mordvintsev et al. 2015
    Direction    a . v, cos(a, v), or a . v * max(0.1, cos)^p         Carter et al. 2019 (activation atlases)
    Logit        a class before the softmax                           Simonyan et al. 2013
    Probability  a class after the softmax, over all classes

For token networks "space" is the tokens. Scores are float32 whatever the network computed in.

Departures: lucid's Channel is the mean too, but its DeepDream is the mean of squares over the whole batch; ours is
per row. Lucent's `direction` is the cosine alone; here that is `Direction(..., form="cosine")`.
Probability ascends along its log-odds, which point the same way as p and do not vanish near 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.algebra import (
    OUTPUT,
    Acts,
    LayerLike,
    NetworkLike,
    Objective,
    Scale,
    average_views,
    index,
    number,
    views_per_row,
)
from phosphene.objectives.words import class_text, layer_text, ranges_text

EVERY = "*"  # every unit of a layer, until `bind` knows how many there are
COSINE_FLOOR = 0.1  # Carter et al. 2019: keeps the gradient alive where the angle is wide


def as_units(units: Any) -> tuple[Any, ...]:
    """One unit or many as a tuple; raises UsageError when there is none or one is negative."""
    many = (units,) if isinstance(units, (int, str)) else tuple(units) if isinstance(units, Iterable) else (units,)
    if not many:
        raise UsageError("a target needs at least one unit")
    for unit in many:
        if isinstance(unit, bool) or not isinstance(unit, (int, str)) or (isinstance(unit, int) and unit < 0):
            raise UsageError(f"a unit is a number from 0 or a name, got {unit!r}")
    return many


def _check_layer(layer: Any) -> None:
    if not isinstance(layer, str) or not layer:
        raise UsageError(f"a target needs the name of a layer, got {layer!r:.80}")


@dataclass(frozen=True)
class _Units(Objective):
    """Base of the leaves that pick channels of one layer."""

    layer: str
    units: tuple[int | str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", as_units(self.units))
        _check_layer(self.layer)

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
class Channel(_Units):
    """Mean over space of a channel. layer: dotted name or alias. units: one or many channels, or "*" for all."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        maps = self._maps(acts, rows)
        return average_views(maps.reshape(len(maps), -1).mean(1), views_per_row(acts, rows))

    def __str__(self) -> str:
        return f"{layer_text(self.layer)}:{ranges_text(self.units)}"


@dataclass(frozen=True)
class Neuron(_Units):
    """One position of a channel.

    position: (y, x), (token,) or (index,) in the layer's own grid; "cls" for the class token; None for the center
    (the lower right one of four where the grid is even, as in lucid).
    """

    position: tuple[int, ...] | Literal["cls"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.position is not None and self.position != "cls":
            place = tuple(self.position)
            if not 1 <= len(place) <= 2 or any(isinstance(p, bool) or not isinstance(p, int) or p < 0 for p in place):
                raise UsageError(f"a position is y,x or a token number from 0, got {self.position!r}")
            object.__setattr__(self, "position", place)

    def bind(self, network: NetworkLike) -> Objective:
        layer = network.find_layer(self.layer)
        bound = super().bind(network)
        if self.position is None:
            return bound
        assert isinstance(bound, Neuron)
        return bound._with(position=place_in(layer, self.position))

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        maps = self._maps(acts, rows)
        space = maps.shape[1:]
        place = self.position if self.position is not None else tuple(side // 2 for side in space)
        if len(place) != len(space) or any(
            p >= side for p, side in zip(place, space, strict=False) if isinstance(p, int)
        ):
            raise UsageError(f"position {place} is outside {self.layer}, which is {tuple(space)} at this size")
        return average_views(maps[(slice(None), *place)], views_per_row(acts, rows))

    def __str__(self) -> str:
        place = "center" if self.position is None else self.position
        text = place if isinstance(place, str) else ",".join(map(str, place))
        return f"{layer_text(self.layer)}:{ranges_text(self.units)}@{text}"


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
        _check_layer(self.layer)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    def bind(self, network: NetworkLike) -> Objective:
        return WholeLayer(network.find_layer(self.layer).name)

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return average_views(acts[self.layer].float().flatten(1).square().mean(1), views_per_row(acts, rows))

    def __str__(self) -> str:
        return layer_text(self.layer)


@dataclass(frozen=True)
class Direction(Objective):
    """A direction in a layer's channel space, averaged over positions.

    vectors: one per row, (n, channels). form: "dot" a . v; "cosine" the angle alone; "dot_cosine"
    a . v * max(0.1, cos(a, v))**power, which asks for strength and purity at once (Carter et al. 2019).
    """

    layer: str
    vectors: tuple[tuple[float, ...], ...]
    form: Literal["dot", "cosine", "dot_cosine"] = "dot"
    power: float = 1.0

    def __post_init__(self) -> None:
        _check_layer(self.layer)
        given = self.vectors
        vectors: list[Any] = given.tolist() if isinstance(given, (Tensor, np.ndarray)) else list(given)
        many = bool(vectors) and isinstance(vectors[0], (Sequence, Tensor, np.ndarray))
        rows = tuple(tuple(float(x) for x in row) for row in (vectors if many else [vectors]))
        object.__setattr__(self, "vectors", rows)
        object.__setattr__(self, "power", float(self.power))
        if self.form not in ("dot", "cosine", "dot_cosine"):
            raise UsageError(f"a direction is dot, cosine or dot_cosine, got {self.form!r}")
        if len({len(row) for row in rows}) != 1 or not all(any(row) for row in rows):
            raise UsageError(f"direction in {self.layer}: vectors must be of one length and not zero")
        if not all(map(math.isfinite, (self.power, *(x for row in rows for x in row)))):
            raise UsageError(f"direction in {self.layer}: values and power must be finite")

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    @property
    def rows(self) -> int:
        return len(self.vectors)

    def take(self, rows: Sequence[int]) -> Objective:
        if len(self.vectors) == 1:
            return self
        return Direction(self.layer, tuple(self.vectors[row] for row in rows), self.form, self.power)

    def bind(self, network: NetworkLike) -> Objective:
        layer = network.find_layer(self.layer)
        if len(self.vectors[0]) != layer.channels:
            raise UsageError(
                f"a direction of {len(self.vectors[0])} values in {layer.name}, which has {layer.channels}"
            )
        return Direction(layer.name, self.vectors, self.form, self.power)

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        views = views_per_row(acts, rows)
        values = (
            acts[self.layer].float().flatten(2) if acts[self.layer].dim() > 2 else acts[self.layer].float()[..., None]
        )
        vectors = torch.tensor(self.vectors, device=values.device)
        vectors = vectors.expand(values.shape[0] // views, -1).repeat_interleave(views, 0)
        dots = (values * vectors[:, :, None]).sum(1)
        if self.form == "dot":
            return average_views(dots.mean(1), views)
        cosines = dots / (values.norm(dim=1) * vectors.norm(dim=1)[:, None]).clamp(min=1e-8)
        if self.form == "cosine":
            return average_views(cosines.mean(1), views)
        return average_views((dots * cosines.clamp(min=COSINE_FLOOR) ** self.power).mean(1), views)

    def __str__(self) -> str:
        vectors = ", ".join("[" + ", ".join(map(number, row)) + "]" for row in self.vectors)
        form = "" if self.form == "dot" else f", form={self.form}"
        power = "" if self.power == 1 else f", power={number(self.power)}"
        return f"direction({layer_text(self.layer)}, {vectors}{form}{power})"


@dataclass(frozen=True)
class _Class(_Units):
    """Base of the leaves that read the network's output; units are class numbers or names."""

    layer: str = OUTPUT
    units: tuple[int | str, ...] = ()

    def __init__(self, units: Any, layer: str = OUTPUT) -> None:
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "units", units)
        self.__post_init__()

    def bind(self, network: NetworkLike) -> Objective:
        if self.units == (EVERY,):
            return super().bind(network)
        named = type(self)(tuple(network.find_class(unit) for unit in self.units), self.layer)
        return _Units.bind(named, network)

    def _logits(self, acts: Acts) -> Tensor:
        logits = acts[self.layer].float()
        return logits if logits.dim() == 2 else logits.flatten(2).mean(2)

    def _text(self, word: str) -> str:
        numbers = [unit for unit in self.units if isinstance(unit, int)]
        plain = len(numbers) == len(self.units) or self.units == (EVERY,)
        classes = ranges_text(self.units) if plain else ",".join(class_text(unit) for unit in self.units)
        return f"{word}:{classes}" + ("" if self.layer == OUTPUT else f"@{layer_text(self.layer)}")


@dataclass(frozen=True, init=False)
class Logit(_Class):
    """A class before the softmax. units: class numbers or names."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        values = _Units._maps(self, {**acts, self.layer: self._logits(acts)}, rows)
        return average_views(values, views_per_row(acts, rows))

    def __str__(self) -> str:
        return self._text("logit")


@dataclass(frozen=True, init=False)
class Probability(_Class):
    """A class after the softmax over all classes: it also rises when the other classes fall.

    The score is p; its gradient is that of the log-odds log(p / (1 - p)) = z_c - logsumexp(z without c). Both point
    the same way, but p's own, p (1 - p) times smaller, vanishes where p is near 0 or 1 and leaves a gray picture.
    """

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        logits = self._logits(acts)
        own = _Units._maps(self, {**acts, self.layer: logits}, rows)
        views = views_per_row(acts, rows)
        chosen = self._index(views if len(self.units) > 1 else 1, logits.device).expand(logits.shape[0])
        others = logits.scatter(1, chosen[:, None], float("-inf")).logsumexp(1)
        odds = own - others
        return average_views(odds.detach().sigmoid() + (odds - odds.detach()), views)

    def __str__(self) -> str:
        return self._text("prob")


def stack(first: Objective, second: Objective) -> Objective | None:
    """One tree that serves the rows of both, or None when their shapes differ: `a:3` and `a:7` make `a:3,7`."""
    return _stack(first, second, first.rows, second.rows)


def _stack(a: Objective, b: Objective, rows_a: int, rows_b: int) -> Objective | None:
    if type(a) is not type(b):
        return None
    if a.children:
        pairs = zip(a.children, b.children, strict=False)
        parts = [_stack(x, y, rows_a, rows_b) for x, y in pairs]
        if len(a.children) != len(b.children) or any(part is None for part in parts):
            return None
        if isinstance(a, Scale) and isinstance(b, Scale):
            return Scale(a.factor, parts[0]) if a.factor == b.factor and parts[0] is not None else None
        return type(a)(tuple(parts))  # type: ignore[call-arg]
    if isinstance(a, _Units) and isinstance(b, _Units):
        alike = a._with(units=b.units) == b
        return a._with(units=_spread(a.units, rows_a) + _spread(b.units, rows_b)) if alike else None
    if isinstance(a, Direction) and isinstance(b, Direction):
        alike = replace(a, vectors=b.vectors) == b
        return replace(a, vectors=_spread(a.vectors, rows_a) + _spread(b.vectors, rows_b)) if alike else None
    return a if a == b else None


def _spread(values: tuple[Any, ...], rows: int) -> tuple[Any, ...]:
    return values * rows if len(values) == 1 else values
