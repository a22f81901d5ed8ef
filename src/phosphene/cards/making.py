"""A card, made: everything that is known of a unit, gathered from an index, probes and optimization.

    card = ph.card(model, "features.12:7", "photographs")
    card.save("out/card")

`carding` is the work as a stream: the progress of a scan and of renderings, notices, and each card when it is done.
Units that hear take the same way as those that see.
Sources: Olah, Mordvintsev and Schubert, Feature Visualization (Distill 2017), for the spectrum of examples beside the
optimized pictures and for diversity.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phosphene.cards.ask import files
from phosphene.cards.card import Card, Shown
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.faith import Natural, trust
from phosphene.cards.identity import identity
from phosphene.cards.optimized import optimized
from phosphene.cards.probe import probe_unit
from phosphene.cards.relations import relations
from phosphene.cards.sight import heat
from phosphene.cards.sound_card import SoundCard
from phosphene.cards.subject import Unit, units
from phosphene.errors import UsageError
from phosphene.examples.index import Index
from phosphene.examples.scan import Scanned
from phosphene.examples.sheet import ROWS
from phosphene.features.events import Notice, Progress
from phosphene.models import AudioSpec, Model
from phosphene.recipe import RenderConfig, RunConfig


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
    alone: bool = False,
) -> Generator[Scanned | Progress | Notice | Card, None, None]:
    """The cards of LAYER:7 or of LAYER:0..63, each as soon as it is made. alone: UsageError for more than one."""
    asked = checked(model, ask, render)
    found = yield from units(
        model, target, data, index=index, examples=needed(config, probes), limit=probes.limit, seed=seed,
        device=run.device, alone=alone,
    )  # fmt: skip
    yield from cards_of(found, asked=asked, config=config, probes=probes, render=render, run=run, seed=seed)


def needed(config: CardConfig, probes: ProbeConfig) -> int:
    """How many examples at each end a card asks of an index."""
    return max(config.examples, probes.probed)


def checked(model: Model, asked: Sequence[str | Path], render: RenderConfig) -> list[tuple[str, Path]]:
    """(name, file) of hypotheses. Raises UsageError for what is not there, and for clips that are given a size."""
    if isinstance(model.spec, AudioSpec) and render.size is not None:
        raise UsageError(f"size is of pictures, and {model.name} hears sounds; clips are as long as the pieces scanned")
    return files(model, asked)


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
            what = "clips" if group[0].rate else "pictures"
            yield Notice(f"{', '.join(unit.target for unit in group)}: optimized {what}")
        optimal = yield from optimized(group, config, settings, run)
        for unit, made in zip(group, optimal, strict=True):
            yield Notice(f"{unit.target}: examples and probes")
            kind = SoundCard if unit.rate else Card
            yield kind(
                unit,
                unit.index.statistics(unit.eye.layer, unit.eye.unit),
                made,
                spectrum(unit, config.examples),
                probe_unit(unit, probes, asked=asked, seed=seed),
                relations(unit, similar=config.similar),
                trust(unit, made, natural, run=run, seed=seed) if config.faithfulness and not unit.rate else None,
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
    steps = carding(
        model, target, data, index=index, ask=ask, config=config, probes=probes, run=run, seed=seed, alone=True
    )
    (made,) = [step for step in steps if isinstance(step, Card)]
    return made
