"""The card of a unit that hears: clips that raise and lower it, its examples, what it needs, what it is alike.

It is a `Card` whose pictures are clips and whose examples are pieces of recordings, (c, 1, samples). Left out of those
of pictures: several clips that differ (`audio render --diversity` makes them), and maps over an example.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from phosphene.cards.ask import files
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.making import Card, spectrum
from phosphene.cards.probe import probe_unit
from phosphene.cards.relations import relations
from phosphene.cards.subject import Unit, refuse_book, units
from phosphene.contact import contact_sheet
from phosphene.errors import UsageError
from phosphene.examples.index import Index
from phosphene.examples.kinds import SOUND
from phosphene.examples.scan import Scanned
from phosphene.examples.sheet import ROWS, told
from phosphene.features.audio_config import AudioConfig
from phosphene.features.clip import Clip
from phosphene.features.events import Notice, Progress
from phosphene.features.sounding import Sounding
from phosphene.media import to_tensor
from phosphene.models import Model
from phosphene.objectives import parse
from phosphene.recipe import RunConfig
from phosphene.reports.sound import sound_picture

ABREAST = 4  # examples in a row of the sheet
SLOWER = 2  # steps of a clip to one of a picture: of YAMNet's Bird 128 steps reach a logit of 2.0, and 256 of 27.6


@dataclass(frozen=True)
class SoundCard(Card):
    """A unit that hears, from every side. pictures: clips, {"positive", "negative"}."""

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


def optimized(
    unit: Unit, config: CardConfig, run: RunConfig, seed: int
) -> Generator[Progress | Notice, None, dict[str, tuple[Clip, ...]]]:
    """The clip of a unit, and the one that lowers it, as long as the pieces that were scanned."""
    if not config.steps:
        return {}
    settings = AudioConfig(seconds=unit.index.header.kept.samples / unit.rate, steps=SLOWER * config.steps, seed=seed)
    work = Sounding(
        unit.eye.model, [parse(unit.target), parse(f"-{unit.target}")], settings, replace(run, checkpoint_every=0)
    )
    for event in work:
        if isinstance(event, Progress | Notice):
            yield event
    positive, negative = work.clips()
    return {"positive": (positive,), "negative": (negative,)}


def hearing(
    model: Model,
    target: str,
    data: Any,
    *,
    index: Index | str | Path | None,
    ask: Sequence[str | Path],
    config: CardConfig,
    probes: ProbeConfig,
    size: object,
    run: RunConfig,
    seed: int,
) -> Generator[Scanned | Progress | Notice | Card, None, None]:
    """The card of LAYER:7 or logit:NAME. Raises UsageError for several units, and for a size: both are of pictures."""
    if size is not None:
        raise UsageError(f"size is of pictures, and {model.name} hears sounds; clips are as long as the pieces scanned")
    if ".." in target:
        refuse_book(model, target)
    asked = files(ask, word=SOUND)
    most = max(config.examples, probes.probed)
    found = yield from units(
        model, target, data, index=index, examples=most, limit=probes.limit, seed=seed, device=run.device
    )
    for unit in found:
        yield Notice(f"{unit.target}: examples and probes")
        probe = probe_unit(unit, probes, asked=asked, seed=seed)
        rows = spectrum(unit, config.examples)
        yield Notice(f"{unit.target}: optimized clips")
        clips: dict[str, tuple[Any, ...]] = yield from optimized(unit, config, run, seed)
        facts = unit.index.statistics(unit.eye.layer, unit.eye.unit)
        yield SoundCard(unit, facts, clips, rows, probe, relations(unit, similar=config.similar))
