"""An example: a picture or a piece of sound of the data set, its score for a unit and where the unit responds most."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from torch import Tensor

from phosphene.display.notebook import embedded, figure, player, row
from phosphene.errors import MediaError

THUMB = 128  # pixels of a picture's longer side in a notebook
PLAYER = 300  # pixels of a player's width there


@dataclass(frozen=True)
class Example:
    """key: the picture's name in its data set. score: the unit's largest response to it. position: where, (y, x) on
    the layer's own grid; None where the layer has no space. seconds: of a sound, when: the middle of what the position
    hears, from the beginning of its recording."""

    key: str
    score: float
    position: tuple[int, int] | None
    seconds: float | None = None

    def data(self) -> dict[str, Any]:
        """For JSON."""
        told = {"key": self.key, "score": self.score, "position": self.position}
        return told if self.seconds is None else {**told, "seconds": self.seconds}


@dataclass(frozen=True)
class Examples(Sequence[Example]):
    """Examples of one unit, in order. Shows itself in a notebook, with its pictures or players where `data` is known.
    rate: of sounds, in Hz; 0 for pictures."""

    layer: str
    unit: int
    what: str
    examples: tuple[Example, ...]
    data: Any = field(default=None, repr=False, compare=False)
    rate: int = 0

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        return self.examples[index]

    def _repr_html_(self) -> str:
        from phosphene.examples.data import places

        numbers = places(self.data, [one.key for one in self.examples]) if self.data is not None else {}
        cells = (_figure(one, self._shown(numbers.get(one.key), one.key)) for one in self.examples)
        head = html.escape(f"{self.layer}:{self.unit}, {self.what}")
        return f"<p>{head}</p>{row(cells, len(self.examples))}"

    def _shown(self, number: int | None, key: str) -> str:
        """A picture, or a player of a sound; "" where the data does not hold it."""
        if number is None:
            return ""
        try:
            example = self.data.load(number)
        except MediaError:  # it was there when the scan was made
            return ""
        if isinstance(example, Tensor):
            return player(example, self.rate, key)
        return embedded(example, key, largest=THUMB)


def _figure(one: Example, shown: str) -> str:
    place = "" if one.position is None else f" at {one.position[0]},{one.position[1]}"
    place = place if one.seconds is None else f" at {one.seconds:.2f} s"
    return figure(shown, [f"{one.score:.4g}{place}", one.key], width=PLAYER if "<audio" in shown else THUMB)
