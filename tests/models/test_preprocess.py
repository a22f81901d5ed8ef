"""Pictures become inputs exactly as torchvision's own presets make them, and logits become names."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from phosphene.errors import UnknownNameError, UsageError
from phosphene.models.labels import find_label
from phosphene.models.model import Model
from phosphene.models.preprocess import classify, to_input
from phosphene.models.registry import from_module, load
from phosphene.models.spec import InputSpec

LABELS = ("tench", "goldfish", "great white shark", "jack-o'-lantern", "crane", "tiger_cat", "Crane")


def noise(height: int, width: int, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels if channels > 1 else pixels[:, :, 0])


def model_of_planted_logits(logits: list[float], labels: tuple[str, ...] | None) -> Model:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, len(logits)))
    nn.init.zeros_(net[1].weight)
    net[1].bias.data = torch.tensor(logits)
    return from_module(net, InputSpec(size=(1, 1)), labels=labels)


@cache
def spec_of(name: str) -> InputSpec:
    return load(name, weights="random").spec


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet50", "inception_v3", "efficientnet_b0", "swin_t"])
@pytest.mark.parametrize("size", [(300, 403), (401, 299), (256, 256), (40, 30), (1000, 233)])
def test_a_photograph_becomes_what_torchvisions_preset_makes_of_it(name: str, size: tuple[int, int]) -> None:
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    picture = noise(*size)
    spec = spec_of(name)
    mean, std = torch.tensor(spec.mean)[:, None, None], torch.tensor(spec.std)[:, None, None]
    expected = preset(picture) * std + mean
    assert (to_input(picture, spec)[0] - expected).abs().max() < 1e-6


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_tensor_is_resized_like_the_picture_up_to_the_pictures_rounding(interpolation: str) -> None:
    spec = InputSpec(size=(48, 48), resize=64, interpolation=interpolation)
    middle = np.asarray(noise(20, 30)) // 2 + 64  # bicubic overshoots stay inside what Pillow can hold
    picture = Image.fromarray(middle.repeat(10, 0).repeat(10, 1))
    tensor = torchvision.transforms.functional.to_tensor(picture)
    rounding = 2 / 255  # Pillow rounds to 8 bits after each of its two passes
    assert (to_input(tensor, spec) - to_input(picture, spec)).abs().max() < rounding
    assert torch.equal(to_input(tensor, spec), to_input(tensor[None], spec))


@pytest.mark.parametrize("size", [(32, 32), (32, 64), (64, 32)])
@pytest.mark.parametrize("given", [(100, 100), (50, 200), (31, 17)])
def test_without_a_resize_the_picture_just_covers_the_input(size: tuple[int, int], given: tuple[int, int]) -> None:
    white = torch.ones(3, *given)
    x = to_input(white, InputSpec(size=size))
    assert x.shape == (1, 3, *size)
    assert (x - 1).abs().max() < 1e-5


def test_a_crop_larger_than_the_resized_picture_is_filled_up_with_black_on_both_sides() -> None:
    white = torch.ones(3, 32, 32)
    expected = torchvision.transforms.functional.center_crop(white, [32, 49])
    assert torch.equal(to_input(white, InputSpec(size=(32, 49), resize=32))[0], expected)
    assert expected.mean() < 1


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    picture = noise(32, 32)
    expected = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 255
    assert torch.equal(to_input(picture, InputSpec(size=(32, 32)))[0], expected)


def test_color_becomes_luminance_and_gray_is_repeated() -> None:
    gray_net = InputSpec(channels=1, size=(8, 8), mean=(0.5,), std=(0.5,))
    red = torch.zeros(3, 8, 8)
    red[0] = 1.0
    assert torch.allclose(to_input(red, gray_net), torch.full((1, 1, 8, 8), 0.299))
    picture = noise(8, 8)
    by_pillow = torch.from_numpy(np.asarray(picture.convert("L")).copy()) / 255
    assert (to_input(picture, gray_net)[0, 0] - by_pillow).abs().max() <= 1 / 255
    repeated = to_input(noise(8, 8, 1), InputSpec(size=(8, 8)))
    assert torch.equal(repeated[:, :1].expand(1, 3, 8, 8), repeated)


@pytest.mark.parametrize("picture", [torch.rand(2, 8, 8), torch.rand(4, 8, 8), noise(8, 8, 4)])
def test_other_channel_counts_are_refused(picture: Image.Image | torch.Tensor) -> None:
    with pytest.raises(UsageError, match="channels and the network takes 3"):
        to_input(picture, InputSpec(size=(8, 8)))


@pytest.mark.parametrize(
    "picture",
    [torch.zeros(3, 8, 8, dtype=torch.uint8), torch.rand(8, 8), torch.rand(2, 3, 8, 8), Image.new("I;16", (8, 8))],
)
def test_what_is_not_one_picture_in_zero_to_one_is_refused(picture: Image.Image | torch.Tensor) -> None:
    with pytest.raises(UsageError):
        to_input(picture, InputSpec(size=(8, 8)))


def test_classify_gives_the_best_classes_first_with_softmax_over_all() -> None:
    model = model_of_planted_logits([1.0, 3.0, 2.0, -1.0], ("a", "b", "c", "d"))
    best = classify(model, torch.rand(3, 1, 1), k=2)
    total = sum(np.exp([1.0, 3.0, 2.0, -1.0]))
    assert [(index, label, logit) for index, label, _, logit in best] == [(1, "b", 3.0), (2, "c", 2.0)]
    assert [chance for *_, chance, _ in best] == pytest.approx([np.exp(3) / total, np.exp(2) / total])
    assert len(classify(model, torch.rand(1, 3, 1, 1), k=99)) == 4


def test_classes_without_labels_are_called_by_their_index() -> None:
    model = model_of_planted_logits([1.0, 3.0], None)
    assert [label for _, label, _, _ in classify(model, torch.rand(3, 1, 1))] == ["1", "0"]


def test_classify_refuses_several_pictures_and_no_classes() -> None:
    model = model_of_planted_logits([1.0, 3.0], None)
    with pytest.raises(UsageError):
        classify(model, torch.rand(2, 3, 1, 1))
    with pytest.raises(UsageError):
        classify(model, torch.rand(3, 1, 1), k=0)


def test_squeezenet_gives_the_reference_logits_of_real_pictures(shared: Path) -> None:
    model = load("squeezenet1_1", weights=shared / "models" / "squeezenet1_1.safetensors")
    reference = json.loads((shared / "reference.json").read_text())
    rows = next(value for key, value in reference.items() if key.startswith("images"))
    assert len(rows) == 10
    for row in rows:
        with Image.open(shared / "images" / "imagenet1k-sample" / row["file"]) as picture:
            best = classify(model, to_input(picture, model.spec))
        assert [index for index, *_ in best] == row["squeezenet1_1_top5"]
        assert [logit for *_, logit in best] == pytest.approx(row["squeezenet1_1_logits"], abs=1e-3)


def test_torchvisions_labels_are_in_the_order_of_the_data_set(shared: Path) -> None:
    listed = json.loads((shared / "images" / "imagenet1k-sample.json").read_text())
    labels = load("squeezenet1_1", weights="random").labels
    assert labels is not None
    same = [entry["index"] for entry in listed if labels[entry["index"]].split()[0].lower() in entry["synset"].lower()]
    assert len(same) > 950  # the rest are spelled differently


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (1, 1),
        ("1", 1),
        ("goldfish", 1),
        ("GoldFish", 1),
        ("great_white_shark", 2),
        ("Great-White shark", 2),
        ("jack o'lantern", 3),
        ("tiger cat", 5),
        (" tench ", 0),
    ],
)
def test_a_class_is_found_by_index_and_by_name_in_any_spelling(asked: str | int, index: int) -> None:
    assert find_label(LABELS, asked) == index


def test_a_name_that_two_classes_share_is_refused_with_their_indices() -> None:
    with pytest.raises(UsageError, match="2 classes are called 'crane': give one of the indices 4, 6"):
        find_label(LABELS, "crane")


def test_an_unknown_class_brings_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match=r"no class 'goldfsh'.*did you mean goldfish"):
        find_label(LABELS, "goldfsh")


@pytest.mark.parametrize("asked", [7, "7", -1, "-1"])
def test_an_index_out_of_range_is_refused_with_the_range(asked: str | int) -> None:
    with pytest.raises(UsageError, match=r"it must be 0 to 6"):
        find_label(LABELS, asked)
    with pytest.raises(UsageError, match=r"it must be 0 to 6"):
        find_label(None, asked, classes=7)


def test_without_labels_a_name_cannot_be_meant_and_an_index_can() -> None:
    assert find_label(None, "3", classes=7) == 3
    with pytest.raises(UsageError, match="no class names"):
        find_label(None, "goldfish", classes=7)
