"""The study of regularization: pictures that `render` makes, weights that mean a share, numbers a stranger finds."""

from __future__ import annotations

import copy
import json
import math
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from phosphene.errors import UsageError
from phosphene.features.picture import Picture
from phosphene.features.render import render
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import INPUT
from phosphene.recipe import RunConfig
from phosphene.study.config import RegularizationConfig
from phosphene.study.methods import METHODS, chosen
from phosphene.study.regularization import Begun, Regularizing, study_regularization
from phosphene.study.result import Study

CPU = RunConfig(device="cpu", precision="float32")
UNIT = "features.3:5"


@pytest.fixture(scope="module")
def small() -> Model:
    """Two strided convolutions with rectifiers, whose layer names are those of the tiny network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(inplace=True)]
        net = nn.Sequential(OrderedDict(features=nn.Sequential(*layers)))
    return from_module(net.eval(), InputSpec(size=(32, 32)), name="small")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(small: Model, folder: Path) -> Study:
    """The whole study of a unit of the small network, made once and written to the folder."""
    return study_regularization(small, UNIT, steps=6, run=CPU, out=folder)


def test_every_method_has_a_picture_and_the_network_is_untouched(tiny_model: Model) -> None:
    before = copy.deepcopy(tiny_model.net.state_dict())
    study = study_regularization(tiny_model, UNIT, steps=2, run=CPU)
    assert [entry.method for entry in study.entries] == list(METHODS)
    assert all(entry.picture.status == "ok" for entry in study.entries)
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.net.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in tiny_model.net.parameters())
    assert not any(module.training or module._forward_hooks for module in tiny_model.net.modules())


@pytest.mark.parametrize("name", ["none", "tv", "tv+robust", "maco", "default+blur"])
def test_a_picture_of_the_study_is_what_render_makes(study: Study, small: Model, name: str) -> None:
    entry = study[name]
    again = render(small, entry.picture.target, config=entry.method.config((32, 32), 6, 0), run=CPU)[0]
    assert torch.equal(again.pixels, entry.picture.pixels)
    assert again.activation == entry.picture.activation


@pytest.mark.parametrize("name", ["l1", "l2", "tv", "blur", "frequency"])
def test_a_price_is_its_share_of_what_the_unit_rises(study: Study, name: str) -> None:
    entry, first = study[name], study["none"].picture
    assert entry.method.price is not None
    price = float(entry.method.price({INPUT: first.pixels[None]}, torch.zeros(1, dtype=torch.int64)))
    gained = abs(first.activation - study.gray)
    assert entry.weight * price == pytest.approx(entry.method.share * gained, rel=0.01)


def test_the_activation_under_transforms_is_what_a_stranger_measures(tiny_model: Model) -> None:
    work = Regularizing(tiny_model, UNIT, RegularizationConfig(steps=3, methods="robust", views=5), CPU)
    for _ in work:
        pass
    for entry in work.result().entries:
        seen = [tiny_model.activations(v[None], [UNIT.split(":")[0]]) for v in work.views(entry.picture.pixels)]
        found = [float(acts["features.3"][0, 5].mean().detach()) for acts in seen]
        assert entry.robust == pytest.approx(sum(found) / 5, rel=1e-5)
        assert len(set(found)) == 5


def test_default_regularization_removes_noise_and_is_robust(squeezenet: Model) -> None:
    study = study_regularization(squeezenet, "features.12:50", size=96, steps=64, methods="default", run=CPU)
    none, default = study["none"], study["default"]
    assert none.excess > 10 * default.excess
    assert default.robust > 2 * none.robust
    assert "falls from" in study.sentences()[0]
    assert "transforms rises" in study.sentences()[0]


def test_the_data_are_the_file_and_hold_the_numbers(study: Study, folder: Path) -> None:
    written = json.loads((folder / "study.json").read_text())
    assert written == json.loads(json.dumps(study.data(folder)))
    assert [row["method"] for row in written["methods"]] == [method.name for method in METHODS]
    for row in written["methods"]:
        assert (folder / row["path"]).is_file()
        assert (folder / row["path"]).with_suffix(".json").is_file()
        assert row["excess"] == study[row["method"]].excess
    assert {"sheet.png", "gradients.png"} <= {file.name for file in folder.iterdir()}


def test_the_sheet_shows_itself_in_a_notebook(study: Study) -> None:
    assert study._repr_png_().startswith(b"\x89PNG")


def test_no_regularization_comes_first_always() -> None:
    assert [method.name for method in chosen("default, tv,default")] == ["none", "default", "tv"]
    assert chosen(None)[0].name == "none"


def test_a_unit_that_does_not_rise_still_has_a_finite_weight() -> None:
    for method in METHODS:
        for rise, price in ((0.0, 1.0), (math.nan, 1.0), (5.0, 0.0), (math.inf, 1.0)):
            assert math.isfinite(method.weight(rise, price))


def test_a_stopped_study_is_resumed_to_the_same_pictures(tiny_model: Model, tmp_path: Path) -> None:
    config = RegularizationConfig(steps=4, methods="l2,robust")
    whole = study_regularization(tiny_model, UNIT, config=config, run=CPU)
    work = Regularizing(tiny_model, UNIT, config, CPU, folder=tmp_path)
    for event in work:
        if isinstance(event, Begun) and event.number == 2:
            work.stop()
    assert not work.complete
    assert len(work.result().entries) < 3
    again = Regularizing(tiny_model, UNIT, config, CPU, folder=tmp_path, resume=True)
    for _ in again:
        pass
    pairs = zip(whole.entries, again.result().entries, strict=True)
    assert all(torch.equal(one.picture.pixels, other.picture.pixels) for one, other in pairs)


@pytest.mark.parametrize(
    ("target", "settings", "said"),
    [
        ("features.3:0..3", {}, "this study is of one unit"),
        ("features.3:1 - 0.1*tv", {}, "this study is of one unit"),
        ("tv", {}, "this study is of one unit"),
        ("features.9:1", {}, "no layer 'features.9'"),
        (UNIT, {"methods": "tv,forier"}, "no method 'forier' .*did you mean fourier"),
        (UNIT, {"size": 24}, "32 pixels or more"),
        (UNIT, {"steps": 0}, "steps must be at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    tiny_model: Model, tmp_path: Path, target: str, settings: dict[str, int], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        study_regularization(tiny_model, target, run=CPU, out=tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_entries_are_pictures_with_recipes(study: Study) -> None:
    picture: Picture = study["tv"].picture
    assert picture.recipe["target"]["text"] == picture.target
    assert picture.recipe["method"]["signal"]["signal"] == "pixels"
