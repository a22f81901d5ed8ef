"""Objectives are data: frozen trees that score activations, one number per row, higher is better.

    score = objective(acts, rows)      acts: {layer: (b*v, c, *space)},  rows: (b*v,),  score: (b,)

A leaf reads one layer; `Sum`, `Scale`, `Product` and `Constant` join scores; operators build new trees and never
change old ones. Because a tree is data it can say which layers it needs (`layers`), print itself in the grammar that
`parse` reads, compare equal, become JSON, and be cut down to a few rows (`take`) (Lucid's algebra of objectives,
Olah et al. 2017, without its closures).

Leaves carry `units`: with n units a tree serves n rows, one each; a leaf of one unit serves every row.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeAlias

import torch
from torch import Tensor

from phosphene.errors import RecipeError, UsageError

Acts: TypeAlias = Mapping[str, Tensor]
INPUT = "input"  # the untransformed signal
OUTPUT = "output"  # what the network returns: its logits

# class name -> class, for JSON and for the tests that run every law over every objective
OBJECTIVES: dict[str, type[Objective]] = {}


class LayerLike(Protocol):
    """What an objective needs to know of a layer to bind to it."""

    @property
    def name(self) -> str: ...
    @property
    def channels(self) -> int: ...
    @property
    def spatial(self) -> tuple[int, ...]: ...
    @property
    def tokens(self) -> tuple[int, int, int] | None: ...


class NetworkLike(Protocol):
    """What an objective needs to know of a network to bind to it; `Model` is one."""

    name: str

    def find_layer(self, name: str) -> LayerLike: ...
    def find_class(self, name: str | int) -> int: ...


@dataclass(frozen=True)
class Objective:
    """Base of all objectives."""

    regularizes: ClassVar[bool] = False  # True for leaves that look at the picture instead of at the network

    def __init_subclass__(cls, *, registered: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if registered and cls.__call__ is not Objective.__call__:  # a base of objectives scores nothing
            OBJECTIVES[cls.__name__] = cls

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        """Scores (b,) of activations (b*v, c, *space); rows (b*v,) says which row each view shows."""
        raise NotImplementedError

    @property
    def children(self) -> tuple[Objective, ...]:
        """The trees this one is made of."""
        return ()

    @property
    def layers(self) -> frozenset[str]:
        """Names of the layers that are read."""
        return frozenset().union(*(child.layers for child in self.children))

    @property
    def rows(self) -> int:
        """How many rows the tree serves; UsageError when leaves disagree."""
        counts = {child.rows for child in self.children} - {1}
        if len(counts) > 1:
            raise UsageError(f"cannot join targets of {' and '.join(map(str, sorted(counts)))} units: {self}")
        return counts.pop() if counts else 1

    def take(self, rows: Sequence[int]) -> Objective:
        """The same tree for some of its rows only; rows may repeat."""
        return self

    def bind(self, network: NetworkLike) -> Objective:
        """The same tree with aliases, class names and `*` resolved for a network; raises on what it lacks."""
        return self

    def leaves(self) -> list[Objective]:
        """All leaves, left to right."""
        return [leaf for child in self.children for leaf in child.leaves()] if self.children else [self]

    def primary(self) -> Objective:
        """The unit that the tree is about: its first leaf that reads the network, else its first leaf."""
        leaves = self.leaves()
        return next((leaf for leaf in leaves if not leaf.regularizes and not isinstance(leaf, Constant)), leaves[0])

    def identity(self, row: int) -> str:
        """What decides a row's random numbers: its units, without regularizers and weights."""
        single = self.take([row])
        units = [str(leaf) for leaf in single.leaves() if not leaf.regularizes and not isinstance(leaf, Constant)]
        return " & ".join(units) or str(single)

    def __add__(self, other: Objective | float) -> Objective:
        return total(self, lift(other))

    def __radd__(self, other: float) -> Objective:
        return total(lift(other), self)

    def __sub__(self, other: Objective | float) -> Objective:
        return total(self, scale(-1.0, lift(other)))

    def __rsub__(self, other: float) -> Objective:
        return total(lift(other), scale(-1.0, self))

    def __neg__(self) -> Objective:
        return scale(-1.0, self)

    def __mul__(self, other: Objective | float) -> Objective:
        return Product((self, other)) if isinstance(other, Objective) else scale(float(other), self)

    def __rmul__(self, other: float) -> Objective:
        return scale(float(other), self)

    def __truediv__(self, other: float) -> Objective:
        return scale(1 / other, self)


@dataclass(frozen=True)
class Constant(Objective):
    """A number, as in `1 - opacity`."""

    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        if not math.isfinite(self.value):
            raise UsageError(f"cannot add {self.value} to a target")

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return torch.full((), self.value, device=rows.device)

    def __str__(self) -> str:
        return number(self.value)


@dataclass(frozen=True)
class Scale(Objective):
    """`factor * of`. A Scale of a Scale becomes one."""

    factor: float
    of: Objective

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", float(self.factor))
        if not isinstance(self.of, Objective):
            raise UsageError(f"Scale needs an objective, got {self.of!r:.80}")
        if isinstance(self.of, Constant):
            raise UsageError("a Constant is not scaled: write the product as one number")
        if isinstance(self.of, Scale):
            object.__setattr__(self, "factor", self.factor * self.of.factor)
            object.__setattr__(self, "of", self.of.of)
        if not math.isfinite(self.factor):
            raise UsageError(f"cannot scale a target by {self.factor}")

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return self.factor * self.of(acts, rows)

    @property
    def children(self) -> tuple[Objective, ...]:
        return (self.of,)

    def take(self, rows: Sequence[int]) -> Objective:
        return Scale(self.factor, self.of.take(rows))

    def bind(self, network: NetworkLike) -> Objective:
        return Scale(self.factor, self.of.bind(network))

    def __str__(self) -> str:
        inner = wrapped(self.of, Sum)
        return f"-{inner}" if self.factor == -1 else f"{number(self.factor)}*{inner}"


@dataclass(frozen=True)
class _Joined(Objective):
    """Base of the trees with several parts."""

    parts: tuple[Objective, ...]

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise UsageError(f"{type(self).__name__} needs at least two parts, got {len(self.parts)}")
        for part in self.parts:
            if not isinstance(part, Objective):
                raise UsageError(f"{type(self).__name__} needs objectives, got {part!r:.80}")

    @property
    def children(self) -> tuple[Objective, ...]:
        return self.parts

    def take(self, rows: Sequence[int]) -> Objective:
        return type(self)(tuple(part.take(rows) for part in self.parts))

    def bind(self, network: NetworkLike) -> Objective:
        return type(self)(tuple(part.bind(network) for part in self.parts))


@dataclass(frozen=True)
class Sum(_Joined):
    """Sum of the parts' scores."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        scores = self.parts[0](acts, rows)
        for part in self.parts[1:]:
            scores = scores + part(acts, rows)
        return scores

    def __str__(self) -> str:
        text = wrapped(self.parts[0], Sum)
        for part in self.parts[1:]:
            if isinstance(part, Scale) and part.factor < 0:
                text += f" - {Scale(-part.factor, part.of) if part.factor != -1 else str(part)[1:]}"
            elif isinstance(part, Constant) and part.value < 0:
                text += f" - {number(-part.value)}"
            else:
                text += f" + {wrapped(part, Sum)}"
        return text


@dataclass(frozen=True)
class Product(_Joined):
    """Product of the parts' scores, as in `features.12:3 * (1 - opacity)`."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        scores = self.parts[0](acts, rows)
        for part in self.parts[1:]:
            scores = scores * part(acts, rows)
        return scores

    def __str__(self) -> str:
        return " * ".join(wrapped(part, Sum, Scale, Product, Constant) for part in self.parts)


def total(first: Objective, second: Objective) -> Objective:
    """first + second, as one flat Sum when the first is one already."""
    return Sum((*first.parts, second)) if isinstance(first, Sum) else Sum((first, second))


def scale(factor: float, of: Objective) -> Objective:
    """factor * of; a Constant takes the factor in."""
    return Constant(factor * of.value) if isinstance(of, Constant) else Scale(factor, of)


def lift(value: Objective | float) -> Objective:
    """A number as a Constant; an objective as it is."""
    if isinstance(value, Objective):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Constant(float(value))
    raise UsageError(f"cannot join an objective with {value!r}")


def wrapped(part: Objective, *kinds: type[Objective]) -> str:
    """str(part), in parentheses when it is one of `kinds`."""
    return f"({part})" if isinstance(part, kinds) else str(part)


def number(value: float) -> str:
    """Shortest text that reads back as the same float; whole numbers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def views_per_row(acts: Acts, rows: Tensor) -> int:
    """v: how many views show each row; `acts["input"]`, when there, has one entry per row."""
    return rows.shape[0] // acts[INPUT].shape[0] if INPUT in acts else 1


def average_views(values: Tensor, views: int) -> Tensor:
    """(b*v,) values of views, those of a row together -> (b,) mean of each row."""
    return values if views == 1 else values.view(-1, views).mean(1)


@lru_cache(maxsize=256)
def index(units: tuple[int, ...], views: int, device: torch.device) -> Tensor:
    """Units as an index tensor on the device, one per view; made once, not once a step."""
    return torch.tensor(units, device=device).repeat_interleave(views)


def told(kind: type[Objective]) -> list[str]:
    """Names of the fields that say what an objective is; those that no comparison sees are in no text or JSON."""
    return [f.name for f in dataclasses.fields(kind) if f.compare]


def to_data(objective: Objective) -> dict[str, Any]:
    """JSON data of a tree."""

    def plain(value: Any) -> Any:
        if isinstance(value, Objective):
            return to_data(value)
        return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value

    fields = {name: plain(getattr(objective, name)) for name in told(type(objective))}
    return {"type": type(objective).__name__, **fields}


def from_data(data: Any) -> Objective:
    """The tree that `to_data` described; RecipeError when it describes none."""
    kind = OBJECTIVES.get(str(data.get("type"))) if isinstance(data, dict) else None
    if kind is None:
        raise RecipeError(f"not an objective: {data!r:.80}")

    def live(value: Any) -> Any:
        if isinstance(value, dict):
            return from_data(value)
        return tuple(live(item) for item in value) if isinstance(value, list) else value

    names = told(kind)
    try:
        return kind(**{name: live(value) for name, value in data.items() if name in names})
    except (TypeError, ValueError, OverflowError, RecursionError, UsageError) as error:
        raise RecipeError(f"not an objective of type {kind.__name__}: {error}") from error
