"""The layer table against networks whose layers are known by heart."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.models.spec import InputSpec
from phosphene.models.table import layer_table, map_layout, token_grid, vgg_aliases

SMALL = InputSpec(size=(32, 32))
FULL = InputSpec()

# The table has a test of its own for one network of every family; each takes well under a second.
FAMILIES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet50",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "swin_t",
    "vgg11",
    "vit_b_16",
]


def make(name: str) -> nn.Module:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng(devices=[]):
        return torchvision.models.get_model(name, **options)


class Recorder(nn.Module):
    """Runs its modules one after the other; the same module may come twice."""

    def __init__(self, *steps: nn.Module) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x


class ChannelsLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_torchvision_family_has_a_table_that_agrees_with_the_network(name: str) -> None:
    net = make(name)
    spec = InputSpec(size=(299, 299)) if name == "inception_v3" else FULL
    table = layer_table(net, spec)
    assert list(table)[-1] == "output"
    assert table["output"].channels == 1000
    assert table["output"].layout == "vector"
    modules = dict(net.named_modules())
    for layer in table.values():
        module = net if layer.name == "output" else modules[layer.name]
        assert layer.kind == type(module).__name__
        if isinstance(module, nn.Conv2d):
            assert (layer.layout, layer.channels) == ("channels_first", module.out_channels)
        if isinstance(module, nn.Linear) and layer.spatial:
            assert layer.layout in ("channels_last", "tokens")
        if isinstance(module, nn.Linear | nn.LayerNorm) and layer.layout != "channels_first":
            assert layer.channels == (
                module.out_features if isinstance(module, nn.Linear) else module.normalized_shape[0]
            )
        if layer.stride is not None and layer.spatial != (6, 6):  # AlexNet's adaptive pool divides nothing evenly
            assert layer.stride in (1, 2, 4, 8, 16, 32)
    every_convolution = {key for key, module in modules.items() if isinstance(module, nn.Conv2d)}
    assert {key for key in every_convolution if not key.startswith("aux") and "Aux" not in key} <= set(table)


def test_layers_come_in_execution_order_and_not_in_the_order_of_definition() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Conv2d(4, 5, 1)
            self.first = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x))

    assert list(layer_table(Backwards(), SMALL)) == ["first", "second", "output"]


def test_a_module_called_twice_is_the_layer_of_its_last_call() -> None:
    relu = nn.ReLU()
    net = Recorder(nn.Conv2d(3, 4, 1), relu, nn.Conv2d(4, 7, 2, stride=2), relu)
    table = layer_table(net, SMALL)
    assert list(table) == ["steps.0", "steps.2", "steps.1", "output"]
    assert (table["steps.1"].channels, table["steps.1"].spatial, table["steps.1"].calls) == (7, (16, 16), 2)


def test_tuple_outputs_tokens_and_in_place_layers_are_listed(tiny_net: nn.Module) -> None:
    table = layer_table(tiny_net, SMALL)
    assert (table["fork"].channels, table["fork"].spatial, table["fork"].stride) == (16, (8, 8), 4)
    assert (table["tokens"].layout, table["tokens"].tokens, table["tokens"].spatial) == ("tokens", (1, 8, 8), (8, 8))
    assert (table["features.1"].kind, table["features.1"].stride) == ("ReLU", 2)
    assert (table["head"].layout, table["head"].spatial, table["head"].channels) == ("vector", (), 10)


def test_channels_last_is_seen_where_channels_and_rows_are_equally_many() -> None:
    net = Recorder(nn.Conv2d(3, 8, 4, stride=4), ChannelsLast(), nn.Linear(8, 8))
    table = layer_table(net, SMALL)
    assert [table[f"steps.{i}"].layout for i in range(3)] == ["channels_first", "channels_last", "channels_last"]
    assert table["steps.2"].channels == 8
    assert table["steps.2"].stride == 4


def test_an_ambiguous_shape_of_a_network_of_one_size_is_read_like_the_layer_before() -> None:
    flatten = nn.Sequential(nn.Flatten(), nn.Linear(8 * 8 * 8, 4))
    assert map_layout((1, 7, 7, 7), None, (224, 224), "channels_last") == "channels_last"
    assert map_layout((1, 7, 7, 7), None, (224, 224), "channels_first") == "channels_first"
    table = layer_table(Recorder(nn.Conv2d(3, 8, 4, stride=4), ChannelsLast(), flatten), SMALL)
    assert table["steps.1"].layout == "channels_last"  # heard in the larger run, before the linear layer refused


@pytest.mark.parametrize(
    ("shape", "larger", "expected"),
    [
        ((1, 56, 56, 96), None, "channels_last"),
        ((1, 64, 55, 55), None, "channels_first"),
        ((1, 64, 49, 96), None, None),  # 64 windows of 49 tokens
        ((1, 64, 49, 64), (1, 72, 49, 64), None),
        ((1, 8, 8, 8), (1, 8, 24, 16), "channels_first"),
        ((1, 8, 8, 8), (1, 24, 16, 8), "channels_last"),
        ((1, 256, 6, 6), (1, 256, 6, 6), "channels_first"),  # adaptive pooling
        ((1, 6, 6, 6), (1, 6, 6, 6), "channels_last"),
    ],
)
def test_the_layout_of_a_shape(shape: tuple[int, ...], larger: tuple[int, ...] | None, expected: str | None) -> None:
    opposite = "channels_last" if expected == "channels_first" else "channels_first"
    before = "channels_last" if shape == (1, 6, 6, 6) else opposite  # of no weight but where nothing else decides
    assert map_layout(shape, larger, (224, 224), before) == expected


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [
        (197, (224, 224), (1, 14, 14)),  # ViT-B/16
        (50, (224, 224), (1, 7, 7)),  # ViT-B/32
        (1374, (518, 518), (5, 37, 37)),  # DINOv2: class and 4 register tokens
        (49, (224, 224), (0, 7, 7)),
        (97, (128, 192), (1, 8, 12)),
        (47, (224, 224), (11, 6, 6)),
    ],
)
def test_the_grid_of_a_token_sequence(n: int, size: tuple[int, int], expected: tuple[int, int, int]) -> None:
    assert token_grid(n, size) == expected


def test_a_sequence_that_is_no_grid_is_one_row() -> None:
    assert token_grid(90, (8, 8)) == (0, 1, 90)


def test_the_stride_is_exact_where_the_ratio_of_the_sizes_is_not() -> None:
    table = layer_table(make("alexnet"), FULL)
    assert table["features.8"].spatial == (13, 13)  # 224 / 13 = 17.2
    assert table["features.8"].stride == 16


def test_windows_whose_first_axis_is_not_the_picture_are_left_out() -> None:
    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(2).unflatten(2, (4, -1)).permute(0, 2, 3, 1).flatten(0, 1)

    class Back(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((0, 1), keepdim=True)[0]

    table = layer_table(Recorder(nn.Conv2d(3, 8, 4, stride=4), Windows(), nn.Linear(8, 8), Back()), SMALL)
    assert list(table) == ["steps.0", "steps.3", "output"]


def test_windows_that_look_like_a_map_are_left_out() -> None:
    net = make("maxvit_t")
    windows = "blocks.0.layers.0.layers.grid_attention.partition_op"
    assert type(net.get_submodule(windows)).__name__ == "WindowPartition"  # (1, 49, 64, 64)
    assert windows not in layer_table(net, FULL)


VGG19_NAMES = {
    "conv1_1": "features.0",
    "relu1_1": "features.1",
    "conv1_2": "features.2",
    "pool1": "features.4",
    "relu2_1": "features.6",
    "conv3_4": "features.16",
    "conv4_2": "features.21",
    "relu4_2": "features.22",
    "relu5_1": "features.29",
    "pool5": "features.36",
    "fc6": "classifier.0",
    "fc7": "classifier.3",
    "fc8": "classifier.6",
}


def test_vgg19_has_the_names_of_the_literature() -> None:
    with torch.device("meta"):
        aliases = vgg_aliases(torchvision.models.vgg19())
    assert {alias: aliases[alias] for alias in VGG19_NAMES} == VGG19_NAMES
    assert len(aliases) == 2 * 16 + 5 + 3
    assert len(set(aliases.values())) == len(aliases)


def test_vgg_with_batch_norm_has_the_same_names() -> None:
    with torch.device("meta"):
        aliases = vgg_aliases(torchvision.models.vgg19_bn())
        plain = vgg_aliases(torchvision.models.vgg19())
    assert set(plain) <= set(aliases)
    assert (aliases["conv4_2"], aliases["bn4_2"], aliases["relu4_2"]) == ("features.30", "features.31", "features.32")


def test_a_vgg_of_the_users_own_is_recognized_by_its_structure() -> None:
    block = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)]
    net = nn.Sequential(*block, nn.Flatten(), nn.Linear(4 * 16 * 16, 2))
    table = layer_table(net, SMALL)
    assert table["3"].aliases == ("relu1_2",)
    assert table["4"].aliases == ("pool1",)
    assert table["6"].aliases == ()


def test_networks_with_branches_have_no_vgg_names() -> None:
    with torch.device("meta"):
        assert vgg_aliases(torchvision.models.resnet18()) == {}
        assert vgg_aliases(torchvision.models.squeezenet1_1()) == {}
        plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.MaxPool2d(2))
        assert vgg_aliases(Recorder(plain))
        assert vgg_aliases(Recorder(plain, nn.Conv2d(4, 4, 1))) == {}


def test_an_alias_never_hides_a_dotted_name() -> None:
    net = nn.Sequential()
    for name, module in {
        "pool1": nn.Conv2d(3, 4, 3, padding=1),
        "a": nn.ReLU(),
        "b": nn.Conv2d(4, 4, 1),
        "c": nn.MaxPool2d(2),
    }.items():
        net.add_module(name, module)
    assert "pool1" not in vgg_aliases(net)
    assert vgg_aliases(net)["conv1_1"] == "pool1"


def test_the_network_is_left_as_found_also_after_an_exception(tiny_net: nn.Module) -> None:
    tiny_net.train()
    tiny_net.features.eval()
    flags = [module.training for module in tiny_net.modules()]
    state = {name: value.clone() for name, value in tiny_net.state_dict().items()}
    layer_table(tiny_net, SMALL, receptive=True)
    with pytest.raises(UsageError):
        layer_table(tiny_net, InputSpec(channels=5, mean=(0.5,), std=(0.5,)))
    assert [module.training for module in tiny_net.modules()] == flags
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in tiny_net.modules())
    assert all(torch.equal(value, state[name]) for name, value in tiny_net.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in tiny_net.parameters())


def test_an_input_that_does_not_fit_is_named_with_the_networks_own_complaint(tiny_net: nn.Module) -> None:
    with pytest.raises(UsageError, match=r"TinyNet does not run on an input of shape \(1, 5, 32, 32\).*channels"):
        layer_table(tiny_net, InputSpec(channels=5, size=(32, 32), mean=(0.5,), std=(0.5,)))


def test_a_module_named_output_gives_way_to_the_network_itself() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.output(x).mean((2, 3))

    table = layer_table(Named(), SMALL)
    assert list(table) == ["output"]
    assert (table["output"].kind, table["output"].layout) == ("Named", "vector")


def test_the_table_can_hold_receptive_fields(tiny_net: nn.Module) -> None:
    table = layer_table(tiny_net, SMALL, receptive=True)
    assert table["features.0"].receptive_field == 3
    assert table["features.3"].receptive_field == 7
    assert table["fork.conv"].receptive_field == 15
    assert table["tokens"].receptive_field is None
    assert layer_table(tiny_net, SMALL)["features.0"].receptive_field is None
