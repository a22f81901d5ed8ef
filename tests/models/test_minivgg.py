"""The network in the package: whole, small, named like VGG-19, and right about pictures that it never saw."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import phosphene as ph
from phosphene.errors import UnknownNameError, WeightsError
from phosphene.models import DEFAULT_MODEL, Model, is_known, known, load, minivgg
from phosphene.textures import CLASSES, Textures
from phosphene.textures.colors import NAMED

TOOLS = Path(__file__).parents[2] / "tools"
PACKAGE_LIMIT = 3_000_000  # bytes
HELD_OUT, SHIFTED = 77, 78  # seeds that the training did not see


@pytest.fixture(scope="module")
def model() -> Model:
    return load().prepared(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def truth() -> ModuleType:
    """The tool that measures class pictures without the network."""
    sys.path.insert(0, str(TOOLS))
    try:
        import minivgg_truth
    finally:
        sys.path.remove(str(TOOLS))
    return minivgg_truth


def accuracy(model: Model, data: Textures) -> float:
    right = 0
    for first in range(0, len(data), 64):
        part = range(first, min(first + 64, len(data)))
        pictures = torch.from_numpy(np.stack([data.array(i) for i in part])).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            guesses = model.activations(pictures, ["output"])["output"].argmax(1)
        right += sum(int(guess) == data.label(i) for i, guess in zip(part, guesses, strict=True))
    return right / len(data)


def test_it_is_what_load_gives_without_a_name() -> None:
    model = load()
    assert (model.name, model.source) == (DEFAULT_MODEL, "phosphene:minivgg")
    assert model.weights.source == "phosphene:minivgg"
    assert model.labels == CLASSES
    assert load("phosphene:minivgg").weights == load("minivgg").weights == model.weights


def test_its_layers_have_the_names_of_vgg(model: Model) -> None:
    names = list(model.layers)
    assert [name for name in names if name.startswith("conv")] == [
        "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2", "conv5_1",
    ]  # fmt: skip
    assert {name.replace("conv", "relu") for name in names if name.startswith("conv")} < set(names)
    assert minivgg.layer_names() == set(names) - {"output"}
    strides = [model.layers[f"relu{block}_1"].stride for block in range(1, 6)]
    assert strides == [1, 2, 4, 8, 16]


def test_it_is_small(model: Model) -> None:
    assert minivgg.WEIGHTS.stat().st_size < PACKAGE_LIMIT
    assert all(tensor.dtype == torch.float16 for tensor in load_file(minivgg.WEIGHTS).values())
    assert 0.8e6 < sum(p.numel() for p in model.net.parameters()) < 1.4e6


def test_it_knows_pictures_of_another_seed(model: Model) -> None:
    assert accuracy(model, Textures(256, size=128, seed=HELD_OUT)) >= 0.95


def test_it_knows_pictures_of_another_kind(model: Model) -> None:
    assert accuracy(model, Textures(256, size=128, seed=SHIFTED, shifted=True)) >= 0.9


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "minivgg.safetensors"
    shutil.copy(minivgg.WEIGHTS, broken)
    content = bytearray(broken.read_bytes())
    content[-1] ^= 1
    broken.write_bytes(content)
    monkeypatch.setattr(minivgg, "WEIGHTS", broken)
    with pytest.raises(WeightsError, match="missing or damaged; install phosphene again"):
        load()
    broken.unlink()
    with pytest.raises(WeightsError, match="missing or damaged"):
        load()


def test_it_takes_other_weights(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    shutil.copy(minivgg.WEIGHTS, file)
    assert load("minivgg", weights=file).weights.source == "file:mine.safetensors"
    random = load("minivgg", weights="random")
    assert random.weights.source == "random"
    assert random.weights.sha256 == load("minivgg", weights="random").weights.sha256 != load().weights.sha256


def test_the_package_holds_no_other_network() -> None:
    with pytest.raises(UnknownNameError, match="minivgg"):
        load("phosphene:minivg")
    assert is_known("minivgg")
    assert is_known("timm:anything")
    assert not is_known("logit:star")


def test_it_is_listed_first() -> None:
    first = known()[0]
    assert (first.name, first.source, first.size, first.cached) == ("minivgg", "phosphene", (128, 128), minivgg.WEIGHTS)
    assert first.parameters == sum(p.numel() for p in load().net.parameters())
    assert [entry.name for entry in known("minivgg")] == ["minivgg"]
    assert all(entry.name != "minivgg" for entry in known("torchvision:vgg"))


def test_pictures_of_stripes_have_their_angle(model: Model, truth: ModuleType) -> None:
    sheet = ph.render(model, [f"logit:{name}" for name in CLASSES[:8]], size=64, steps=96)
    for name, picture in zip(CLASSES[:8], sheet, strict=True):
        assert truth.measured(name, picture.pixels.numpy())["off"] < 10, name


def test_pictures_of_colors_have_their_hue(model: Model, truth: ModuleType) -> None:
    names = [name for name, region in NAMED.items() if region.spread < 180]  # white, gray and black have none
    for name, picture in zip(names, ph.render(model, [f"logit:{n}" for n in names], size=96, steps=160), strict=True):
        assert truth.measured(name, picture.pixels.numpy())["off"] < 15, name


def test_pictures_of_squares_have_their_lattice(model: Model, truth: ModuleType) -> None:
    names = ("checkerboard", "grid")
    for name, picture in zip(names, ph.render(model, [f"logit:{n}" for n in names], size=128, steps=160), strict=True):
        found = truth.measured(name, picture.pixels.numpy())
        assert found["off"] < 14, name  # how far the data's own lean
        assert found["strength"] > 0.1, name
