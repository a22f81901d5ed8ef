"""Receptive fields measured by NaN against the arithmetic of stacked windows and against brute force."""

from __future__ import annotations

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from phosphene.models.receptive import Field, central_unit, crop_box, measure, receptive_field
from phosphene.models.spec import InputSpec, Layer
from phosphene.models.table import layer_table

SMALL = InputSpec(size=(64, 64))


def stacked_windows(windows: list[tuple[int, int, int]]) -> int:
    """Receptive field of windows (kernel, stride, dilation) on top of each other (Araujo et al., Distill 2019)."""
    field, jump = 1, 1
    for kernel, stride, dilation in windows:
        field += (kernel - 1) * dilation * jump
        jump *= stride
    return field


def brute_force_box(net: nn.Module, layer: Layer, spec: InputSpec) -> tuple[int, int, int, int]:
    """Every row, then every column, made NaN alone."""
    y, x = central_unit(layer)
    seen = []
    for axis in (2, 3):
        lines = []
        for line in range(spec.size[axis - 2]):
            picture = torch.zeros(1, spec.channels, *spec.size)
            picture.select(axis, line).fill_(float("nan"))
            with torch.no_grad():
                if net(picture)[0, :, y, x].isnan().any():
                    lines.append(line)
        seen.append(lines)
    rows, columns = seen
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


@settings(max_examples=25)
@given(
    windows=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 2]), st.sampled_from([1, 2])),
        min_size=1,
        max_size=3,
    ),
    padded=st.booleans(),
)
def test_stacked_convolutions_see_what_arithmetic_says(windows: list[tuple[int, int, int]], padded: bool) -> None:
    expected = stacked_windows(windows)
    channels = [3] + [4] * len(windows)
    steps: list[nn.Module] = []
    for (kernel, stride, dilation), a, b in zip(windows, channels, channels[1:], strict=False):
        padding = (kernel - 1) * dilation // 2 if padded else 0
        steps += [nn.Conv2d(a, b, kernel, stride, padding, dilation), nn.ReLU()]
    net = nn.Sequential(*steps)
    spec = InputSpec(size=(96, 96))  # at most 1 + 8 + 16 + 32 pixels are seen
    assert receptive_field(net, layer_table(net, spec)["output"], spec) == (expected, expected)


def test_published_fields_of_vgg19_are_measured() -> None:
    with torch.random.fork_rng(devices=[]):
        trunk = torchvision.models.vgg19().features[:21]  # to relu4_1
    table = layer_table(trunk, InputSpec(size=(96, 96)), receptive=True)
    assert {key: table[key].receptive_field for key in ("0", "2", "4", "7", "9", "16", "18", "20")} == {
        "0": 3,
        "2": 5,
        "4": 6,
        "7": 14,
        "9": 16,
        "16": 48,
        "18": 52,
        "20": 68,
    }


def test_a_dead_relu_and_a_pool_that_looks_away_hide_nothing() -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1)
    nn.init.constant_(conv.weight, 0.0)
    nn.init.constant_(conv.bias, -1.0)
    net = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Hardswish(), nn.Conv2d(4, 4, 3, padding=1))
    assert receptive_field(net, layer_table(net, SMALL)["output"], SMALL) == (8, 8)


def test_an_oblong_kernel_has_an_oblong_field() -> None:
    net = nn.Conv2d(3, 2, (3, 7), padding=(1, 3))
    layer = layer_table(net, SMALL)["output"]
    assert receptive_field(net, layer, SMALL) == (3, 7)


def test_branches_see_the_hull_of_what_each_sees() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.narrow = nn.Conv2d(3, 2, 3, padding=1)
            self.wide = nn.Conv2d(3, 2, 3, padding=4, dilation=4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.narrow(x), self.wide(x)], 1)

    net = Branches()
    fields = measure(net, layer_table(net, SMALL).values(), SMALL)
    assert {name: field.size if field else None for name, field in fields.items()} == {
        "narrow": (3, 3),
        "wide": (9, 9),
        "output": (9, 9),
    }


@pytest.mark.parametrize("bias", [(0, 0), (0, 1), (1, 0)])
def test_the_box_is_that_of_brute_force(bias: tuple[int, int]) -> None:
    """Unpadded and lopsided: the box is not centered on the unit's share of the picture."""
    net = nn.Sequential(
        nn.ZeroPad2d((bias[0], bias[1], bias[1], bias[0])),
        nn.Conv2d(3, 4, 3, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(4, 4, 3, padding=1),
    )
    layer = layer_table(net, SMALL)["output"]
    field = measure(net, [layer], SMALL)["output"]
    assert field is not None
    assert field.box == brute_force_box(net, layer, SMALL)


def test_global_layers_have_no_field() -> None:
    class Gate(nn.Module):
        """Squeeze and excitation: every unit sees everything."""

        def forward(self, x: Tensor) -> Tensor:
            return x * x.mean((2, 3), keepdim=True)

    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Gate(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    fields = measure(net, layer_table(net, SMALL).values(), SMALL)
    assert fields["0"] is not None
    assert [fields[name] for name in ("1", "2", "3", "4", "output")] == [None] * 5


def test_a_field_larger_than_the_picture_is_none() -> None:
    net = nn.Conv2d(3, 4, 65, padding=32)
    assert receptive_field(net, layer_table(net, SMALL)["output"], SMALL) is None


def test_tokens_see_their_patch_until_attention_mixes_them() -> None:
    with torch.random.fork_rng(devices=[]):
        net = torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=4)
    spec = InputSpec(size=(32, 32))
    table = layer_table(net, spec, receptive=True)
    assert table["conv_proj"].receptive_field == 8
    assert table["encoder.layers.encoder_layer_0.ln_1"].receptive_field == 8
    assert table["encoder.layers.encoder_layer_0.self_attention"].receptive_field is None


def test_a_network_of_one_size_is_measured_too() -> None:
    class OneSize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 5, padding=2)

        def forward(self, x: Tensor) -> Tensor:
            if tuple(x.shape[2:]) != (80, 96):
                raise ValueError("only 80x96")
            return self.conv(x)

    spec = InputSpec(size=(80, 96))
    assert layer_table(OneSize(), spec, receptive=True)["conv"].receptive_field == 5


def test_tokens_of_a_network_of_any_size_are_measured_on_the_whole_picture() -> None:
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 8, stride=8)
            self.norm = nn.LayerNorm(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.conv(x).flatten(2).transpose(1, 2))

    net, spec = Patches(), InputSpec(size=(96, 96))
    field = measure(net, layer_table(net, spec).values(), spec)["norm"]
    assert field is not None
    assert field.box == (48, 48, 56, 56)


def test_a_layer_that_the_network_does_not_run_has_no_field() -> None:
    absent = Layer("absent", "Conv2d", 4, (8, 8), "channels_first")
    assert receptive_field(nn.Conv2d(3, 4, 3), absent, SMALL) is None


def test_a_strip_measures_what_the_whole_picture_does(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, padding=1))
    spec = InputSpec(size=(160, 96))
    layers = layer_table(net, spec).values()
    in_strips = measure(net, layers, spec)
    monkeypatch.setattr("phosphene.models.receptive.STRIP", 10_000)
    assert measure(net, layers, spec) == in_strips


def test_a_measured_field_moves_with_the_unit_and_is_clipped() -> None:
    layer = Layer("l", "Conv2d", 4, (8, 8), "channels_first", stride=8)
    field = Field(unit=(4, 4), box=(28, 26, 44, 42))
    assert crop_box(layer, (4, 4), SMALL, field=field) == (28, 26, 44, 42)
    assert crop_box(layer, (5, 2), SMALL, field=field) == (36, 10, 52, 26)
    assert crop_box(layer, (0, 7), SMALL, field=field) == (0, 50, 12, 64)


def test_without_a_measured_field_the_box_is_centered_on_the_units_share() -> None:
    layer = Layer("l", "Conv2d", 4, (8, 8), "channels_first", stride=8, receptive_field=16)
    assert crop_box(layer, (4, 4), SMALL) == (28, 28, 44, 44)
    assert crop_box(layer, (0, 7), SMALL) == (0, 52, 12, 64)


def test_a_global_unit_or_a_vector_sees_the_whole_picture() -> None:
    spec = InputSpec(size=(48, 64))
    assert crop_box(Layer("l", "Conv2d", 4, (8, 8), "channels_first", stride=8), (1, 1), spec) == (0, 0, 48, 64)
    assert crop_box(Layer("l", "Linear", 4, (), "vector"), (0, 0), spec) == (0, 0, 48, 64)


def test_measuring_leaves_the_network_as_found(tiny_net: nn.Module) -> None:
    tiny_net.train()
    spec = InputSpec(size=(32, 32))
    measure(tiny_net, layer_table(tiny_net, spec).values(), spec)
    assert all(module.training for module in tiny_net.modules())
    assert all(not module._forward_hooks for module in tiny_net.modules())
    assert all(bool(value.isfinite().all()) for value in tiny_net.state_dict().values())
