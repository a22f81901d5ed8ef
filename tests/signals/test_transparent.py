"""The transparency map: where the gradients were, and nothing else is changed by it."""

from __future__ import annotations

import pytest
import torch

from phosphene.engine import optimize
from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import Neuron
from phosphene.recipe import RenderConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Maco, Pixels, Signal, Transparent
from phosphene.transforms import build

PLAIN = TransformConfig(transforms="none")


def climbed(signal: Signal, model: Model, steps: int = 8, state: dict[str, object] | None = None) -> list[object]:
    config = RenderConfig(steps=steps, transform=PLAIN)
    objective = Neuron("features.2", (1, 1), (2, 3)).bind(model)
    warp = build(PLAIN, size=(32, 32), steps=steps)
    return list(optimize(objective, model, signal, warp, config, state=state))


def started(own: Signal) -> Transparent:
    signal = Transparent(own)
    signal.start(Generators(0, ["a", "b"]))
    return signal


def test_it_is_opaque_where_the_unit_looks_and_clear_elsewhere(tiny_model: Model) -> None:
    signal = started(Maco(2, size=(32, 32)))
    climbed(signal, tiny_model)
    opacity = signal.opacity()
    assert opacity.shape == (2, 32, 32)
    assert bool(((opacity >= 0) & (opacity <= 1)).all())
    seen = signal.asked > 0
    assert 0 < int(seen[0].sum()) < 32 * 32 / 2
    assert float(opacity[seen].mean()) > 0.9
    assert float(opacity[:, -8:, :8].max()) == 0


def test_the_optimization_is_not_changed_by_it(tiny_model: Model) -> None:
    watched, bare = started(Fourier(2, size=(32, 32))), Fourier(2, size=(32, 32))
    bare.start(Generators(0, ["a", "b"]))
    climbed(watched, tiny_model)
    climbed(bare, tiny_model)
    assert torch.equal(watched().detach(), bare().detach())
    assert torch.equal(watched.finished()[:, :3].detach(), bare().detach())


def test_the_map_is_the_sum_of_absolute_gradients_of_the_picture() -> None:
    signal = started(Pixels(2, size=(5, 6)))
    weights = torch.randn(2, 2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    for weight in weights:
        torch.autograd.grad((signal() * weight).sum(), list(signal.parameters()))
    torch.testing.assert_close(signal.asked, weights.abs().sum((0, 2)))


def test_a_gradient_that_is_not_finite_leaves_the_map_sound() -> None:
    signal = started(Pixels(2, size=(5, 6)))
    torch.autograd.grad((signal()[0] * float("nan")).sum(), list(signal.parameters()))
    assert bool(signal.asked.isfinite().all())


def test_before_any_gradient_all_is_opaque() -> None:
    signal = started(Pixels(2, size=(5, 6)))
    assert signal.finished().shape == (2, 4, 5, 6)
    assert bool((signal.opacity() == 1).all())


def test_a_resumed_run_has_the_map_too(tiny_model: Model) -> None:
    whole, half, rest = (started(Maco(2, size=(32, 32))) for _ in range(3))
    climbed(whole, tiny_model, steps=8)
    config = RenderConfig(steps=8, transform=PLAIN)
    objective = Neuron("features.2", (1, 1), (2, 3)).bind(tiny_model)
    for step in optimize(objective, tiny_model, half, build(PLAIN, size=(32, 32), steps=8), config):
        if step.i == 4:
            climbed(rest, tiny_model, steps=8, state=step.state())
            break
    assert torch.equal(rest.finished().detach(), whole.finished().detach())


def test_two_kinds_of_transparency_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="choose one"):
        Transparent(Pixels(1, size=(4, 4), alpha=True))
