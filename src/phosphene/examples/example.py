"""An example: a picture of the data set, its score for a unit and where in the unit's map it responds most."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, overload

from PIL import Image

from phosphene.errors import MediaError

THUMB = 128  # pixels of a picture's longer side in a notebook


@dataclass(frozen=True)
class Example:
    """key: the picture's name in its data set. score: the unit's largest response to it. position: where, (y, x) on
    the layer's own grid; None where the layer has no space."""

    key: str
    score: float
    position: tuple[int, int] | None


@dataclass(frozen=True)
class Examples(Sequence[Example]):
    """Examples of one unit, in order. Shows itself in a notebook, with its pictures where `data` is known."""

    layer: str
    unit: int
    what: str
    examples: tuple[Example, ...]
    data: Any = field(default=None, repr=False, compare=False)

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
        cells = "".join(_figure(one, self._picture(numbers.get(one.key))) for one in self.examples)
        head = html.escape(f"{self.layer}:{self.unit}, {self.what}")
        return f'<p>{head}</p><div style="display:flex;flex-wrap:wrap;gap:8px">{cells}</div>'

    def _picture(self, number: int | None) -> Image.Image | None:
        if number is None:
            return None
        try:
            picture: Image.Image = self.data.load(number)
        except MediaError:  # it was there when the scan was made
            return None
        picture.thumbnail((THUMB, THUMB))
        return picture


def _figure(one: Example, picture: Image.Image | None) -> str:
    image = ""
    if picture is not None:
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode()
        image = f'<img src="data:image/png;base64,{data}" alt="{html.escape(one.key)}">'
    place = "" if one.position is None else f" at {one.position[0]},{one.position[1]}"
    caption = f"{one.score:.4g}{place}<br>{html.escape(one.key)}"
    return (
        f'<figure style="margin:0;max-width:{THUMB}px;overflow-wrap:anywhere">{image}'
        f'<figcaption style="font:12px sans-serif">{caption}</figcaption></figure>'
    )
