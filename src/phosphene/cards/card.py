"""A card: all that is known of a unit. It tells itself as JSON, saves itself as a page, shows itself in a notebook."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from torch import Tensor

from phosphene.cards.probe import Probe, finite
from phosphene.cards.relations import Relations
from phosphene.cards.subject import Unit
from phosphene.contact import contact_sheet
from phosphene.display.notebook import embedded, figure
from phosphene.examples.example import Example
from phosphene.examples.index import UnitStatistics
from phosphene.examples.sheet import ROWS, described, told
from phosphene.features.picture import Picture
from phosphene.files import safe_name
from phosphene.models.receptive import Box
from phosphene.study.doubts import verdict
from phosphene.study.trust import Trust

FORMAT, SCHEMA = "phosphene card", 1


@dataclass(frozen=True)
class Shown:
    """An example of the spectrum. pixels: (c, h, w) as the network saw it. field: what the unit sees at its place.
    warm: (h, w) where it responds, None where that is unknown."""

    example: Example
    pixels: Tensor
    field: Box
    warm: Tensor | None

    @property
    def part(self) -> bool:
        """Whether the unit sees but a part of the picture."""
        return self.field != (0, 0, self.pixels.shape[1], self.pixels.shape[2])

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.example.data(), "field": list(self.field)}


@dataclass(frozen=True)
class Card:
    """A unit from every side. pictures: optimized ones, {"positive", "negative", "diverse"}: a sequence each.
    spectrum: {"maximum", ...}: examples. trust: whether the pictures can be trusted; None where that was not asked.
    recipe: all that the card depends on, as JSON. It saves itself as a page, and shows itself in a notebook."""

    subject: Unit = field(repr=False, compare=False)
    statistics: UnitStatistics
    pictures: dict[str, tuple[Picture, ...]]
    spectrum: dict[str, tuple[Shown, ...]]
    probe: Probe
    relations: Relations
    trust: Trust | None = None
    recipe: dict[str, Any] = field(default_factory=dict, repr=False)

    SUFFIX: ClassVar[str] = ".png"  # of the files of what was optimized

    @property
    def name(self) -> str:
        """Layer and number, and of a class its name."""
        return described(self.subject.index, self.subject.eye.layer, self.subject.eye.unit)

    def score(self, picture: Picture) -> float:
        """The unit's largest response to an optimized picture: what examples are ranked by. Its activation is the mean
        over the picture."""
        return float(self.subject.eye.look(picture.pixels[None])[0][0])

    def file(self, kind: str, number: int = 0) -> str:
        """The file of an optimized picture in the card's folder."""
        return f"{safe_name(self.subject.target)}.{kind}{number or ''}{self.SUFFIX}"

    def data(self) -> dict[str, Any]:
        """For JSON: everything but pixels. Every score is that of the plain network for the picture of that key."""
        unit, index = self.subject, self.subject.index
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "network": {"name": unit.eye.model.name, "weights": unit.eye.model.weights.sha256},
            "layer": unit.eye.layer,
            "unit": unit.eye.unit,
            "name": self.name,
            "whole": index.header.kept.whole,
            "statistics": {
                name: finite(value) if isinstance(value, float) else value
                for name, value in asdict(self.statistics).items()
            },
            "examples": {name: [one.data() for one in row] for name, row in self.spectrum.items()},
            "probe": self.probe.data(),
            "relations": asdict(self.relations),
            "faithfulness": None if self.trust is None else {**faithful(self.trust), **self.trust.data()},
            "pictures": {
                kind: [
                    {
                        "target": one.target,
                        "activation": finite(one.activation),
                        "score": finite(self.score(one)),
                        "status": one.status,
                        "steps": one.steps,
                        "file": self.file(kind, number),
                    }
                    for number, one in enumerate(made)
                ]
                for kind, made in self.pictures.items()
            },
            "recipe": self.recipe,
        }

    def sheet(self) -> Image.Image:
        """Optimized pictures and the spectrum as one labelled sheet."""
        made = [(kind, one) for kind, row in self.pictures.items() for one in row]
        shown = [(word, one) for word, name in ROWS for one in self.spectrum[name]]
        labels = [(f"{kind}  {self.score(one):.4g}", "optimized") for kind, one in made]
        labels += [(f"{word}  {one.example.score:.4g}", one.example.key.rpartition("/")[2]) for word, one in shown]
        unit = self.subject
        title = f"{unit.eye.model.name} · {self.name}\n{told(unit.index, unit.eye.layer, unit.eye.unit)}"
        pixels = [one.pixels for _, one in made] + [one.pixels for _, one in shown]
        return contact_sheet(pixels, labels, columns=max(map(len, self.spectrum.values())), title=title)

    def save(self, folder: str | Path) -> Path:
        """Write FOLDER/index.html (it holds its pictures), card.json, sheet.png, and the optimized pictures with their
        recipes; returns the page."""
        from phosphene.cards.page import write_card

        return write_card(self, folder)

    def _repr_html_(self) -> str:
        text = f"{self.subject.eye.model.name} {self.name}. {self.probe.sentence}"
        return figure(embedded(self.sheet(), text), [text])


def faithful(study: Trust) -> dict[str, Any]:
    """The verdict on optimized pictures, and the names of the questions that speak against them."""
    return {"verdict": verdict(study), "doubts": [check.name for check in study.checks() if check.doubt]}
