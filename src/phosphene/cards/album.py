"""The pictures of a page, held in memory until it is written: figures call them by name, the page carries them."""

from __future__ import annotations

from torch import Tensor

from phosphene.cards.sight import SHOWN, fitted
from phosphene.media import encode_picture
from phosphene.reports import Figure


class Album:
    """files: {name: content} of all pictures so far."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def picture(self, pixels: Tensor, alt: str, caption: tuple[str, ...], *, whole: bool = False) -> Figure:
        """A picture (c, h, w) as a figure, at a size for the page; whole: as it is."""
        shown = pixels if whole else fitted(pixels, SHOWN)
        name = f"{len(self.files)}.jpg"
        self.files[name] = encode_picture(shown, "JPEG")
        return Figure(name, alt, int(shown.shape[2]), int(shown.shape[1]), caption)

    def chart(self, svg: str, alt: str) -> Figure:
        """A chart as a figure."""
        name = f"{len(self.files)}.svg"
        self.files[name] = svg.encode()
        width, height = (int(svg.split(f'{side}="', 1)[1].split('"', 1)[0]) for side in (" width", " height"))
        return Figure(name, alt, width, height)
