"""Average pooling: the windows of the maximum, in a private copy, or a refusal that says why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.models import InputSpec, Model, average_pooling, from_module, load, normalize_activations
from phosphene.models.pooling import RescaledAvgPool2d
from phosphene.models.weights import weights_sha256

SPEC = InputSpec(size=(32, 32))
POOLS = [
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, 2),
    nn.MaxPool2d(3, 2, padding=1),
    nn.MaxPool2d(3, 2, ceil_mode=True),
    nn.MaxPool2d((3, 2), (2, 3), padding=(1, 0), ceil_mode=True),
    nn.MaxPool2d(5, 3, padding=2),
]


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def chain(pool: nn.Module) -> Model:
    torch.manual_seed(0)
    return from_module(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), pool, nn.Conv2d(4, 5, 1)), SPEC, name="chain")


def means(x: np.ndarray, pool: nn.MaxPool2d, rows: int, columns: int) -> np.ndarray:
    """NumPy: of each window of the max pooling, the mean of what lies inside the picture, times sqrt(its area)."""
    (kh, kw), (sh, sw), (ph, pw) = (
        (v, v) if isinstance(v, int) else v for v in (pool.kernel_size, pool.stride, pool.padding)
    )
    windows = [
        x[..., max(i * sh - ph, 0) : i * sh - ph + kh, max(j * sw - pw, 0) : j * sw - pw + kw].mean((-2, -1))
        for i in range(rows)
        for j in range(columns)
    ]
    return np.stack(windows, -1).reshape(*x.shape[:-2], rows, columns) * np.sqrt(kh * kw)


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 18)])
def test_each_window_of_the_maximum_becomes_its_rescaled_mean(pool: nn.MaxPool2d, height: int, width: int) -> None:
    x = noise(2, 3, height, width)
    rows, columns = pool(x).shape[-2:]
    np.testing.assert_allclose(RescaledAvgPool2d(pool)(x), means(x.numpy(), pool, rows, columns), rtol=1e-5)


def test_a_two_by_two_mean_is_doubled() -> None:
    assert RescaledAvgPool2d(nn.MaxPool2d(2)).factor == 2
    assert RescaledAvgPool2d(nn.MaxPool2d(1)).factor == 1


def test_every_pool_is_exchanged_in_a_copy_and_none_in_the_network_itself() -> None:
    model = load("minivgg", weights="random")
    weights, before = model.weights.sha256, str(model.net)
    x = noise(1, 3, 40, 56)
    own = model.activations(x, ["relu5_1"])["relu5_1"]
    averaged = average_pooling(model)
    assert sum(isinstance(module, RescaledAvgPool2d) for module in averaged.net.modules()) == 4
    assert not any(isinstance(module, nn.MaxPool2d) for module in averaged.net.modules())
    assert (str(model.net), weights_sha256(model.net), model.variant) == (before, weights, ())
    assert torch.equal(model.activations(x, ["relu5_1"])["relu5_1"], own)
    values = averaged.activations(x, ["relu1_2", "pool1", "relu5_1"])
    torch.testing.assert_close(values["pool1"], 2 * F.avg_pool2d(values["relu1_2"], 2))
    assert values["relu5_1"].shape == own.shape
    assert not torch.allclose(values["relu5_1"], own)


def test_the_copy_says_what_it_is_and_keeps_its_layers() -> None:
    model = chain(nn.MaxPool2d(2))
    averaged = average_pooling(model)
    assert averaged.variant == ("average-pooling",)
    assert averaged.prepared(memory_format=torch.channels_last).variant == averaged.variant
    assert averaged.weights == model.weights
    assert list(averaged.layers) == list(model.layers)
    assert (model.layers["2"].kind, averaged.layers["2"].kind) == ("MaxPool2d", "RescaledAvgPool2d")


def test_the_names_of_the_literature_stay() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU())
    averaged = average_pooling(from_module(net, SPEC))
    assert averaged.find_layer("pool1").name == "2"
    assert averaged.find_layer("relu2_1").name == "4"


def test_one_module_in_several_places_stays_one() -> None:
    pool = nn.MaxPool2d(2)
    net = average_pooling(from_module(nn.Sequential(nn.Conv2d(3, 4, 1), pool, nn.ReLU(), pool), SPEC)).net
    assert isinstance(net[1], RescaledAvgPool2d)
    assert net[1] is net[3]


def test_ceil_mode_of_squeezenet_keeps_its_sizes() -> None:
    model = load("squeezenet1_1", weights="random")
    x = noise(1, 3, 97, 130)
    ours, theirs = (m.activations(x, ["features.12"])["features.12"] for m in (average_pooling(model), model))
    assert ours.shape == theirs.shape


class FunctionalPool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


class SamePool(nn.MaxPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


class Values(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def forward(self, x: Tensor) -> Tensor:
        values: Tensor = self.pool(x)[0]
        return values


class Uncopyable(nn.MaxPool2d):
    def __deepcopy__(self, memo: object) -> Uncopyable:
        raise TypeError("holds a handle")


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (FunctionalPool(), "chain has no max pooling module to exchange; pooling by a function call cannot"),
        (SamePool(2), "chain: 2 is a SamePool, which pools in its own way"),
        (Values(), r"chain: 2\.pool also gives the places of its maxima"),
        (nn.MaxPool2d(2, dilation=2), "chain: 2 has dilation 2"),
        (Uncopyable(2), "chain cannot be copied"),
    ],
    ids=["function", "subclass", "indices", "dilation", "uncopyable"],
)
def test_what_cannot_be_exchanged_is_refused_with_the_reason(pool: nn.Module, said: str) -> None:
    model = chain(pool)
    with pytest.raises(UsageError, match=said):
        average_pooling(model)
    assert model.net[2] is pool


def test_scales_that_were_measured_behind_maxima_are_not_kept() -> None:
    model = normalize_activations(chain(nn.MaxPool2d(2)), noise(2, 3, 32, 32))
    with pytest.raises(UsageError, match="exchange the pooling first and normalize the activations after it"):
        average_pooling(model)
