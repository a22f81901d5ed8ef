"""What results show of themselves in a notebook: a picture with a line of figures, a sound to look at and to play.

An output becomes part of the notebook's file, so it is held small: a picture has 1600 pixels a side at most, a set 64
pieces at most and 8 MB, and a sound that is longer than those (three minutes at 16 kHz) is shown and not played. What
is saved has every pixel and every sample. All text is plain and is escaped; nothing plays by itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO
from itertools import islice

from PIL import Image
from torch import Tensor

from phosphene.display.spectrogram import sound_picture
from phosphene.media import to_levels, wav_bytes

LARGEST = 1600  # pixels of a picture's longer side: 7.7 MB if nothing of it can be compressed
MOST = 64  # pieces of a set; more make the page slow
LIMIT = 8_000_000  # characters of HTML


def png(image: Image.Image, largest: int = LARGEST) -> bytes:
    """A PNG whose longer side has at most so many pixels."""
    buffer = BytesIO()
    if max(image.size) > largest:
        image = image.copy()
        image.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    image.save(buffer, "PNG")
    return buffer.getvalue()


def embedded(image: Image.Image, alt: str, *, largest: int = LARGEST) -> str:
    """A picture, as HTML that holds it. alt: what it shows, in words."""
    data = base64.b64encode(png(image, largest)).decode()
    return f'<img style="max-width:100%" src="data:image/png;base64,{data}" alt="{escape(alt)}">'


def player(sound: Tensor, rate: int, name: str) -> str:
    """A player of a sound (channels, samples) in [-1, 1], as HTML that holds its 16-bit samples."""
    data = base64.b64encode(wav_bytes(to_levels(sound.numpy()), rate)).decode()
    if len(data) > LIMIT:
        return f"<p>{sound.shape[-1] / rate:.0f} s are too long to be played here; save it to a file</p>"
    return (
        f'<audio controls preload="none" src="data:audio/wav;base64,{data}" aria-label="{escape(name)}" '
        f'style="display:block;max-width:100%"></audio>'
    )


def heard(sound: Tensor, rate: int, name: str, lines: Sequence[str]) -> str:
    """A sound (channels, samples) in [-1, 1]: its wave and spectrogram, a player, and lines below."""
    shown = embedded(sound_picture(sound, rate), f"wave and spectrogram of {name}")
    return figure(shown + player(sound, rate, name), lines)


def figure(shown: str, lines: Sequence[str], *, width: int | None = None) -> str:
    """Something shown (HTML) with lines of text below it. width: in pixels, at most."""
    text = "<br>".join(map(escape, lines))
    narrow = "" if width is None else f";max-width:{width}px;overflow-wrap:anywhere"
    caption = f'<figcaption style="font:12px sans-serif">{text}</figcaption>'
    return f'<figure style="margin:0{narrow}">{shown}{caption}</figure>'


def row(figures: Iterable[str], count: int) -> str:
    """The first of `count` figures side by side, as many as a notebook can bear, and how many more there are."""
    shown: list[str] = []
    for one in islice(figures, MOST):
        if shown and sum(map(len, shown)) + len(one) > LIMIT:
            break
        shown.append(one)
    rest = f"<p>and {count - len(shown)} more</p>" if len(shown) < count else ""
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{"".join(shown)}</div>{rest}'
