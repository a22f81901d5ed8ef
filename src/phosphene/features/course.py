"""What a rendering does around its loop, be it of pictures or of sounds: groups are cut into batches that fit, states
are kept while a batch is in work, what an earlier run finished is found again, and each row is told how it ended.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.engine import Arithmetic, Loop, Step
from phosphene.engine.batching import batch_rows, kept_bytes
from phosphene.features.batch import Batch, batches, least_rows, whole_groups
from phosphene.features.measure import Measured
from phosphene.features.store import Store
from phosphene.objectives import Objective
from phosphene.recipe import RunConfig

Found = tuple[int, Path, Tensor, dict[str, Any]]  # row, file, pixels or samples, recipe


def rows_that_fit(group: Objective, run: RunConfig, device: torch.device, loop: Callable[[], Loop]) -> int:
    """How many rows of a group are optimised at once: whole groups of those that belong together.

    loop: makes the loop of one such group, whose memory is measured where nobody fixed the number.
    """

    def row_bytes() -> int:
        work = loop()
        return kept_bytes(lambda: work.scores(0)) // group.together

    return whole_groups(batch_rows(group.rows, run, device, row_bytes), group.together)


def cut(
    groups: Sequence[Objective],
    fitting: Callable[[Objective], int],
    run: RunConfig,
    arithmetic: Arithmetic,
    store: Store | None,
    *,
    alone: bool = False,
) -> list[Batch]:
    """The groups in batches of as many rows as `fitting` says, or as the run noted that `store` resumes.

    alone: what a row becomes depends on no company, so no batch is padded.
    """

    def choose() -> list[int]:
        return [fitting(group) for group in groups]

    sizes = choose() if store is None else store.batch_sizes(choose)
    shape, least = (None, 1) if alone else (run.batch_shape, least_rows(arithmetic))
    numbered = enumerate(zip(groups, sizes, strict=True))
    return [batch for g, (group, size) in numbered for batch in batches(group, g, size, shape, least=least)]


def keep_state(
    store: Store | None, batch: Batch, step: Step, run: RunConfig, steps: int, *, stopping: bool, more: dict[str, Any]
) -> None:
    """Keep the state where it is due, or where the rendering stops; never of the last step: what was made follows it.

    more: what goes into it besides the loop's own.
    """
    every = run.checkpoint_every
    due = stopping or (every > 0 and step.i % every == 0)
    if store is not None and due and step.i < steps:
        store.checkpoint(batch.key, {**step.state(), **more})


def already(store: Store | None, batch: Batch, name: Callable[[Batch, int], str]) -> list[Found] | None:
    """The rows of a batch that an earlier run finished; None when any of them is missing. name: of a row's file."""
    if store is None:
        return None
    rows: list[Found] = []
    for row in batch.rows:
        found = store.finished(name(batch, row))
        if found is None:
            return None
        rows.append((row, store.path(name(batch, row)), *found))
    return rows


def ended(
    batch: Batch, place: int, steps: int, measured: Measured, why: Callable[[int], str], seconds: float
) -> dict[str, Any]:
    """The result of the row at a place of a batch, as recipes have it.

    steps: that were asked for. why: the reason why a finished row says nothing, "" for none, of the step at which its
    gradient stopped being finite. seconds: of the row.
    """
    status, reason = "interrupted", f"stopped after {batch.steps} of {steps} steps"
    if batch.steps == steps:
        reason = why(int(batch.broken[place]) if batch.broken is not None else 0)
        status = "degenerate" if reason else "ok"
    return {
        "activation": measured.value if math.isfinite(measured.value) else None,
        "steps": batch.steps,
        "seconds": round(seconds, 3),
        "status": status,
        "reason": reason,
    }


def each(batch: Batch) -> float:
    """Seconds since a batch began, for each of its rows."""
    return (time.perf_counter() - batch.began) / len(batch.rows)
