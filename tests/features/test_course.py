"""How a row of a batch ended, and what of a batch is found again."""

from __future__ import annotations

from pathlib import Path

import torch

from phosphene.features.batch import Batch
from phosphene.features.course import already, ended
from phosphene.features.measure import Measured
from phosphene.features.store import Store
from phosphene.objectives import parse


def batch(steps: int, broken: tuple[int, ...] = (0, 0)) -> Batch:
    return Batch(0, parse("2:0..1"), (0, 1), 2, steps=steps, broken=torch.tensor(broken))


def test_a_row_is_ok_degenerate_or_interrupted_and_says_why() -> None:
    def why(broken_at: int) -> str:
        return f"broken at {broken_at}" if broken_at else ""

    done, cut = batch(8, (0, 5)), batch(3, (0, 2))
    assert ended(done, 0, 8, Measured(1.5), why, 0.12345) == {
        "activation": 1.5, "steps": 8, "seconds": 0.123, "status": "ok", "reason": "",
    }  # fmt: skip
    broken = ended(done, 1, 8, Measured(float("nan")), why, 1.0)
    assert (broken["status"], broken["reason"], broken["activation"]) == ("degenerate", "broken at 5", None)
    stopped = ended(cut, 1, 8, Measured(1.0), why, 1.0)
    assert (stopped["status"], stopped["reason"]) == ("interrupted", "stopped after 3 of 8 steps")


def test_nothing_is_found_without_a_store_or_where_a_row_is_missing(tmp_path: Path) -> None:
    def name(batch: Batch, row: int) -> str:
        return f"2:{row}"

    assert already(None, batch(0), name) is None
    store = Store(tmp_path / "out", resume=True)
    store.open({})
    assert already(store, batch(0), name) is None
