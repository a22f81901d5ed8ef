"""The demo as a stream of events, with a page that is whole at every moment.

    for event in Demo(model, "out/demo"): ...

The page is written anew after every piece, so whenever the demo ends, it shows what is done. A piece that fails is a
section that says why, and the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from phosphene.demo.choice import canvas
from phosphene.demo.piece import Made, Piece, Stage, Stopped
from phosphene.demo.pieces import PIECES
from phosphene.engine import arithmetic
from phosphene.errors import PhospheneError
from phosphene.features.render import Done, Notice, Progress
from phosphene.files import FileError, ensure_folder
from phosphene.models import Model
from phosphene.recipe import RunConfig
from phosphene.reports import Page, Section, write_page
from phosphene.version import version


@dataclass(frozen=True)
class PieceBegun:
    """A piece is started. number: from 1; of: how many there are."""

    piece: Piece
    number: int
    of: int


@dataclass(frozen=True)
class PieceDone:
    """A piece is finished and stands on the page, which was written to `page`."""

    piece: Piece
    section: Section
    pictures: tuple[Made, ...]
    seconds: float
    page: Path


Event: TypeAlias = PieceBegun | Progress | Notice | Done | PieceDone


class Demo:
    """One demo; iterate once. `stop()` ends it after the current step, with a page of what is done.

    model: with classes and labels or without. folder: made, and everything is written inside it. network: how the
    command line opens the model, for the commands on the page; its name when left out. size: (height, width) or the
    side of the pictures, chosen by the network's input when left out. run: device and arithmetic; it writes no
    checkpoints. Raises FileError when the folder cannot be written, UsageError when the machine lacks the device
    or the network hears; then no folder is made.
    """

    def __init__(
        self,
        model: Model,
        folder: str | Path,
        *,
        network: Sequence[str] = (),
        size: int | tuple[int, int] | None = None,
        seed: int = 0,
        run: RunConfig = RunConfig(),
        pieces: Sequence[Piece] = PIECES,
    ) -> None:
        self.arithmetic = arithmetic(run)
        self.model, self.spec = model, model.picture_spec
        self.folder = ensure_folder(folder)
        self.network = tuple(network) or (model.name,)
        self.size = (size, size) if isinstance(size, int) else size or canvas(model)
        self.seed, self.run, self.pieces = seed, replace(run, checkpoint_every=0), tuple(pieces)
        self.sections: list[Section] = []
        self.stopped = False
        self._stage: Stage | None = None
        self._began = time.perf_counter()

    @property
    def page(self) -> Path:
        """Where the page is."""
        return self.folder / "index.html"

    @property
    def seconds(self) -> float:
        """Since the demo was made."""
        return time.perf_counter() - self._began

    def stop(self) -> None:
        """End after the current step; the piece in work is left out of the page."""
        self.stopped = True
        if self._stage is not None:
            self._stage.stop()

    def __iter__(self) -> Iterator[Event]:
        total = sum(piece.steps for piece in self.pieces)
        before = 0
        for number, piece in enumerate(self.pieces, 1):
            if self.stopped:
                break
            yield PieceBegun(piece, number, len(self.pieces))
            began = time.perf_counter()
            self._stage = stage = Stage(
                self.model, self.network, self.folder, piece.name, size=self.size, seed=self.seed, run=self.run
            )
            try:
                section = yield from self._make(piece, stage, before, total)
            except Stopped:
                break
            before += piece.steps
            self.sections.append(section)
            write_page(self.contents(), self.folder)
            yield PieceDone(piece, section, tuple(stage.pictures), time.perf_counter() - began, self.page)
        if self.stopped:
            write_page(self.contents(), self.folder)

    def _make(self, piece: Piece, stage: Stage, before: int, total: int) -> Generator[Event, None, Section]:
        """The section of a piece; its progress is told as that of the whole demo."""
        work = piece.make(stage)
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                section: Section = end.value
                return section
            except FileError:
                raise  # the page cannot be written either
            except PhospheneError as error:
                yield Notice(f"{piece.name}: {error}")
                return piece.section(note=f"This part could not be made: {error}.")
            if isinstance(event, Progress):
                event = replace(event, done=before + min(event.done, piece.steps), total=total)
            yield event

    def contents(self) -> Page:
        """The page as it stands."""
        done, of = len(self.sections), len(self.pieces)
        lead = [
            f"What {self.model.name} looks for, seen from inside. Every picture here was made by asking one part of "
            "the network what it wants to see, and each comes with the command that makes it again."
        ]
        if self.stopped:
            lead.append(f"The demo was stopped: {done} of its {of} parts are here.")
        elif done < of:
            lead.append(f"Still at work: {done} of {of} parts are here. Load the page again for the next one.")
        return Page(
            f"Inside {self.model.name}",
            tuple(lead),
            tuple(self.sections),
            self._facts(),
            (
                "The commands make the same pixels on the same machine.",
                "Each picture holds the recipe it was made by: `phosphene info FILE` shows it.",
            ),
        )

    def _facts(self) -> tuple[tuple[str, str], ...]:
        spec, labels = self.spec, self.model.labels
        return (
            ("network", self.model.name),
            ("weights", self.model.weights.source),
            ("input", f"{spec.channels} x {spec.size[0]} x {spec.size[1]}"),
            ("classes", f"{len(labels)} with names" if labels else "without names"),
            ("pictures", f"{self.size[0]} x {self.size[1]} pixels"),
            ("seed", str(self.seed)),
            ("device", f"{self.arithmetic.device.type}, {self.arithmetic.precision}"),
            ("time", f"{self.seconds:.0f} s"),
            ("made by", f"phosphene {version()}"),
        )
