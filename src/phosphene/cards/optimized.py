"""What optimization finds for the units of a card: what raises each, what lowers it, and several that differ.

Units that see get pictures, units that hear clips as long as the pieces that were scanned; those of all units are made
in the same batches.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from phosphene.cards.config import CardConfig
from phosphene.cards.subject import Unit
from phosphene.features.audio_config import AudioConfig
from phosphene.features.diversity import diversify
from phosphene.features.events import Notice, Progress
from phosphene.features.render import Rendering, quietly
from phosphene.features.sound import unheard
from phosphene.features.sounding import Sounding
from phosphene.objectives import Objective, parse
from phosphene.recipe import DiversityConfig, RenderConfig, RunConfig

SLOWER = 2  # steps of a clip to one of a picture: of YAMNet's Bird 128 steps reach a logit of 2.0, and 256 of 27.6

Made = dict[str, tuple[Any, ...]]  # "positive", "negative", "diverse" -> pictures or clips


def optimized(
    group: Sequence[Unit], config: CardConfig, render: RenderConfig, run: RunConfig
) -> Generator[Progress | Notice, None, list[Made]]:
    """Of each unit what raises it, what lowers it, and several that differ, by kind. render: with its seed."""
    if not config.steps:
        return [{} for _ in group]
    work = clips(group, config, render, run) if group[0].rate else pictures(group, config, render, run)
    for event in work:
        if isinstance(event, Progress | Notice):
            yield event
    made: tuple[Any, ...] = work.clips().clips if isinstance(work, Sounding) else work.sheet().pictures
    count, many = len(group), config.diverse if config.diverse > 1 else 0
    found: list[Made] = []
    for i in range(count):
        first = 2 * count + i * many
        rows = {"positive": made[i : i + 1], "negative": made[count + i : count + i + 1]}
        found.append({**rows, "diverse": made[first : first + many]} if many else rows)
    return found


def pictures(group: Sequence[Unit], config: CardConfig, render: RenderConfig, run: RunConfig) -> Rendering:
    """The rendering of the pictures of units that see."""
    model, settings = group[0].eye.model, replace(render, steps=config.steps)
    targets = both_ways(group)
    if config.diverse > 1:
        targets += diversify(model, names(group), several(config), settings, quietly(model, run, None))
    return Rendering(model, targets, settings, replace(run, checkpoint_every=0))


def clips(group: Sequence[Unit], config: CardConfig, render: RenderConfig, run: RunConfig) -> Sounding:
    """The rendering of the clips of units that hear."""
    model, seconds = group[0].eye.model, group[0].index.header.kept.samples / group[0].rate
    settings = AudioConfig(seconds=seconds, steps=SLOWER * config.steps, seed=render.seed)
    targets = both_ways(group)
    if config.diverse > 1:
        targets += diversify(model, names(group), several(config), settings, unheard(model, run))
    return Sounding(model, targets, settings, replace(run, checkpoint_every=0))


def names(group: Sequence[Unit]) -> list[str | Objective]:
    """The units as targets."""
    return [unit.target for unit in group]


def both_ways(group: Sequence[Unit]) -> list[str | Objective]:
    """The units, to be raised, and then to be lowered."""
    return [parse(f"{sign}{name}") for sign in ("", "-") for name in names(group)]


def several(config: CardConfig) -> DiversityConfig:
    """How many differ, at the weight that holds for most units."""
    return DiversityConfig(config.diverse, DiversityConfig.diversity_weight)
