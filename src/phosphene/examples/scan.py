"""`scan`: every unit of a network over a data set, in one pass and constant memory.

Threads decode, the network reads, the tally keeps. Batches have one fixed shape, the last one filled up with black,
because kernels round differently for other shapes: so a score depends on its picture alone, and neither on sharding
nor on interruption. `Scan` is an iterator of `Scanned`; `scan` is the loop around it. `kept_in` a folder, the index is
written there every so often, and a scan that finds its own unfinished index there goes on where that ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from phosphene.engine.batching import find_device
from phosphene.errors import PhospheneError
from phosphene.examples.config import ScanConfig
from phosphene.examples.data import Subset, encoded, fingerprint, places
from phosphene.examples.feed import Decoded, batches
from phosphene.examples.header import Covered, Header, IndexFileError, Kept, ModelHeader, Skipped
from phosphene.examples.index import Index, indexed
from phosphene.examples.kinds import PICTURE, kind_of
from phosphene.examples.reading import Read, lasting, read
from phosphene.examples.store import exists
from phosphene.examples.tally import Tally
from phosphene.models import Model
from phosphene.models.blocks import blocks
from phosphene.models.tap import OUTPUT
from phosphene.seeds import key as hashed

DEFAULTS = ScanConfig()
PICTURE_AXES = 4  # of a batch: channels-last is a layout of these


@dataclass(frozen=True)
class Scanned:
    """A batch is done. done, total: pictures of this scan, skipped ones too. found: what was done by an earlier run.
    word: what they are, "picture" or "sound"."""

    done: int
    total: int
    found: int
    skipped: int
    word: str = PICTURE


class Scan:
    """A scan that yields `Scanned` after each batch; `index()` is what was found so far.

    model: any `Model`. data: whatever `open_data` takes; for a network that hears a folder of recordings. seed: of
    `textures`. layers: names or aliases; all blocks and the output when left out.
    Raises UsageError for empty data and unknown layers.
    """

    def __init__(
        self,
        model: Model,
        data: Any,
        *,
        device: str = "auto",
        seed: int = 0,
        layers: Sequence[str] | None = None,
        config: ScanConfig = DEFAULTS,
    ) -> None:
        self.config = config
        self.out: Path | None = None
        self.device = find_device(device)
        names = [model.find_layer(name).name for name in layers] if layers else [*blocks(model), OUTPUT]
        self.names = [name for name in model.layers if name in set(names)]
        self.kind = kind_of(model, config)
        opened = self.kind.open(data, seed=seed)
        self.data = Subset(opened, config.limit) if config.limit else opened
        self.first, self.end = config.part(len(self.data))
        self.print = fingerprint(self.data)
        pictures = self.kind.blank().dim() == PICTURE_AXES
        layout = torch.channels_last if pictures and self.device.type in ("cpu", "cuda") else torch.contiguous_format
        self.model = model.prepared(self.device, memory_format=layout)
        if self.model is not model:
            self.model.memory_format = layout
        self.columns = self._columns(model)
        self.header = self._header(model)
        self.tally = Tally.empty(self._units(), k=config.top, sample=config.sample)
        self.done = self.first
        self.found = 0
        self._lasting = lasting(self.model, self.names, self.kind.blank())
        self._stopped = False
        self._counted: Future[None] = Future()  # of the last batch
        self._counted.set_result(None)

    def kept_in(self, out: str | Path, *, fresh: bool = False) -> Self:
        """The same, its index written to the folder `out`: it goes on where an unfinished index there ends.

        fresh: it starts over even so. Raises IndexFileError when `out` holds another scan.
        """
        self.out = Path(out)
        if not fresh and exists(self.out):
            self._resume(self._earlier(self.out))
        return self

    def stop(self) -> None:
        """End after the current batch."""
        self._stopped = True

    def __iter__(self) -> Iterator[Scanned]:
        saved = time.monotonic()
        feed = batches(
            self.data,
            range(self.done, self.end),
            self.kind.entering,
            size=1 if self.config.whole else self.config.batch,
            workers=self.config.workers,
            layout=self.model.memory_format,
        )
        with closing(feed), ThreadPoolExecutor(1, thread_name_prefix="tally") as aside:
            for batch in feed:
                for one in batch.skipped:
                    self._skip(one.key, one.why)
                if batch.pixels is not None:
                    self._take(batch.pictures, batch.pixels, aside)
                self.done = batch.end
                skipped = self.header.skipped.count
                yield Scanned(self.done - self.first, self.end - self.first, self.found, skipped, self.kind.word)
                if self._stopped:
                    break
                every = self.config.checkpoint_every
                if self.out is not None and every and time.monotonic() - saved > every and self.done < self.end:
                    self.index().save(self.out)
                    saved = time.monotonic()
        if self.out is not None:
            self.index().save(self.out)

    def index(self) -> Index:
        """What was found in the pictures so far. Raises PhospheneError when none could be read."""
        self._counted.result()
        covered = Covered(self.print, len(self.data), ((self.first, self.done),) if self.done > self.first else ())
        header = replace(self.header, covered=(covered,))
        if not self.tally.count and self.done == self.end > self.first:
            key, why = header.skipped.pictures[0]
            count, word = header.skipped.count, self.kind.word
            raise PhospheneError(f"none of {count} {word}s can be read; the first: {key}: {why}")
        return indexed(header, self.tally, self.data.key, data=self.data)

    def _take(self, pictures: Sequence[Decoded], pixels: Tensor, aside: Executor) -> None:
        """Show the network a batch; what it says is added to the tally aside, while the network sees the next one."""
        with exact_arithmetic():
            seen = read(self.model, pixels.to(self.device), len(pictures), self.columns, self._lasting, aside)
        for row, layer in seen.faults.items():
            self._skip(pictures[row].key, f"the response of {layer} is no number, or too large to be one")
        self._counted.result()
        self._counted = aside.submit(self._count, pictures, seen)

    def _count(self, pictures: Sequence[Decoded], seen: Read) -> None:
        sound = [row for row in range(len(pictures)) if row not in seen.faults]
        kept = [pictures[row] for row in sound]
        hashes = np.array([hashed(0, encoded(one.key).hex(), "sample") for one in kept], np.int64)
        numbers = np.array([one.number for one in kept], np.int64)
        classes = [one.group if self.config.classes else None for one in kept]
        self.tally.add(seen.scores[sound], seen.places()[sound], numbers, hashes, classes)

    def _skip(self, key: str, why: str) -> None:
        self.header = replace(self.header, skipped=self.header.skipped.joined(Skipped(1, ((key, why),))))

    def _columns(self, model: Model) -> dict[str, slice]:
        columns, start = {}, 0
        for name in self.names:
            units = model.layers[name].channels
            columns[name] = slice(start, start + units)
            start += units
        return columns

    def _units(self) -> int:
        return sum(one.stop - one.start for one in self.columns.values())

    def _header(self, model: Model) -> Header:
        found = [model.layers[name] for name in self.names]
        layers = self.kind.headers(self.model, found)
        absent = tuple(sorted(getattr(self.data, "absent", ()))) if self.first == 0 else ()  # one shard tells of them
        kept = Kept.of(self.config, self.kind.samples)
        return Header(ModelHeader.of(model), layers, kept, skipped=Skipped(len(absent), absent))

    def _earlier(self, out: Path) -> Index:
        """The unfinished index of this scan in `out`."""
        where = f"index '{out}'"
        hint = "choose another --out, or start over with --fresh"
        try:
            index = Index.load(out)
            index.header.model.check(self.header.model, where)
        except IndexFileError as error:
            raise IndexFileError(f"{error}; {hint}") from None
        header = index.header
        if [layer.name for layer in header.layers] != self.names or header.kept != self.header.kept:
            raise IndexFileError(f"{where} holds a scan of other layers or settings; {hint}")
        known = [one for one in header.covered if (one.data, one.size) == (self.print, len(self.data))]
        ranges = known[0].ranges if len(known) == len(header.covered) == 1 else ((-1, -1),)
        if len(ranges) > 1 or any(first != self.first or end > self.end for first, end in ranges):
            raise IndexFileError(f"{where} holds other pictures; {hint}")
        return index

    def _resume(self, earlier: Index) -> None:
        """Go on where an index ends."""
        self.header = header = earlier.header
        numbers = places(self.data, header.keys)
        old = np.arange(len(header.keys), dtype=np.int64)
        self.tally = earlier.tally.renumbered(old, np.array([numbers[key] for key in header.keys], np.int64))
        self.done = next((end for one in header.covered for _, end in one.ranges), self.first)
        self.found = self.done - self.first


def scan(
    model: Model,
    data: Any,
    *,
    layers: Sequence[str] | None = None,
    config: ScanConfig = DEFAULTS,
    out: str | Path | None = None,
    fresh: bool = False,
    device: str = "auto",
    seed: int = 0,
) -> Index:
    """The index of a data set: for every unit of the layers its highest and lowest examples and its statistics.

    As `Scan`, carried out at once. out: folder of the index, which is resumed where it is unfinished. fresh: start over
    even so. Raises PhospheneError when no picture can be read.
    """
    work = Scan(model, data, layers=layers, config=config, device=device, seed=seed)
    if out is not None:
        work.kept_in(out, fresh=fresh)
    for _ in work:
        pass
    return work.index()


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Full float32 and one choice of kernel on CUDA: TF32 would move scores by 1e-3, a search among kernels more."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
