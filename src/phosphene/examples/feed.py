"""Pictures decoded ahead of the network by a pool of threads, in their order, with bounded memory.

Pillow releases the interpreter while it decodes and resizes, so threads are enough and nothing has to be pickled.
A picture that cannot be read is a `Decoded` with its reason and without pixels.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from phosphene.errors import MediaError
from phosphene.examples.data import Pictures, item


@dataclass(frozen=True)
class Decoded:
    """A picture of a data set: pixels (1, c, h, w) in [0, 1], or None and why; group: the name of its class."""

    number: int
    key: str
    pixels: Tensor | None
    group: str | None
    why: str


def decoded(
    data: Pictures, numbers: range, prepare: Callable[[Image.Image], Tensor], *, workers: int | None, ahead: int
) -> Iterator[Decoded]:
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
