"""The compressed VGG-19: the published network layer for layer, under VGG-19's names, down to the smallest pictures."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad, relu

from phosphene.errors import UsageError, WeightsError
from phosphene.models import Model, from_module, is_known, known, load
from phosphene.models.vgg19_cd16x import NAME, SPEC, CompressedVGG, ReflectConv2d, own_name, vgg19_cd16x

TOOLS = Path(__file__).parents[2] / "tools"
CONVOLUTIONS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4", "4_1", "4_2", "4_3", "4_4", "5_1")
DECODER = ("51", "|", "44", "43", "42", "41", "|", "34", "33", "32", "31", "|", "22", "21", "|", "12", "11")
FIRSTS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
MEASURED_PSNR = 19.71  # dB: decoder5 of encoder5, long side 512; mean over 25 pictures, of which 20 are the shared ones


@pytest.fixture
def teacher(shared: Path) -> ModuleType:
    """The tool that runs the same file in functions of its own."""
    sys.path.insert(0, str(TOOLS))
    try:
        import minivgg_teacher
    finally:
        sys.path.remove(str(TOOLS))
    return minivgg_teacher


@pytest.fixture
def published(shared: Path) -> Path:
    return shared / "models" / f"{NAME}.safetensors"


@pytest.fixture
def model(published: Path) -> Model:
    return load(NAME, weights=published)


def photograph(file: Path, side: int) -> Tensor:
    with Image.open(file) as image:
        picture = image.convert("RGB")
    scale = side / max(picture.size)
    if scale < 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def decoded(weights: dict[str, Tensor], features: Tensor) -> Tensor:
    """The published decoder: the convolutions backwards, with nearest-neighbor upsampling for each pooling."""
    x = features
    for part in DECODER:
        if part == "|":
            x = interpolate(x, scale_factor=2, mode="nearest")
            continue
        weight, bias = (weights[f"decoder5.conv{part}.{kind}"].float() for kind in ("weight", "bias"))
        x = relu(conv2d(pad(x, (1, 1, 1, 1), mode="reflect"), weight, bias))
    return x


def test_its_layers_have_the_names_of_vgg19() -> None:
    model = load(NAME, weights="random")
    names = [name for name, _ in model.net.named_children()]
    assert [name for name in names if name.startswith("conv")] == ["conv0", *(f"conv{of}" for of in CONVOLUTIONS)]
    assert [name for name in names if name.startswith("relu")] == [f"relu{of}" for of in CONVOLUTIONS]
    assert list(model.layers) == [*names, "output"]
    assert [model.find_layer(name).stride for name in FIRSTS] == [1, 2, 4, 8, 16]
    assert [model.find_layer(name).channels for name in FIRSTS] == [16, 32, 64, 128, 128]
    assert not any(layer.aliases for layer in model.layers.values())  # one name for one layer
    assert model.labels is None


def test_features_equal_those_of_an_independent_forward_pass(
    model: Model, teacher: ModuleType, published: Path, shared: Path
) -> None:
    x = photograph(shared / "images" / "style" / "starry_night.jpg", 200)
    ours = model.activations(x, FIRSTS)
    with torch.no_grad():
        theirs = teacher.Teacher(published).features(x)
    for name, expected in zip(FIRSTS, theirs, strict=True):
        assert ours[name].shape == expected.shape
        assert (ours[name] - expected).norm() <= 1e-4 * expected.norm()


def test_the_published_decoder_gives_the_pictures_back(model: Model, published: Path, shared: Path) -> None:
    weights = load_file(published)
    ratios = []
    for file in sorted([*(shared / "images" / "content").iterdir(), *(shared / "images" / "style").iterdir()]):
        x = photograph(file, 512)
        with torch.no_grad():
            again = decoded(weights, model.activations(x, ["relu5_1"])["relu5_1"])
        height, width = again.shape[-2:]
        error = (again.clamp(0, 1) - x[..., :height, :width]).square().mean()
        ratios.append(float(-10 * error.log10()))
    assert np.mean(ratios) == pytest.approx(MEASURED_PSNR, abs=0.2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (9, 1), (2, 3)])
def test_edges_are_mirrored_as_numpy_mirrors_them(height: int, width: int) -> None:
    torch.manual_seed(0)
    layer = ReflectConv2d(3, 4)
    x = noise(height, width)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    torch.testing.assert_close(layer(x), conv2d(torch.from_numpy(padded), layer.weight, layer.bias))


@pytest.mark.parametrize(("block", "least"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16)])
def test_a_picture_reaches_each_layer_from_the_smallest_size_on(block: int, least: int) -> None:
    model, layer = load(NAME, weights="random"), f"relu{block}_1"
    for size in [(least, least), (least, 50), (50, least)]:
        assert 1 in model.activations(noise(*size), [layer])[layer].shape[-2:]
    if least > 1:
        said = f"a picture of 50x{least - 1} pixels ends before pool{block - 1}.*need {least} pixels a side"
        with pytest.raises(UsageError, match=said):
            model.activations(noise(least - 1, 50), [layer])


def test_an_absent_file_is_one_error_with_the_ways_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"--weights FILE.*vgg19_cd16x\.safetensors into.*--weights random"):
        load(NAME)
    (entry,) = known(NAME)
    assert (entry.source, entry.license, entry.cached, entry.url) == ("phosphene", "MIT", None, None)
    save_file(vgg19_cd16x().state_dict(), tmp_path / f"{NAME}.safetensors")
    assert load(f"phosphene:{NAME}").weights.source == f"file:{NAME}.safetensors"
    assert known(NAME)[0].cached == tmp_path / f"{NAME}.safetensors"
    assert is_known(NAME)


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    save_file({"conv0.weight": torch.zeros(3, 3, 1, 1), "head.bias": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"another network than vgg19_cd16x: .*1 unexpected \(head.bias\)"):
        load(NAME, weights=tmp_path / "other.safetensors")


def test_the_fifth_encoder_is_read_from_the_common_file_and_from_its_own(published: Path, tmp_path: Path) -> None:
    alone = {
        name.removeprefix("encoder5."): value for name, value in load_file(published).items() if name[:8] == "encoder5"
    }
    assert "conv11_aux.weight" in alone
    torch.save({"model": alone}, tmp_path / "5SE.pth")
    ours = load(NAME, weights=published)
    assert load(NAME, weights=tmp_path / "5SE.pth").weights.sha256 == ours.weights.sha256
    torch.testing.assert_close(ours.net.conv3_4.weight, alone["conv34.weight"].float())


def test_other_encoders_and_the_decoders_are_left_out() -> None:
    assert own_name("encoder5.conv0.bias") == "conv0.bias"
    assert own_name("conv5_1.bias") == "conv5_1.bias"
    unused = ["encoder4.conv0.bias", "encoder1.conv11.weight", "decoder5.conv51.bias", "conv51_aux.weight"]
    assert not any(own_name(entry) for entry in unused)


def test_random_weights_are_the_same_every_time() -> None:
    first, second = load(NAME, weights="random"), load(NAME, weights="random")
    assert first.weights == second.weights
    assert first.weights.source == "random"
    assert re.fullmatch(r"[0-9a-f]{64}", first.weights.sha256)


def test_the_network_is_a_plain_row_that_anyone_may_build() -> None:
    net = vgg19_cd16x()
    assert isinstance(net, CompressedVGG)
    x = noise(33, 47)
    expected = net(x)
    assert expected.shape == (1, 128, 2, 2)
    torch.testing.assert_close(from_module(net, SPEC).activations(x, ["output"])["output"], expected)
