"""A take of `phosphene dream`, carried out and written down from the same fields as the other takes are."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass

from phosphene.deepdream.api import NOISE, Dream, dreamt
from phosphene.deepdream.config import DreamConfig
from phosphene.deepdream.dreaming import Dreamed, Dreaming
from phosphene.demo.piece import Stage, Stopped
from phosphene.features.render import Progress
from phosphene.recipe import RunConfig


@dataclass(frozen=True)
class DreamTake:
    """One `phosphene dream` from noise. cost: about how many picture-steps of a rendering it takes as long as."""

    layers: str
    side: int
    octaves: int
    steps: int
    lr: float
    cost: int

    def command(self, stage: Stage) -> str:
        """The command line that makes the dream, for a POSIX shell."""
        words = ["phosphene", "dream", stage.network[0], NOISE, *stage.network[1:], "--layers", self.layers]
        words += ["--size", str(self.side), "--octaves", str(self.octaves), "--steps", str(self.steps)]
        words += ["--lr", f"{self.lr:g}", "--seed", str(stage.seed)]
        return shlex.join([*words, *stage.machine, "--out", stage.folder.as_posix()])

    def dream(self, stage: Stage) -> Generator[Progress, None, Dream]:
        """Carry it out; the dream, which is written."""
        config = DreamConfig(
            self.layers, self.side, octaves=self.octaves, steps=self.steps, lr=self.lr, seed=stage.seed
        )
        work = Dreaming(stage.model, None, config, RunConfig(stage.run.device, stage.run.precision))
        stage.begin(work)
        for event in work:
            if isinstance(event, Dreamed):
                yield stage.progress(event.done / event.total, self.cost, event.step)
        made = dreamt(work, None, None)
        if made.status == "interrupted":
            raise Stopped
        made = made.save(stage.folder / f"{NOISE}.png")
        stage.finish(self.cost, [made])
        return made
