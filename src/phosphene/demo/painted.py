"""Takes of the commands that paint: a style transfer and the reconstructions of a picture, as data.

Like a `Take` of `phosphene render`, each is carried out and written down from the same fields. The pictures that it is
made from lie beside the page, so that the command can name them.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from phosphene.demo.piece import Stage, Stopped
from phosphene.features.render import Progress
from phosphene.media import read_pixels
from phosphene.recipe import ReconstructConfig, StyleConfig
from phosphene.style.api import Finished, Painter
from phosphene.style.figure import Worked
from phosphene.style.heldout import HeldOut, judged
from phosphene.style.inputs import Inputs, read
from phosphene.style.painting import Painting
from phosphene.style.reconstruct import Reconstructing, Reconstructions
from phosphene.style.transfer import StepDone


@dataclass(frozen=True)
class StyleTake:
    """One `phosphene style`. side: longer side in pixels. ladder: whether it begins at smaller sizes. cost: about how
    many picture-steps of a rendering it takes as long as. content_weight: None is the preset's."""

    content: Path
    style: Path
    out: Path
    side: int
    steps: int
    cost: int
    ladder: bool = True
    content_weight: float | None = None

    def settings(self, seed: int) -> StyleConfig:
        """What `--size` and the other flags say."""
        smallest, weight = None if self.ladder else 0, self.content_weight
        return StyleConfig(size=self.side, steps=self.steps, seed=seed, smallest=smallest, content_weight=weight)

    def command(self, stage: Stage) -> str:
        """The command line that makes the painting, for a POSIX shell."""
        words = ["phosphene", "style", self.content.as_posix(), self.style.as_posix(), "--model", *stage.network]
        words += ["--size", str(self.side), "--steps", str(self.steps), "--seed", str(stage.seed)]
        words += [] if self.ladder else ["--smallest", "0"]
        words += [] if self.content_weight is None else ["--content-weight", f"{self.content_weight:g}"]
        return shlex.join([*words, *stage.machine, "--out", self.out.as_posix()])

    def paint(self, stage: Stage) -> Generator[Progress, None, tuple[Painting, HeldOut]]:
        """Carry it out; the painting, which is written, and what the network itself measures on it."""
        inputs = Inputs(read(self.content, "content"), (read(self.style, "style"),))
        painter = Painter(stage.model, inputs, self.settings(stage.seed), stage.run)
        stage.begin(painter)
        for event in painter:
            if isinstance(event, StepDone):
                yield stage.progress(event.done / event.total, self.cost, event.step)
            elif isinstance(event, Finished):
                painting = event.painting
        if painting.status == "interrupted":
            raise Stopped
        painting = painting.save(self.out)
        measured = judged(stage.model, painter.transfer.job, read_pixels(self.out).pixels)
        stage.finish(self.cost, [painting])
        return painting, measured


@dataclass(frozen=True)
class ReconstructTake:
    """One `phosphene reconstruct`. side: longer side in pixels. cost: as that of a StyleTake."""

    picture: Path
    out: Path
    side: int
    steps: int
    cost: int

    def command(self, stage: Stage) -> str:
        """The command line that makes the pictures, for a POSIX shell."""
        words = ["phosphene", "reconstruct", self.picture.as_posix(), "--model", *stage.network]
        words += ["--size", str(self.side), "--steps", str(self.steps), "--seed", str(stage.seed)]
        return shlex.join([*words, *stage.machine, "--out", self.out.as_posix()])

    def make(self, stage: Stage) -> Generator[Progress, None, Reconstructions]:
        """Carry it out; the pictures, which are written, and their sheet."""
        config = ReconstructConfig(self.side, self.steps, stage.seed)
        work = Reconstructing(stage.model, read(self.picture, "picture").pixels, config, stage.run, folder=self.out)
        stage.begin(work)
        for event in work:
            if isinstance(event, Worked):
                yield stage.progress(event.done / event.total, self.cost, event.step)
        if not work.complete:
            raise Stopped
        result = work.result()
        result.save(self.out / "sheet.png")
        stage.finish(self.cost, [item.panel for item in result])
        return result
