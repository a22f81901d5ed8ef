"""Class names: from what a person types to the index of a class.

Data sets write their names in many ways (`jack-o'-lantern`, `tiger_cat`, `Labrador Retriever`), so case, spaces,
underscores and hyphens do not count. A name that two classes share is never guessed: ILSVRC-2012 has two "crane"s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from phosphene.errors import UsageError, unknown


def find_label(labels: Sequence[str] | None, name: str | int, *, classes: int | None = None) -> int:
    """The index of the class `name`: an index (3, "3"), or a name in any case and separators.

    labels: class names by index, None if the network has none; then `classes` says how many there are.
    Raises UnknownNameError with the nearest names, and UsageError for an index out of range, for a name that several
    classes share (it lists their indices), or for a name where there are no labels.
    """
    count = len(labels) if labels is not None else classes
    text = str(name).strip()
    if re.fullmatch(r"[+-]?\d+", text):
        return _checked_index(int(text), count)
    if labels is None:
        raise UsageError(f"this network has no class names, so {text!r} cannot be found; give the index of the class")
    found = [index for index, label in enumerate(labels) if _plain(label) == _plain(text)]
    if not found:
        raise unknown("class", name, f"{len(labels)} labels", labels)
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} classes are called {text!r}: give one of the indices {', '.join(map(str, found))}"
        )
    return found[0]


def _checked_index(index: int, count: int | None) -> int:
    if index < 0 or (count is not None and index >= count):
        limits = f"; it must be 0 to {count - 1}" if count else ""
        raise UsageError(f"no class {index}{limits}")
    return index


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", "", text).casefold()
