"""The pictures of a page, held in memory until it is written: figures call them by name, the page carries them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from phosphene.cards.sight import SHOWN, fitted
from phosphene.display.spectrogram import sound_picture
from phosphene.files import atomic_write
from phosphene.media import encode_picture, png_bytes, to_levels, wav_bytes
from phosphene.reports import Figure
from phosphene.reports.embed import embedded


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

    def sound(
        self, sound: Tensor, rate: int, alt: str, caption: tuple[str, ...], span: tuple[int, int] | None = None
    ) -> Figure:
        """A sound (c, samples) as a figure: a player, the wave and its spectrogram. span: samples that are marked."""
        number = f"sound-{len(self.files):03d}"
        image = sound_picture(sound, rate, span)
        self.files[f"{number}.spectrogram.png"] = png_bytes(image)
        self.files[f"{number}.wav"] = wav_bytes(to_levels(sound.numpy()), rate)
        picture = f"wave and spectrogram of {alt}"
        return Figure(f"{number}.spectrogram.png", picture, *image.size, caption, sound=f"{number}.wav")

    def example(
        self, pixels: Tensor, rate: int, alt: str, caption: tuple[str, ...], span: tuple[int, int] | None = None
    ) -> Figure:
        """A picture (c, h, w), or with a rate a sound (c, 1, samples), as a figure."""
        return self.sound(pixels[:, 0], rate, alt, caption, span) if rate else self.picture(pixels, alt, caption)

    def bound(self, page: str, folder: Path, rate: int) -> str:
        """The text of a page with its pictures inside; with a rate they are written beside it, and so are sounds."""
        if not rate:
            return embedded(page, self.files)
        for name, content in self.files.items():
            atomic_write(folder / name, content)
        return page

    def chart(self, svg: str, alt: str) -> Figure:
        """A chart as a figure."""
        name = f"{len(self.files)}.svg"
        self.files[name] = svg.encode()
        width, height = (int(svg.split(f'{side}="', 1)[1].split('"', 1)[0]) for side in (" width", " height"))
        return Figure(name, alt, width, height)
