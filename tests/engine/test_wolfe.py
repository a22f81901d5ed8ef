"""Steps along a line end where both conditions hold, from too short a first trial, too long, and a cliff."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from phosphene.engine.wolfe import FLAT_ENOUGH, LOW_ENOUGH, Trial, search

Line = Callable[[float], tuple[float, float]]
LINES: dict[str, Line] = {
    "parabola": lambda t: ((t - 1) ** 2, 2 * (t - 1)),
    "wave": lambda t: (-t / 9 + math.cos(3 * t), -1 / 9 - 3 * math.sin(3 * t)),
    "quartic": lambda t: ((t - 2) ** 4, 4 * (t - 2) ** 3),
    "cliff": lambda t: (-t, -1.0) if t < 0.5 else (math.inf, math.nan) if t > 0.7 else ((t - 0.6) * 5, 5.0),
}


def found(line: Line, first: float, start: float = 0.0) -> tuple[Trial[None], Trial[None], int]:
    asked: list[float] = []

    def at(step: float) -> Trial[None]:
        asked.append(step)
        return Trial(step, *line(start + step), None)

    origin = Trial(0.0, *line(start), None)
    return search(at, origin, first, most=25), origin, len(asked)


@pytest.mark.parametrize("first", [1e-3, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("name", ["parabola", "wave", "quartic"])
def test_a_step_is_low_and_flat_enough(name: str, first: float) -> None:
    trial, origin, count = found(LINES[name], first, start=0.1)
    assert trial.value <= origin.value + LOW_ENOUGH * trial.step * origin.slope
    assert abs(trial.slope) <= FLAT_ENOUGH * abs(origin.slope)
    assert count <= 12


def test_a_first_step_that_is_good_is_the_only_one() -> None:
    assert found(LINES["parabola"], 1.0)[2] == 1


def test_what_is_not_finite_is_too_far() -> None:
    trial, origin, _ = found(LINES["cliff"], 2.0)
    assert trial.value < origin.value


def test_where_nothing_is_lower_it_stays_and_soon() -> None:
    trial, origin, count = found(lambda t: (1 + t, -1.0), 1.0)
    assert trial is origin
    assert count <= 25
    _, _, flat = found(lambda t: (1.0, -1e-9), 1.0)  # no float32 sees what is promised
    assert flat == 1
