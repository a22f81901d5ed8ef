"""A page to compare sounds with the recordings that they were made from: players, spectrograms, what was measured.

ROLE.recording.wav      a recording as the network heard it, as loud as the sounds
NAME.spectrogram.png    the wave above its log-mel spectrogram, of each recording and each sound
index.html              a player for each
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from phosphene.audio.recording import Recording
from phosphene.audio.sound import Sound
from phosphene.errors import UsageError
from phosphene.media import kept
from phosphene.metadata import write_sound
from phosphene.reports.html import Page, Section, Table, write_page
from phosphene.reports.sound import player


def write_made(
    sounds: Sequence[Sound], recordings: Mapping[str, Recording], loudness: float, folder: str | Path, title: str
) -> Path:
    """Write the recordings, the picture of each, and the page of all; returns the page.

    Raises UsageError for a sound that was not saved.
    """
    rate = sounds[0].rate
    figures = []
    for role, recording in recordings.items():
        file, sound = Path(folder) / f"{role}.recording.wav", kept(recording.heard, rate, loudness)
        write_sound(file, sound, rate, None, description=f"{role} by phosphene")
        alt = f"wave and spectrogram of the {role}"
        figures.append(player(file, sound, rate, alt, (f"recording: {role}", recording.name)))
    for one in sounds:
        if one.path is None:
            raise UsageError("a page lies beside its sounds: save them first")
        figures.append(player(one.path, one.sound, rate, f"wave and spectrogram of {one.name}", one.caption()))
    section = Section(
        "sounds", "The recordings, and what was made", figures=tuple(figures), columns=2, tables=(table(sounds),)
    )
    facts = (("network", sounds[0].recipe["model"]["name"]), ("steps", str(sounds[0].steps)), ("rate", f"{rate} Hz"))
    return write_page(Page(title, ("Turn the volume down before you listen.",), (section,), facts), folder)


def table(sounds: Sequence[Sound]) -> Table:
    """The losses of all sounds by term, beside white noise's."""
    rows = [
        (sound.name, term, f"{loss:.4g}", f"{sound.noise[term]:.4g}")
        for sound in sounds
        for term, loss in sound.losses.items()
    ]
    return Table(("sound", "term", "loss", "of white noise"), tuple(rows))
