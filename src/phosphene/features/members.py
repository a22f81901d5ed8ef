"""Rows that belong together: what one picture of a family is called, what it shows, and with whom it is made again.

The rows of a family are compared with each other (`objectives/families.py`), so none of them can be made alone. The
recipe of each holds the tree of its whole group and says which row it is. Groups are told in one form, with members
counted from 0 and what is the same in all rows written once: a picture has the same name and recipe in any company.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from phosphene.errors import UsageError
from phosphene.objectives import Direction, Family, Objective, Product, Scale, Sum
from phosphene.objectives.units import Units

SUM_TOLERANCE = 1e-9  # of the two weights of a strip, which add up to 1


def rebuilt(tree: Objective, change: Callable[[Objective], Objective]) -> Objective:
    """The same tree with every part of it changed, leaves first."""
    if not tree.children:
        return change(tree)
    children = tuple(rebuilt(child, change) for child in tree.children)
    changes: dict[str, Any] = {"of": children[0]} if len(children) == 1 else {"parts": children}
    return change(replace(tree, **changes))


def whole(group: Objective, row: int) -> tuple[Objective, int]:
    """The tree of all rows that belong with `row`, settled, and which of them it is."""
    start = row - row % group.together
    return rebuilt(group.take(range(start, start + group.together)), _settled), row - start


def single(group: Objective, row: int) -> Objective:
    """The tree of one row, settled."""
    return rebuilt(group.take([row]), _settled)


def subject(tree: Objective) -> Objective:
    """The leaf whose activation is measured on the picture of a tree of one row: its unit; in a mixture of two units
    (a row of a strip), the one that weighs more.
    """
    ends = _mixture(tree)
    if ends is None:
        return tree.primary()
    (share, first), (_, last) = ends
    return (first if share >= 0.5 else last).primary()


def label(group: Objective, row: int, words: Callable[[Objective], str]) -> str:
    """Lines that tell a row of a strip or of a family from the others, "" for a row on its own.

    words: the text of a tree, with class names.
    """
    tree = single(group, row)
    strip = _mixture(group.take([row, row]), rows=True)
    if strip is not None:
        return f"t = {1 - strip[0][0]:.3g}\n{words(subject(tree))}"
    if group.together > 1:
        return f"{words(subject(tree))}\n{row % group.together + 1} of {group.together}"
    return ""


def check_whole(group: Objective) -> None:
    """Raises UsageError for a target that asks for a part of a family."""
    if group.rows % group.together:
        raise UsageError(
            f"{group} is {group.rows} picture{'s' * (group.rows > 1)}, and {group.together} belong together: ask for "
            "all of them"
        )


def _settled(part: Objective) -> Objective:
    if isinstance(part, Scale) and isinstance(part.factor, tuple) and len(set(part.factor)) == 1:
        return Scale(part.factor[0], part.of)
    if isinstance(part, Units) and len(set(part.units)) == 1:
        return replace(part, units=part.units[:1])
    if isinstance(part, Direction) and len(set(part.vectors)) == 1:
        return replace(part, vectors=part.vectors[:1])
    if isinstance(part, Family):
        return replace(part, members=tuple(member % part.group for member in part.members))
    return part


def _mixture(tree: Objective, *, rows: bool = False) -> list[tuple[float, Objective]] | None:
    """(share, unit) of the two ends of a strip, of its first row; None for what is no mixture of two units.

    rows: count only a tree whose rows have weights of their own.
    """
    while isinstance(tree, Product):  # with an alpha channel, the mixture times how transparent it is
        tree = tree.parts[0]
    ends = tree.parts[:2] if isinstance(tree, Sum) else ()
    found = []
    for end in ends:
        if not isinstance(end, Scale) or isinstance(end.factor, tuple) != rows or end.of.primary().regularizes:
            return None
        found.append((end.factor[0] if isinstance(end.factor, tuple) else end.factor, end.of))
    sums_to_one = len(found) == 2 and abs(found[0][0] + found[1][0] - 1) <= SUM_TOLERANCE
    return found if sums_to_one and all(share >= 0 for share, _ in found) else None
