"""Pictures, or sounds, decoded ahead of the network by a pool of threads, in order, in batches, with bounded memory.

Pillow releases the interpreter while it decodes and resizes, so threads are enough and nothing has to be pickled. One
more thread puts the next batch together while the network is busy with this one. A picture that cannot be read is a
`Decoded` with its reason and without pixels.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from phosphene.errors import MediaError
from phosphene.examples.data import Pictures, item

Prepare = Callable[[Any], Tensor]
AHEAD = 3  # batches of pictures that may wait, decoded, for the network
FEWEST_AHEAD = 12  # pictures that may wait, however small a batch is


@dataclass(frozen=True)
class Decoded:
    """A picture of a data set: pixels (1, c, h, w) in [0, 1], (1, c, samples) of a sound, or None and why; group: the
    name of its class."""

    number: int
    key: str
    pixels: Tensor | None
    group: str | None
    why: str


@dataclass(frozen=True)
class Batch:
    """pixels (size, c, h, w) of the pictures, filled up with black, None when there are none; skipped: what came
    between them and could not be read; end: the number behind the last of both."""

    pixels: Tensor | None
    pictures: tuple[Decoded, ...]
    skipped: tuple[Decoded, ...]
    end: int


def batches(
    data: Pictures,
    numbers: range,
    prepare: Prepare,
    *,
    size: int,
    workers: int | None,
    layout: torch.memory_format = torch.contiguous_format,
) -> Generator[Batch]:
    """The pictures of `numbers` in order, `size` at a time; the next batch is put together, in `layout`, ahead."""
    source = _batched(
        decoded(data, numbers, prepare, workers=workers, ahead=max(AHEAD * size, FEWEST_AHEAD)),
        size,
        numbers.stop,
        layout,
    )
    pool = ThreadPoolExecutor(1, thread_name_prefix="batch")
    try:
        coming = pool.submit(next, source, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, source, None)
            yield batch
    finally:
        pool.shutdown(wait=True)
        source.close()


def _batched(pictures: Generator[Decoded], size: int, stop: int, layout: torch.memory_format) -> Generator[Batch]:
    with closing(pictures):
        seen: list[Decoded] = []
        sound = 0
        for one in pictures:
            seen.append(one)
            sound += one.pixels is not None
            if sound == size or one.number + 1 == stop:
                yield _together(seen, size, layout)
                seen, sound = [], 0


def _together(seen: list[Decoded], size: int, layout: torch.memory_format) -> Batch:
    """One batch of pictures of one size, filled up with black."""
    pictures = tuple(one for one in seen if one.pixels is not None)
    pixels = [one.pixels for one in pictures if one.pixels is not None]
    filled = torch.cat([*pixels, *[torch.zeros_like(pixels[0])] * (size - len(pixels))]) if pixels else None
    return Batch(
        None if filled is None else filled.contiguous(memory_format=layout),
        pictures,
        tuple(one for one in seen if one.pixels is None),
        seen[-1].number + 1,
    )


def decoded(data: Pictures, numbers: range, prepare: Prepare, *, workers: int | None, ahead: int) -> Generator[Decoded]:
    """The pictures of `numbers` in order, decoded by `workers` threads at most `ahead` pictures ahead."""

    def one(number: int) -> Decoded:
        key = data.key(number)
        try:
            picture, group = item(data, number)
            return Decoded(number, key, prepare(picture), group, "")
        except MediaError as error:
            return Decoded(number, key, None, None, str(error).removeprefix(f"cannot read picture '{key}': "))

    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="decode")
    waiting: deque[Future[Decoded]] = deque()
    try:
        for number in numbers:
            waiting.append(pool.submit(one, number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
