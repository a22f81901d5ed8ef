"""What the command line shows: results on stdout, everything else on stderr.

On a terminal a live line with time left, score and speed; elsewhere plain lines, one every tenth of the work. `--quiet`
silences both, `--json` leaves stdout to one JSON object.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from phosphene.features.render import Progress as StepDone

LINES = 10  # plain progress lines for the whole work
REFRESH = 0.2  # seconds between two looks at the scores: a look waits for the device


class Screen:
    """Where a command writes. quiet: no progress and notices. as_json: results as one JSON object."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.out = plain_console(soft_wrap=True)
        self.err = plain_console(stderr=True, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line for the reader, on stderr."""
        if not self.quiet:
            self.err.print(text)

    def fail(self, text: str) -> None:
        """A part of the work that failed, on stderr, also when quiet."""
        self.err.print(f"error: {text}")

    def result(self, text: str) -> None:
        """A line of the result, on stdout; with --json nothing but the JSON goes there."""
        if not self.as_json:
            self.out.print(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table on stdout: aligned columns, no frame, so that it can be piped."""
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for name in header:
            grid.add_column(name, no_wrap=True)
        for row in rows:
            grid.add_row(*[str(cell) for cell in row])
        console = self.out if self.out.is_terminal else plain_console(width=10_000)
        console.print(grid)

    def json(self, value: Any) -> None:
        """One JSON object on stdout."""
        print(json.dumps(value, ensure_ascii=False), flush=True)


class Bar:
    """Progress of some work, or of one piece of work after another: a live line on a terminal, plain lines elsewhere,
    nothing when quiet."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.live = not screen.quiet and screen.err.is_terminal
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}"),
            console=screen.err,
            transient=True,
        )
        self.task: TaskID | None = None
        self.name = "rendering"
        self.began = time.monotonic()
        self.found: float | None = None
        self.looked = 0.0
        self.lines = 0

    def __enter__(self) -> Self:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.live:
            self.bar.stop()

    def begin(self, name: str) -> None:
        """Another piece of work begins."""
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task, self.name = None, name
        self.began, self.found, self.lines = time.monotonic(), None, 0

    def advance(self, done: float, total: float, found: float, detail: Callable[[float], str]) -> None:
        """Show that a step was done.

        done, total: in any unit. found: what was done before the first step that is told: a resumed run is no faster
        for it. detail: the rest of the line, for a speed in units per second; it is asked for only when it is shown.
        """
        now = time.monotonic()
        if self.found is None:
            self.found = found
        speed = max(1e-9, done - self.found) / max(1e-9, now - self.began)
        tenths = int(LINES * done / total)
        if self.live:
            if now - self.looked < REFRESH and done < total:
                return
            self.looked = now
            if self.task is None:
                self.task = self.bar.add_task(self.name, total=total, detail="")
            self.bar.update(self.task, completed=done, detail=detail(speed))
        elif not self.screen.quiet and tenths > self.lines:
            self.lines = tenths
            self.screen.say(f"{done / total:4.0%}  {(total - done) / speed:.0f} s left  {detail(speed)}")


class Meter(Bar):
    """Progress of a rendering, in picture-steps, or those of another thing."""

    def __init__(self, screen: Screen, thing: str = "picture") -> None:
        super().__init__(screen)
        self.thing = thing

    def show(self, event: StepDone) -> None:
        """Show that a step was done."""

        def detail(speed: float) -> str:
            batch = f"batch {event.batch + 1}/{event.batches}  " if event.batches > 1 else ""
            score = float(event.step.scores.mean())
            return f"{batch}step {event.step.i}  score {score:.4g}  {speed:.1f} {self.thing}-steps/s"

        self.advance(event.done, event.total, max(0, event.done - len(event.step.scores)), detail)


def plain_console(*, stderr: bool = False, soft_wrap: bool = False, width: int | None = None) -> Console:
    """A console for which the names of layers, classes and files are no markup: `[0]` and `:cat:` stay as they are."""
    return Console(stderr=stderr, soft_wrap=soft_wrap, width=width, highlight=False, markup=False, emoji=False)


def relative(path: Path | None) -> str | None:
    """A path as seen from the working folder, where it lies below or beside it."""
    return None if path is None else os.path.relpath(path)
