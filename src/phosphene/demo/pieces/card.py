"""One unit from every side: what optimization makes of it, what excites it in drawn pictures, and what it needs.

Source: Olah et al. 2017 (dataset examples beside optimization).
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import replace

from phosphene.cards.card import Card, Shown
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.making import carding
from phosphene.cards.patch import half_seen
from phosphene.cards.probe import Probed, share
from phosphene.cards.sight import composed, cut, enlarged, lit
from phosphene.demo.choice import layer_name, middle_layer
from phosphene.demo.piece import Piece, Stage, Stopped, Work, short
from phosphene.features.events import Progress
from phosphene.media import from_tensor
from phosphene.recipe import RenderConfig
from phosphene.reports import Figure

UNIT = 9  # of a layer in the middle
DATA = "textures:64"  # one picture of each class
STEPS = 64
SETTINGS = CardConfig(examples=3, diverse=1, steps=STEPS)
PROBES = ProbeConfig(probed=3)
COST = 2 * STEPS  # picture-steps: a picture that raises the unit, and one that lowers it


class Halt:
    """A wish to stop, which is looked at between two events of a card."""

    def __init__(self) -> None:
        self.wished = False

    def stop(self) -> None:
        """End before the next event."""
        self.wished = True


def make(stage: Stage) -> Work:
    """A card, and the most telling of it."""
    layer = middle_layer(stage.model)
    if layer is None:
        return PIECE.section(note=f"{stage.model.name} has no layer with maps, so there is no unit to look through.")
    target = f"{layer_name(layer)}:{min(UNIT, layer.channels - 1)}"
    card = yield from work(stage, target)
    page = card.save(stage.folder)
    pictures = [
        replace(one, path=stage.folder / card.file(kind)) for kind, made in card.pictures.items() for one in made[:1]
    ]
    stage.finish(COST, pictures)
    raising, lowering = pictures
    figures = [
        stage.figure(raising, ("raises the unit", f"score {short(card.score(raising))}")),
        *(example(stage, number, one) for number, one in enumerate(card.spectrum["maximum"], 1)),
        stage.figure(lowering, ("lowers the unit", f"score {short(card.score(lowering))}")),
        *(patch(stage, card, number, one) for number, one in enumerate(card.probe.examples, 1)),
    ]
    return PIECE.section(
        text=(
            f"`{target}` was shown {card.statistics.count} pictures drawn by phosphene. On the right of the optimized "
            "picture stand those that excite it most; below each, what the unit sees of it and where it responds. The "
            "second row has the smallest patch of each that still keeps most of the activation.",
            f"Pictures that excite a unit have much in common, and not all of that is the reason. So they are changed: "
            f"{card.probe.sentence}",
            f"The whole card is `{page.relative_to(stage.page).as_posix()}`, beside this page.",
        ),
        figures=tuple(figures),
        commands=(command(stage, target),),
    )


def work(stage: Stage, target: str) -> Generator[Progress, None, Card]:
    """The card of a unit."""
    halt = Halt()
    stage.begin(halt)
    settings = RenderConfig(size=stage.size)
    for event in carding(
        stage.model, target, DATA, config=SETTINGS, probes=PROBES, render=settings, run=stage.run, seed=stage.seed
    ):
        if halt.wished:
            raise Stopped
        if isinstance(event, Progress):
            yield stage.progress(event.done / event.total, COST, event.step)
        elif isinstance(event, Card):
            found = event
    return found


def command(stage: Stage, target: str) -> str:
    """The command line that makes the card, for a POSIX shell."""
    words = ["phosphene", "card", stage.network[0], target, *stage.network[1:], "--data", DATA]
    words += ["--size", "x".join(map(str, stage.size)), "--steps", str(STEPS), "--seed", str(stage.seed)]
    words += ["--examples", str(SETTINGS.examples), "--diverse", str(SETTINGS.diverse)]
    words += ["--probed", str(PROBES.probed)]
    return shlex.join([*words, *stage.machine, "--out", stage.folder.as_posix()])


def example(stage: Stage, number: int, one: Shown) -> Figure:
    """An example, what the unit sees of it, and where it responds."""
    seen = cut(one.pixels, one.field) if one.part else None
    image = from_tensor(composed(one.pixels, seen, lit(one.pixels, one.warm) if one.warm is not None else None))
    file = stage.put(f"example-{number}.png", image)
    return stage.exhibit(
        file, image.size[::-1], f"example {number}", (f"example {number}", f"score {short(one.example.score)}")
    )


def patch(stage: Stage, card: Card, number: int, one: Probed) -> Figure:
    """The smallest patch of an example, enlarged."""
    image = from_tensor(enlarged(one.pixels, one.patch.box, card.subject.color))
    file = stage.put(f"patch-{number}.png", image)
    y0, x0, y1, x1 = half_seen(one.pixels, one.patch.box, one.field)
    words = (f"patch of example {number}", f"{x1 - x0} x {y1 - y0} pixels keep {share(one.patch.kept)}")
    return stage.exhibit(file, image.size[::-1], f"the smallest patch of example {number}", words)


PIECE = Piece("card", "One unit from every side", COST, make)
