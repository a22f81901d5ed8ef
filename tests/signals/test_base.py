"""The color squash, its inverse, and what every signal refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.natural import color_basis, sigmoid_rows_
from phosphene.signals import SIGNALS, Fourier, Pixels, Signal
from phosphene.signals.base import ENCODE_MARGIN, SquashColors


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def plain_squash(linear: Tensor, basis: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", basis, linear).sigmoid()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 6)])
def test_squashing_is_the_sigmoid_of_the_color_basis_and_so_is_its_gradient(
    channels: int, size: tuple[int, int]
) -> None:
    basis = color_basis(channels) + 0.1 * random(channels, channels)
    ours, theirs = (random(2, channels, *size, seed=1).requires_grad_() for _ in range(2))
    weight = random(2, channels, *size, seed=2)
    squashed, reference = SquashColors.apply(ours, basis), plain_squash(theirs, basis)
    torch.testing.assert_close(squashed, reference, atol=1e-6, rtol=0)
    (squashed * weight).sum().backward()
    (reference * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-5)


def test_the_gradient_of_squashing_is_the_numerical_one() -> None:
    linear = random(2, 3, 3, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: SquashColors.apply(x, color_basis().double()), [linear])


@pytest.mark.parametrize("count", [1, 7, 8, 15, 16, 33, 1000])
def test_the_sigmoid_of_a_row_is_the_same_to_the_bit_in_any_place(count: int) -> None:
    row = 3 * random(1, count)
    alone = sigmoid_rows_(row.clone())[0]
    batch = sigmoid_rows_(row.repeat(9, 1))
    assert all(torch.equal(batch[i], alone) for i in range(9))
    torch.testing.assert_close(alone, torch.sigmoid(row[0].double()).float(), atol=2e-7, rtol=0)


@pytest.mark.parametrize("kind", [kind for kind in SIGNALS.values() if kind.encodes])
def test_black_and_white_are_moved_in_by_half_a_level(kind: type[Signal]) -> None:
    signal = kind(1, size=(6, 6))
    pictures = (random(1, 3, 6, 6) > 0).float()
    signal.encode(pictures)
    assert float((signal().detach() - pictures).abs().max()) == pytest.approx(ENCODE_MARGIN, abs=1e-4)


@pytest.mark.parametrize("kind", SIGNALS.values())
def test_pictures_of_another_shape_or_range_are_refused(kind: type[Signal]) -> None:
    signal = kind(2, size=(4, 6))
    before = [p.clone() for p in signal.parameters()]
    for shape in ((1, 3, 4, 6), (2, 1, 4, 6), (2, 3, 6, 4), (3, 4, 6)):
        with pytest.raises(UsageError, match="shape"):
            signal.encode(torch.full(shape, 0.5))
    for value in (-0.01, 1.01, float("nan")):
        pictures = torch.full(signal.shape, 0.5)
        pictures[1, 2, 3, 4] = value
        with pytest.raises(UsageError, match=r"0 \.\. 1"):
            signal.encode(pictures)
    assert all(torch.equal(a, b) for a, b in zip(before, signal.parameters(), strict=True))


@pytest.mark.parametrize("values", [{"rows": 0}, {"channels": 0}, {"size": (0, 4)}])
def test_a_signal_without_pixels_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Pixels(**{"rows": 1, "size": (4, 4), **values})


@pytest.mark.parametrize("kind", [Pixels, Fourier])
def test_alpha_is_one_more_channel_that_skips_the_color_matrix(kind: type[Signal]) -> None:
    signal = kind(1, size=(4, 4), alpha=True)
    assert signal.shape == (1, 4, 4, 4)
    basis = signal.basis
    assert torch.equal(basis[:3, :3], color_basis())
    assert torch.equal(basis[3], torch.tensor([0.0, 0.0, 0.0, 1.0]))
    assert torch.equal(basis[:, 3], torch.tensor([0.0, 0.0, 0.0, 1.0]))


def test_colors_are_whitened_only_where_there_are_three_of_them() -> None:
    for channels in (1, 2, 4, 5):
        assert torch.equal(Pixels(1, channels=channels, size=(2, 2)).basis, torch.eye(channels))
    assert torch.equal(Pixels(1, size=(2, 2), decorrelate=False).basis, torch.eye(3))
    basis = Pixels(1, size=(2, 2)).basis
    assert float(basis.norm(dim=0).max()) == pytest.approx(1)
    assert float(basis[:, 0].min()) > 0.5  # the first direction is light and dark: all three colors together
