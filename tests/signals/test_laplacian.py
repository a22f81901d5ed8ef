"""The Laplacian pyramid: bands, their sizes, and what each holds."""

from __future__ import annotations

import pytest
import torch

from phosphene.errors import UsageError
from phosphene.seeds import Generators
from phosphene.signals import Laplacian
from phosphene.signals.laplacian import band_sizes


def test_bands_are_halved_and_end_at_one_pixel() -> None:
    assert band_sizes((16, 12), 3) == [(16, 12), (8, 6), (4, 3)]
    assert band_sizes((7, 9), 4) == [(7, 9), (4, 5), (2, 3), (1, 2)]
    assert band_sizes((2, 1), 9) == [(2, 1), (1, 1)]
    assert band_sizes((5, 5), 1) == [(5, 5)]


@pytest.mark.parametrize("levels", [1, 2, 4, 9])
@pytest.mark.parametrize("size", [(16, 16), (7, 9), (1, 5)])
def test_a_picture_is_held_exactly_by_any_number_of_bands(size: tuple[int, int], levels: int) -> None:
    signal = Laplacian(2, size=size, levels=levels)
    pictures = 0.05 + 0.9 * torch.rand(signal.shape, generator=torch.Generator().manual_seed(0))
    signal.encode(pictures)
    torch.testing.assert_close(signal().detach(), pictures, atol=1e-5, rtol=0)


def test_broad_shapes_go_into_broad_bands_and_noise_into_fine_ones() -> None:
    ramp = torch.linspace(0.2, 0.8, 32).expand(1, 3, 32, 32)
    noise = 0.5 + 0.2 * (torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 0.5)
    signal = Laplacian(1, size=(32, 32))

    def share(pictures: torch.Tensor) -> float:
        signal.encode(pictures)
        return float(signal.bands[-1].detach().std() / signal.bands[0].detach().std())

    assert share(ramp) > 10
    assert share(noise) < 1 / 3


def test_every_band_starts_at_the_asked_deviation() -> None:
    signal = Laplacian(1, size=(64, 64))
    signal.start(Generators(0, ["a"]), 0.1)
    for band in signal.bands:
        assert float(band.detach().std()) == pytest.approx(0.1, rel=0.2)


def test_a_pyramid_without_bands_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1 level"):
        Laplacian(1, size=(8, 8), levels=0)
