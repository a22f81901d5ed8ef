"""Stacking: trees of one shape become one tree that serves the rows of all, so that they share batches.

features.12:3 - 0.1*tv   and   features.12:7 - 0.1*tv    make    features.12:3,7 - 0.1*tv
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from phosphene.objectives.algebra import Objective, Scale
from phosphene.objectives.directions import Direction
from phosphene.objectives.families import Family
from phosphene.objectives.units import Units


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
            return _stack_scales(a, b, parts[0])
        return type(a)(tuple(parts))  # type: ignore[call-arg]
    if isinstance(a, Units) and isinstance(b, Units):
        alike = a._with(units=b.units) == b
        return a._with(units=_spread(a.units, rows_a) + _spread(b.units, rows_b)) if alike else None
    if isinstance(a, Direction) and isinstance(b, Direction):
        alike = replace(a, vectors=b.vectors) == b
        return replace(a, vectors=_spread(a.vectors, rows_a) + _spread(b.vectors, rows_b)) if alike else None
    if isinstance(a, Family) and isinstance(b, Family):
        return a.followed_by(b)
    return a if a == b else None


def _stack_scales(a: Scale, b: Scale, of: Objective | None) -> Objective | None:
    if of is None:
        return None
    if isinstance(a.factor, tuple) and isinstance(b.factor, tuple):
        return Scale(a.factor + b.factor, of)
    return Scale(a.factor, of) if a.factor == b.factor else None


def _spread(values: tuple[Any, ...], rows: int) -> tuple[Any, ...]:
    return values * rows if len(values) == 1 else values
