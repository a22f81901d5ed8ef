"""The training of the package's network: repeatable, and whole in what it writes."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from phosphene.models.minivgg import minivgg
from phosphene.textures import CLASSES

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, made small: a few batches of small pictures."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.delitem(sys.modules, "train_minivgg", raising=False)
    tool = importlib.import_module("train_minivgg")
    small = {"SIZES": (32, 48), "LAST_SIZE": 48, "LABELLED": 32, "SCENES": 8, "CALIBRATED": 2, "REPORT_EVERY": 1}
    for name, value in small.items():
        monkeypatch.setattr(tool, name, value)
    yield tool
    torch.use_deterministic_algorithms(False)


def arguments(out: Path, **changes: object) -> Namespace:
    given = {
        "out": out,
        "seed": 3,
        "pictures": 90,
        "finish": 60,
        "teacher": None,
        "photos": [],
        "threads": 1,
        "workers": 0,
    }
    return Namespace(**{**given, "bfloat16": False, **changes})


def test_the_same_arguments_give_the_same_weights(training: ModuleType, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        for name, seed in (("a", 3), ("b", 3), ("c", 4)):
            assert list(training.train(arguments(tmp_path / name, seed=seed, pictures=64, finish=32)))
    finally:
        torch.set_num_threads(threads)
    first, again, other = ((tmp_path / name / "minivgg.safetensors").read_bytes() for name in "abc")
    assert first == again != other


def test_a_teacher_pulls_the_features(training: ModuleType, tmp_path: Path, shared: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 80, 3), np.uint8)).save(photo)
    teacher = shared / "models" / "vgg19_cd16x.safetensors"
    lines = list(training.train(arguments(tmp_path, teacher=teacher, photos=[photo], pictures=400)))
    assert lines[-1]["layers"][0] < lines[0]["layers"][0]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))  # both parts in one count
    assert lines[-1]["pictures"] >= 400 + 60


def test_the_second_part_shows_the_networks_own_size_behind_veils(training: ModuleType) -> None:
    batches = training.Batches(90, 120, 3, [])
    sizes = [batches[k][0].shape[1] for k in range(len(batches))]
    assert sizes[: batches.first] == [32, 48]
    assert set(sizes[batches.first :]) == {48}
    pictures, labels = batches[batches.first]
    data, place = batches.data[48], batches.plan[batches.first][1]
    plain = [data.array(training.shuffled(place + i)) for i in range(len(labels))]
    touched = [not np.array_equal(a, b) for a, b in zip(plain, pictures, strict=False)]
    assert 0.4 < np.mean(touched) < 1


def test_a_push_makes_a_class_harder_to_see_and_goes_no_further_than_it_may(training: ModuleType) -> None:
    torch.manual_seed(0)
    student = training.Student(None)
    x, y = torch.rand(8, 3, 32, 32), torch.arange(6)
    moved = training.pushed(student, x, y, bfloat16=False)
    assert torch.equal(moved[6:], x[6:])
    far = (moved - x)[:6].flatten(1).norm(dim=1) * training.SPEC.std[0]
    assert ((far > 0) & (far <= training.PUSH + 1e-5)).all()
    losses = [torch.nn.functional.cross_entropy(student(z, 6, False)[0], y) for z in (x, moved)]
    assert losses[1] > losses[0]


def test_folding_keeps_what_the_network_computes(training: ModuleType) -> None:
    torch.manual_seed(0)
    net = minivgg(len(CLASSES), normalized=True)
    for module in net:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(training.plain(training.folded(net.eval()))(x), net(x), rtol=1e-2, atol=2e-2)


def test_the_published_weights_fit_the_tool(training: ModuleType) -> None:
    from phosphene.models.minivgg import WEIGHTS

    net = training.plain(load_file(WEIGHTS))
    table = training.confusion(net, seed=5, shifted=False, size=96, count=128)
    assert table.sum() == 128
    assert training.accuracy(table) > 0.9
