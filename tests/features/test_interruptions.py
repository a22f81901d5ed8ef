"""What interrupts a rendering: memory that runs out, and a stop, after which it goes on to the bit where it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.engine import Loop
from phosphene.errors import PhospheneError, UsageError
from phosphene.features import rendering as rendering_module
from phosphene.features.render import Notice, Progress, Rendering, render
from phosphene.features.store import WORK, Store
from phosphene.media import pixels_sha256
from phosphene.models import Model
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig

CPU = RunConfig(device="cpu", precision="float32")
THREE = "features.2:0..2"
LONG = RenderConfig(steps=12)


class Memory:
    """Stands in for a device that holds so many pictures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, holds: int) -> None:
        self.shapes: list[int] = []
        whole = Loop.step

        def step(loop: Loop, i: int) -> Tensor:
            self.shapes.append(loop.signal.rows)
            if loop.signal.rows > holds:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(loop, i)

        monkeypatch.setattr(Loop, "step", step)


def test_a_batch_that_runs_out_of_memory_is_halved_once_and_says_so(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = render(tiny_model, "features.2:0..3", steps=2, run=replace(CPU, batch=2))
    memory = Memory(monkeypatch, holds=2)
    sheet = render(tiny_model, "features.2:0..3", steps=2, run=replace(CPU, batch=4))
    assert memory.shapes == [4, 2, 2, 2, 2]
    assert sheet.notices == ("out of memory at 4 pictures a batch; going on with 2",)
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(sheet, expected, strict=True))


@pytest.mark.parametrize(
    ("run", "hint"),
    [
        (replace(CPU, batch=4), "at 2 pictures of 32 x 32 a batch; use a smaller --batch or --size"),
        (replace(CPU, batch=1), "at 1 pictures of 32 x 32 a batch; use a smaller --size"),
        (replace(CPU, batch_shape=4), "at 4 pictures of 32 x 32 a batch; use a smaller --batch-shape or"),
    ],
)
def test_a_second_time_it_is_a_clear_error(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch, run: RunConfig, hint: str
) -> None:
    Memory(monkeypatch, holds=0)
    with pytest.raises(PhospheneError, match=f"out of memory {hint}"):
        render(tiny_model, "features.2:0..3", steps=2, run=run)


def test_another_error_of_the_network_is_not_taken_for_memory(tiny_model: Model, monkeypatch: Any) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Loop, "step", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        render(tiny_model, "features.2:0", steps=2, run=CPU)


def stored(
    model: Model, folder: Path, *, resume: bool = False, run: RunConfig | None = None, config: RenderConfig = LONG
) -> Rendering:
    run = run or replace(CPU, batch=2, checkpoint_every=4)
    return Rendering(model, THREE, config, run, store=Store(folder, resume=resume))


def stop_at(rendering: Rendering, done: int) -> Iterator[object]:
    for event in rendering:
        yield event
        if isinstance(event, Progress) and event.done >= done:
            rendering.stop()


@pytest.mark.parametrize("done", [2, 10, 24, 29])  # picture-steps: first step, mid-batch, a batch's end, second batch
def test_stopped_and_resumed_is_uninterrupted_to_the_bit(tiny_model: Model, tmp_path: Path, done: int) -> None:
    unbroken = stored(tiny_model, tmp_path / "a")
    list(unbroken)
    first = stored(tiny_model, tmp_path / "b")
    list(stop_at(first, done))
    assert not first.complete
    assert [p.status for p in first.sheet()] == (["ok", "ok", "interrupted"] if done > 24 else first_statuses(done))
    again = stored(tiny_model, tmp_path / "b", resume=True)
    notices = [event.text for event in again if isinstance(event, Notice)]
    assert again.complete
    assert bool(notices) == (done != 24)
    expected = [pixels_sha256(p.pixels) for p in unbroken.sheet()]
    assert [pixels_sha256(p.pixels) for p in again.sheet()] == expected
    assert not (tmp_path / "b" / WORK).exists()


def first_statuses(done: int) -> list[str]:
    return ["ok", "ok"] if done == 24 else ["interrupted"] * 2


def test_finished_pictures_are_not_made_again(tiny_model: Model, tmp_path: Path, monkeypatch: Any) -> None:
    list(stop_at(stored(tiny_model, tmp_path), 29))
    made: list[set[int]] = []
    whole = rendering_module.optimize

    def counted(objective: Any, *parts: Any, **options: Any) -> Any:
        made.append(set(objective.units))
        return whole(objective, *parts, **options)

    monkeypatch.setattr(rendering_module, "optimize", counted)
    again = stored(tiny_model, tmp_path, resume=True)
    list(again)
    assert made == [{2}]
    assert [picture.path is not None for picture in again.sheet()] == [True] * 3
    list(stored(tiny_model, tmp_path, resume=True))
    assert made == [{2}]


@pytest.mark.parametrize(
    ("config", "run", "part"),
    [
        (RenderConfig(steps=12, seed=1), None, "method"),
        (RenderConfig(steps=13), None, "method"),
        (RenderConfig(steps=12, size=24), None, "method"),
        (LONG, replace(CPU, batch_shape=2), "batch_shape"),
    ],
)
def test_another_rendering_is_not_resumed(
    tiny_model: Model, tmp_path: Path, config: RenderConfig, run: RunConfig | None, part: str
) -> None:
    list(stop_at(stored(tiny_model, tmp_path), 10))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match=f"another rendering \\(its {part} differ"):
        stored(tiny_model, tmp_path, resume=True, config=config, run=run)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_lbfgs_is_resumed_to_the_bit(tiny_model: Model, tmp_path: Path) -> None:
    config = RenderConfig(steps=8, optimizer=OptimizerConfig(optimizer="lbfgs"))
    unbroken = stored(tiny_model, tmp_path / "a", config=config)
    list(unbroken)
    list(stop_at(stored(tiny_model, tmp_path / "b", config=config), 5))
    again = stored(tiny_model, tmp_path / "b", config=config, resume=True)
    list(again)
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(again.sheet(), unbroken.sheet(), strict=True))


def test_frames_from_before_an_interruption_are_kept(tiny_model: Model, tmp_path: Path) -> None:
    def filming(resume: bool) -> Rendering:
        run = replace(CPU, batch=2)
        return Rendering(tiny_model, THREE, LONG, run, frames=3, store=Store(tmp_path, resume=resume))

    list(stop_at(filming(False), 20))
    again = filming(True)
    list(again)
    assert [step for step, _ in again.sheet()[0].frames] == [1, 5, 12]


def test_a_batch_that_was_halved_is_resumed(tiny_model: Model, tmp_path: Path, monkeypatch: Any) -> None:
    run = replace(CPU, batch=4, checkpoint_every=4)
    memory = Memory(monkeypatch, holds=2)
    first = stored(tiny_model, tmp_path, run=run)
    list(stop_at(first, 29))
    again = stored(tiny_model, tmp_path, run=run, resume=True)
    events = list(again)
    assert again.complete
    assert [event.text for event in events if isinstance(event, Notice)][-1] == "batch 2 resumes at step 5"
    assert memory.shapes.count(3) == 2


def test_a_keyboard_interrupt_gives_the_pictures_as_they_are(
    tiny_model: Model, tmp_path: Path, monkeypatch: Any
) -> None:
    whole = Loop.step

    def step(loop: Loop, i: int) -> Tensor:
        if i == 5:
            raise KeyboardInterrupt
        return whole(loop, i)

    monkeypatch.setattr(Loop, "step", step)
    sheet = render(tiny_model, THREE, steps=12, run=CPU, out=tmp_path)
    assert [(p.status, p.steps) for p in sheet] == [("interrupted", 5)] * 3
    assert (tmp_path / "sheet.png").exists()


def test_a_wrong_request_leaves_no_folder(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        render(tiny_model, "features.2:99", out=tmp_path / "new", run=CPU)
    assert not (tmp_path / "new").exists()
