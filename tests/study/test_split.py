"""The split of a gain: its parts add up, shifts move what they must, and by hand it comes out the same."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.study.split import Answer, Split, along, read, split

CLASS = 2


def random_logits(count: int, classes: int = 7, spread: float = 20.0) -> Tensor:
    return spread * torch.randn(count, classes, generator=torch.Generator().manual_seed(0))


def answers(logits: Tensor) -> list[Answer]:
    return [read(z, CLASS) for z in logits]


def test_the_parts_add_up_to_the_gain_of_log_odds() -> None:
    for before, after in pairwise(answers(random_logits(50))):
        gain = split(before, after)
        assert gain.gain == pytest.approx(after.log_odds - before.log_odds, abs=1e-9)
        assert gain.own + gain.others == pytest.approx(gain.gain, abs=1e-9)
        assert gain.lead + gain.rivals == pytest.approx(gain.gain, abs=1e-9)


def test_the_parts_along_a_path_add_up_to_the_gain_of_log_p() -> None:
    path = answers(random_logits(50, spread=60.0))
    assert along(path).gain == pytest.approx(path[-1].log_probability - path[0].log_probability, abs=1e-9)
    still = [path[0], path[0], path[1]]
    assert along(still).gain == pytest.approx(path[1].log_probability - path[0].log_probability, abs=1e-9)


def test_the_split_of_log_odds_depends_on_the_ends_alone() -> None:
    path = answers(random_logits(9))
    total = sum((split(a, b) for a, b in pairwise(path)), Split())
    ends = split(path[0], path[-1])
    assert (total.own, total.mean, total.rivals) == pytest.approx((ends.own, ends.mean, ends.rivals), abs=1e-9)


def test_what_an_answer_says_is_the_softmax() -> None:
    for z in random_logits(20, spread=4.0):
        found, p = read(z, CLASS), z.double().softmax(0)[CLASS]
        assert found.probability == pytest.approx(float(p), rel=1e-9)
        assert found.log_probability == pytest.approx(float(p.log()), rel=1e-9)
        assert found.log_odds == pytest.approx(float(p.log() - (-p).log1p()), rel=1e-6)
        others = np.delete(z.double().numpy(), CLASS)
        assert (found.mean, found.largest) == pytest.approx((others.mean(), others.max()))
        assert float(z[found.rival]) == pytest.approx(found.largest)


def test_near_one_a_probability_is_still_told_from_one() -> None:
    sure = read(torch.tensor([0.0, 0.0, 60.0]), CLASS)
    assert sure.probability == 1.0  # rounded
    assert sure.log_probability == pytest.approx(-2 * math.exp(-60), rel=1e-9)


def test_by_hand() -> None:
    before, after = answers(torch.tensor([[1.0, 3.0, 0.0, 2.0], [0.0, -1.0, 5.0, 1.0]]))
    gain = split(before, after)
    lse = [math.log(sum(map(math.exp, others))) for others in ((1, 3, 2), (0, -1, 1))]
    assert gain.own == 5
    assert gain.mean == 2  # from 2 to 0
    assert gain.rivals == pytest.approx((lse[0] - 2) - (lse[1] - 0))
    assert gain.others == pytest.approx(lse[0] - lse[1])
    assert gain.share == pytest.approx((lse[0] - lse[1]) / (5 + lse[0] - lse[1]))


def test_a_shift_of_all_logits_moves_own_and_mean_against_each_other_and_nothing_else() -> None:
    z = random_logits(2)
    before, after, shifted = read(z[0], CLASS), read(z[1], CLASS), read(z[1] + 4, CLASS)
    plain, moved = split(before, after), split(before, shifted)
    assert moved.own == pytest.approx(plain.own + 4, abs=1e-5)  # the logits are float32
    assert moved.mean == pytest.approx(plain.mean - 4, abs=1e-5)
    assert (moved.lead, moved.rivals, moved.gain) == pytest.approx((plain.lead, plain.rivals, plain.gain), abs=1e-5)


def test_each_part_is_moved_by_its_own_cause_alone() -> None:
    z = torch.tensor([1.0, 3.0, 0.0, 2.0])
    causes = {
        "own": torch.tensor([0.0, 0.0, 2.0, 0.0]),
        "mean": torch.tensor([-2.0, -2.0, 0.0, -2.0]),
        "rivals": torch.tensor([1.0, -1.0, 0.0, 0.0]),
    }
    for cause, change in causes.items():
        gain = split(read(z, CLASS), read(z + change, CLASS))
        for name in causes:
            assert (getattr(gain, name) > 0.1) == (name == cause), (cause, name)
            assert name == cause or getattr(gain, name) == pytest.approx(0, abs=1e-12)


def test_of_two_classes_there_is_one_other_and_it_has_no_rivals() -> None:
    gain = split(read(torch.tensor([1.0, 2.0]), 0), read(torch.tensor([4.0, -1.0]), 0))
    assert (gain.own, gain.mean, gain.rivals) == pytest.approx((3, 3, 0))


def test_log_p_counts_what_was_done_while_the_class_was_unlikely() -> None:
    first_own_then_others = torch.tensor([[0.0, 0.0, -10.0], [0.0, 0.0, 10.0], [-20.0, -20.0, 10.0]])
    path = answers(first_own_then_others)
    assert split(path[0], path[-1]).share == pytest.approx(0.5)
    assert along(path).share < 1e-4
    assert along(answers(first_own_then_others[[0, 1]])).share == 0
