"""What every benchmark needs: which machine, two sides timed in turn, and a table put into the document.

On a shared machine the clock swings several-fold, so one side's seconds mean little. Two sides that take turns in
one run meet the same weather, and what can be quoted is the ratio of neighbors: ratio_i = b_i / a_i, its median and
its range over the rounds (a paired design: Student, "The Probable Error of a Mean", Biometrika 1908).

Departures: none. This file needs only the standard library and torch, because it also runs inside the environment of
a peer, where phosphene is not installed; so it raises the built-in errors.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from types import TracebackType
from typing import Any

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"  # where the tables go
GIB = 2**30  # bytes
MIB = 2**20  # bytes
CLOSE_SECONDS = 10.0  # seconds that a peer gets to end by itself once its input is closed


# --- the machine ---


def machine() -> dict[str, Any]:
    """What the numbers were measured on: processor, usable cores, RAM, torch and its threads, load at this moment.

    Returns a JSON-ready dict. `ram_gib` is in GiB; `load` is the mean number of waiting processes over the last
    minute (above 0 before a run: the machine is shared); both are null where the system does not tell.
    """
    import torch

    return {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "ram_gib": ram_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpu_model() -> str:
    """The processor's own name; the bare architecture where the system keeps no name."""
    table = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", table.read_text(), re.MULTILINE) if table.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may run on, which a container or `taskset` can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def ram_gib() -> float | None:
    """Physical memory in GiB, or None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB, 1)
    except (AttributeError, ValueError, OSError):
        return None


def peak_rss_mib() -> float:
    """The most memory this process has held so far, in MiB (resident set; it never falls)."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes; getrusage(2) counts in KiB on Linux and in bytes on macOS
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB, 1)


def describe(facts: Mapping[str, Any]) -> str:
    """One sentence of `machine()`, to stand under a table."""
    ram = f", {facts['ram_gib']:g} GiB" if facts["ram_gib"] is not None else ""
    load = f"; load {facts['load']:g} at the start" if facts["load"] is not None else ""
    cores = f"{facts['cores']} core{'' if facts['cores'] == 1 else 's'}"
    threads = f"{facts['threads']} thread{'' if facts['threads'] == 1 else 's'}"
    return f"{facts['cpu']}, {cores}{ram}, {facts['system']}; torch {facts['torch']} on {threads}{load}."


# --- two sides in turn ---


@dataclass(frozen=True)
class Paired:
    """Two sides measured in turn: median seconds of each, and the median of b/a over the rounds (above 1: a is faster).

    `low` and `high` are the smallest and the largest ratio of a round. `str()` is the text for a table.
    """

    a: float
    b: float
    ratio: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.ratio:.2f}x ({self.low:.2f} to {self.high:.2f}, {self.rounds} rounds)"


def paired(a: Callable[[], float], b: Callable[[], float], rounds: int, *, warm_up: int = 1) -> Paired:
    """Measure `a` and `b` alternately; who goes first changes every round, so that a drift favors neither.

    `a` and `b` return the seconds they measured themselves (`seconds(work)` makes such a side out of anything
    callable). `warm_up` calls of each are thrown away first. Raises ValueError for fewer than one round, and for a
    side that measured no time at all.
    """
    if rounds < 1:
        raise ValueError(f"{rounds} rounds measure nothing; ask for 1 or more")
    for _ in range(warm_up):
        one_round(a, b, a_first=True)
    pairs = [one_round(a, b, a_first=turn % 2 == 0) for turn in range(rounds)]
    if min(min(pair) for pair in pairs) <= 0:
        raise ValueError(f"a side measured no time: {min(pairs)} seconds; give it more steps")
    ratios = [right / left for left, right in pairs]
    lefts, rights = zip(*pairs, strict=True)
    return Paired(median(lefts), median(rights), median(ratios), min(ratios), max(ratios), rounds)


def one_round(a: Callable[[], float], b: Callable[[], float], *, a_first: bool) -> tuple[float, float]:
    """The seconds of (a, b), whichever of them ran first."""
    if a_first:
        left = a()
        return left, b()
    right = b()
    return a(), right


CLOCKS = {"wall": perf_counter, "cpu": process_time}  # cpu: of this process, which others on the machine do not stretch


def seconds(work: Callable[[], object], clock: Callable[[], float] = perf_counter) -> Callable[[], float]:
    """A side for `paired` out of any work: calling it does the work and returns the seconds it took."""

    def side() -> float:
        start = clock()
        work()
        return clock() - start

    return side


# --- the other side, in a process of its own ---


class Peer:
    """A child process that answers each JSON line with one JSON line; close it, or use it in a `with`.

    `command` starts it, for example [".peer/bin/python", "peer_lucent.py", "--serve", ...]. Its stderr is ours.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises RuntimeError if the peer is gone or answers with {"error": ...}."""
        line = self._exchange(json.dumps(request))
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"it ended (status {self.process.wait()})"}
        if "error" in answer:
            raise RuntimeError(f"the peer did not answer {json.dumps(request)}: {answer['error']}")
        return answer

    def _exchange(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self.process.stdout.readline()

    def close(self) -> None:
        """Let the peer end by itself; kill it when it does not."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):  # it may be gone already, with a request unread
            self.process.stdin.close()
        try:
            self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# --- the document ---


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; floats show three significant digits, and columns of numbers align right.

    Raises ValueError for a row whose length is not the header's.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells under {len(header)} headings: {list(row)}")
    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    rule = ["---:" if number else "---" for number in numeric]
    lines = [header, rule, *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(value: object) -> str:
    """The text of one table cell: a bar would end the cell, so it is escaped."""
    digits = "" if not isinstance(value, float) else ".3g" if abs(value) < 1000 else ".0f"  # never 1.2e+03
    text = f"{value:{digits}}" if digits else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def write_section(name: str, text: str, path: Path = DOCUMENT) -> None:
    """Put `text` between the markers `<!-- begin NAME -->` and `<!-- end NAME -->` of a Markdown file.

    All outside the markers stays as it is. A section or file that does not exist yet is added at the end. The file is
    written whole or not at all. Raises ValueError if the markers are not one pair in order, or `text` holds one.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if begin in text or end in text:
        raise ValueError(f"the text for section {name!r} holds the section's own marker")
    old = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    if begin not in old and end not in old:
        old = f"{old.rstrip()}\n\n{begin}\n{end}\n"
    if (old.count(begin), old.count(end)) != (1, 1) or old.index(begin) > old.index(end):
        raise ValueError(f"{path.name}: section {name!r} needs one '{begin}' and, after it, one '{end}'")
    before, after = old.split(begin)[0], old.split(end)[1]
    replace_file(path, f"{before}{begin}\n{text.strip()}\n{end}{after}")


def replace_file(path: Path, text: str) -> None:
    """Write a text file in one move, so that no reader ever sees half of it; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as draft:
        draft.write(text)
    try:
        Path(draft.name).chmod(path.stat().st_mode if path.exists() else 0o644)  # a temporary file is the owner's alone
        os.replace(draft.name, path)
    except OSError:
        Path(draft.name).unlink(missing_ok=True)
        raise


def measure(name: str, what: str, section: Callable[[int, bool], str], rounds: int) -> None:
    """The command line of a document's section: measure, print it, put it in. section: (rounds, quick) -> its text."""
    import torch

    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch, on both sides (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds of each comparison (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="only see that it runs; writes nothing")
    given = parser.parse_args()
    if given.threads < 1 or given.rounds < 1:
        parser.error("--threads and --rounds are whole numbers from 1")
    torch.set_num_threads(given.threads)
    facts = machine()
    text = f"{section(given.rounds, given.quick).strip()}\n\nMeasured on: {describe(facts)}"
    print(text)
    if not given.quick:
        write_section(name, text)
