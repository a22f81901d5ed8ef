"""Dataset examples of a unit that hears, on a page: players, log-mel pictures, and what the unit hears of the best.

    WORD-N.wav          a piece of a recording as the network heard it, sample by sample
    WORD-N.part.wav     the part that the unit hears at its strongest position, where that is not all of the piece
    index.html          a player for each, above it the wave and its spectrogram; a bar marks the part

Rows are those of a sheet of pictures (`examples/sheet.py`): the highest, the upper and the lower quarter, the lowest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from phosphene.errors import UsageError
from phosphene.examples.data import Pictures, places
from phosphene.examples.example import Example
from phosphene.examples.index import Index
from phosphene.examples.kinds import kind_scanned
from phosphene.examples.sheet import ROWS, described, told
from phosphene.metadata import write_sound
from phosphene.reports.html import Figure, Page, Section, write_page
from phosphene.reports.sound import player

ABREAST = 2  # players in a row of the page
SHOWN = 4  # examples of each row of the spectrum
PARTS = "A bar marks what the unit hears of a piece at the position where it responds most; it plays alone beside it."
LOUD = "The recordings play as loud as the network heard them. Turn the volume down before you listen."


def write_heard(index: Index, layer: str, unit: int, data: Any, folder: str | Path) -> Path:
    """Write FOLDER/index.html of a unit and its sounds; returns the page. data: the recordings that were scanned.

    Raises UsageError for a unit that is not in the index, and where the data does not hold the examples.
    """
    place = Path(folder)
    opened = kind_scanned(index.header).open(data)
    spectrum = index.spectrum(layer, unit, k=min(SHOWN, index.header.kept.top))
    sections = tuple(
        Section(
            word.replace(" ", "-"),
            f"{word.capitalize()} examples",
            text=(PARTS,) if name == "maximum" and index.find_layer(layer).field is not None else (),
            figures=row_figures(index, layer, word, spectrum[name], opened, place),
            columns=ABREAST,
        )
        for word, name in ROWS
    )
    network = index.header.model.name
    facts = (("network", network), ("pieces heard", str(index.images)), ("rate", f"{index.header.model.rate} Hz"))
    lead = (f"{told(index, layer, unit)}.", LOUD)
    return write_page(Page(f"{described(index, layer, unit)} of {network}", lead, sections, facts), place)


def row_figures(
    index: Index, layer: str, word: str, row: Sequence[Example], data: Pictures, folder: Path
) -> tuple[Figure, ...]:
    """The players of a row of examples, whose sounds are written into the folder; of the highest their parts too."""
    heard = heard_pieces(index, row, data)
    found = index.find_layer(layer)
    rate, figures = index.header.model.rate, []
    for number, one in enumerate(row, 1):
        sound = heard[one.key]
        span = found.heard(one.position or (0, 0), sound.shape[1])
        whole = span == (0, sound.shape[1]) or one.position is None
        name = PurePosixPath(one.key).name
        at = "" if one.seconds is None else f", strongest at {one.seconds:.2f} s"
        file = folder / f"{word.replace(' ', '-')}-{number}.wav"
        caption = (f"score {one.score:.4g}{at}", name)
        figures.append(written(file, sound, rate, f"piece of {name}", caption, span=None if whole else span))
        if word == ROWS[0][0] and not whole:
            part = sound[:, span[0] : span[1]]
            words = (f"what it hears: {1000 * part.shape[1] / rate:.3g} ms", f"around {one.seconds:.2f} s of {name}")
            figures.append(written(file.with_suffix(".part.wav"), part, rate, f"part of {name}", words))
    return tuple(figures)


def written(
    file: Path,
    sound: Tensor,
    rate: int,
    alt: str,
    caption: tuple[str, ...],
    *,
    span: tuple[int, int] | None = None,
) -> Figure:
    """The player of a sound (channels, samples), which is written into the file as it is."""
    write_sound(file, sound, rate, None)
    return player(file, sound, rate, f"wave and spectrogram of a {alt}", caption, span=span)


def heard_pieces(index: Index, examples: Sequence[Example], data: Pictures) -> dict[str, Tensor]:
    """{key: (channels, samples)} of examples as the network heard them. Raises UsageError where the data lacks one."""
    numbers = places(data, [one.key for one in examples])
    missing = next((one.key for one in examples if one.key not in numbers), None)
    if missing is not None:
        raise UsageError(f"the data does not hold the example {missing!r}; name the data that was scanned")
    kind = kind_scanned(index.header)
    return {key: kind.entering(data.load(number))[0] for key, number in numbers.items()}
