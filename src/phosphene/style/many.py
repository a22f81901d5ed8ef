"""Many paintings with one network: contents x styles, one after the other, each written as soon as it is done.

A file that cannot be read costs its own paintings and no others. What lies there finished, made by the same network
from the same pictures with the same settings, is not made again; what was interrupted goes on where it stopped.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from phosphene.errors import MediaError, PhospheneError, UsageError
from phosphene.files import reason, told_apart
from phosphene.media import Bits
from phosphene.models import Model
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.api import Event as PainterEvent
from phosphene.style.api import Finished, Painter
from phosphene.style.inputs import Inputs
from phosphene.style.network import picture_files
from phosphene.style.painting import Painting
from phosphene.style.record import Circumstances
from phosphene.style.store import Store

MAX_NAME = 100  # bytes of a file's name before its suffix: the system's limit is 255, and endings follow


@dataclass(frozen=True)
class Commission:
    """One painting to be made: its pictures, its settings, the file it goes to, and what it is called in a sheet."""

    content: Path
    styles: tuple[Path, ...]
    config: StyleConfig
    file: Path
    label: str = ""


@dataclass(frozen=True)
class Begun:
    """A painting begins. number: from 1."""

    number: int
    of: int
    commission: Commission
    painter: Painter


@dataclass(frozen=True)
class Done:
    """A painting is written. painting: with its path; its status may be "interrupted"."""

    commission: Commission
    painting: Painting


@dataclass(frozen=True)
class Skipped:
    """A painting was there already, with this recipe."""

    commission: Commission
    recipe: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A painting could not be made."""

    commission: Commission
    error: PhospheneError


Event: TypeAlias = Begun | Done | Skipped | Failed | PainterEvent


@dataclass(frozen=True)
class Habits:
    """How paintings are kept. resume: go on with what was interrupted. again: make also what is there already."""

    resume: bool = False
    again: bool = False
    bits: Bits | None = None
    """Bits a channel; those of the content where the format has them, when left out."""
    metadata: bool = True


class Studio:
    """Several paintings as one stream of events; iterate once.

    read: the pictures of a commission. judge: a network that measures each result. `stop()` ends it after the current
    step; what is unfinished is written as it is, and can be resumed.
    """

    def __init__(
        self,
        model: Model,
        commissions: Sequence[Commission],
        run: RunConfig,
        *,
        read: Callable[[Commission], Inputs],
        judge: Model | None = None,
        habits: Habits = Habits(),
    ) -> None:
        if not commissions:
            raise UsageError("there is nothing to paint")
        self.model, self.commissions, self.run, self.read = model, commissions, run, read
        self.judge, self.habits = judge, habits
        self._painter: Painter | None = None
        self._stopping = False

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True
        if self._painter is not None:
            self._painter.stop()

    def __iter__(self) -> Iterator[Event]:
        for number, commission in enumerate(self.commissions, 1):
            if self._stopping:
                return
            try:
                yield from self._one(number, commission)
            except PhospheneError as error:
                yield Failed(commission, error)

    def _one(self, number: int, commission: Commission) -> Iterator[Event]:
        inputs, store = self.read(commission), Store(commission.file)
        identity = Circumstances.of(self.model, inputs, commission.config, self.run).identity()
        there = None if self.habits.again else store.finished(identity)
        if there is not None:
            yield Skipped(commission, there)
            return
        self._painter = painter = Painter(
            self.model,
            inputs,
            commission.config,
            self.run,
            judge=self.judge,
            store=store,
            resume=self.habits.resume,
        )
        yield Begun(number, len(self.commissions), commission, painter)
        if not self.habits.resume:
            store.forget()
        for event in painter:
            if isinstance(event, Finished):
                yield Done(commission, self._saved(event.painting, commission, inputs))
            else:
                yield event
        self._painter = None

    def _saved(self, painting: Painting, commission: Commission, inputs: Inputs) -> Painting:
        deep = inputs.bits == 16 and commission.file.suffix.lower() in (".png", ".tif", ".tiff")
        bits = self.habits.bits or (16 if deep else 8)
        return painting.save(commission.file, bits=bits, metadata=self.habits.metadata)


def crossed(
    contents: Sequence[Path], styles: Sequence[tuple[Path, ...]], folder: Path, suffix: str, config: StyleConfig
) -> list[Commission]:
    """A commission for each content with each set of styles; files in `folder`, named after the pictures."""
    named = names(contents), names([one for group in styles for one in group])
    return [
        Commission(content, group, config, folder / f"{title(content, group, *named)}{suffix}", content.stem)
        for content in contents
        for group in styles
    ]


def title(content: Path, styles: Sequence[Path], contents_named: dict[Path, str], styles_named: dict[Path, str]) -> str:
    """What a painting is called: chelsea-starry_night, or chelsea-starry_night+the_scream for a blend."""
    whole = f"{contents_named[content]}-{'+'.join(styles_named[style] for style in styles)}"
    if len(os.fsencode(whole)) <= MAX_NAME:
        return whole
    ending = told_apart(whole)
    return f"{os.fsencode(whole)[: MAX_NAME - len(ending)].decode(errors='ignore')}{ending}"


def names(files: Sequence[Path]) -> dict[Path, str]:
    """Each file by its stem, or by its whole name where two have the same."""
    counts = Counter(file.stem for file in dict.fromkeys(files))
    return {file: file.stem if counts[file.stem] == 1 else file.name for file in files}


def pictures_at(path: Path) -> list[Path]:
    """The file itself, or the pictures in a folder. Raises UsageError for a folder without any, MediaError for one
    that cannot be read."""
    try:
        if not path.is_dir():
            return [path]
        found = list(picture_files(path))
    except OSError as error:
        raise MediaError(f"cannot read '{path}': {reason(error)}") from error
    if not found:
        raise UsageError(f"there is no picture in the folder '{path}'")
    return found
