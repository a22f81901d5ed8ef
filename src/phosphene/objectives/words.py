"""Names and numbers as the grammar of targets writes them: what `parse` reads back as the same.

A name is bare where it can be and stands in double quotes where it cannot: a layer whose name is a word of the grammar,
a number, or holds signs; a class with a space in it. Units that follow each other become ranges.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# words of the grammar that a layer of the same name must be quoted to escape
RESERVED = {
    *("logit", "prob", "logprob", "margin", "direction", "custom"),
    *("content", "gram", "moments", "sliced", "caricature", "diversity", "alignment"),
    *("tv", "tv2", "l1", "l2", "border", "opacity", "blur", "frequency"),
    *("highpass", "slope", "tvtime", "tvfrequency", "density"),
}
BARE = re.compile(r"(?:\d+\.)*[A-Za-z_]\w*(?:\.\w+)*", re.ASCII)  # layers that need no quotes


def ranges_text(units: Sequence[int | str]) -> str:
    """Units in the grammar's own words: `0..15`, `3,50,100`, `*`."""
    runs: list[list[int | str]] = []
    for unit in units:
        last = runs[-1][-1] if runs else None
        if isinstance(unit, int) and isinstance(last, int) and unit == last + 1:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    parts = [f"{run[0]}..{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs]
    return ",".join(parts)


def place_text(place: tuple[int, ...] | str) -> str:
    """A position behind an `@`: `3,5`, `12`, `cls` or `center`."""
    return place if isinstance(place, str) else ",".join(map(str, place))


def layer_text(layer: str) -> str:
    """A layer's name as the grammar reads it: bare where it can be, else in double quotes."""
    return quoted(layer) if layer in RESERVED else name_text(layer)


def name_text(name: str) -> str:
    """A name behind an equals sign, where no word of the grammar can stand: bare where it can be, else in quotes."""
    return name if BARE.fullmatch(name) else quoted(name)


def class_text(unit: int | str) -> str:
    """A class number or name as the grammar reads it."""
    if isinstance(unit, int) or (unit.isidentifier() and unit.isascii()):
        return str(unit)
    return quoted(unit)


def quoted(text: str) -> str:
    """Any text as one word of the grammar."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
