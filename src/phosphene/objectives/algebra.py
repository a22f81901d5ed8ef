"""Objectives are data: frozen trees that score activations, one number per row, higher is better.

    score = objective(acts, rows)      acts: {layer: (b*v, c, *space)},  rows: (b*v,),  score: (b,)

A leaf reads one layer; `Sum`, `Scale`, `Product` and `Constant` join scores; operators build new trees and never
change old ones. Because a tree is data it can say which layers it needs (`layers`), print itself in the grammar that
`parse` reads, compare equal, become JSON, and be cut down to a few rows (`take`) (Lucid's algebra of objectives,
Olah et al. 2017, without its closures).

Leaves carry `units`: with n units a tree serves n rows, one each; a leaf of one unit serves every row. Rows do not mix,
except in the leaves that compare them (`families.py`): those name how many consecutive rows stay `together`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.acts import Acts, floats, views_per_row

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

    regularizes: ClassVar[bool] = False  # True for leaves that are a price and name no unit

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
        return self._agreed(child.rows for child in self.children)

    @property
    def together(self) -> int:
        """How many consecutive rows, counted from the first, must share a batch: 1 where rows do not mix."""
        return math.lcm(*(child.together for child in self.children))

    @property
    def facet(self) -> int:
        """Of a tree of one row: its number among rows that show one unit and must not be alike, 0 for the first."""
        return max((child.facet for child in self.children), default=0)

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
        """The unit that the tree is about: its first leaf that names one, else its first leaf."""
        leaves = self.leaves()
        return next((leaf for leaf in leaves if not leaf.regularizes and not isinstance(leaf, Constant)), leaves[0])

    def identity(self, row: int) -> str:
        """What decides a row's random numbers: its units, without prices and weights, and which facet of them it is."""
        single = self.take([row])
        units = [str(leaf) for leaf in single.leaves() if not leaf.regularizes and not isinstance(leaf, Constant)]
        return (" & ".join(units) or str(single)) + (f" #{single.facet}" if single.facet else "")

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

    def _agreed(self, counts: Iterable[int]) -> int:
        """The one count of rows that is not 1, or 1."""
        several = sorted(set(counts) - {1})
        if len(several) > 1:
            raise UsageError(f"cannot join targets of {' and '.join(map(str, several))} units: {self}")
        return several[0] if several else 1


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
    """`factor * of`. A Scale of a Scale becomes one.

    factor: one number, or one for each row, as in `[1, 0.5, 0]*features.12:3`: a tree of that many rows.
    """

    factor: float | tuple[float, ...]
    of: Objective

    def __post_init__(self) -> None:
        if not isinstance(self.of, Objective):
            raise UsageError(f"Scale needs an objective, got {self.of!r:.80}")
        if isinstance(self.of, Constant):
            raise UsageError("a Constant is not scaled: write the product as one number")
        factor = _factor(self.factor)
        if isinstance(self.of, Scale):
            factor = _times(factor, self.of.factor)
            object.__setattr__(self, "of", self.of.of)
        object.__setattr__(self, "factor", factor)
        if not all(map(math.isfinite, as_row(factor))):
            raise UsageError(f"cannot scale a target by {self.factor}")

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        scores = self.of(acts, rows)
        if not isinstance(self.factor, tuple):
            return self.factor * scores
        factors = floats(self.factor, scores.device)
        count = rows.shape[0] // views_per_row(acts, rows)
        if len(factors) != count:
            raise UsageError(f"{self} has {len(factors)} weights for a batch of {count} rows")
        return factors * scores

    @property
    def children(self) -> tuple[Objective, ...]:
        return (self.of,)

    @property
    def rows(self) -> int:
        return self._agreed([self.of.rows, len(as_row(self.factor))])

    def take(self, rows: Sequence[int]) -> Objective:
        if not isinstance(self.factor, tuple):
            return Scale(self.factor, self.of.take(rows))
        taken = tuple(self.factor[row] for row in rows)
        return Scale(taken if len(taken) > 1 else taken[0], self.of.take(rows))

    def bind(self, network: NetworkLike) -> Objective:
        return Scale(self.factor, self.of.bind(network))

    def __str__(self) -> str:
        inner = wrapped(self.of, Sum)
        return f"-{inner}" if self.factor == -1 else f"{factor_text(self.factor)}*{inner}"


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
            if isinstance(part, Scale) and not isinstance(part.factor, tuple) and part.factor < 0:
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


def scale(factor: float | tuple[float, ...], of: Objective) -> Objective:
    """factor * of; a Constant takes one number in."""
    return Constant(factor * of.value) if isinstance(of, Constant) and isinstance(factor, float) else Scale(factor, of)


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


def finite(value: Any, what: str) -> float:
    """A number as a float; UsageError for anything else, and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"{what} is a number, got {value!r:.80}")
    return float(value)


def factor_text(factor: float | tuple[float, ...]) -> str:
    """A factor as the grammar reads it: `0.5`, or `[1, 0.5, 0]` with one for each row."""
    return f"[{', '.join(map(number, factor))}]" if isinstance(factor, tuple) else number(factor)


def as_row(factor: float | tuple[float, ...]) -> tuple[float, ...]:
    """One number as a tuple of one."""
    return factor if isinstance(factor, tuple) else (factor,)


def _factor(given: Any) -> float | tuple[float, ...]:
    if not isinstance(given, (tuple, list)):
        return float(given)
    if len(given) < 2:
        raise UsageError(f"weights of rows are two or more, got {given!r:.80}; one weight is a plain number")
    return tuple(map(float, given))


def _times(a: float | tuple[float, ...], b: float | tuple[float, ...]) -> float | tuple[float, ...]:
    if isinstance(a, tuple) and isinstance(b, tuple):
        if len(a) != len(b):
            raise UsageError(f"cannot join the weights of {len(a)} and {len(b)} rows")
        return tuple(x * y for x, y in zip(a, b, strict=True))
    if isinstance(a, tuple):
        return tuple(x * y for x in a for y in as_row(b))
    return tuple(a * y for y in b) if isinstance(b, tuple) else a * b
