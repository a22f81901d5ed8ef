"""The sections of a probe that only sounds need: their shortest parts and their bands, played and drawn."""

from __future__ import annotations

from pathlib import PurePosixPath

from phosphene.cards.album import Album
from phosphene.cards.probe import Probe, share
from phosphene.cards.sound_words import hertz
from phosphene.reports import Section, Table

ABREAST = 2  # players in a row
LOUD = "The sounds play as loud as the network heard them. Turn the volume down before you listen."


def parts(probe: Probe, album: Album) -> Section:
    """The shortest part of each example, marked and alone, and its smallest band."""
    rate, figures, rows = probe.subject.rate, [], []
    for one in probe.examples:
        name, (_, first, _, end) = PurePosixPath(one.example.key).name, one.patch.box
        long, pitch = f"{1000 * (end - first) / rate:.3g} ms", hertz(one.band, rate)
        when = "" if one.example.seconds is None else f", strongest at {one.example.seconds:.2f} s"
        caption = (f"score {one.score:.4g}{when}", name)
        figures.append(album.sound(one.pixels[:, 0], rate, f"{name} with its part marked", caption, (first, end)))
        words = (f"{share(one.patch.kept)} kept by {long}", f"the sound keeps as much within {pitch}")
        figures.append(album.sound(one.pixels[:, 0, first:end], rate, f"the part of {name}", words))
        rows.append((name, long, share(one.patch.kept), pitch))
    return Section(
        "part",
        "What is enough",
        text=(
            f"The shortest part of each sound that still keeps {share(probe.keep)} of the activation at its place, "
            "found by cutting off whatever the unit misses least. All else is noise 60 dB below full scale: digital "
            "silence is unlike any recording. The band is found in the same way, over the whole sound.",
            "It shows what is enough. It cannot show what else would be: a unit may answer to several things in a "
            "sound, and this is one of them.",
            LOUD,
        ),
        figures=tuple(figures),
        columns=ABREAST,
        tables=(Table(("sound", "part", "kept", "band"), tuple(rows)),),
    )
