"""A page to compare sounds with the recordings that they were made from: players, spectrograms, what was measured.

ROLE.recording.wav      a recording as the network heard it, as loud as the sounds
NAME.spectrogram.png    the wave above its log-mel spectrogram, of each recording and each sound
index.html              a player for each
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

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
        figures.append(player(one.path, one.sound, rate, f"wave and spectrogram of {one.name}", caption(one)))
    section = Section(
        "sounds", "The recordings, and what was made", figures=tuple(figures), columns=2, tables=(table(sounds),)
    )
    facts = (("network", sounds[0].recipe["model"]["name"]), ("steps", str(sounds[0].steps)), ("rate", f"{rate} Hz"))
    return write_page(Page(title, ("Turn the volume down before you listen.",), (section,), facts), folder)


def caption(sound: Sound) -> tuple[str, ...]:
    """Lines under a sound: what was measured, and how loud it is."""
    loud = f"{sound.loudness:.1f} LUFS, peak {20 * np.log10(max(sound.peak, 1e-9)):.1f} dBTP"
    lines = [sound.name, *told(sound), loud + (", a loop" if sound.seamless else "")]
    return tuple(lines if sound.status == "ok" else [*lines, f"{sound.status}: {sound.reason}"])


def told(sound: Sound) -> list[str]:
    """What was measured of a sound, in words."""
    if sound.status == "degenerate":
        return []
    measured, lines = sound.measured, [f"loss {sound.loss:.3g}, {100 * sound.share:.2g}% of white noise's"]
    if measured.get("held_out") is not None:
        lines.append(f"held out: {100 * measured['held_out']['share_of_white_noise']:.2g}% of white noise's distance")
    if "copying_of_noise" in measured:
        lines.append(f"copying {measured['copying']:.2f} (noise {measured['copying_of_noise']:.2f})")
    if "spectral_distance" in measured:
        exact = measured["signal_to_noise"] is None
        near = "exact" if exact else f"signal to noise {measured['signal_to_noise']:.1f} dB"
        lines.append(f"{near}, spectra {measured['spectral_distance']:.1f} dB apart")
    return lines


def table(sounds: Sequence[Sound]) -> Table:
    """The losses of all sounds by term, beside white noise's."""
    rows = [
        (sound.name, term, f"{loss:.4g}", f"{sound.noise[term]:.4g}")
        for sound in sounds
        for term, loss in sound.losses.items()
    ]
    return Table(("sound", "term", "loss", "of white noise"), tuple(rows))
