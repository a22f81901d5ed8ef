"""Presets: the total loss of each equals the closed formula of its source, and a user's own choices enter it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phosphene.errors import UnknownNameError, UsageError
from phosphene.models import InputSpec, Model, average_pooling, from_module, load, replicated_edges
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.method import PRESETS, method
from phosphene.style.transfer import Job, Style, Transfer

RELU = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
TUTORIAL = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
SIZE = 48
Features = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def vgg() -> Model:
    """VGG-19's layers by name, with seeded random weights: formulas hold for any."""
    return load("vgg19_cd16x", weights="random")


def pictures() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Content, style and a third picture, all of one size: then the papers' N are equal."""
    generator = torch.Generator().manual_seed(3)
    content, style, other = torch.rand(3, 3, SIZE, SIZE, generator=generator)
    return content, style, other


def features(model: Model, picture: torch.Tensor, layers: set[str]) -> Features:
    """{layer: (channels, positions)} in float64."""
    with torch.no_grad():
        acts = model.activations(picture[None], layers)
    return {name: value[0].flatten(1).double().numpy() for name, value in acts.items()}


def gram_difference(f: NDArray[np.float64], a: NDArray[np.float64]) -> float:
    """S = |F F^T - A A^T|^2 of the conversion table."""
    return float(((f @ f.T - a @ a.T) ** 2).sum())


def closed_formula(preset: str, f: Features, p: Features, a: Features, picture: NDArray[Any]) -> float:
    """The whole loss as the source of each preset writes it."""
    c, n = (lambda layer: f[layer].shape[0]), (lambda layer: f[layer].shape[1])
    s = {layer: gram_difference(f[layer], a[layer]) for layer in f}
    if preset == "gatys2015":
        style = sum(s[k] / 5 / (4 * c(k) ** 2 * n(k) ** 2) for k in RELU)
        return 1e-3 * 0.5 * float(((f["relu4_2"] - p["relu4_2"]) ** 2).sum()) + style
    if preset == "gatys-notebook":
        style = sum(1e3 / c(k) ** 2 * s[k] / (c(k) ** 2 * n(k) ** 2) for k in RELU)
        return style + float(((f["relu4_2"] - p["relu4_2"]) ** 2).mean())
    if preset == "neural-style":
        style = sum(1e2 * s[k] / (c(k) ** 4 * n(k) ** 2) for k in RELU)
        levels = picture * 255
        rough = (np.diff(levels, axis=1) ** 2).sum() + (np.diff(levels, axis=2) ** 2).sum()
        return style + 5 * float(((f["relu4_2"] - p["relu4_2"]) ** 2).mean()) + 1e-3 * rough / 2
    if preset == "pytorch-tutorial":
        style = sum(1e6 * s[k] / (c(k) ** 4 * n(k) ** 2) for k in TUTORIAL)
        return style + float(((f["conv2_2"] - p["conv2_2"]) ** 2).mean())
    style = sum(s[k] / ((a[k] @ a[k].T) ** 2).sum() / 5 for k in RELU)
    return style + 0.005 * float(((f["relu4_2"] - p["relu4_2"]) ** 2).mean() / (p["relu4_2"] ** 2).mean())


def total_loss(transfer: Transfer, picture: torch.Tensor) -> float:
    """What the transfer minimizes, at a picture."""
    ledger = transfer.ledger(0)
    layers = ledger.layers - {"input"}
    with torch.no_grad():
        acts = {"input": picture[None], **transfer.model.activations(picture[None], layers)}
        return -float(ledger(acts, torch.zeros(1, dtype=torch.int64)))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_total_loss_of_a_preset_is_the_closed_formula(vgg: Model, preset: Any) -> None:
    content, style, other = pictures()
    config = StyleConfig(preset=preset, size=SIZE, normalized=False)
    transfer = Transfer(vgg, Job(content, (Style(style),)), config, RunConfig(device="cpu", precision="float32"))
    network = {"gatys2015": average_pooling, "quality": replicated_edges}.get(preset, lambda model: model)(vgg)
    layers = {*transfer.method.content_layers, *transfer.method.style_layers}
    f, p, a = (features(network, picture, layers) for picture in (other, content, style))
    expected = closed_formula(preset, f, p, a, other.double().numpy())
    assert total_loss(transfer, other) == pytest.approx(expected, rel=1e-5)


def test_the_paper_divides_each_filter_by_its_mean_over_the_pictures(vgg: Model) -> None:
    content, style, other = pictures()
    config = StyleConfig(preset="gatys2015", size=SIZE)
    transfer = Transfer(vgg, Job(content, (Style(style),)), config, RunConfig(device="cpu", precision="float32"))
    network = average_pooling(vgg)
    layers = {"relu4_2", *RELU}
    large = [
        torch.nn.functional.interpolate(x[None], (256, 256), mode="bicubic", antialias=True) for x in (content, style)
    ]
    seen = [features(network, x[0].clamp(0, 1), layers) for x in large]
    means = {k: np.concatenate([one[k] for one in seen], 1).mean(1, keepdims=True) for k in layers}
    means = {k: np.where(mean > 0, mean, 1.0) for k, mean in means.items()}
    f, p, a = ({k: v / means[k] for k, v in features(network, x, layers).items()} for x in (other, content, style))
    expected = closed_formula("gatys2015", f, p, a, other.numpy())
    assert total_loss(transfer, other) == pytest.approx(expected, rel=1e-4)
    assert any("normalized" in note for note in transfer.notes)


def test_even_edges_are_a_switch_of_quality_alone(vgg: Model) -> None:
    content, style, _ = pictures()
    run = RunConfig(device="cpu", precision="float32")
    job = Job(content, (Style(style),))
    for preset in PRESETS:
        transfer = Transfer(vgg, job, StyleConfig(preset=preset, size=SIZE, normalized=False), run)
        assert ("replicated-edges" in transfer.model.variant) == (preset == "quality")
    assert not Transfer(vgg, job, StyleConfig(size=SIZE, edges="own"), run).model.variant
    given = Transfer(vgg, job, StyleConfig(preset="gatys2015", size=SIZE, edges="replicated"), run).model.variant
    assert {"replicated-edges", "average-pooling"} <= set(given)


def test_a_network_whose_edges_are_its_own_says_so() -> None:
    """Where the preset asks it is said, where the user asked by name it is an error."""
    flat = from_module(
        torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.ReLU()),
        InputSpec(size=(32, 32)),
        name="flat",
    )
    content, style, _ = pictures()
    job, layers = Job(content, (Style(style),)), {"content_layers": "1", "style_layers": "1,3"}
    notes = Transfer(flat, job, StyleConfig(size=SIZE, **layers)).notes
    assert any("its own edges stay: flat has no convolution module that pads" in note for note in notes)
    with pytest.raises(UsageError, match="no convolution module that pads"):
        Transfer(flat, job, StyleConfig(size=SIZE, edges="replicated", **layers))


def test_weights_of_layers_keep_the_sum_of_the_preset(vgg: Model) -> None:
    made, _ = method(StyleConfig(layer_weights="5,0,0,0,15"), vgg)
    assert made.layer_weights == pytest.approx((0.25, 0, 0, 0, 0.75))
    made, _ = method(StyleConfig(preset="neural-style", style_layers="relu1_1,relu2_1"), vgg)
    assert sum(made.layer_weights) == pytest.approx(5)


def test_a_ladder_that_a_preset_lacks_gets_its_steps(vgg: Model) -> None:
    made, _ = method(StyleConfig(preset="pytorch-tutorial", smallest=64), vgg)
    assert (made.coarse_steps, made.steps) == (300, 300)
    made, _ = method(StyleConfig(steps=7), vgg)
    assert (made.coarse_steps, made.steps) == (7, 7)


def test_layers_of_another_network_are_chosen_and_said(tiny_model: Model) -> None:
    made, notes = method(StyleConfig(preset="neural-style"), tiny_model)
    assert set(made.style_layers) <= set(tiny_model.layers)
    assert sum(made.layer_weights) == pytest.approx(5)
    assert notes == [
        f"content layer of tiny: {made.content_layers[0]}",
        f"style layers of tiny: {', '.join(made.style_layers)}",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"content_weight": 0.0, "style_weight": 0.0}, "both 0"),
        ({"style_layers": "relu1_1,relu1_1"}, "named twice"),
        ({"layer_weights": "1,2"}, "2 layer_weights for 5 style layers"),
        ({"layer_weights": "0,0,0,0,0"}, "not all 0"),
        ({"layer_weights": "1,x"}, "numbers joined by commas"),
        ({"style_layers": "relu1_1,,relu2_1"}, "names joined by commas"),
    ],
)
def test_a_method_that_cannot_be_meant_is_refused(vgg: Model, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        method(StyleConfig(**settings), vgg)


def test_a_layer_that_the_network_lacks_is_named_with_the_nearest(vgg: Model) -> None:
    with pytest.raises(UnknownNameError, match="relu4_1"):
        method(StyleConfig(style_layers="relu41"), vgg)


@pytest.mark.parametrize(
    "name", ["size", "steps", "style_scale", "lr", "content_weight", "tv_weight", "average", "feather"]
)
def test_settings_that_are_no_number_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        StyleConfig(**{name: float("nan")})
