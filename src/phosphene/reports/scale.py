"""The scales of a chart: numbers as words, values as places.

A `Scale` maps data to 0..1 and carries its ticks. They stand at 1, 2 or 5 times a power of ten (Heckbert, "Nice
numbers for graph labels", Graphics Gems, 1990), on a logarithmic axis at decades.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phosphene.errors import UsageError

FARTHEST = 1e100  # the largest number that is drawn, its inverse the smallest: far beyond float32, safe in float64
FLAT = 1e-12  # of its size: values closer together than this are one value, ticks between them would not be exact
SLACK = 1e-6  # of a step: a value this close to a tick is on it
PREFIXES = ("", "k", "M", "G", "T")  # SI, powers of a thousand
PLAIN = (-3, 4)  # powers of ten of the first digit, from and below, that are written out: 0.001 to 9999
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """A number in few characters: three significant digits, k M G T from ten thousand on, powers of ten if tiny."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if abs(value) < 1 / FARTHEST:
        return "0"
    unit, suffix = unit_of(abs(value))
    decimals = max(0, 2 - exponent_of(abs(value) / unit))
    text = f"{value / unit:.{decimals}f}"
    return written(text.rstrip("0").rstrip(".") if decimals else text, suffix)


def exponent_of(size: float) -> int:
    """The power of ten of the first digit of a positive number, after it is rounded to three digits."""
    return int(f"{size:.2e}".partition("e")[2])


def unit_of(size: float) -> tuple[float, str]:
    """What to divide a positive number by, and what to write behind it then: (1000.0, "k")."""
    exponent = exponent_of(size)
    if PLAIN[0] <= exponent < PLAIN[1]:
        return 1.0, ""
    if 0 < exponent < 3 * len(PREFIXES):
        return 1000.0 ** (exponent // 3), PREFIXES[exponent // 3]
    return 10.0**exponent, f"×10{str(exponent).translate(SUPERSCRIPTS)}"


def written(digits: str, suffix: str) -> str:
    """Digits and suffix together, with a true minus sign, and 10⁻⁵ for 1×10⁻⁵."""
    if suffix.startswith("×") and digits in ("1", "-1"):
        digits, suffix = digits[:-1], suffix[1:]
    return digits.replace("-", "−") + suffix


@dataclass(frozen=True)
class Scale:
    """An axis: data from `low` to `high`, in equal steps or (log) equal factors, and its ticks with their labels."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Where a finite value stands: 0 at `low`, 1 at `high`. On a logarithmic scale it must be positive."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def scale(values: Iterable[float], *, name: str, count: int, log: bool = False, whole: bool = False) -> Scale:
    """The scale that shows all finite `values`, with about `count` ticks; 0 to 1 (log: 1 to 10) when there are none.

    whole: begin and end on a tick. Raises UsageError, with the axis's `name`, for values too large to draw and for
    values that are not positive on a logarithmic scale.
    """
    finite = [value for value in map(float, values) if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (1.0, 10.0) if log else (0.0, 1.0)
    if log and low < 1 / FARTHEST:
        raise UsageError(f"{name}: {low:g} has no place on a logarithmic axis, which shows positive numbers only")
    if max(-low, high) > FARTHEST:
        raise UsageError(f"{name}: {max(-low, high):g} is too large to draw; the limit is {FARTHEST:g}")
    low, high = apart(low, high, log)
    return log_scale(low, high, count, whole) if log else linear_scale(low, high, count, whole)


def apart(low: float, high: float, log: bool) -> tuple[float, float]:
    """The same range, or one around it where it is a single value."""
    size = max(-low, high)
    if high - low > max(FLAT * size, 1 / FARTHEST):
        return low, high
    if log:
        return low / 2, high * 2
    padding = size / 2 if size > 1 / FARTHEST else 1.0
    return low - padding, high + padding


def linear_scale(low: float, high: float, count: int, whole: bool) -> Scale:
    """Ticks at the multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= raw * (1 - SLACK))
    if whole:
        first, last = math.floor(low / step + SLACK), math.ceil(high / step - SLACK)
        low, high = first * step, last * step
    else:
        first, last = math.ceil(low / step - SLACK), math.floor(high / step + SLACK)
    ticks = tuple(index * step for index in range(first, last + 1))
    if len(ticks) < 2:
        return linear_scale(low, high, 2 * count, whole)
    return Scale(low, high, ticks, tick_labels(ticks, step))


def tick_labels(ticks: Sequence[float], step: float) -> tuple[str, ...]:
    """One unit and one number of decimals for a whole axis: 0, 5k, 10k; 0, 0.5, 1.0."""
    unit, suffix = unit_of(max(map(abs, ticks)) or 1.0)
    decimals = max(0, -math.floor(math.log10(step / unit) + SLACK))
    return tuple(written(f"{tick / unit:.{decimals}f}", suffix) if tick else "0" for tick in ticks)


def log_scale(low: float, high: float, count: int, whole: bool) -> Scale:
    """Ticks at every decade or every few; where there is room at 1, 2 and 5, in a short range as on a linear scale."""
    bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if 3 * math.log10(high / low) <= count:
        nice = [times * 10.0**power for power in range(bottom - 1, top + 1) for times in (1, 2, 5)]
    else:
        every = math.ceil((top - bottom) / count)
        nice = [10.0**power for power in range((bottom // every - 1) * every, top + every + 1, every)]
    if whole:
        low = max(tick for tick in nice if tick <= low)
        high = min(tick for tick in nice if tick >= high)
    ticks = tuple(tick for tick in nice if low * (1 - SLACK) <= tick <= high * (1 + SLACK))
    if len(ticks) > 1:
        return Scale(low, high, ticks, tuple(map(number, ticks)), log=True)
    linear = linear_scale(low, high, count, whole=False)
    return Scale(low, high, linear.ticks, linear.labels, log=True)
