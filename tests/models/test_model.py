"""A model: preprocessing, names, private copies, and a network that stays as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import UnknownNameError, UsageError, WeightsError
from phosphene.models import InputSpec, Model, from_module
from phosphene.models.model import affine


def pictures(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_pictures_are_normalized_as_the_weights_were_trained(
    value_range: tuple[float, float], tiny_net: nn.Module
) -> None:
    spec = InputSpec(size=(32, 32), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), value_range=value_range)
    model = from_module(tiny_net, spec)
    x = pictures(2, 3, 32, 32)
    low, high = value_range
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (spec.mean, spec.std))
    torch.testing.assert_close(model.normalize(x), (x * (high - low) + low - mean) / std)
    seen: list[Tensor] = []
    handle = tiny_net.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    model.activations(x, ["features.0"])
    handle.remove()
    torch.testing.assert_close(seen[-1], model.normalize(x))
    scale, shift = affine(spec)
    assert scale.shape == shift.shape == (3, 1, 1)


def test_pictures_of_other_channels_are_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="tiny takes 3 channels, got an input of 4"):
        tiny_model.activations(pictures(1, 4, 32, 32), ["features.0"])


def test_activations_come_under_the_names_that_were_asked_for(squeezenet: Model, tiny_model: Model) -> None:
    seen = tiny_model.activations(pictures(2, 3, 32, 32), ["fork", "output"])
    assert set(seen) == {"fork", "output"}
    alias = next((alias for layer in squeezenet.layers.values() for alias in layer.aliases), None)
    if alias is not None:
        assert set(squeezenet.activations(pictures(1, 3, 64, 64), [alias])) == {alias}


def test_an_unknown_layer_or_class_names_the_nearest(tiny_net: nn.Module) -> None:
    model = from_module(tiny_net, InputSpec(size=(32, 32)), name="tiny", labels=[f"fish {i}" for i in range(10)])
    with pytest.raises(UnknownNameError, match=r"no layer 'features\.7' in tiny.*did you mean features"):
        model.find_layer("features.7")
    assert model.find_class("fish 3") == 3
    assert model.find_class(4) == 4
    assert model.label(3) == "fish 3"
    with pytest.raises(UnknownNameError, match="fish"):
        model.find_class("fisch 3")


def test_a_class_without_a_name_is_its_number(tiny_model: Model) -> None:
    assert tiny_model.label(3) == "3"


def test_weights_that_are_not_finite_are_refused(tiny_net: nn.Module) -> None:
    with torch.no_grad():
        tiny_net.head.weight[0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"NaN or infinity in head\.weight"):
        from_module(tiny_net, InputSpec(size=(32, 32)))


def test_a_prepared_model_is_a_private_frozen_copy(tiny_model: Model) -> None:
    tiny_model.net.train()
    twin = tiny_model.prepared(dtype=torch.bfloat16, memory_format=torch.channels_last)
    assert twin.net is not tiny_model.net
    assert not any(m.training for m in twin.net.modules())
    assert not any(p.requires_grad for p in twin.net.parameters())
    assert {p.dtype for p in twin.net.parameters()} == {torch.bfloat16}
    assert all(m.training for m in tiny_model.net.modules())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in tiny_model.net.parameters())
    x = pictures(1, 3, 32, 32)
    ours, theirs = (model.activations(x, ["output"])["output"].float() for model in (tiny_model, twin))
    torch.testing.assert_close(ours, theirs, atol=0.1, rtol=0.1)


def test_the_memory_layout_changes_no_result(tiny_model: Model) -> None:
    x = pictures(2, 3, 32, 32)
    twin = tiny_model.prepared(memory_format=torch.channels_last)
    for name in ("features.0", "fork", "tokens", "output"):
        torch.testing.assert_close(twin.activations(x, [name])[name], tiny_model.activations(x, [name])[name])


class Uncopyable(nn.Conv2d):
    def __deepcopy__(self, memo: Any) -> Uncopyable:
        raise TypeError("holds a handle")


def test_a_network_that_cannot_be_copied_is_used_as_it_is() -> None:
    model = from_module(nn.Sequential(Uncopyable(3, 4, 3)), InputSpec(size=(8, 8)))
    assert model.prepared(dtype=torch.bfloat16) is model
    assert model.activations(pictures(1, 3, 8, 8), ["0"])["0"].dtype == torch.float32


def test_layers_are_measured_once_and_end_with_the_output(tiny_model: Model) -> None:
    assert tiny_model.layers is tiny_model.layers
    assert list(tiny_model.layers)[-1] == "output"
    assert "tiny" in repr(tiny_model)
    assert tiny_model.device == torch.device("cpu")
