"""What an optimizer knows goes up the ladder: products stay, pictures enlarge, and the next scale starts faster."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phosphene.engine.lbfgs import in_order
from phosphene.engine.optimizers import Ascent
from phosphene.models import InputSpec, Model, from_module
from phosphene.recipe import OptimizerConfig, StyleConfig
from phosphene.signals import Fourier, Pixels
from phosphene.style.canvas import NO_LOW_PASS
from phosphene.style.carry import FourierLift, Lift, PixelLift, carried
from phosphene.style.job import Job, Style
from phosphene.style.transfer import Painted, Transfer

SIZES = ((17, 24), (24, 34))


def lifts() -> dict[str, tuple[Lift, tuple[int, ...]]]:
    coarse, fine = (Fourier(1, size=size, cutoff=NO_LOW_PASS) for size in SIZES)
    pixels = [Pixels(1, size=size, decorrelate=False).logits for size in SIZES]
    return {
        "fourier": (FourierLift(coarse, fine), tuple(coarse.coefficients.shape)),
        "pixels": (PixelLift(*pixels), tuple(pixels[0].shape)),
    }


def smooth(shape: tuple[int, ...], seed: int) -> Tensor:
    """Noise that has nothing at the highest frequencies, which two grids do not share."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if shape[-1] == 2:  # Fourier coefficients
        noise[:, :, shape[2] // 2 - 1 : shape[2] // 2 + 2] = 0
        noise[:, :, :, -1] = 0
        return noise
    return torch.nn.functional.avg_pool2d(noise, 5, 1, 2)


@pytest.mark.parametrize(("kind", "tolerance"), [("fourier", 1e-5), ("pixels", 0.1)])
def test_a_gradient_and_a_difference_have_the_same_product_above(kind: str, tolerance: float) -> None:
    lift, shape = lifts()[kind]
    y, s = smooth(shape, 1), smooth(shape, 2)
    s = s + y  # so that the product is not nothing
    assert float((lift.gradient(y) * lift.difference(s)).sum()) == pytest.approx(float((y * s).sum()), rel=tolerance)


def test_lifted_coefficients_are_the_enlarged_picture() -> None:
    """Sampled where the two grids meet: every second pixel of twice the size."""
    coarse, fine = (Fourier(1, size=size, cutoff=NO_LOW_PASS) for size in ((16, 12), (32, 24)))
    with torch.no_grad():
        coarse.coefficients.copy_(smooth(tuple(coarse.coefficients.shape), 3))
        fine.coefficients.copy_(FourierLift(coarse, fine).difference(coarse.coefficients))
        assert torch.allclose(fine()[:, :, ::2, ::2], coarse(), atol=1e-5)


def network() -> Model:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    return from_module(net, InputSpec(size=(32, 32)), name="small")


def traced(**options: Any) -> tuple[Transfer, Painted]:
    pictures = torch.rand(2, 3, 40, 52, generator=torch.Generator().manual_seed(4))
    pictures = torch.nn.functional.avg_pool2d(pictures, 5, 1, 2)
    config = StyleConfig(
        size=52, smallest=26, steps=12, content_layers="3", style_layers="0,3", seed=1, start="noise", **options
    )
    transfer = Transfer(network(), Job(pictures[0], (Style(pictures[1]),)), config)
    *_, painted = transfer
    assert isinstance(painted, Painted)
    return transfer, painted


@pytest.mark.parametrize("signal", ["fourier", "pixels"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_every_optimizer_and_basis_goes_on_from_what_it_learned(signal: str, optimizer: str) -> None:
    warm, cold = (traced(signal=signal, optimizer=optimizer, warm=warm)[1] for warm in (True, False))
    first = max(scale for scale, _, _ in warm.history)
    assert first == 3
    assert warm.history[:12] == cold.history[:12]  # the coarsest scale has nothing to go on from
    assert warm.history[12:] != cold.history[12:]
    assert all(total == total for _, _, total in warm.history)


def test_lbfgs_knows_the_valley_at_its_first_step() -> None:
    warm, cold = (traced(warm=warm)[1] for warm in (True, False))
    second = {scale: [total for s, _, total in run.history if s == 2] for scale, run in (("w", warm), ("c", cold))}
    assert second["w"][2] < second["c"][2]


def climbed(signal: Fourier, steps: int, history: int, wanted: float = 0.3) -> Ascent:
    """L-BFGS over a signal whose picture is to be gray, faster on the right than on the left."""
    ascent = Ascent(list(signal.parameters()), OptimizerConfig("lbfgs", history=history), rows=1)

    def evaluate() -> tuple[Tensor, tuple[Tensor, ...]]:
        weight = torch.linspace(0.1, 2, signal.size[1])
        score = -((signal() - wanted) ** 2 * weight).sum().view(1)
        return score.detach(), torch.autograd.grad(score.sum(), list(signal.parameters()))

    for _ in range(steps):
        ascent.step(evaluate)
    return ascent


def test_the_latest_pairs_are_carried_in_their_order_and_no_more_than_are_kept() -> None:
    coarse, fine = (Fourier(1, size=size, cutoff=NO_LOW_PASS) for size in SIZES)
    with torch.no_grad():
        coarse.coefficients.copy_(smooth(tuple(coarse.coefficients.shape), 5))
    learned = climbed(coarse, steps=9, history=6).state()  # eight pairs, so the oldest two were overwritten
    state = carried(learned, coarse, fine, history=3)
    assert state is not None
    assert state["memory"]["pairs"].shape == (2, 3, fine.coefficients.numel())
    lift, latest = FourierLift(coarse, fine), in_order(learned["memory"])[0][-1]
    assert torch.equal(state["memory"]["pairs"][0, -1], lift.difference(latest).flatten())
    ascent = Ascent(list(fine.parameters()), OptimizerConfig("lbfgs", history=3), rows=1)
    ascent.restore(state)


def test_where_nothing_was_learned_nothing_is_carried() -> None:
    """L-BFGS takes no step, and keeps nothing, where the gradient is exactly zero."""
    coarse, fine = (Fourier(1, size=size, clamped=True, cutoff=NO_LOW_PASS) for size in SIZES)
    learned = climbed(coarse, steps=2, history=10, wanted=0.5).state()
    assert carried(learned, coarse, fine, history=10) is None


def test_a_picture_that_is_right_already_goes_up_the_ladder() -> None:
    content = Fourier(1, size=(24, 34))()[0].detach()  # gray: with its own style the gradient is zero
    config = StyleConfig(size=34, smallest=20, steps=3)
    (painted,) = (e for e in Transfer(network(), Job(content, (Style(content),)), config) if isinstance(e, Painted))
    assert painted.status == "ok"
    assert len(painted.history) == 9
    assert torch.allclose(painted.picture, content, atol=1e-6)
