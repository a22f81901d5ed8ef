"""The user's own hypotheses: pictures that should excite a unit, and where they stand among those of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from phosphene.cards.percentile import share_below
from phosphene.cards.subject import Unit
from phosphene.errors import UsageError
from phosphene.examples.folder import Folder
from phosphene.media import opaque, read_picture


@dataclass(frozen=True)
class Answer:
    """name: of the picture. score: of the unit. percentile: percent of the data's pictures that score lower.
    pixels: (c, h, w) as the network saw it."""

    name: str
    score: float
    percentile: float
    pixels: Tensor

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {"picture": self.name, "score": self.score, "percentile": round(self.percentile, 3)}


def files(asked: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """(name, file) of pictures and of all pictures in folders. Raises UsageError for what is not there or empty."""
    found: list[tuple[str, Path]] = []
    for one in map(Path, asked):
        if one.is_dir():
            inside = Folder(one)
            if not len(inside):
                raise UsageError(f"no pictures in '{one}' for --ask")
            found += [(f"{one.name}/{inside.key(i)}", one / inside.key(i)) for i in range(len(inside))]
        elif one.is_file():
            found.append((one.name, one))
        else:
            raise UsageError(f"no picture or folder '{one}' for --ask")
    return found


def answers(unit: Unit, asked: Sequence[tuple[str, Path]]) -> Iterator[Answer]:
    """What a unit says of each picture. Raises MediaError for a file that is none."""
    for name, file in asked:
        pixels = unit.entering(opaque(read_picture(file)))
        score = float(unit.eye.look(pixels[None])[0][0])
        share = share_below(unit.index, unit.eye.layer, unit.eye.unit, score)
        yield Answer(name, score, 100 * share, pixels)
