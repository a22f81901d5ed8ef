"""Normalized activations: equal to rescaled weights, measured in a stream, and said in the model's variant."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError, UsageError
from phosphene.models import (
    InputSpec,
    Model,
    average_pooling,
    from_module,
    load,
    mean_activations,
    normalize_activations,
)
from phosphene.models.normalized import scales_sha256
from phosphene.models.weights import weights_sha256
from phosphene.textures import CLASSES

SPEC = InputSpec(size=(32, 32))
RELUS = ("1", "3", "6")


def pictures(count: int, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def small_vgg(pool: nn.Module) -> Model:
    """Three convolutions as in VGG, with biases that matter; layers 1, 3 and 6 are the rectifiers."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), pool),
        *(nn.Conv2d(8, 5, 3, padding=1), nn.ReLU()),
    )
    for module in net:
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.bias, std=0.2)
    return from_module(net, SPEC, name="small")


def rescaled(model: Model, data: Tensor) -> Model:
    """What Gatys et al. 2015 do: divide each filter and bias by its mean activation, times that of its input."""
    net = copy.deepcopy(model.net)
    means = mean_activations(model, data, RELUS)
    before = torch.ones(3)
    with torch.no_grad():
        for convolution, relu in zip(("0", "2", "5"), RELUS, strict=True):
            layer, mean = net.get_submodule(convolution), means[relu]
            mean = torch.where(mean > 0, mean, 1.0)
            layer.weight.mul_(before[None, :, None, None] / mean[:, None, None, None])
            layer.bias.div_(mean)
            before = mean
    return from_module(net, SPEC)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2)], ids=["max", "average"])
def test_reading_scaled_channels_equals_rescaling_the_weights(pool: nn.Module) -> None:
    model, data = small_vgg(pool), pictures(6)
    normalized, edited = normalize_activations(model, data), rescaled(model, data)
    fresh = pictures(2, 20, 28, seed=1).requires_grad_()
    ours, theirs = normalized.activations(fresh, RELUS), edited.activations(fresh, RELUS)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5)
    gradient, expected = (
        torch.autograd.grad(torch.stack([value.square().mean() for value in side.values()]).sum(), fresh)[0]
        for side in (ours, theirs)
    )
    assert (gradient - expected).norm() <= 1e-4 * expected.norm()


def test_each_channel_that_fires_has_mean_one() -> None:
    model, data = load("minivgg", weights="random"), pictures(4, 64, 48)
    normalized = normalize_activations(model, data)
    names = ["relu1_1", "relu3_2", "pool2", "relu5_1"]
    for name, mean in mean_activations(normalized, data, names).items():
        fires = mean_activations(model, data, [name])[name] > 0
        torch.testing.assert_close(mean[fires], torch.ones(int(fires.sum())), rtol=1e-4, atol=0)
        assert not bool(mean[~fires].any())


def test_only_rectified_layers_are_scaled() -> None:
    normalized = normalize_activations(small_vgg(nn.MaxPool2d(2)), pictures(4))
    assert sorted(normalized.channel_scales) == ["1", "3", "4", "6"]
    with pytest.raises(UsageError, match="2 of small has negative values: only rectified layers"):
        normalize_activations(small_vgg(nn.MaxPool2d(2)), pictures(4), layers=["1", "2"])
    linear = from_module(nn.Sequential(nn.Conv2d(3, 4, 1)), SPEC, name="linear")
    with pytest.raises(UsageError, match="linear has no layer without negative values"):
        normalize_activations(linear, pictures(4))


def test_channels_that_never_fire_keep_their_scale() -> None:
    model = small_vgg(nn.MaxPool2d(2))
    with torch.no_grad():
        model.net[0].bias[2] = -1e3
    normalized = normalize_activations(model, pictures(4))
    scale = normalized.channel_scales["1"]
    assert float(scale[2]) == 1
    assert all(bool(scale.isfinite().all()) for scale in normalized.channel_scales.values())
    assert float(normalized.activations(pictures(1), ["1"])["1"][:, 2].abs().max()) == 0


def test_the_network_is_shared_and_untouched() -> None:
    model = small_vgg(nn.MaxPool2d(2))
    model.net.train()
    x, digest = pictures(1), weights_sha256(model.net)
    plain = model.activations(x, ["6"])["6"]
    normalized = normalize_activations(model, pictures(4))
    assert normalized.net is model.net
    assert (weights_sha256(model.net), model.variant, model.channel_scales) == (digest, (), {})
    assert all(module.training for module in model.net.modules())
    assert torch.equal(model.activations(x, ["6"])["6"], plain)


def test_means_do_not_depend_on_how_pictures_are_batched() -> None:
    model, data = small_vgg(nn.MaxPool2d(2)), pictures(7)
    whole = mean_activations(model, data, RELUS)
    stream = mean_activations(model, (data[first : first + 3] for first in range(0, 7, 3)), RELUS)
    for name, mean in whole.items():
        torch.testing.assert_close(mean, model.activations(data, [name])[name].mean((0, 2, 3)).detach())
        torch.testing.assert_close(mean, stream[name])


def test_each_position_counts_the_same_whatever_its_pictures_size() -> None:
    model = small_vgg(nn.MaxPool2d(2))
    small, large = pictures(1, 8, 8), pictures(1, 24, 32, seed=1)
    each = [mean_activations(model, x, ["1"])["1"] for x in (small, large)]
    both = mean_activations(model, [small, large], ["1"])["1"]
    torch.testing.assert_close(both, (each[0] * 64 + each[1] * 768) / 832)


def test_vectors_and_aliases_are_measured_too() -> None:
    model = load("minivgg", weights="random")
    vgg = from_module(small_vgg(nn.MaxPool2d(2)).net, SPEC)
    assert mean_activations(model, pictures(2), ["logits"])["logits"].shape == (len(CLASSES),)
    assert list(mean_activations(vgg, pictures(2), ["relu1_2"])) == ["relu1_2"]
    assert list(normalize_activations(vgg, pictures(2), layers=["relu1_2"]).channel_scales) == ["3"]


def test_the_variant_names_the_scales() -> None:
    model = small_vgg(nn.MaxPool2d(2))
    first, again, other = (normalize_activations(model, pictures(4, seed=seed)) for seed in (0, 0, 1))
    assert first.variant == (f"normalized:{scales_sha256(first.channel_scales)}",)
    assert first.variant == again.variant != other.variant
    assert first.weights == model.weights


def test_normalizing_again_replaces_the_scales() -> None:
    model = average_pooling(small_vgg(nn.MaxPool2d(2)))
    once, twice = normalize_activations(model, pictures(4)), normalize_activations(model, pictures(4, seed=1))
    over = normalize_activations(once, pictures(4, seed=1))
    assert over.variant == twice.variant
    assert [word.partition(":")[0] for word in over.variant] == ["average-pooling", "normalized"]
    assert model.variant == ("average-pooling",)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_prepared_copy_keeps_the_scales(dtype: torch.dtype) -> None:
    normalized = normalize_activations(small_vgg(nn.MaxPool2d(2)), pictures(4))
    twin = normalized.prepared(dtype=dtype, memory_format=torch.channels_last)
    assert twin.variant == normalized.variant
    ours, theirs = (m.activations(pictures(1), ["6"])["6"] for m in (twin, normalized))
    assert (ours - theirs).norm() <= (0.05 if dtype == torch.bfloat16 else 1e-5) * theirs.norm()


def test_no_pictures_and_pictures_of_other_shapes_are_refused() -> None:
    model = small_vgg(nn.MaxPool2d(2))
    with pytest.raises(UsageError, match="no pictures to measure"):
        normalize_activations(model, [])
    with pytest.raises(UsageError, match=r"in batches \(b, c, h, w\), got \(3, 32, 32\)"):
        mean_activations(model, list(pictures(2)), ["1"])


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(PhospheneError, match="layer '0' gives NaN or infinity"):
        mean_activations(small_vgg(nn.MaxPool2d(2)), torch.full((1, 3, 8, 8), float("nan")), ["0"])
