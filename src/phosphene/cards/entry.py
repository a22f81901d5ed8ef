"""A card in a book: read from its folder, so that a card made now and one made by an earlier run are told alike."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phosphene.cards.card import FORMAT, SCHEMA, Card
from phosphene.cards.page import CARD_FILE, PAGE_FILE, STRIP_FILE
from phosphene.jsondata import to_json

DOUBTS = {
    "natural": "weaker than an example",
    "path": "another road",
    "family": "its weakest falls short",
}


@dataclass(frozen=True)
class Entry:
    """place: of the card's folder, below the book's. data: its card.json."""

    place: str
    data: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, card: Card, place: str) -> Entry:
        """The entry of a card that was saved there."""
        return cls(place, card.data())

    @property
    def page(self) -> str:
        """The card's page, below the book's folder."""
        return f"{self.place}/{PAGE_FILE}"

    @property
    def strip(self) -> str:
        """Its pictures in one row, below the book's folder."""
        return f"{self.place}/{STRIP_FILE}"

    @property
    def hears(self) -> bool:
        """Whether the unit hears sounds."""
        return "rate" in self.data

    @property
    def player(self) -> str:
        """The clip that raises a unit that hears, below the book's folder; "" for a unit that sees, and without one."""
        made = self.data["pictures"].get("positive", ()) if self.hears else ()
        return next((f"{self.place}/{one['file']}" for one in made), "")

    @property
    def highest(self) -> float:
        """The score of the strongest example."""
        return float(self.data["examples"]["maximum"][0]["score"])

    @property
    def alike(self) -> str:
        """The unit of the layer that responds most alike; "" where none is known."""
        return next((str(one["name"]) for one in self.data["relations"]["similar"]), "")

    @property
    def likes(self) -> str:
        """The class that goes with the unit: of the data, else of the network; "" where it never responds."""
        best = self.data["statistics"]["best_class"]
        outputs = (one["name"] for one in self.data["relations"]["outputs"])
        return str(best or next(outputs, "")) if self.highest > 0 else ""

    @property
    def doubts(self) -> str:
        """What speaks against its optimized picture, in a few words; "" where that was not asked."""
        found = self.data["faithfulness"]
        return "" if found is None else ", ".join(DOUBTS.get(name, name) for name in found["doubts"]) or "none"


def finished(folder: Path, place: str, recipe: dict[str, Any]) -> Entry | None:
    """The entry of a card that was finished in an earlier run with the same recipe; None for any other."""
    where = folder / place
    try:
        data = json.loads((where / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = all((where / name).is_file() for name in (PAGE_FILE, STRIP_FILE))
    if not whole or not isinstance(data, dict) or (data.get("format"), data.get("schema")) != (FORMAT, SCHEMA):
        return None
    return Entry(place, data) if data.get("recipe") == json.loads(json.dumps(to_json(recipe))) else None
