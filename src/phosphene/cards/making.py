"""A card, made: everything that is known of a unit, gathered from an index, probes and optimization.

    card = ph.card(model, "features.12:7", "photographs")
    card.save("out/card")

`carding` is the work as a stream: the progress of a scan and of renderings, notices, and each card when it is done.
Sources: Olah, Mordvintsev and Schubert, Feature Visualization (Distill 2017), for the spectrum of examples beside the
optimized pictures and for diversity.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from phosphene.cards.ask import files
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.faith import Natural, trust
from phosphene.cards.identity import identity
from phosphene.cards.probe import Probe, finite, probe_unit
from phosphene.cards.relations import Relations, relations
from phosphene.cards.sight import heat
from phosphene.cards.subject import Unit, units
from phosphene.contact import contact_sheet
from phosphene.errors import UsageError
from phosphene.examples.example import Example
from phosphene.examples.index import Index, UnitStatistics
from phosphene.examples.scan import Scanned
from phosphene.examples.sheet import ROWS, described, told
from phosphene.features.diversity import diversify
from phosphene.features.events import Notice, Progress
from phosphene.features.picture import Picture
from phosphene.features.render import Rendering, quietly
from phosphene.models import AudioSpec, Model
from phosphene.models.receptive import Box
from phosphene.objectives import Objective, parse
from phosphene.recipe import DiversityConfig, RenderConfig, RunConfig
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

    @property
    def name(self) -> str:
        """Layer and number, and of a class its name."""
        return described(self.subject.index, self.subject.eye.layer, self.subject.eye.unit)

    def score(self, picture: Picture) -> float:
        """The unit's largest response to an optimized picture: what examples are ranked by. Its activation is the mean
        over the picture."""
        return float(self.subject.eye.look(picture.pixels[None])[0][0])

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
                    }
                    for one in made
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
        buffer = BytesIO()
        self.sheet().save(buffer, "PNG")
        image = base64.b64encode(buffer.getvalue()).decode()
        text = html.escape(f"{self.subject.eye.model.name} {self.name}. {self.probe.sentence}")
        return f'<p>{text}</p><img style="max-width:100%" src="data:image/png;base64,{image}" alt="{text}">'


def faithful(study: Trust) -> dict[str, Any]:
    """The verdict on optimized pictures, and the names of the questions that speak against them."""
    return {"verdict": verdict(study), "doubts": [check.name for check in study.checks() if check.doubt]}


def spectrum(unit: Unit, count: int) -> dict[str, tuple[Shown, ...]]:
    """The examples of a unit from its highest to its lowest, with what it sees of each."""
    rows = unit.index.spectrum(unit.eye.layer, unit.eye.unit, k=count)
    pictures = unit.pictures(one for row in rows.values() for one in row)
    found = {}
    for _, name in ROWS:
        shown = []
        for one in rows[name]:
            pixels = pictures[one.key]
            warm = heat(unit, pixels, delete=name == "maximum")
            shown.append(Shown(one, pixels, unit.field(pixels, one.position), warm))
        found[name] = tuple(shown)
    return found


def optimized(
    group: Sequence[Unit], config: CardConfig, render: RenderConfig, run: RunConfig
) -> Generator[Progress | Notice, None, list[dict[str, tuple[Picture, ...]]]]:
    """Of each unit its picture, the one that lowers it, and several that differ: all units in the same batches."""
    if not config.steps:
        return [{} for _ in group]
    model, settings = group[0].eye.model, replace(render, steps=config.steps)
    names = [unit.target for unit in group]
    targets: list[str | Objective] = [parse(sign + name) for sign in ("", "-") for name in names]
    if config.diverse > 1:
        wanted = DiversityConfig(config.diverse, DiversityConfig.diversity_weight)
        targets += diversify(model, names, wanted, settings, quietly(model, run, None))
    rendering = Rendering(model, targets, settings, replace(run, checkpoint_every=0))
    for event in rendering:
        if isinstance(event, Progress | Notice):
            yield event
    made, count, many = rendering.sheet().pictures, len(group), config.diverse if config.diverse > 1 else 0
    found = []
    for i in range(count):
        first = 2 * count + i * many
        rows = {"positive": made[i : i + 1], "negative": made[count + i : count + i + 1]}
        found.append({**rows, "diverse": made[first : first + many]} if many else rows)
    return found


def carding(
    model: Model,
    target: str,
    data: Any,
    *,
    index: Index | str | Path | None = None,
    ask: Sequence[str | Path] = (),
    config: CardConfig = CardConfig(),
    probes: ProbeConfig = ProbeConfig(),
    render: RenderConfig = RenderConfig(),
    run: RunConfig = RunConfig(),
    seed: int = 0,
) -> Generator[Scanned | Progress | Notice | Card, None, None]:
    """The cards of LAYER:7 or of LAYER:0..63, each as soon as it is made."""
    if isinstance(model.spec, AudioSpec):
        from phosphene.cards.sound_card import hearing

        yield from hearing(
            model,
            target,
            data,
            index=index,
            ask=ask,
            config=config,
            probes=probes,
            size=render.size,
            run=run,
            seed=seed,
        )
        return
    asked = files(ask)
    found = yield from units(
        model, target, data, index=index, examples=needed(config, probes), limit=probes.limit, seed=seed,
        device=run.device,
    )  # fmt: skip
    yield from cards_of(found, asked=asked, config=config, probes=probes, render=render, run=run, seed=seed)


def needed(config: CardConfig, probes: ProbeConfig) -> int:
    """How many examples at each end a card asks of an index."""
    return max(config.examples, probes.probed)


def cards_of(
    found: Sequence[Unit],
    *,
    asked: Sequence[tuple[str, Path]],
    config: CardConfig,
    probes: ProbeConfig,
    render: RenderConfig,
    run: RunConfig,
    seed: int,
) -> Generator[Progress | Notice | Card, None, None]:
    """The cards of units of one layer whose examples are known. asked: (name, file) of hypotheses."""
    settings, natural = replace(render, seed=seed), Natural()
    for first in range(0, len(found), config.abreast):
        group = found[first : first + config.abreast]
        if config.steps:
            yield Notice(f"{', '.join(unit.target for unit in group)}: optimized pictures")
        pictures = yield from optimized(group, config, settings, run)
        for unit, made in zip(group, pictures, strict=True):
            yield Notice(f"{unit.target}: examples and probes")
            yield Card(
                unit,
                unit.index.statistics(unit.eye.layer, unit.eye.unit),
                made,
                spectrum(unit, config.examples),
                probe_unit(unit, probes, asked=asked, seed=seed),
                relations(unit, similar=config.similar),
                trust(unit, made, natural, run=run, seed=seed) if config.faithfulness else None,
                identity(unit, asked=asked, config=config, probes=probes, render=settings, run=run),
            )


def card(
    model: Model,
    target: str,
    data: Any,
    *,
    index: Index | str | Path | None = None,
    ask: Sequence[str | Path] = (),
    config: CardConfig = CardConfig(),
    probes: ProbeConfig = ProbeConfig(),
    run: RunConfig = RunConfig(),
    seed: int = 0,
) -> Card:
    """One unit from every side.

    target: LAYER:7 or logit:NAME. data: the pictures, whatever `ph.scan` takes. index: an `Index` of them or its
    folder; made when left out. ask: files or folders of pictures, your own hypotheses. seed: of the optimized
    pictures, of the order of shuffled pieces, and of `textures`. Raises UsageError for units, data and files that are
    not there, IndexFileError for an index of another network.
    """
    steps = carding(model, target, data, index=index, ask=ask, config=config, probes=probes, run=run, seed=seed)
    made = [step for step in steps if isinstance(step, Card)]
    if len(made) != 1:
        raise UsageError(f"one unit at a time, got {len(made)} by {target!r}")
    return made[0]
