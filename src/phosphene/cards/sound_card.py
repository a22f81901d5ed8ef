"""The card of a unit that hears: a `Card` whose pictures are clips and whose examples are pieces of recordings.

Pieces are (c, 1, samples). Left out of the cards of pictures are maps over an example, and whether what was optimized
can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from phosphene.cards.card import Card
from phosphene.contact import contact_sheet
from phosphene.display.spectrogram import sound_picture
from phosphene.examples.sheet import ROWS, told
from phosphene.media import to_tensor

ABREAST = 4  # examples in a row of the sheet


@dataclass(frozen=True)
class SoundCard(Card):
    """A unit that hears, from every side. pictures: clips."""

    SUFFIX: ClassVar[str] = ".wav"

    def data(self) -> dict[str, Any]:
        """For JSON, with the rate of its sounds in Hz."""
        return {**super().data(), "rate": self.subject.rate}

    def score(self, picture: Any) -> float:
        """The unit's largest response to a clip: what examples are ranked by. Its activation is the mean over it."""
        return float(self.subject.eye.look(picture.values[None, :, None])[0][0])

    def sheet(self) -> Image.Image:
        """Spectrograms of the examples and, at the end, of the clips as one labelled sheet."""
        rate, unit = self.subject.rate, self.subject
        shown = [
            (word, one.pixels[:, 0], one.example.score, one.example.key.rpartition("/")[2])
            for word, name in ROWS
            for one in self.spectrum[name][:ABREAST]
        ]
        shown += [
            (kind, one.values, self.score(one), "optimized") for kind, row in self.pictures.items() for one in row
        ]
        drawn = [to_tensor(sound_picture(sound, rate)) for _, sound, _, _ in shown]
        labels = [(f"{word}  {score:.4g}", name) for word, _, score, name in shown]
        columns = max(len(row[:ABREAST]) for row in self.spectrum.values())
        title = f"{unit.eye.model.name} · {self.name}\n{told(unit.index, unit.eye.layer, unit.eye.unit)}"
        return contact_sheet(drawn, labels, columns=columns, title=title)

    def save(self, folder: str | Path) -> Path:
        """Write FOLDER/index.html, card.json, sheet.png, the clips with their recipes, and the examples as WAV files;
        returns the page."""
        from phosphene.cards.sound_card_page import write_sound_card

        return write_sound_card(self, folder)
