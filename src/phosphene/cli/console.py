"""What the command line shows: results on stdout, everything else on stderr.

On a terminal a live line with time left, score and speed; elsewhere plain lines, one every tenth of the work. `--quiet`
silences both, `--json` leaves stdout to one JSON object.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


class Meter:
    """Progress of a rendering: a live bar on a terminal, plain lines elsewhere, nothing when quiet."""

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
        self.began = time.monotonic()
        self.found: int | None = None  # picture-steps that were done before: a resumed run is no faster for them
        self.looked = 0.0
        self.lines = 0

    def __enter__(self) -> Meter:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.live:
            self.bar.stop()

    def show(self, event: StepDone) -> None:
        """Show that a step was done."""
        now = time.monotonic()
        if self.found is None:
            self.found = max(0, event.done - len(event.step.scores))
        if self.live:
            if now - self.looked < REFRESH and event.done < event.total:
                return
            self.looked = now
            if self.task is None:
                self.task = self.bar.add_task("rendering", total=event.total, detail="")
            self.bar.update(self.task, completed=event.done, detail=self._detail(event, now))
        elif not self.screen.quiet and LINES * event.done // event.total > self.lines:
            self.lines = LINES * event.done // event.total
            share = round(100 * event.done / event.total)
            left = (event.total - event.done) / self._speed(event, now)
            self.screen.say(f"{share:3d}%  {left:.0f} s left  {self._detail(event, now)}")

    def _speed(self, event: StepDone, now: float) -> float:
        """Picture-steps per second of this run."""
        return max(1e-9, event.done - (self.found or 0)) / max(1e-9, now - self.began)

    def _detail(self, event: StepDone, now: float) -> str:
        speed = self._speed(event, now)
        batch = f"batch {event.batch + 1}/{event.batches}  " if event.batches > 1 else ""
        return f"{batch}step {event.step.i}  score {float(event.step.scores.mean()):.4g}  {speed:.1f} picture-steps/s"


def plain_console(*, stderr: bool = False, soft_wrap: bool = False, width: int | None = None) -> Console:
    """A console for which the names of layers, classes and files are no markup: `[0]` and `:cat:` stay as they are."""
    return Console(stderr=stderr, soft_wrap=soft_wrap, width=width, highlight=False, markup=False, emoji=False)


def relative(path: Path | None) -> str | None:
    """A path as seen from the working folder, where it lies below or beside it."""
    return None if path is None else os.path.relpath(path)
