"""Inception v1 is the network of Distill: the graph that was published and this network give the same numbers."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from phosphene.cli.main import run
from phosphene.errors import UsageError, WeightsError
from phosphene.models import Model, average_pooling, from_module, is_known, known, load
from phosphene.models.inceptionv1 import (
    BLOCKS,
    BRANCHES,
    NAME,
    SPEC,
    InceptionV1,
    LocalResponseNorm,
    SameConv2d,
    SameMaxPool2d,
    same_padding,
    window_sums,
)
from phosphene.models.inceptionv1_labels import ORDER
from phosphene.models.registry import imagenet_labels

sys.path.insert(0, str(Path(__file__).parent))
try:
    from inceptionv1_reference import (
        SAME,
        VALID,
        WIDTHS,
        Op,
        computed,
        constants,
        lrn,
        operations,
        padded,
        windows,
        written,
    )
finally:
    sys.path.pop(0)


@pytest.fixture(scope="module")
def graph() -> list[Op]:
    return [*constants(), *operations()]


@pytest.fixture(scope="module")
def published(graph: list[Op], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the published one, with weights that are not."""
    return written(tmp_path_factory.mktemp("graph") / "tensorflow_inception_graph.pb", graph)


@pytest.fixture(scope="module")
def model(published: Path) -> Model:
    return load(NAME, weights=published)


@pytest.fixture(scope="module")
def untrained() -> Model:
    return load(NAME, weights="random")


# --- the numbers ---


@pytest.mark.parametrize(("height", "width"), [(224, 224), (33, 46), (78, 65)])
def test_the_converted_graph_gives_what_its_own_nodes_give(
    graph: list[Op], model: Model, height: int, width: int
) -> None:
    pictures = np.random.default_rng(1).random((1, height, width, 3), np.float32)
    expected = computed(graph, pictures * 255 - 117)
    names = [name for name in model.layers if name in expected]
    assert {"conv2d0", "localresponsenorm1", "maxpool1", "mixed4a", "mixed4e_pool_reduce", "softmax2"} <= set(names)
    found = model.activations(torch.from_numpy(pictures).permute(0, 3, 1, 2), [*names, "output"])
    for name in names:
        ours = found[name].permute(0, 2, 3, 1) if found[name].dim() == 4 else found[name]
        assert ours.shape == expected[name].shape, name
        error = np.linalg.norm(ours.numpy() - expected[name]) / np.linalg.norm(expected[name])
        assert error < 1e-4, (name, error)
    torch.testing.assert_close(found["output"], found["softmax2_pre_activation"])


def test_normalization_matters_in_that_comparison(graph: list[Op]) -> None:
    picture = np.random.default_rng(1).random((1, 32, 32, 3), np.float32) * 255 - 117
    names = [node.name for node in graph]
    values = computed(graph[: names.index("maxpool1")], picture)
    for number, before in enumerate(("maxpool0", "conv2d2")):
        ratio = values[f"localresponsenorm{number}"] / np.maximum(values[before], 1e-9) * 2**0.5
        assert ratio[values[before] > 0].min() < 0.95


@pytest.mark.parametrize(
    ("n", "kernel", "stride", "expected"),
    [
        (224, 7, 2, (2, 3)),
        (225, 7, 2, (3, 3)),
        (112, 3, 2, (0, 1)),
        (7, 3, 2, (1, 1)),
        (1, 3, 2, (1, 1)),
        (14, 5, 1, (2, 2)),
    ],
)
def test_same_padding_puts_the_odd_pixel_last(n: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(n, kernel, stride) == expected


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 3), (3, 4), (8, 5), (7, 6), (9, 9)])
def test_convolution_and_pooling_pad_as_tensorflow_does(height: int, width: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width) - 5  # negative, so that padding with zeros would win
    last = x.permute(0, 2, 3, 1).numpy()
    pooled = windows(padded(last, 3, 2, -np.inf), 3, 3, 2).max((4, 5))
    torch.testing.assert_close(SameMaxPool2d(3, 2)(x).permute(0, 2, 3, 1), torch.from_numpy(pooled))
    layer = SameConv2d(3, 4, 7, stride=2, bias=False)
    kernel = layer.weight.detach().permute(2, 3, 1, 0).numpy()
    expected = np.tensordot(windows(padded(last, 7, 2, 0.0), 7, 7, 2), kernel, ((4, 5, 3), (0, 1, 2)))
    torch.testing.assert_close(layer(x).detach().permute(0, 2, 3, 1), torch.from_numpy(expected))


@pytest.mark.parametrize("channels", [1, 4, 11, 64])
@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_normalization_is_tensorflows(channels: int, radius: int) -> None:
    x = torch.randn(2, channels, 3, 4, generator=torch.Generator().manual_seed(0)) * 80
    expected = lrn(x.permute(0, 2, 3, 1).numpy(), radius, 1.5, 3e-3, 0.75)
    found = LocalResponseNorm(radius=radius, bias=1.5, alpha=3e-3, beta=0.75)(x)
    torch.testing.assert_close(found.permute(0, 2, 3, 1), torch.from_numpy(expected))


def test_normalization_survives_half_precision() -> None:
    x = torch.full((1, 64, 2, 2), 1000.0)
    for dtype in (torch.float16, torch.bfloat16):
        found = LocalResponseNorm()(x.to(dtype))
        assert found.dtype == dtype
        torch.testing.assert_close(found.float(), LocalResponseNorm()(x), rtol=1e-2, atol=0)


@pytest.mark.parametrize("size", range(1, 17))
def test_sums_over_channels_are_those_of_a_window(size: int) -> None:
    x = torch.randn(2, 16 + size, 1, 1, generator=torch.Generator().manual_seed(size))
    torch.testing.assert_close(window_sums(x, size), x.unfold(1, size, 1).sum(-1))


# --- names, sizes and the contracts of a model ---


def test_layers_have_distills_names_and_sizes(untrained: Model) -> None:
    sizes = {name: (layer.channels, layer.spatial, layer.stride) for name, layer in untrained.layers.items()}
    assert sizes["conv2d0"] == sizes["conv2d0_pre_relu"] == (64, (112, 112), 2)
    assert sizes["maxpool0"] == sizes["localresponsenorm0"] == sizes["conv2d1"] == (64, (56, 56), 4)
    assert sizes["conv2d2"] == sizes["localresponsenorm1"] == (192, (56, 56), 4)
    for name, width in WIDTHS.items():
        side, stride = {"3": (28, 8), "4": (14, 16), "5": (7, 32)}[name[5]]
        assert sizes[name] == sizes[f"{name}_pre_relu"] == (width, (side, side), stride)
        assert sizes[f"{name}_3x3_bottleneck"][0] == BLOCKS[name].three_inside
        assert sum(sizes[f"{name}_{branch}"][0] for branch in BRANCHES) == width
    assert sizes["softmax2_pre_activation"] == sizes["softmax2"] == sizes["output"] == (1008, (), None)
    assert list(sizes)[:5] == ["conv2d0_pre_relu", "conv2d0", "maxpool0", "localresponsenorm0", "conv2d1_pre_relu"]


def test_a_block_joins_its_branches_in_the_order_of_the_graph(untrained: Model) -> None:
    order = ("1x1", "3x3", "5x5", "pool_reduce")
    names = ["mixed4a", "mixed4a_pre_relu", *(f"mixed4a_{branch}_pre_relu" for branch in order)]
    names += [f"mixed4a_{branch}" for branch in order]
    found = untrained.activations(torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)), names)
    assert torch.equal(found["mixed4a_pre_relu"], torch.cat([found[f"mixed4a_{b}_pre_relu"] for b in order], 1))
    assert torch.equal(found["mixed4a"], torch.relu(found["mixed4a_pre_relu"]))
    assert torch.equal(found["mixed4a"], torch.cat([found[f"mixed4a_{branch}"] for branch in order], 1))
    assert torch.equal(found["mixed4a"][:, 492], found["mixed4a_pool_reduce"][:, 492 - 192 - 204 - 48])


def test_pictures_are_in_the_range_of_the_published_network(untrained: Model) -> None:
    black_and_white = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    assert untrained.normalize(black_and_white)[:, 0].flatten().tolist() == [-117.0, 138.0]


def test_outputs_have_the_labels_of_the_published_file(untrained: Model) -> None:
    assert sorted(ORDER) == list(range(1000))
    assert untrained.labels is not None
    assert len(untrained.labels) == 1008
    assert sorted(untrained.labels[1:1001]) == sorted(imagenet_labels())
    known_places = {
        0: "dummy",
        1: "kit fox",
        2: "English setter",
        3: "Siberian husky",
        450: "goldfish",
        1000: "dumbbell",
    }
    assert {place: untrained.label(place) for place in known_places} == known_places
    assert untrained.find_class("goldfish") == 450
    assert untrained.find_class(1007) == 1007
    with pytest.raises(UsageError, match="no class 1008"):
        untrained.find_class(1008)


def test_bfloat16_and_channels_last_change_little(model: Model) -> None:
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prepared = model.prepared(dtype=torch.bfloat16, memory_format=torch.channels_last)
    for name in ("mixed4a", "output"):
        ours, theirs = (m.activations(pictures, [name])[name].float() for m in (prepared, model))
        assert (ours - theirs).norm() < 0.05 * theirs.norm()


def test_dead_units_get_gradient_by_redirection(model: Model) -> None:
    prepared = model.prepared()
    prepared.net.mixed4a_1x1_pre_relu.bias.data[6] = -1e6
    pictures = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = prepared.activations(pictures, ["mixed4a"], redirect=torch.tensor([True, False]))["mixed4a"][:, 6]
    assert not value.any()
    (gradient,) = torch.autograd.grad(value.sum(), pictures)
    assert gradient[0].any()
    assert not gradient[1].any()


def test_average_pooling_is_refused_in_words(untrained: Model) -> None:
    with pytest.raises(UsageError, match="maxpool0 is a SameMaxPool2d"):
        average_pooling(untrained)


def test_the_network_is_a_module_that_anyone_may_build() -> None:
    net = InceptionV1()
    assert isinstance(net, nn.Module)
    assert from_module(net, SPEC, name="mine").find_layer("mixed5b").channels == 1024


# --- weights ---


def lucents(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights under lucent's names: conv2d0_pre_relu_conv.weight, softmax2_pre_activation_matmul.bias."""
    renamed = {re.sub(r"_pre_relu\.", "_pre_relu_conv.", name): value.clone() for name, value in state.items()}
    return {name.replace("activation.", "activation_matmul."): value for name, value in renamed.items()}


def test_lucents_checkpoint_and_our_own_file_are_the_same_network(model: Model, tmp_path: Path) -> None:
    state = lucents(model.net.state_dict())
    assert "mixed3a_3x3_bottleneck_pre_relu_conv.weight" in state
    torch.save(state, tmp_path / "inceptionv1.pth")
    save_file(model.net.state_dict(), tmp_path / "inceptionv1.safetensors")
    for file in ("inceptionv1.pth", "inceptionv1.safetensors"):
        again = load(NAME, weights=tmp_path / file)
        assert again.weights.sha256 == model.weights.sha256
        assert again.weights.source == f"file:{file}"
        assert repr(again.net.localresponsenorm1) == repr(model.net.localresponsenorm1)


def test_half_precision_constants_are_taken(tmp_path: Path) -> None:
    nodes = list(constants("<f2"))
    net = load(NAME, weights=written(tmp_path / "half.pb", [*nodes, *operations()])).net
    expected = next(node.value for node in nodes if node.name == "mixed4b_5x5_w")
    assert expected is not None
    assert torch.equal(net.mixed4b_5x5_pre_relu.weight, torch.from_numpy(expected.transpose(3, 2, 0, 1).astype("<f4")))


def test_normalization_has_the_constants_of_the_graph(graph: list[Op], tmp_path: Path) -> None:
    other = {"depth_radius": 2, "bias": 1.5, "alpha": 0.25, "beta": 0.75}
    changed = [replace(node, attributes=other) if node.name == "localresponsenorm1" else node for node in graph]
    net = load(NAME, weights=written(tmp_path / "graph.pb", changed)).net
    assert repr(net.localresponsenorm1) == "LocalResponseNorm(radius=2, bias=1.5, alpha=0.25, beta=0.75)"
    assert net.localresponsenorm0.alpha == pytest.approx(1e-4)
    assert LocalResponseNorm().alpha == pytest.approx(net.localresponsenorm0.alpha)


def changed(name: str, **differing: Any) -> list[Op]:
    return [replace(node, **differing) if node.name == name else node for node in operations()]


JOINED = ("mixed4a/concat_dim", "mixed4a_3x3", "mixed4a_1x1", "mixed4a_5x5", "mixed4a_pool_reduce")


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (changed("mixed4a", inputs=JOINED), "mixed4a reads mixed4a_3x3, mixed4a_1x1, .* instead of mixed4a_1x1, mix"),
        (changed("mixed4a/concat_dim", value=np.int32(1)), "mixed4a does not join channels"),
        (changed("mixed4a", op="AddN"), "mixed4a, a Concat, is a AddN"),
        (changed("conv2d0_pre_relu/conv", attributes={"strides": (1, 4, 4, 1), "padding": SAME}), r"strides \(1, 4, 4"),
        (changed("conv2d2_pre_relu/conv", attributes={"strides": (1,) * 4, "padding": VALID}), "padding b'VALID'"),
        (changed("mixed3a_pool", inputs=("conv2d2",)), "mixed3a_pool reads conv2d2 instead of maxpool1"),
        (changed("maxpool1", attributes={"strides": (1, 2, 2, 1), "padding": SAME}), "maxpool1 has ksize None"),
        ([node for node in operations() if node.name != "localresponsenorm0"], "localresponsenorm0, a LRN, is absent"),
        (list(operations()), "another network than inceptionv1: 116 missing"),
    ],
)
def test_another_networks_graph_is_refused_in_one_line(nodes: list[Op], said: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"graph\.pb .*{said}") as caught:
        load(NAME, weights=written(tmp_path / "graph.pb", nodes))
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_refused(graph: list[Op], published: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pb"
    cut.write_bytes(published.read_bytes()[:1_000_000])
    with pytest.raises(WeightsError, match=r"cut\.pb is damaged or not a frozen TensorFlow graph"):
        load(NAME, weights=cut)
    broken = [replace(n, value=n.value * np.float32("nan")) if n.name == "mixed5b_1x1_b" else n for n in graph]
    with pytest.raises(WeightsError, match=r"mixed5b_1x1_pre_relu\.bias has NaN"):
        load(NAME, weights=written(tmp_path / "nan.pb", broken))
    narrow = [replace(n, value=n.value[:1]) if n.name == "conv2d1_w" else n for n in graph if n.name != "conv2d1_b"]
    narrow = [replace(n, value=np.zeros((1, 64), "<f4")) if n.name == "conv2d1_w" else n for n in narrow]
    with pytest.raises(WeightsError, match=r"1 missing \(conv2d1_pre_relu\.bias\); 1 of another shape"):
        load(NAME, weights=written(tmp_path / "narrow.pb", narrow))


def test_absent_weights_are_one_error_that_says_where_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, untrained: Model
) -> None:
    monkeypatch.setenv("PHOSPHENE_WEIGHTS", str(tmp_path))
    with pytest.raises(
        WeightsError, match=r"tensorflow_inception_graph\.pb in inception5h\.zip.*--weights FILE.*random"
    ):
        load(NAME)
    (entry,) = known(NAME)
    assert (entry.source, entry.license, entry.cached, entry.size) == ("phosphene", "Apache-2.0", None, (224, 224))
    assert is_known(NAME)
    save_file(untrained.net.state_dict(), tmp_path / "inceptionv1.safetensors")
    assert load(f"phosphene:{NAME}").weights.sha256 == untrained.weights.sha256
    assert known(NAME)[0].cached == tmp_path / "inceptionv1.safetensors"


def test_random_weights_are_the_same_every_time(untrained: Model) -> None:
    assert load(NAME, weights="random").weights == untrained.weights
    assert untrained.weights.source == "random"


def test_the_command_lists_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["layers", NAME, "--weights", "random"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["mixed4a", "508"] in [[cells[0], *[cell for cell in cells if cell == "508"]] for cells in lines if cells]
