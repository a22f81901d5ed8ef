"""Studies of classes: on planted networks by hand, on real ones against what a stranger measures."""

from __future__ import annotations

import json
from collections import OrderedDict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import phosphene as ph
from phosphene.errors import UnknownNameError, UsageError
from phosphene.features.events import Progress
from phosphene.features.store import Store
from phosphene.media import read_picture, to_tensor
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig
from phosphene.study.classes import Measured, StudyingClasses, study_class
from phosphene.study.finding import HEADER, QUESTIONS, ClassStudy, percent, row
from phosphene.study.split import Answer
from phosphene.study.words import sentence, verdict

CPU = RunConfig(device="cpu", precision="float32")
SIZE = 16


def colors(weights: Tensor) -> Model:
    """A network whose logits are `weights` (classes, 3) times the picture's mean color, from -2 to 2."""
    linear = nn.Linear(3, len(weights), bias=False)
    linear.weight.data = weights
    net = nn.Sequential(OrderedDict(mean=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), logits=linear))
    return from_module(net.eval(), InputSpec(size=(SIZE, SIZE), mean=(0.5,), std=(0.25,)), name="colors")


WEIGHTS = 3 * torch.tensor([[1.0, -0.5, 0.0], [0.4, 0.6, -0.3], [-0.2, 0.1, 0.8], [0.5, 0.5, 0.5]])


def made(model: Model, classes: Any, steps: int = 12, size: int = SIZE, **options: Any) -> ClassStudy:
    return study_class(model, classes, size=size, steps=steps, run=CPU, **options)


@pytest.fixture(scope="module")
def minivgg_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClassStudy, Path]:
    folder = tmp_path_factory.mktemp("study")
    return made(load(), ["star", "face"], steps=6, size=48, out=folder), folder


def test_on_a_linear_network_the_split_is_that_computed_by_hand(tmp_path: Path) -> None:
    study = made(colors(WEIGHTS), [0, 2], out=tmp_path)
    for finding in study:
        for one in finding:
            assert one.picture.path is not None
            color = (np.asarray(Image.open(one.picture.path)) / 255).reshape(-1, 3).mean(0)
            z = WEIGHTS.numpy() @ ((color - 0.5) / 0.25)
            others = np.delete(z, finding.index)
            lse = np.log(np.exp(others).sum())
            assert one.answer.logit == pytest.approx(z[finding.index], abs=1e-4)
            assert one.answer.others == pytest.approx(lse, abs=1e-4)
            assert one.gain.own == pytest.approx(z[finding.index] - one.start.logit, abs=1e-4)
            assert one.gain.others == pytest.approx(one.start.others - lse, abs=1e-4)
            assert one.gain.mean == pytest.approx(one.start.mean - others.mean(), abs=1e-4)
            assert one.gain.gain > 0.5 or one.question == "logit"  # which may raise the others more


def test_where_only_the_others_can_move_all_of_the_gain_is_theirs_and_where_they_cannot_none() -> None:
    fixed_class = made(colors(3 * torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])), 0)[0]
    for question in ("logprob", "prob", "margin"):
        assert fixed_class[question].gain.gain > 1
        assert fixed_class[question].gain.share == pytest.approx(1)
    assert fixed_class["logit"].picture.status == "degenerate"  # nothing raises it
    fixed_others = made(colors(3 * torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])), 0)[0]
    for one in fixed_others:
        assert one.gain.gain > 1
        assert one.gain.share == pytest.approx(0)


def test_the_parts_add_up_to_the_gain_along_the_whole_path(minivgg_study: tuple[ClassStudy, Path]) -> None:
    study, _ = minivgg_study
    for finding in study:
        for one in finding:
            assert one.gain.own + one.gain.others == pytest.approx(one.answer.log_odds - one.start.log_odds, abs=1e-4)
            gained = one.answer.log_probability - one.start.log_probability
            assert one.log_gain.own + one.log_gain.others == pytest.approx(gained, abs=1e-4)
            assert [step for step, _ in one.path] == list(range(7))


def test_what_the_study_says_is_what_a_stranger_measures_on_the_files(minivgg_study: tuple[ClassStudy, Path]) -> None:
    _, folder = minivgg_study
    told = json.loads((folder / "study.json").read_text())
    assert [result["label"] for result in told["results"]] == ["star", "face"]
    for result in told["results"]:
        assert list(result["pictures"]) == list(QUESTIONS)
        for one in result["pictures"].values():
            picture = to_tensor(read_picture(folder / one["file"]))
            z = load().activations(picture[None], ["output"])["output"][0].detach()
            others = torch.cat([z[: result["class"]], z[result["class"] + 1 :]])
            end = one["end"]
            assert end["logit"] == pytest.approx(float(z[result["class"]]), abs=1e-3)
            assert end["others_mean"] == pytest.approx(float(others.mean()), abs=1e-3)
            assert end["others_largest"] == pytest.approx(float(others.max()), abs=1e-3)
            assert end["probability"] == pytest.approx(float(z.softmax(0)[result["class"]]), abs=1e-4)
            assert end == {name: value for name, value in one["path"][-1].items() if name != "step"}
            assert one["start"] == {name: value for name, value in one["path"][0].items() if name != "step"}


def test_the_pictures_are_those_of_render_at_the_end_and_on_the_way(minivgg_study: tuple[ClassStudy, Path]) -> None:
    study, _ = minivgg_study
    for question in QUESTIONS:
        rendered = ph.render(load(), f"{question}:star,face", size=48, steps=6, run=CPU, snapshots=(3,))
        for picture, finding in zip(rendered, study, strict=True):
            assert torch.equal(picture.pixels, finding[question].picture.pixels)
            assert picture.target == finding[question].picture.target
            ((step, pixels),) = picture.frames
            z = load().activations(pixels[None], ["output"])["output"][0, finding.index]
            assert dict(finding[question].path)[step].logit == pytest.approx(float(z), abs=1e-4)


def test_the_path_starts_at_the_noise_that_the_picture_starts_from() -> None:
    still = RenderConfig(optimizer=OptimizerConfig(lr=1e-9))
    for one in made(load(), "star", steps=1, size=48, config=still)[0]:
        assert one.start == one.answer


def test_records_come_as_the_work_goes_on_and_paths_do_not_depend_on_the_batch() -> None:
    together = StudyingClasses(load(), ["star", "face"], RenderConfig(48, 3), CPU)
    events = list(together)
    measured = [event for event in events if isinstance(event, Measured)]
    assert [event.steps for event in measured[:8]] == [0] * 8  # first the starts
    assert isinstance(events[-2], Measured)
    assert sum(isinstance(event, Progress) for event in events) == 4 * 3
    apart = StudyingClasses(load(), ["star", "face"], RenderConfig(48, 3), RunConfig("cpu", "float32", batch=1))
    assert len(list(apart)) > len(events) - 1
    for first, second in zip(together.result(), apart.result(), strict=True):
        for a, b in zip(first, second, strict=True):
            assert a.start == b.start
            assert [step for step, _ in a.path] == [step for step, _ in b.path]
            assert a.answer.logit == pytest.approx(b.answer.logit, rel=0.05, abs=0.1)


def test_a_batch_that_is_filled_up_measures_its_own_pictures() -> None:
    plain = made(load(), ["star", "face", "rings"], steps=2, size=48)
    run = RunConfig("cpu", "float32", batch=2, batch_shape=2)
    padded = study_class(load(), ["star", "face", "rings"], size=48, steps=2, run=run)
    for first, second in zip(plain, padded, strict=True):
        for a, b in zip(first, second, strict=True):
            assert [answer.logit for _, answer in a.path] == pytest.approx([x.logit for _, x in b.path], abs=0.05)


def test_a_class_counts_once_however_it_is_called() -> None:
    model = load()
    star = model.find_class("star")
    work = StudyingClasses(model, ["star", star, str(star), " Star "], RenderConfig(48, 1), CPU)
    assert work.chosen == (star,)
    assert work.rendering.plan.rows == 4


def test_what_is_stopped_has_no_findings_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    work = StudyingClasses(load(), ["star"], RenderConfig(48, 50), CPU, store=Store(tmp_path))
    for event in work:
        if isinstance(event, Progress):
            work.stop()
    assert not work.complete
    assert len(work.result()) == 0
    assert verdict(work.result()) == ()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_networks_without_classes_and_wrong_words_are_refused(tmp_path: Path, tiny_model: Model) -> None:
    maps = from_module(nn.Conv2d(3, 4, 3).eval(), InputSpec(size=(16, 16)), name="maps")
    one = from_module(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1)).eval(), InputSpec())
    for classless in (maps, one, load("vgg19_cd16x", weights="random")):
        with pytest.raises(UsageError, match="does not answer with classes"):
            made(classless, 0, out=tmp_path / "out")
    with pytest.raises(UnknownNameError, match=r"no class 'starr'.*star"):
        made(load(), "starr", out=tmp_path / "out")
    with pytest.raises(UsageError, match="no class 10"):
        made(tiny_model, [10])
    with pytest.raises(UsageError, match="250 classes at most, got 1000"):
        made(load("squeezenet1_1", weights="random"), range(1000))
    with pytest.raises(UsageError, match="no class to study"):
        made(load(), [])
    for signal in (SignalConfig(alpha=True), SignalConfig(transparency=True)):
        with pytest.raises(UsageError, match="transparency"):
            made(load(), "star", config=RenderConfig(signal=signal))
    assert not (tmp_path / "out").exists()


def test_a_study_shows_itself(minivgg_study: tuple[ClassStudy, Path]) -> None:
    study, folder = minivgg_study
    shown = study._repr_html_()
    assert shown.count("<img") == 8
    assert shown.count("<tr>") == 9
    assert all(escape(name) in shown for name in HEADER)
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.size == study.image().size
    unsaved = made(load(), "star", steps=1, size=48)
    assert unsaved[0]["prob"].picture.path is None
    saved = unsaved.save(folder / "later")
    assert saved[0]["prob"].picture.path == folder / "later" / "prob-star.png"
    assert saved[0]["prob"].picture.path.is_file()


def test_the_sentences_say_the_numbers(minivgg_study: tuple[ClassStudy, Path]) -> None:
    study, _ = minivgg_study
    finding = study[0]
    assert f"{finding['prob'].gain.own:+.1f} from the class's own logit" in sentence(finding)
    shares = [one.gain for one in (study[0]["prob"], study[1]["prob"])]
    share = sum(gain.others for gain in shares) / sum(gain.gain for gain in shares)
    assert f"{share:.0%} from lowering the others" in verdict(study)[0]
    assert "of 2 classes" in verdict(study)[1]
    assert row(finding, finding["margin"])[0] == "star, margin"
    assert len(row(finding, finding["margin"])) == len(HEADER)


@pytest.mark.parametrize(
    ("odds", "said"), [(0.0, "50.0%"), (-12.0, "6e-06"), (12.0, "1 - 6e-06"), (-3.0, "4.7%"), (800.0, "1")]
)
def test_a_probability_is_not_rounded_to_nothing_or_all(odds: float, said: str) -> None:
    assert percent(Answer(odds, 0.0, 0.0, 0, 0.0)) == said
