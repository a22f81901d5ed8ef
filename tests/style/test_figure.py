"""Figures: each picture by itself, measured as saved, kept and found; and a line search that searches."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.errors import UnknownNameError
from phosphene.media import read_picture, to_tensor
from phosphene.models import Model, load
from phosphene.objectives import Content, Gram
from phosphene.recipe import RunConfig
from phosphene.style.figure import Event, Figure, Made, Request, Stage, Term, Worked

CPU = RunConfig(device="cpu")
LAYER = "relu2_2"
STEPS = 6


@pytest.fixture(scope="module")
def vgg() -> Model:
    return load("vgg19_cd16x", weights="random")


def original(height: int = 32, width: int = 40) -> Tensor:
    """Smooth and colorful: something that a network can be asked to give back."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 5, width), indexing="ij")
    return torch.stack([0.5 + 0.4 * torch.sin(x + y), 0.5 + 0.4 * torch.cos(2 * x), 0.5 + 0.3 * torch.sin(3 * y)])


def request(model: Model, name: str = "content", *, steps: int = STEPS, seed: int = 0) -> Request:
    term = Term(1.0, Content(LAYER, of="original", form="relative").bind(model))
    stage = Stage((32, 40), steps, {"original": original()})
    return Request(name, {"loss": term}, (stage,), {"steps": steps}, seed, original=original())


def figure(model: Model, requests: list[Request], folder: Path | None = None) -> Figure:
    return Figure(model, "reconstruction", requests, {"original": original()}, CPU, folder=folder)


def carried_out(work: Figure) -> list[Event]:
    return list(work)


def test_the_line_search_never_stands_still(vgg: Model) -> None:
    scores = [float(e.step.scores.sum()) for e in figure(vgg, [request(vgg, steps=25)]) if isinstance(e, Worked)]
    assert all(after > before for before, after in pairwise(scores))
    assert scores[-1] > 0.1 * scores[0]  # negative losses: nine tenths are gone


def test_a_picture_does_not_depend_on_those_before_it(vgg: Model) -> None:
    alone = figure(vgg, [request(vgg)])
    second = figure(vgg, [request(vgg, "other", seed=5), request(vgg)])
    carried_out(alone)
    carried_out(second)
    assert torch.equal(alone.panels[0].pixels, second.panels[1].pixels)
    assert not torch.equal(second.panels[0].pixels, second.panels[1].pixels)  # another seed, another start


def test_the_loss_is_that_of_the_saved_file_by_the_plain_network(vgg: Model, tmp_path: Path) -> None:
    work = figure(vgg, [request(vgg)], tmp_path)
    carried_out(work)
    file = to_tensor(read_picture(tmp_path / "content.png"))
    with torch.no_grad():
        f, p = (vgg.activations(x[None], [LAYER])[LAYER].double().numpy() for x in (file, original()))
    assert work.panels[0].losses["loss"] == pytest.approx(((f - p) ** 2).mean() / (p**2).mean(), rel=1e-4)
    error = float(np.square(file.double().numpy() - original().double().numpy()).mean())
    assert work.panels[0].psnr == pytest.approx(-10 * np.log10(error), rel=1e-5)


def test_what_is_there_is_not_made_again(vgg: Model, tmp_path: Path) -> None:
    first = figure(vgg, [request(vgg)], tmp_path)
    carried_out(first)
    again = figure(vgg, [request(vgg)], tmp_path)
    assert [type(event) for event in carried_out(again)] == [Made]
    assert torch.equal(again.panels[0].pixels, first.panels[0].pixels)
    other = figure(vgg, [request(vgg, steps=STEPS + 1)], tmp_path)
    assert any(isinstance(event, Worked) for event in other)


def test_a_stopped_figure_goes_on_to_the_same_pictures(vgg: Model, tmp_path: Path) -> None:
    requests = [request(vgg, "one"), request(vgg, "two", seed=1)]
    stopped = figure(vgg, requests, tmp_path)
    for event in stopped:
        if isinstance(event, Worked) and event.number == 2:
            stopped.stop()
    assert [panel.status for panel in stopped.panels] == ["ok", "interrupted"]
    assert not stopped.complete
    resumed, unbroken = figure(vgg, requests, tmp_path), figure(vgg, requests)
    made = [event.found for event in carried_out(resumed) if isinstance(event, Made)]
    carried_out(unbroken)
    assert made == [True, False]
    assert resumed.complete
    for one, other in zip(resumed.panels, unbroken.panels, strict=True):
        assert torch.equal(one.pixels, other.pixels)


def test_stages_lead_from_small_to_large(vgg: Model) -> None:
    term = Term(1.0, Gram(LAYER, of="original", norm="relative").bind(vgg))
    stages = (Stage((20, 24), 2, {"original": original()}), Stage((33, 41), 3, {"original": original()}))
    work = figure(vgg, [Request("style", {"loss": term}, stages, {})])
    sizes = [event.step.signal.size for event in work if isinstance(event, Worked)]
    assert sizes == [(20, 24)] * 2 + [(33, 41)] * 3
    assert work.panels[0].size == (33, 41)


def test_progress_ends_at_its_total(vgg: Model) -> None:
    steps = [e for e in figure(vgg, [request(vgg, "a"), request(vgg, "b")]) if isinstance(e, Worked)]
    assert [step.done for step in steps] == list(range(1, 2 * STEPS + 1))
    assert {step.total for step in steps} == {2 * STEPS}


def test_the_network_is_left_as_it_was(vgg: Model) -> None:
    before = {name: value.clone() for name, value in vgg.net.state_dict().items()}
    wanted = [parameter.requires_grad for parameter in vgg.net.parameters()]
    carried_out(figure(vgg, [request(vgg, steps=2)]))
    assert all(torch.equal(value, before[name]) for name, value in vgg.net.state_dict().items())
    assert [parameter.requires_grad for parameter in vgg.net.parameters()] == wanted


def test_a_layer_that_is_not_there_is_told_before_any_work(vgg: Model) -> None:
    with pytest.raises(UnknownNameError, match="relu9_9"):
        Content("relu9_9", of="original").bind(vgg)
