"""Rows that are optimised together: how they are cut into batches, and into halves when memory runs out.

What a row starts from and how it is shaken depends on the seed and on its own unit, never on its place in a batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from phosphene.engine import Arithmetic
from phosphene.errors import UsageError
from phosphene.features.measure import BEHIND
from phosphene.features.plan import Plan
from phosphene.media import quantize
from phosphene.natural import natural
from phosphene.objectives import Objective
from phosphene.recipe import RunConfig, SignalConfig
from phosphene.seeds import Generators
from phosphene.signals import Cppn, Fourier, Laplacian, Maco, Pixels, Shared, Signal, Transparent
from phosphene.transforms import Warp, build


@dataclass
class Batch:
    """Some rows of one group, and where they stand.

    index: the group's number. group: its objective. rows: which of its rows. shape: pictures in the tensor; the last
    row fills up what is more than `rows`. steps: done so far. broken: (b,) as in `Step`. start: pictures (b, c, h, w)
    before the first step, as uint8. frames: step -> such pictures.
    """

    index: int
    group: Objective
    rows: tuple[int, ...]
    shape: int
    number: int = 0
    of: int = 1
    steps: int = 0
    broken: Tensor | None = None
    began: float = field(default_factory=time.perf_counter)
    signal: Signal | None = None
    start: Tensor | None = None
    frames: dict[int, Tensor] = field(default_factory=dict)

    @property
    def together(self) -> int:
        """How many of its rows belong together; a batch holds whole groups of as many."""
        return self.group.together

    @property
    def key(self) -> str:
        """Names its checkpoint: the same rows in the same shape, however many batches came before."""
        return f"{self.index}-{self.rows[0]}-{self.shape}"

    def objective(self) -> Objective:
        """The group's objective for these rows, padded to the shape."""
        return self.group.take([*self.rows, *[self.rows[-1]] * (self.shape - len(self.rows))])

    def halves(self) -> list[Batch]:
        """The same rows in batches of half the shape, or of the next whole group."""
        shape = self.together * max(1, math.ceil(self.shape / 2 / self.together))
        parts = [self.rows[start : start + shape] for start in range(0, len(self.rows), shape)]
        return [Batch(self.index, self.group, rows, len(rows)) for rows in parts]


def least_rows(arithmetic: Arithmetic) -> int:
    """The smallest batch that rounds like larger ones.

    torch computes a float32 convolution of one small picture on the CPU with other, slower kernels than one of two or
    more; so a picture on its own is optimised beside a copy of itself and equals what it is in company.
    """
    return 2 if arithmetic.device.type == "cpu" and arithmetic.dtype == torch.float32 else 1


def batches(group: Objective, index: int, size: int, shape: int | None, *, least: int = 1) -> list[Batch]:
    """A group in as few batches of at most `size` rows as possible, padded to `shape` if given, else to `least`.

    size: whole groups of rows that belong together.
    """
    starts = range(0, group.rows, size)
    rows = [tuple(range(start, min(start + size, group.rows))) for start in starts]
    return [Batch(index, group, chunk, shape or max(least, len(chunk))) for chunk in rows]


def whole_groups(size: int, together: int) -> int:
    """The largest number of rows up to `size` that cuts no group of `together`; one group at least."""
    return max(together, size - size % together)


def refuse_cut(group: Objective, run: RunConfig) -> None:
    """Raises UsageError where the batch that the user fixed holds no whole group."""
    for option, size in (("--batch", run.batch), ("--batch-shape", run.batch_shape)):
        if size is not None and size < group.together:
            raise UsageError(
                f"{group.together} pictures of {group.take(range(group.together))} belong together and must share a "
                f"batch; {option} {size} holds fewer"
            )


def numbered(queue: list[Batch], number: int) -> Batch:
    """The first of the queue, told its number and how many there are in all."""
    return replace(queue.pop(0), number=number, of=number + 1 + len(queue))


def parts(
    work: Plan, objective: Objective, rows: int, init: Tensor | None, device: torch.device
) -> tuple[Signal, Warp]:
    """A started signal and the transform for `rows` pictures of an objective. init: (c, h, w) in place of noise."""
    names = [objective.identity(row if objective.rows > 1 else 0) for row in range(rows)]
    config, channels = work.config, work.model.spec.channels
    signal = _signal(config.signal, rows, channels, work.canvas, objective.together)
    if init is None:
        signal.start(Generators(config.seed, names), config.signal.noise_start)
    else:
        signal.encode(init.expand(rows, -1, -1, -1))
    transform = build(
        config.transform, size=work.canvas, steps=config.steps, channels=channels, alpha=config.signal.alpha
    )
    return signal.to(device), transform


def _signal(settings: SignalConfig, rows: int, channels: int, size: tuple[int, int], together: int) -> Signal:
    kinds: dict[str, Callable[..., Signal]] = {
        "fourier": partial(Fourier, decay=settings.decay, cutoff=settings.cutoff),
        "pixels": Pixels,
        "maco": partial(Maco, decay=settings.decay, cutoff=settings.cutoff),
        "cppn": Cppn,
        "laplacian": partial(Laplacian, levels=settings.levels),
    }
    signal = kinds[settings.signal](
        rows,
        channels=channels,
        size=size,
        alpha=settings.alpha,
        decorrelate=settings.decorrelate,
        natural=natural(settings.natural) if settings.natural is not None else None,
    )
    if settings.shared:
        signal = Shared(signal, group=together)
    return Transparent(signal) if settings.transparency else signal


def visible(signal: Signal) -> tuple[Tensor, Tensor]:
    """(pictures (b, c, h, w) as an 8-bit file will hold them, finite (b,)); what is not finite is shown gray."""
    with torch.no_grad():
        raw = signal.finished().float().cpu()
    finite = torch.isfinite(raw)
    return quantize(torch.where(finite, raw, BEHIND)), finite.flatten(1).all(1)


def eight_bit(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] as a quarter of the memory holds them, uint8."""
    return (pictures * 255).round().to(torch.uint8)


def larger(work: Plan, signal: Signal) -> Tensor | None:
    """The pictures once more, larger, where that is asked for; they are drawn, not enlarged."""
    side, canvas = work.config.signal.large, work.canvas
    if side is None or not isinstance(signal, Cppn):
        return None
    return quantize(signal.at((round(canvas[0] * side / max(canvas)), round(canvas[1] * side / max(canvas)))).cpu())
