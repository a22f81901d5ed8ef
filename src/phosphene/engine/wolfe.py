"""How far to go along a direction: a line search to the strong Wolfe conditions.

    value(t) <= value(0) + c1 t slope(0)      low enough
    |slope(t)| <= c2 |slope(0)|               flat enough

A step is tried, made longer while the value still falls steeply, and once a minimum lies between two steps, shortened
to where the cubic through both values and slopes has its own (Nocedal and Wright 2006, algorithms 3.5 and 3.6, eq.
3.59).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

LOW_ENOUGH = 1e-4  # c1 and
FLAT_ENOUGH = 0.9  # c2 of Nocedal and Wright for quasi-Newton methods
NEAREST = 0.1  # of a bracket: how near to one of its ends the next step may lie
LONGER = (2.0, 10.0)  # times the last step: how much longer the next may be while the value falls
RESOLUTION = 2.0**-24  # of the value: half of what float32 sees; a bracket that promises less is not searched

P = TypeVar("P")


@dataclass(frozen=True)
class Trial(Generic[P]):
    """A step along the line, the value and slope there, and whatever `at` found on the way."""

    step: float
    value: float
    slope: float
    found: P


def search(at: Callable[[float], Trial[P]], origin: Trial[P], first: float, *, most: int) -> Trial[P]:
    """The trial that satisfies both conditions, or the lowest that was low enough; `origin` where none was.

    at: evaluates a step. origin: the trial of step 0, whose slope is below 0. first: the first step. most: evaluations.
    Values that are not finite count as too high.
    """
    low, high, step = origin, None, first
    for _ in range(most):
        trial = at(step)
        limit = origin.value + LOW_ENOUGH * step * origin.slope
        too_high = not trial.value <= limit or (low is not origin and trial.value >= low.value)
        if not too_high and abs(trial.slope) <= -FLAT_ENOUGH * origin.slope:
            return trial
        if too_high:
            high = trial
        else:
            onward = trial.slope < 0 if high is None else trial.slope * (high.step - low.step) < 0
            before, low = low, trial
            if not onward:
                high = before
            elif high is None:
                step = _clamped(_minimum(before, low), LONGER[0] * low.step, LONGER[1] * low.step)
        if high is not None:
            width = high.step - low.step
            if abs(width * origin.slope) <= RESOLUTION * abs(origin.value):
                break
            ends = sorted((low.step + NEAREST * width, high.step - NEAREST * width))
            step = _clamped(_minimum(low, high), *ends)
    return low


def _minimum(a: Trial[P], b: Trial[P]) -> float:
    """Where the cubic through two trials has its minimum; the middle where it has none."""
    middle = (a.step + b.step) / 2
    if not (math.isfinite(b.value) and math.isfinite(b.slope)):
        return middle
    bend = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = bend * bend - a.slope * b.slope
    if not square >= 0:
        return middle
    root = math.copysign(math.sqrt(square), b.step - a.step)
    under = b.slope - a.slope + 2 * root
    return b.step - (b.step - a.step) * (b.slope + root - bend) / under if under else middle


def _clamped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
