"""Results on stdout, everything else on stderr; names are never taken for markup."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from phosphene.cli.console import Bar, Meter, Screen, relative
from phosphene.features.render import Progress

Captured = pytest.CaptureFixture[str]


def event(done: int, total: int, *, batches: int = 1) -> Progress:
    step = SimpleNamespace(i=done, scores=torch.tensor([1.0, 2.0]))
    return Progress(done, total, 0, batches, step)  # type: ignore[arg-type]


def shown(lines: list[Progress], *, quiet: bool = False) -> None:
    with Meter(Screen(quiet=quiet)) as meter:
        for line in lines:
            meter.show(line)


def test_results_go_to_stdout_and_notices_to_stderr(capsys: Captured) -> None:
    screen = Screen()
    screen.say("a notice")
    screen.result("a result")
    assert capsys.readouterr() == ("a result\n", "a notice\n")


def test_quiet_keeps_results_and_json_keeps_only_json(capsys: Captured) -> None:
    screen = Screen(quiet=True, as_json=True)
    screen.say("a notice")
    screen.result("a result")
    screen.json({"label": "Käse", "n": 1})
    assert capsys.readouterr() == ('{"label": "Käse", "n": 1}\n', "")


def test_names_are_no_markup_and_lines_are_never_broken(capsys: Captured) -> None:
    text = 'blocks[0].conv[/red]:7 logit:cat: prob:"a [b]" ' + "long " * 60
    screen = Screen()
    screen.result(text)
    screen.say(text)
    screen.table(("name",), [("layer[bold].x :cat:",)])
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == err.splitlines()[0] == text
    assert out.splitlines()[2].strip() == "layer[bold].x :cat:"


def test_progress_is_a_line_for_every_tenth(capsys: Captured) -> None:
    shown([event(i, 200) for i in range(1, 201)])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("%")[0].strip() for line in lines] == [str(10 * k) for k in range(1, 11)]
    assert "score 1.5" in lines[0]


def test_progress_that_begins_late_does_not_catch_up_line_by_line(capsys: Captured) -> None:
    shown([event(i, 200) for i in range(180, 201)])
    assert len(capsys.readouterr().err.splitlines()) <= 3


def test_progress_tells_the_batch_when_there_are_several(capsys: Captured) -> None:
    shown([event(10, 10, batches=3)])
    assert "batch 1/3" in capsys.readouterr().err


def test_another_piece_of_work_begins_its_tenths_anew(capsys: Captured) -> None:
    with Bar(Screen()) as bar:
        for name in ("one", "two"):
            bar.begin(name)
            for done in range(1, 21):
                bar.advance(done, 20.0, 0.0, lambda speed, name=name: f"{name} at {speed > 0}")  # type: ignore[misc]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert [line.split()[0] for line in lines[10:]] == [f"{10 * k}%" for k in range(1, 11)]
    assert lines[0].endswith("one at True")
    assert lines[-1].endswith("two at True")


def test_what_was_done_before_makes_no_run_faster(capsys: Captured) -> None:
    speeds: list[float] = []
    with Bar(Screen()) as bar:
        bar.began -= 10.0  # seconds
        bar.advance(90, 100, 89, lambda speed: str(speeds.append(speed)))
    assert 0 < speeds[0] <= 0.1


def test_quiet_progress_is_silent(capsys: Captured) -> None:
    shown([event(10, 10)], quiet=True)
    assert capsys.readouterr() == ("", "")


def test_paths_are_seen_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative(tmp_path / "out" / "a.png") == "out/a.png"
    assert relative(Path("out/a.png")) == "out/a.png"
    assert relative(None) is None
