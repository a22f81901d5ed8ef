"""A smoother gradient: the way back changes as asked, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.errors import RecipeError, UsageError
from phosphene.features.render import render
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.models.gradient import PLAIN, Gradient, Smoothed, gaussian
from phosphene.models.weights import weights_sha256
from phosphene.natural import frequencies
from phosphene.objectives import Channel
from phosphene.recipe import OptimizerConfig, RenderConfig, from_json, to_json
from phosphene.seeds import Generators
from phosphene.signals import Fourier

POOLS = [
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, 2),
    nn.MaxPool2d(3, 2, padding=1),
    nn.MaxPool2d(3, 2, ceil_mode=True),
    nn.MaxPool2d((3, 2), (2, 3), padding=(1, 0), ceil_mode=True),
]
WAYS = [
    Gradient("average"),
    Gradient("l2"),
    Gradient(blur=1.5),
    Gradient(blur=1.0, blur_at="strided"),
    Gradient("l2", 0.7, "strided"),
]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def gradient_through(work: Callable[[Tensor], Tensor], x: Tensor, way: Gradient | None = None) -> Tensor:
    """The gradient at x of a sum of what `work` gives, weighted so that every result counts in its own way."""
    leaf = x.clone().requires_grad_()
    if way is None:
        y = work(leaf)
    else:
        with Smoothed(way):
            y = work(leaf)
    (found,) = torch.autograd.grad((y * noise(*y.shape, seed=9)).sum(), leaf)
    return found


def averages(pool: nn.MaxPool2d) -> Callable[[Tensor], Tensor]:
    return lambda x: F.avg_pool2d(x, pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, False)


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(12, 12), (11, 14)])
def test_a_maximum_gets_the_gradient_of_its_windows_average(pool: nn.MaxPool2d, height: int, width: int) -> None:
    x = noise(2, 3, height, width) - 0.5
    found = gradient_through(pool, x, Gradient("average"))
    torch.testing.assert_close(found, gradient_through(averages(pool), x))
    assert not torch.allclose(found, gradient_through(pool, x))


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(12, 12), (11, 14)])
def test_a_maximum_gets_the_gradient_of_its_windows_root_mean_square(
    pool: nn.MaxPool2d, height: int, width: int
) -> None:
    x = noise(2, 3, height, width) - 0.3
    mean = averages(pool)
    torch.testing.assert_close(
        gradient_through(pool, x, Gradient("l2")), gradient_through(lambda x: mean(x.square()).sqrt(), x)
    )


def test_a_silent_window_gets_the_averages_gradient_in_place_of_none() -> None:
    x = noise(1, 2, 8, 8)
    x[:, :, :4] = 0
    found = gradient_through(nn.MaxPool2d(2), x, Gradient("l2"))
    torch.testing.assert_close(found[:, :, :4], gradient_through(nn.AvgPool2d(2), x)[:, :, :4])
    assert bool(found.isfinite().all())


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.max_pool2d(x, kernel_size=2, stride=2),
        lambda x: F.max_pool2d(input=x, kernel_size=2),
        lambda x: torch.max_pool2d(x, 2),
    ],
    ids=["module", "function", "keywords", "all keywords", "torch"],
)
def test_pooling_by_a_function_call_is_smoothed_like_a_module(pool: Callable[[Tensor], Tensor]) -> None:
    x = noise(1, 2, 8, 8)
    expected = gradient_through(nn.AvgPool2d(2), x)
    torch.testing.assert_close(gradient_through(pool, x, Gradient("average")), expected)


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(2, dilation=2), lambda x: F.max_pool2d(x, 2, return_indices=True)[0]],
    ids=["dilated", "index"],
)
def test_a_pooling_without_an_average_keeps_its_gradient(pool: Callable[[Tensor], Tensor]) -> None:
    x = noise(1, 2, 9, 9)
    assert torch.equal(gradient_through(pool, x, Gradient("l2")), gradient_through(pool, x))


def blurred(x: np.ndarray, deviation: float) -> np.ndarray:
    """NumPy: a Gaussian cut off at three deviations over an image whose edges go on as they end."""
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    for axis in (-1, -2):
        padding = [(0, 0)] * x.ndim
        padding[axis] = (reach, reach)
        padded = np.pad(x, padding, mode="edge")
        x = np.apply_along_axis(lambda line: np.convolve(line, weights, "valid"), axis, padded)
    return x


@pytest.mark.parametrize("size", [(9, 12), (2, 1)])
@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.5])
def test_the_gradient_is_blurred_by_a_gaussian(size: tuple[int, int], deviation: float) -> None:
    x = noise(2, 3, *size) - 0.5
    np.testing.assert_allclose(gaussian(x, deviation), blurred(x.numpy().astype(float), deviation), atol=1e-6)


def test_blur_at_the_picture_is_the_blurred_plain_gradient(tiny_model: Model) -> None:
    x = noise(2, 3, 32, 32)

    def read(model: Model) -> Callable[[Tensor], Tensor]:
        return lambda pictures: model.activations(pictures, ["fork"])["fork"]

    found = gradient_through(read(tiny_model.with_gradient(Gradient(blur=1.2))), x)
    torch.testing.assert_close(found, gaussian(gradient_through(read(tiny_model), x), 1.2))


def test_blur_at_strided_layers_is_at_their_input_and_nowhere_else() -> None:
    x = noise(1, 3, 12, 12)
    strided, dense = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(3, 4, 3)
    way = Gradient(blur=0.8, blur_at="strided")
    for layer in (strided, nn.AvgPool2d(2), nn.MaxPool2d(3, 2)):
        expected = gaussian(gradient_through(layer, x), 0.8)
        torch.testing.assert_close(gradient_through(layer, x, way), expected)
    for layer in (dense, nn.MaxPool2d(3, 1), nn.AvgPool2d(3, stride=1)):
        assert torch.equal(gradient_through(layer, x, way), gradient_through(layer, x))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " and ".join(way.words))
@pytest.mark.parametrize("name", ["minivgg", "squeezenet1_1"])
def test_every_activation_is_equal_to_the_bit_and_the_network_untouched(name: str, way: Gradient) -> None:
    model = load(name, weights="random")
    layers = [layer for layer in model.layers if len(model.layers[layer].spatial) == 2][::5]
    before, text = weights_sha256(model.net), str(model.net)
    x = noise(1, 3, 65, 70).requires_grad_()
    plain = model.activations(x, layers)
    smooth = model.with_gradient(way).activations(x, layers)
    assert all(torch.equal(plain[layer], smooth[layer]) for layer in layers)
    mine, theirs = (torch.autograd.grad(acts[layers[-1]].square().sum(), x)[0] for acts in (plain, smooth))
    assert not torch.allclose(mine, theirs)
    assert (weights_sha256(model.net), str(model.net)) == (before, text)
    assert not any(module._forward_hooks or module._backward_hooks for module in model.net.modules())
    assert (model.gradient, model.variant) == (PLAIN, ())


class Breaks(nn.Module):
    """Pools, and then fails."""

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError(f"no {tuple(F.max_pool2d(x, 2).shape)}")


def test_nothing_stays_smoothed_after_an_exception() -> None:
    model = from_module(nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 3, 1)), InputSpec(size=(16, 16)), name="fine")
    model = model.with_gradient(Gradient("average", 1.0, "strided"))
    assert model.layers
    model.net.append(Breaks())
    x = noise(1, 3, 16, 16)
    plain = gradient_through(nn.MaxPool2d(2), x)
    with pytest.raises(ValueError, match="no"):
        model.activations(x.clone().requires_grad_(), ["output"])
    assert torch.equal(gradient_through(nn.MaxPool2d(2), x), plain)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " and ".join(way.words))
def test_a_row_has_the_gradient_that_it_has_alone(way: Gradient) -> None:
    model = load("minivgg", weights="random").with_gradient(way)

    def read(pictures: Tensor) -> Tensor:
        return model.activations(pictures, ["relu4_1"])["relu4_1"]

    rows = noise(3, 3, 48, 40)
    together = rows.clone().requires_grad_()
    (found,) = torch.autograd.grad(read(together).square().sum(), together)
    for row, theirs in zip(rows, found, strict=True):
        alone = row[None].clone().requires_grad_()
        (mine,) = torch.autograd.grad(read(alone).square().sum(), alone)
        torch.testing.assert_close(theirs, mine[0], rtol=1e-4, atol=1e-6 * float(mine.abs().max()))


def test_a_variant_says_what_is_smoothed_once() -> None:
    model = load("minivgg", weights="random").with_gradient(Gradient("l2"))
    assert model.variant == ("l2 pooling gradient",)
    again = model.with_gradient(Gradient("average", 2.0))
    assert again.variant == ("average pooling gradient", "gradient blurred by 2 at the picture")
    assert again.with_gradient(PLAIN).variant == ()
    assert model.prepared().gradient == model.gradient


@pytest.mark.parametrize("fields", [{"pooling": "min"}, {"blur": -1.0}, {"blur": float("nan")}, {"blur_at": "here"}])
def test_what_cannot_be_meant_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Gradient(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["pool_gradient", "gradient_blur", "gradient_blur_at"])
def test_the_settings_are_in_the_recipe_and_bounded(text: str) -> None:
    config = OptimizerConfig(pool_gradient="l2", gradient_blur=0.5, gradient_blur_at="strided")
    data = to_json(config)
    assert from_json(OptimizerConfig, data, where="method") == config
    with pytest.raises(RecipeError):
        from_json(OptimizerConfig, {**data, text: -1}, where="method")


def test_a_rendering_takes_the_gradient_that_is_asked_for_and_measures_the_plain_network() -> None:
    model = load("minivgg", weights="random")
    target = Channel("conv3_1", 3)

    def rendered(optimizer: OptimizerConfig) -> Tensor:
        sheet = render(model, target, config=RenderConfig(32, 3, optimizer=optimizer))
        assert "variant" not in sheet[0].recipe["model"]
        shown = model.activations(sheet[0].pixels[None], ["conv3_1"])["conv3_1"][0, 3].mean()
        assert sheet[0].activation == pytest.approx(float(shown), abs=1e-4)
        return sheet[0].pixels

    plain, same = rendered(OptimizerConfig()), rendered(OptimizerConfig(gradient_blur_at="strided"))
    assert torch.equal(plain, same)  # nowhere to be blurred by nothing
    for optimizer in (OptimizerConfig(pool_gradient="average"), OptimizerConfig(gradient_blur=2.0)):
        assert not torch.equal(plain, rendered(optimizer))


def test_a_smoother_gradient_has_less_of_the_highest_frequencies(squeezenet: Model) -> None:
    signal = Fourier(1, size=(128, 128))
    signal.start(Generators(0, ["gradient"]), 0.1)
    picture = signal().detach()

    def grain(way: Gradient) -> float:
        """The share of the gradient's energy above 0.4 cycles per pixel."""
        x = picture.clone().requires_grad_()
        act = squeezenet.with_gradient(way).activations(x, ["features.12"])["features.12"]
        (found,) = torch.autograd.grad(act[:, 50].mean(), x)
        power = torch.fft.fft2(found[0]).abs().square().sum(0)
        columns = frequencies(128, 128)
        high = torch.cat([columns, columns[:, 1:-1].flip(1)], 1) > 0.4
        return float(power[high].sum() / power.sum())

    plain = grain(PLAIN)
    assert grain(Gradient("average")) < plain
    assert grain(Gradient("l2")) < plain
    assert grain(Gradient(blur=1.0, blur_at="strided")) < 0.5 * plain
    assert grain(Gradient(blur=1.0)) < 0.1 * plain
