"""A book of cards: many units, a folder for each card, and a page that lists those that are done.

    ph.book(model, "features.12:0..63", "photographs", "out/book", index="out/scan")

A card is written when it is made, and the page of the book after it. A card that an earlier run finished with the same
recipe (`identity.py`) is kept, so a book that was interrupted goes on, and one that is done is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phosphene.cards.book_page import write_book
from phosphene.cards.card import Card
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.entry import Entry, finished
from phosphene.cards.identity import identity
from phosphene.cards.making import cards_of, checked, needed
from phosphene.cards.subject import Unit, units
from phosphene.examples.index import Index
from phosphene.examples.scan import Scanned
from phosphene.features.events import Notice, Progress
from phosphene.files import safe_name
from phosphene.models import Model
from phosphene.recipe import RenderConfig, RunConfig


class Bookmaking:
    """The cards of LAYER:0..63 as a stream, written as they are made; iterate once.

    entries: the cards that are done, in the order of their units, those of earlier runs among them. kept: how many of
    them were found. page: of the book; there once a card is done.
    """

    def __init__(
        self,
        model: Model,
        target: str,
        data: Any,
        folder: str | Path,
        *,
        index: Index | str | Path | None = None,
        ask: Sequence[str | Path] = (),
        config: CardConfig = CardConfig(),
        probes: ProbeConfig = ProbeConfig(),
        render: RenderConfig = RenderConfig(),
        run: RunConfig = RunConfig(),
        seed: int = 0,
    ) -> None:
        self.model, self.target, self.data, self.index = model, target, data, index
        self.folder, self.asked = Path(folder), checked(model, ask, render)
        self.config, self.probes, self.run, self.seed = config, probes, run, seed
        self.render = replace(render, seed=seed)
        self.page = self.folder / "index.html"
        self.entries: list[Entry] = []
        self.kept = 0

    def __iter__(self) -> Iterator[Scanned | Progress | Notice | Card]:
        found = yield from units(
            self.model, self.target, self.data, index=self.index, examples=needed(self.config, self.probes),
            limit=self.probes.limit, seed=self.seed, device=self.run.device,
        )  # fmt: skip
        done = {place: entry for place, entry in self._finished(found) if entry is not None}
        self._write(found, done)
        self.kept = len(done)
        if done:
            yield Notice(f"{self.kept} of {len(found)} cards are done already")
        rest = [unit for unit in found if place_of(unit) not in done]
        for event in cards_of(
            rest, asked=self.asked, config=self.config, probes=self.probes, render=self.render, run=self.run,
            seed=self.seed,
        ):  # fmt: skip
            if isinstance(event, Card):
                place = place_of(event.subject)
                event.save(self.folder / place)
                done[place] = Entry.of(event, place)
                self._write(found, done)
            yield event

    def _finished(self, found: Sequence[Unit]) -> Iterator[tuple[str, Entry | None]]:
        for unit in found:
            recipe = identity(
                unit, asked=self.asked, config=self.config, probes=self.probes, render=self.render, run=self.run
            )
            yield place_of(unit), finished(self.folder, place_of(unit), recipe)

    def _write(self, found: Sequence[Unit], done: dict[str, Entry]) -> None:
        self.entries = [done[place] for place in map(place_of, found) if place in done]
        if self.entries:
            write_book(self.entries, self.folder)


def place_of(unit: Unit) -> str:
    """The folder of a unit's card in its book."""
    return safe_name(unit.target)


def book(
    model: Model,
    target: str,
    data: Any,
    out: str | Path,
    *,
    index: Index | str | Path | None = None,
    ask: Sequence[str | Path] = (),
    config: CardConfig = CardConfig(),
    probes: ProbeConfig = ProbeConfig(),
    render: RenderConfig = RenderConfig(),
    run: RunConfig = RunConfig(),
    seed: int = 0,
) -> Path:
    """Many units from every side: a folder for each card in `out`, and a page that lists them; returns that page.

    target: LAYER:0..63. The rest is as for `card`. Cards that are there already with the same recipe are kept.
    Raises UsageError for units, data and files that are not there, IndexFileError for an index of another network.
    """
    work = Bookmaking(
        model, target, data, out, index=index, ask=ask, config=config, probes=probes, render=render, run=run, seed=seed
    )  # fmt: skip
    for _ in work:
        pass
    return work.page
