"""A page to listen on: a player and the picture of every sound.

    NAME.spectrogram.png    the wave above its log-mel spectrogram (`display/spectrogram.py`)
    index.html              a player and the picture of every clip

The page loads nothing from elsewhere and plays nothing by itself.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from phosphene.display.spectrogram import sound_picture
from phosphene.errors import UsageError
from phosphene.features.clip import Clip, Clips
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.reports.html import Figure, Page, Section, write_page


def write_sounds(clips: Clips, folder: str | Path) -> Path:
    """Write the picture of every saved clip beside it, and the page of all; returns the page.

    Raises UsageError for a clip that was not saved.
    """
    figures = tuple(sound_figure(clip, Path(folder)) for clip in clips)
    section = Section("clips", "Clips", figures=figures, columns=2)
    facts = (("network", clips.model), ("clips", str(len(clips))), ("rate", f"{clips[0].rate} Hz"))
    lead = (
        "Sounds that were optimised until a unit of the network responded. Turn the volume down before you listen.",
    )
    return write_page(Page(f"{clips.model}: what it listens for", lead, (section,), facts), folder)


def player(
    file: Path,
    sound: Tensor,
    rate: int,
    alt: str,
    caption: tuple[str, ...],
    folder: Path | None = None,
    span: tuple[int, int] | None = None,
) -> Figure:
    """A player for a sound (channels, samples) that lies in `file`; its picture is written beside it.

    Its names are those from `folder`, the page's, which is the file's own when left out. span: samples that are marked.
    """
    folder = folder or file.parent
    image = sound_picture(sound, rate, span)
    picture = atomic_write(file.with_suffix(".spectrogram.png"), png_bytes(image))
    shown, heard = (path.relative_to(folder).as_posix() for path in (picture, file))
    return Figure(shown, alt, image.width, image.height, caption, sound=heard)


def sound_figure(clip: Clip, folder: Path, caption: tuple[str, ...] | None = None) -> Figure:
    """The player of a saved clip, for a page in `folder`.

    Raises UsageError for a clip that was not saved.
    """
    if clip.path is None:
        raise UsageError("a page lies beside its clips: save them first")
    alt = f"wave and spectrogram of {clip.target}"
    return player(clip.path, clip.sound, clip.rate, alt, clip.caption() if caption is None else caption, folder)
