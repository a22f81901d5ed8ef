"""The cost of a scan: against the bare network, against decoding alone, and in memory.

A scan of a folder of photographs and a bare forward pass of the same network over pictures already in memory take
turns, window by window, in one run. Decoding runs in threads of its own, so it is counted only where it is the slower
side; it is measured alone too. While the bare network is timed the threads rest: their queue is full.

    python benchmarks/scan.py --pictures DIR

writes its sections into docs/benchmarks.md; --quick only sees that it runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time

import torch
from common import describe, machine, peak_rss_mib, table, write_section
from PIL import Image

from phosphene.cli.allocator import keep_freed_memory
from phosphene.examples.config import ScanConfig
from phosphene.examples.data import Pictures, open_data
from phosphene.examples.feed import AHEAD, decoded
from phosphene.examples.scan import Scan
from phosphene.models import load, to_input

NETWORK = "squeezenet1_1"
BATCH = ScanConfig.batch
WINDOW = 16  # batches between two looks at the clock: many more than wait in the queue
CHEAP_LAYER = "features.3"  # for memory: the scan ends there, and twenty thousand pictures take minutes
LEAST = 0.9  # pictures per second over those of the bare network
MOST_SLOWER = 1.1  # seconds over those of the slower of decoding and forward


class Repeated:
    """A data set over and over, `count` pictures in all, each time under another key."""

    def __init__(self, data: Pictures, count: int) -> None:
        self.data, self.count = data, count

    def __len__(self) -> int:
        return self.count

    def load(self, index: int) -> Image.Image:
        """The picture, decoded again."""
        return self.data.load(index % len(self.data))

    def key(self, index: int) -> str:
        """Its number."""
        return f"{index:08d}"


@dataclass(frozen=True)
class Options:
    """What is asked for."""

    pictures: Path
    windows: int
    threads: int
    workers: int
    counts: tuple[int, ...]
    quick: bool


def speed_section(options: Options) -> str:
    """Windows of a scan, of the bare network and of decoding, in turn."""
    model = load(NETWORK)
    data = Repeated(open_data(options.pictures), (2 + options.windows) * WINDOW * BATCH)
    work = Scan(model, data, config=ScanConfig(workers=options.workers))
    x = torch.cat([to_input(data.load(i), model.spec) for i in range(BATCH)])
    bare = work.model
    prepared = bare.normalize(x).contiguous(memory_format=bare.memory_format)

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(WINDOW):
                bare.net(prepared)

    def decode(window: int) -> None:
        numbers = range(window * WINDOW * BATCH, (window + 1) * WINDOW * BATCH)
        for _ in decoded(
            data, numbers, lambda p: to_input(p, model.spec), workers=options.workers, ahead=AHEAD * BATCH
        ):
            pass

    events = iter(work)

    def advance() -> None:
        for _ in range(WINDOW):
            next(events)

    scans, forwards, decodes = [], [], []
    for window in range(1 + options.windows):
        sides = timed(advance), timed(forward), timed(lambda window=window: decode(window))
        if window:  # the first fills the threads' queue
            for kept, side in zip((scans, forwards, decodes), sides, strict=True):
                kept.append(side)
    speeds = [b.clock / a.clock for a, b in zip(scans, forwards, strict=True)]
    owns = [b.thread / a.thread for a, b in zip(scans, forwards, strict=True)]
    slower = [a.clock / max(b.clock, c.clock) for a, b, c in zip(scans, forwards, decodes, strict=True)]
    count = WINDOW * BATCH
    rows = [
        (what, count / median(one.clock for one in times), 1000 * median(busy) / count)
        for what, times, busy in (
            ("bare network, pictures in memory", forwards, [one.thread for one in forwards]),
            (f"decoding alone, {options.workers} threads", decodes, [one.every for one in decodes]),
            ("scan of the folder (CPU: the network's thread)", scans, [one.thread for one in scans]),
        )
    ]
    return f"""## Scan: pictures per second

`phosphene scan {NETWORK}` of all its blocks ({len(work.columns)} layers, {work.tally.units} units) over JPEG files of
256 px, and the two things that it consists of, in turn, in windows of {count} pictures, the first of which is left out.
Threads of torch on both sides: {torch.get_num_threads()}. A scan has more beside it: {options.workers} that decode, one
that puts batches together, one that keeps the statistics.

{table(("what", "pictures/s", "CPU ms per picture"), rows)}

Scan over bare network, pictures per second by the clock: {told(speeds)};
wanted where decoding keeps up: at least {LEAST}, {verdict(median(speeds) >= LEAST)}. The same by the CPU time of the
thread that runs the network, which other programs hardly lengthen, and which is all that counts where the other threads
have a core of their own: {told(owns)}, {verdict(median(owns) >= LEAST)}. Seconds of the scan over the slower of network
and decoding, by the clock: {told(slower)}; wanted: at most {MOST_SLOWER}, {verdict(median(slower) <= MOST_SLOWER)}.
The clock is fair only where a core is free beside the network's; the load below tells."""


@dataclass(frozen=True)
class Times:
    """Seconds of some work: by the clock, CPU time of the calling thread, CPU time of all threads."""

    clock: float
    thread: float
    every: float


def timed(work: Callable[[], object]) -> Times:
    """Do the work once."""
    before = perf_counter(), thread_time(), process_time()
    work()
    return Times(*(b - a for a, b in zip(before, (perf_counter(), thread_time(), process_time()), strict=True)))


def told(ratios: Sequence[float]) -> str:
    """Median and range."""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds)"


def verdict(met: bool) -> str:
    """In a word."""
    return "met" if met else "missed"


def memory_section(options: Options) -> str:
    """Peak memory of scans of different length, each in a process of its own."""
    rows = []
    for count in options.counts:
        command = [sys.executable, __file__, "--pictures", str(options.pictures), "--memory-of", str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        rows.append((f"{count:,}", found["peak_mib"], found["index_mib"]))
    peaks = [float(row[1]) for row in rows]
    return f"""## Scan: memory

`phosphene scan {NETWORK} --layers {CHEAP_LAYER}` over the same pictures again and again under new keys.

{table(("pictures", "peak of the process, MiB", "tally, MiB"), rows)}

The longest over the shortest: {peaks[-1] / peaks[0]:.2f}. What grows are the keys of the data set itself."""


def memory_of(pictures: Path, count: int) -> None:
    """One scan in this process; its peak memory as JSON."""
    work = Scan(load(NETWORK), Repeated(open_data(pictures), count), layers=[CHEAP_LAYER])
    for _ in work:
        pass
    held = sum(value.nbytes for value in work.index().tally.arrays().values())
    print(json.dumps({"peak_mib": peak_rss_mib(), "index_mib": round(held / 2**20, 1)}))


def main() -> None:
    """Measure, print each section, and put it into the document."""
    parser = argparse.ArgumentParser(description="Measure the speed and the memory of a scan.")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--windows", type=int, default=9, help="rounds of the comparison (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="threads that decode (default: %(default)s)")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 20000], help="lengths of the scans for memory")
    parser.add_argument("--sections", nargs="+", choices=["speed", "memory"], default=["speed", "memory"])
    parser.add_argument("--quick", action="store_true", help="only see that it runs; writes nothing")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()  # as the command does
    if given.memory_of:
        memory_of(given.pictures, given.memory_of)
        return
    options = Options(given.pictures, given.windows, given.threads, given.workers, tuple(given.counts), given.quick)
    for name in given.sections:
        facts = machine()
        text = (speed_section if name == "speed" else memory_section)(options)
        text = f"{text.strip()}\n\nMeasured on: {describe(facts)}"
        print(text, end="\n\n", flush=True)
        if not options.quick:
            write_section(f"scan-{name}", text)


if __name__ == "__main__":
    main()
