"""The plan of a transfer: said before it begins, followed by every scale, and the picture stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from phosphene.errors import UsageError
from phosphene.models import InputSpec, Model, from_module
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.job import Job, Style
from phosphene.style.preflight import duration
from phosphene.style.transfer import Painted, StepDone, Transfer


@pytest.fixture(scope="module")
def small() -> Model:
    """A network whose units see little, so that tiles are small and quick."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    return from_module(net, InputSpec(size=(32, 32)), name="small")


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 3, 200, 260, generator=torch.Generator().manual_seed(0))
    first, second = torch.nn.functional.avg_pool2d(noise, 9, 1, 4).clamp(0, 1)
    return first, second


def transfer(model: Model, memory: float | None, *, steps: int = 2, **options: object) -> Transfer:
    content, style = pictures()
    config = StyleConfig(size=260, steps=steps, content_layers="3", style_layers="0,3", **options)  # type: ignore[arg-type]
    return Transfer(model, Job(content, (Style(style),)), config, RunConfig(memory=memory))


def painted(work: Transfer) -> Painted:
    *_, last = work
    assert isinstance(last, Painted)
    return last


def test_enough_memory_changes_nothing_and_is_said(small: Model) -> None:
    plan = transfer(small, 100.0).plan
    assert {(choice.history, choice.side) for choice in plan.choices} == {(40, None)}
    assert "of memory will be used" in plan.words
    assert "about" in plan.words.rpartition(";")[2]
    assert plan.reach is None


def test_what_does_not_fit_is_cut_and_the_picture_is_the_same(small: Model) -> None:
    whole = transfer(small, None, steps=3, optimizer="adam")
    cut = transfer(small, whole.plan.peak / 1e9, steps=3, optimizer="adam")  # of which four fifths are planned with
    assert cut.plan.choices[-1].side is not None
    assert cut.plan.choices[0].side is None  # the coarse scales fit
    assert "tiles" in cut.plan.words
    one, other = painted(whole), painted(cut)
    first = next(k for k, (scale, _, _) in enumerate(one.history) if scale == len(whole.sizes))
    assert other.traces[first] == pytest.approx(one.traces[first], rel=1e-4)  # later steps enlarge what is rounded
    assert other.losses == pytest.approx(one.losses, rel=0.02)
    assert float((one.picture - other.picture).abs().mean()) < 2e-3


def test_tiles_know_regions_and_single_terms(small: Model) -> None:
    content, style = pictures()
    left = torch.zeros(1, 200, 260)
    left[:, :, :130] = 1
    job = Job(content, (Style(style, region="left"),), regions={"left": left})
    results, memory = [], None
    for _ in range(2):
        config = StyleConfig(size=260, steps=1, smallest=0, content_weight=0, style_layers="3", optimizer="adam")
        work = Transfer(small, job, config, RunConfig(memory=memory))
        results.append(painted(work))
        memory = work.plan.peak / 1e9  # of which four fifths are planned with
    assert work.plan.choices[0].side is not None
    assert results[1].traces[0] == pytest.approx(results[0].traces[0], rel=1e-4)


def test_what_never_fits_is_refused_before_the_work(small: Model) -> None:
    with pytest.raises(UsageError, match=r"--memory GB"):
        transfer(small, 0.001)


def test_a_resumed_run_keeps_the_choices_of_the_first(small: Model) -> None:
    whole = transfer(small, None, optimizer="adam")
    tight = whole.plan.peak / 1e9
    first = transfer(small, tight, optimizer="adam")
    state = None
    for event in first:
        if isinstance(event, StepDone) and event.number == 1:
            state = torch.load(_saved(first.state()), weights_only=True)
            break
    again = transfer(small, None, optimizer="adam")
    again.resume(state)
    assert [choice.side for choice in again.plan.choices] == [choice.side for choice in first.plan.choices]
    assert torch.equal(painted(again).picture, painted(transfer(small, tight, optimizer="adam")).picture)


def _saved(state: dict[str, object]) -> object:
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


class Whole(nn.Module):
    """A network of one input size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 300 * 300, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear(self.conv(x).flatten(1))
        return out


def test_a_network_that_takes_no_other_size_has_a_plan_without_numbers() -> None:
    model = from_module(Whole(), InputSpec(size=(300, 300)), name="whole")
    content, style = (picture[:, :200, :200] for picture in pictures())
    config = StyleConfig(size=300, smallest=0, steps=1, content_layers="conv", style_layers="conv")
    work = Transfer(model, Job(content, (Style(style),)), config)
    assert painted(work).status == "ok"


def test_the_record_says_how_each_scale_was_done(small: Model, tmp_path: Path) -> None:
    scales = transfer(small, None).scales()
    assert scales[-1] == {"size": [260, 200], "history": 40, "tile": None}
    assert len(scales) == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 second"), (65, "about 65 seconds"), (170, "about 3 minutes"), (9000, "about 2.5 hours")],
)
def test_times_are_said_roughly(seconds: float, words: str) -> None:
    assert duration(seconds) == words
