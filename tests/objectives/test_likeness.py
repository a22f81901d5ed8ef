"""Inner products of Gram matrices: against loops over pairs, their gradient against autograd's, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from phosphene.objectives.likeness import gram_products

SHAPES = [(2, 3, 4, 25), (1, 4, 6, 9), (1, 2, 16, 3), (2, 2, 5, 1)]  # more positions than channels, and fewer


def features(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu()


def plain(values: Tensor) -> Tensor:
    """As it is written down, in float64."""
    grams = (values.double() @ values.double().mT / values.shape[3]).flatten(2)
    return grams @ grams.mT


def weights(shape: tuple[int, ...]) -> Tensor:
    """Of the products in a score: not symmetric, as a mean over the others is not."""
    return torch.randn((*shape[:2], shape[1]), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", SHAPES)
def test_products_are_what_a_loop_over_pairs_says(shape: tuple[int, ...]) -> None:
    values = features(shape)
    grams = [[f @ f.T / f.shape[1] for f in group] for group in values.double().numpy()]
    expected = [[[np.sum(a * b) for b in group] for a in group] for group in grams]
    np.testing.assert_allclose(gram_products(values), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_is_that_of_autograd(shape: tuple[int, ...]) -> None:
    values, exact = features(shape).requires_grad_(), features(shape).double().requires_grad_()
    (found,) = torch.autograd.grad((gram_products(values) * weights(shape)).sum(), values)
    (expected,) = torch.autograd.grad((plain(exact) * weights(shape)).sum(), exact)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_sixteen_bits_say_the_same_up_to_their_rounding() -> None:
    shape = (1, 4, 64, 100)
    rounded = features(shape).bfloat16()
    values, exact = rounded.clone().requires_grad_(), rounded.double().requires_grad_()
    products = gram_products(values)
    assert products.dtype == torch.float32
    lengths = products.diagonal(dim1=1, dim2=2).sqrt()
    cosines = products / (lengths[:, :, None] * lengths[:, None])
    expected = plain(exact)
    lengths = expected.diagonal(dim1=1, dim2=2).sqrt()
    torch.testing.assert_close(cosines.double(), expected / (lengths[:, :, None] * lengths[:, None]), rtol=0, atol=1e-4)
    (found,) = torch.autograd.grad((products * weights(shape)).sum(), values)
    (wanted,) = torch.autograd.grad((expected * weights(shape)).sum(), exact)
    assert found.dtype == torch.bfloat16
    assert float((found.double() - wanted).norm() / wanted.norm()) < 0.01


def test_the_gradient_lies_in_memory_as_the_features_do() -> None:
    maps = features((3, 8, 5, 7)).to(memory_format=torch.channels_last)
    for values in (maps, maps.contiguous()):
        values = values.detach().requires_grad_()
        (found,) = torch.autograd.grad(gram_products(values.flatten(2)[None]).sum(), values)
        assert found.stride() == values.stride()


def test_a_picture_costs_two_products_of_its_features_there_and_back() -> None:
    rows, channels, count = 9, 64, 400
    values = features((1, rows, channels, count)).requires_grad_()
    with FlopCounterMode(display=False) as counted:
        gram_products(values).sum().backward()
    once = 2 * rows * channels * channels * count
    assert 2 * once <= counted.get_total_flops() < 2.2 * once
