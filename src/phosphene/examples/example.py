"""An example: a picture or a piece of sound of the data set, its score for a unit and where the unit responds most."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, overload

from torch import Tensor

from phosphene.errors import MediaError
from phosphene.media import to_levels, wav_bytes

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
        cells = "".join(_figure(one, self._shown(numbers.get(one.key), one.key)) for one in self.examples)
        head = html.escape(f"{self.layer}:{self.unit}, {self.what}")
        return f'<p>{head}</p><div style="display:flex;flex-wrap:wrap;gap:8px">{cells}</div>'

    def _shown(self, number: int | None, key: str) -> str:
        """A picture, or a player of a sound; "" where the data does not hold it."""
        if number is None:
            return ""
        try:
            example = self.data.load(number)
        except MediaError:  # it was there when the scan was made
            return ""
        name = html.escape(key)
        if isinstance(example, Tensor):
            wave = base64.b64encode(wav_bytes(to_levels(example.numpy()), self.rate)).decode()
            return f'<audio controls preload="none" src="data:audio/wav;base64,{wave}" aria-label="{name}"></audio>'
        example.thumbnail((THUMB, THUMB))
        buffer = BytesIO()
        example.save(buffer, "PNG")
        return f'<img src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}" alt="{name}">'


def _figure(one: Example, shown: str) -> str:
    place = "" if one.position is None else f" at {one.position[0]},{one.position[1]}"
    place = place if one.seconds is None else f" at {one.seconds:.2f} s"
    caption = f"{one.score:.4g}{place}<br>{html.escape(one.key)}"
    return (
        f'<figure style="margin:0;max-width:{PLAYER if "<audio" in shown else THUMB}px;overflow-wrap:anywhere">{shown}'
        f'<figcaption style="font:12px sans-serif">{caption}</figcaption></figure>'
    )
