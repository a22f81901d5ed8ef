"""Activations are those of the plain network, and reading them leaves no trace."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError, UsageError
from phosphene.models.spec import InputSpec, Layer
from phosphene.models.table import layer_table
from phosphene.models.tap import activations, as_found, first_tensor, has_nonfinite, to_channels_first

SMALL = InputSpec(size=(32, 32))


def picture(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def read(net: nn.Module, x: Tensor, *names: str) -> dict[str, Tensor]:
    table = layer_table(net, SMALL)
    return activations(net, x, [table[name] for name in names])


class Failing(nn.Module):
    """Raises when it is reached."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("reached")


class Repeated(nn.Module):
    """One convolution called three times, and a net of its own around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.end = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = torch.relu_(self.conv(x))
        return self.end(x)


class LastAxis(nn.Module):
    """(b, c, h, w) -> (b, h, w, c), as in Swin and ConvNeXt."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


def test_what_is_read_is_what_the_plain_network_computes(tiny_net: nn.Module) -> None:
    x = picture(2, 3, 32, 32)
    seen = read(tiny_net, x, "features.0", "features.1", "features.2", "features", "fork", "tokens", "output")
    with torch.no_grad():
        first = tiny_net.features[0](x)
        second = tiny_net.features[2](first.relu())
        forked, _ = tiny_net.fork(second.relu())
        expected = {
            "features.0": first,
            "features.1": first.relu(),
            "features.2": second,
            "features": second.relu(),
            "fork": forked,
            "tokens": tiny_net.tokens(torch.relu(forked)).transpose(1, 2),
            "output": tiny_net(x),
        }
    assert list(seen) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(seen[name], value, msg=name)


def test_an_in_place_relu_does_not_reach_back_into_what_was_read(tiny_net: nn.Module) -> None:
    x = picture(1, 3, 32, 32)
    alone = read(tiny_net, x, "features.0")["features.0"]
    together = read(tiny_net, x, "features.0", "features.1")
    assert bool((alone < 0).any())
    assert torch.equal(together["features.0"], alone)
    assert torch.equal(together["features.1"], alone.relu())


class Counted(nn.Module):
    """Its input, and how often it was asked for."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x


def test_what_nothing_overwrites_is_not_copied() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Identity()).eval()
    given: list[torch.Tensor] = []
    net[1].register_forward_hook(lambda module, inputs, output: given.append(output))
    seen = read(net, picture(1, 3, 32, 32), "1", "3")
    assert seen["1"] is given[-1]


def test_what_is_overwritten_is_found_once_and_known_from_then_on() -> None:
    net = nn.Sequential(Counted(), nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Identity()).eval()
    table = layer_table(net, SMALL)
    wanted, x, known = [table["1"], table["3"]], picture(1, 3, 32, 32), set[str]()
    net[0].calls = 0
    first = activations(net, x, wanted, overwritten=known)
    assert (known, net[0].calls) == ({"1"}, 2)
    again = activations(net, x, wanted, overwritten=known)
    assert net[0].calls == 3
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert bool((first["1"] < 0).any())


@pytest.mark.parametrize(
    ("names", "reaches"),
    [(["conv"], False), (["conv", "relu"], False), (["relu"], False), (["conv", "output"], True), (["output"], True)],
)
def test_the_forward_pass_ends_behind_the_deepest_layer_asked_for(names: list[str], reaches: bool) -> None:
    parts = OrderedDict(conv=nn.Conv2d(3, 4, 3), relu=nn.ReLU(inplace=True), rest=nn.Identity())
    net = nn.Sequential(parts).eval()
    table = layer_table(net, SMALL)
    net.rest = Failing()
    wanted = [table[name] for name in names]
    if reaches:
        with pytest.raises(RuntimeError, match="reached"):
            activations(net, picture(1, 3, 32, 32), wanted)
    else:
        assert list(activations(net, picture(1, 3, 32, 32), wanted)) == names


def test_a_module_called_three_times_gives_its_last_call() -> None:
    net = Repeated().eval()
    x = picture(1, 3, 32, 32)
    seen = read(net, x, "conv")["conv"]
    with torch.no_grad():
        expected = net.conv(net.conv(net.conv(x).relu()).relu())
    torch.testing.assert_close(seen, expected)
    assert bool((seen < 0).any())  # and the in-place ReLU behind it has not run over it


def test_the_pass_waits_for_the_last_call_also_of_a_layer_between() -> None:
    net = Repeated().eval()
    net.end = nn.Sequential(net.end, nn.Identity())
    seen = read(net, picture(1, 3, 32, 32), "conv", "end.0")
    assert torch.equal(seen["end.0"], net.end[0](seen["conv"].relu()))


def test_channels_come_first_whatever_the_layer_says() -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), LastAxis(), nn.LayerNorm(5)).eval()
    seen = read(net, picture(2, 3, 32, 32), "0", "1")
    assert seen["1"].shape == (2, 5, 15, 15)
    assert torch.equal(seen["0"], seen["1"])


def test_tokens_come_as_channels_and_places(tiny_net: nn.Module) -> None:
    seen = read(tiny_net, picture(2, 3, 32, 32), "tokens")["tokens"]
    assert seen.shape == (2, 16, 65)


def layer(layout: Any) -> Layer:
    return Layer("a", "Conv2d", 3, (4, 5), layout)


def test_every_layout_has_its_channels_moved_to_the_front() -> None:
    assert to_channels_first(torch.zeros(2, 4, 5, 3), layer("channels_last")).shape == (2, 3, 4, 5)
    assert to_channels_first(torch.zeros(2, 20, 3), layer("tokens")).shape == (2, 3, 20)
    assert to_channels_first(torch.zeros(2, 3, 4, 5), layer("channels_first")).shape == (2, 3, 4, 5)
    assert to_channels_first(torch.zeros(2, 3), layer("vector")).shape == (2, 3)


def test_the_first_tensor_of_any_container_is_the_layers() -> None:
    x = torch.zeros(1)
    for output in (x, (x, 1), [None, x], {"out": x, "aux": None}, ((None, (x,)),)):
        assert first_tensor(output) is x
    for output in (None, (), 3, "x", [None]):
        with pytest.raises(UsageError, match="must give a tensor"):
            first_tensor(output)


def test_a_layer_that_is_not_reached_is_an_error(tiny_net: nn.Module) -> None:
    wanted = Layer("spare", "Conv2d", 3, (4, 4), "channels_first")
    tiny_net.spare = nn.Conv2d(3, 3, 1)
    with pytest.raises(PhospheneError, match="'spare' was not reached"):
        activations(tiny_net, picture(1, 3, 32, 32), [wanted])


def test_gradient_reaches_the_picture_and_no_weight(tiny_net: nn.Module) -> None:
    x = picture(1, 3, 32, 32).requires_grad_()
    tiny_net.requires_grad_(True)
    read(tiny_net, x, "fork")["fork"].sum().backward()
    assert float(x.grad.abs().sum()) > 0
    assert all(p.grad is None for p in tiny_net.parameters())


def snapshot(net: nn.Module) -> list[Any]:
    """Everything that could be left changed, but for what tensors hold."""
    flags = [
        (name, m.training, dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks))
        for name, m in net.named_modules()
    ]
    tensors = [
        (name, id(t), t.requires_grad, t._version) for name, t in [*net.named_parameters(), *net.named_buffers()]
    ]
    return [flags, tensors, [type(m) for m in net.modules()]]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    "prepare", [lambda net: net.eval(), lambda net: net.train(), lambda net: net.requires_grad_(False)]
)
def test_the_network_is_as_it_was(tiny_net: nn.Module, prepare: Callable[[nn.Module], Any], fails: bool) -> None:
    tiny_net.norm = nn.BatchNorm2d(16)
    body = tiny_net.fork
    tiny_net.fork = nn.Sequential(tiny_net.norm, nn.Dropout(0.5), body)
    table = layer_table(tiny_net.eval(), SMALL)
    prepare(tiny_net)
    tiny_net.norm.train()  # flags need not agree with each other
    tiny_net.head.requires_grad_(False)
    if fails:
        tiny_net.tokens = Failing()
    before, values = snapshot(tiny_net), {name: t.clone() for name, t in tiny_net.state_dict().items()}
    wanted = [table["features.0"], table["output"]]
    if fails:
        with pytest.raises(RuntimeError, match="reached"):
            activations(tiny_net, picture(1, 3, 32, 32), wanted)
    else:
        activations(tiny_net, picture(1, 3, 32, 32), wanted)
        activations(tiny_net, picture(1, 3, 32, 32), wanted[:1])
    assert snapshot(tiny_net) == before
    assert all(torch.equal(t, values[name]) for name, t in tiny_net.state_dict().items())


def test_an_unknown_layer_leaves_no_hook_behind(tiny_net: nn.Module) -> None:
    table = layer_table(tiny_net, SMALL)
    missing = Layer("nowhere", "Conv2d", 3, (4, 4), "channels_first")
    with pytest.raises(AttributeError):
        activations(tiny_net, picture(1, 3, 32, 32), [table["features.0"], missing])
    assert not any(m._forward_hooks for m in tiny_net.modules())


def test_reading_is_done_in_evaluation_mode() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.9), nn.BatchNorm2d(4)).train()
    x = picture(2, 3, 32, 32)
    table = layer_table(net, SMALL)
    first, second = (activations(net, x, [table["2"]])["2"] for _ in range(2))
    assert torch.equal(first, second)
    with as_found(net):
        assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.modules())


def test_the_first_weight_that_is_not_finite_is_named(tiny_net: nn.Module) -> None:
    assert has_nonfinite(tiny_net) is None
    with torch.no_grad():
        tiny_net.features[2].bias[3] = float("inf")
    assert has_nonfinite(tiny_net) == "features.2.bias"
