"""Objectives as JSON data and back: what recipes hold.

    to_data(Channel("features.12", 7))  ->  {"type": "Channel", "layer": "features.12", "units": [7]}

Fields that no comparison sees (the target of a statistic) are in no data. A function of one's own is code: it is told
by its name and never read back.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from phosphene.errors import RecipeError, UsageError
from phosphene.objectives.algebra import OBJECTIVES, Objective
from phosphene.objectives.custom import Custom


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
    if isinstance(data, dict) and data.get("type") == Custom.__name__:
        raise RecipeError(
            f"the target asks for {data.get('name')!r:.80}, a function of somebody's own, and data holds no code: "
            "make the picture in Python, with phosphene.Custom and that function"
        )
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
