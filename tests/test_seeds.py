"""Random numbers belong to (seed, unit, purpose, step) and to nothing else."""

from __future__ import annotations

import pytest
import torch

from phosphene.seeds import BLOCK, Generators, key

UNITS = ["a:0", "a:1", "b:7", "logit:3"]


def test_a_key_never_changes_between_versions() -> None:
    assert key(0, "features.12:3", "start") == 2227864353693865491
    assert key(1, "features.12:3", "start") != key(0, "features.12:3", "start")


def test_a_key_tells_its_three_parts_apart() -> None:
    keys = {key(0, "ab", "c"), key(0, "a", "bc"), key(0, "a", "b\x1fc"[:1]), key(1, "ab", "c"), key(10, "ab", "c")}
    assert len(keys) == 5
    assert all(0 <= k < 2**63 for k in keys)


@pytest.mark.parametrize("step", [0, 1, BLOCK - 1, BLOCK, 5 * BLOCK + 3])
def test_numbers_are_the_same_in_any_position_and_with_any_mates(step: int) -> None:
    alone = Generators(3, ["b:7"])
    for units in (UNITS, UNITS[::-1], ["b:7", "c:1"], ["c:1"] * 3 + ["b:7"]):
        mates = Generators(3, units)
        row = units.index("b:7")
        assert torch.equal(mates.uniform("transform", step, 6)[row], alone.uniform("transform", step, 6)[0])
        assert torch.equal(mates.normal("noise", step, (2, 3))[row], alone.normal("noise", step, (2, 3))[0])


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    forward, backward = Generators(0, UNITS), Generators(0, UNITS)
    steps = [0, 1, BLOCK, 3 * BLOCK + 1]
    first = {step: forward.uniform("transform", step, 4) for step in steps}
    for step in reversed(steps):
        backward.uniform("other", step, 9)
        backward.uniform("transform", step, 5)  # another count takes the block's place
        assert torch.equal(backward.uniform("transform", step, 4), first[step])


def test_what_is_drawn_belongs_to_the_caller() -> None:
    generators = Generators(0, UNITS)
    drawn = generators.uniform("transform", 2, 4)
    before = drawn.clone()
    drawn.zero_()
    assert torch.equal(generators.uniform("transform", 2, 4), before)


def test_every_part_of_the_address_changes_the_numbers() -> None:
    def draws(seed: int, unit: str, purpose: str, step: int) -> tuple[bytes, bytes]:
        generators = Generators(seed, [unit])
        uniform, normal = generators.uniform(purpose, step, 8), generators.normal(purpose, step, (8,))
        return uniform.numpy().tobytes(), normal.numpy().tobytes()

    others = [(0, "u", "p", 0), (1, "u", "p", 0), (0, "v", "p", 0), (0, "u", "q", 0), (0, "u", "p", 1)]
    drawn = [draws(*address) for address in others]
    assert len({uniform for uniform, _ in drawn}) == len({normal for _, normal in drawn}) == len(others)


def test_no_step_of_a_long_run_repeats_another() -> None:
    generators = Generators(0, ["u"])
    rows = {generators.uniform("p", step, 6).numpy().tobytes() for step in range(4 * BLOCK)}
    assert len(rows) == 4 * BLOCK


def test_uniform_numbers_fill_the_unit_interval_and_normal_ones_are_standard() -> None:
    uniform = torch.stack([Generators(0, ["u"]).uniform("p", step, 500) for step in range(BLOCK)])
    assert bool((uniform >= 0).all())
    assert bool((uniform < 1).all())
    assert float(uniform.mean()) == pytest.approx(1 / 2, abs=0.01)
    assert float(uniform.var()) == pytest.approx(1 / 12, abs=0.002)
    normal = Generators(0, ["u"]).normal("p", 0, (20_000,))
    assert float(normal.mean()) == pytest.approx(0, abs=0.03)
    assert float(normal.std()) == pytest.approx(1, abs=0.03)


def test_drawing_leaves_the_global_generators_alone() -> None:
    before = torch.random.get_rng_state()
    generators = Generators(0, UNITS)
    generators.uniform("p", 0, 3)
    generators.normal("p", 0, (3,))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(generators) == len(UNITS)
