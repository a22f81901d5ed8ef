"""Families: what rows share they share exactly, what is their own stays their own."""

from __future__ import annotations

import pytest
import torch

from phosphene.engine import optimize
from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import Channel
from phosphene.recipe import RenderConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Pixels, Shared, Signal
from phosphene.transforms import build


def family(own: type[Signal] = Fourier, rows: int = 3, factors: tuple[int, ...] = (4, 8)) -> Shared:
    signal = Shared(own(rows, size=(18, 21)), factors=factors)
    signal.start(Generators(0, [f"unit {row}" for row in range(rows)]))
    return signal


def test_it_starts_as_its_own_rows_alone() -> None:
    signal = family()
    assert torch.equal(signal().detach(), signal.own().detach())


def test_what_is_shared_changes_every_row_alike() -> None:
    signal = family(Pixels)
    before = signal.linear().detach()
    with torch.no_grad():
        signal.parts[0][1] += 1.0  # any copy counts a third
    change = signal.linear().detach() - before
    torch.testing.assert_close(change, torch.full_like(change, 1 / 3))


def test_shared_parts_are_coarse() -> None:
    signal = family(factors=(4, 16))
    assert [tuple(part.shape) for part in signal.parts] == [(3, 3, 5, 6), (3, 3, 2, 2)]


def test_copies_of_the_shared_part_get_one_gradient_and_own_parts_their_own() -> None:
    signal = family(Pixels)
    score = signal()[1].square().sum()
    names = [name for name, _ in signal.named_parameters()]
    gradients = dict(zip(names, torch.autograd.grad(score, list(signal.parameters())), strict=True))
    shared = gradients["parts.0"]
    assert float(shared.abs().max()) > 0
    torch.testing.assert_close(shared[0], shared[1])
    torch.testing.assert_close(shared[0], shared[2])
    assert (gradients["own.logits"].flatten(1).abs().sum(1) > 0).tolist() == [False, True, False]


def test_encode_gives_the_pictures_back_also_after_a_run() -> None:
    signal = family()
    with torch.no_grad():
        for part in signal.parts:
            part.add_(0.7)
    pictures = 0.05 + 0.9 * torch.rand(signal.shape, generator=torch.Generator().manual_seed(0))
    signal.encode(pictures)
    torch.testing.assert_close(signal().detach(), pictures, atol=1e-5, rtol=0)


def test_the_last_step_is_that_of_its_own_rows() -> None:
    own = Fourier(2, size=(9, 8), clamped=True)
    pictures = torch.rand(own.shape, generator=torch.Generator().manual_seed(0))
    signal = Shared(own)
    signal.encode(pictures)
    torch.testing.assert_close(signal().detach(), pictures, atol=1e-5, rtol=0)


def test_its_state_makes_the_same_pictures_again() -> None:
    first, second = family(), Shared(Fourier(3, size=(18, 21)), factors=(4, 8))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first().detach(), second().detach())


def climbed(signal: Signal, model: Model) -> Signal:
    signal.start(Generators(0, ["a", "b", "c"]))
    config = RenderConfig(steps=20, transform=TransformConfig(transforms="none"))
    objective = Channel("features.2", (1, 4, 7)).bind(model)
    *_, last = optimize(objective, model, signal, build(config.transform, size=(32, 32), steps=20), config)
    return last.signal


def test_the_loop_keeps_the_copies_equal_and_the_pictures_are_closer_than_without(tiny_model: Model) -> None:
    together = climbed(Shared(Pixels(3, size=(32, 32))), tiny_model)
    alone = climbed(Pixels(3, size=(32, 32)), tiny_model)
    assert isinstance(together, Shared)
    for part in together.parts:
        torch.testing.assert_close(part[1:], part[:1].expand_as(part[1:]), atol=1e-5, rtol=0)
        assert float(part.detach().std()) > 0.01
    near, far = (
        float(torch.pdist(torch.nn.functional.avg_pool2d(signal().detach(), 8).flatten(1)).mean())
        for signal in (together, alone)
    )
    assert near < far


def test_families_share_within_and_not_between_and_rows_behind_them_with_none() -> None:
    signal = Shared(Pixels(5, size=(18, 21)), factors=(4,), group=2)
    before = signal.linear().detach()
    with torch.no_grad():
        signal.parts[0][3] += 1.0
        signal.parts[0][4] += 1.0
    change = (signal.linear().detach() - before).flatten(1).amax(1)
    torch.testing.assert_close(change, torch.tensor([0.0, 0.0, 0.5, 0.5, 1.0]))


def test_a_family_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="a family of 4 does not fit into 3 rows"):
        Shared(Pixels(3, size=(8, 8)), group=4)


@pytest.mark.parametrize("factors", [(), (0,), (4, -2)])
def test_factors_that_cannot_be_are_refused(factors: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="1 or more times coarser"):
        family(factors=factors)
