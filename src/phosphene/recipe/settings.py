"""What all settings have in common: names that are known, numbers that can be meant.

    @dataclass(frozen=True)
    class AnyConfig(Settings): ...

A field holds what its type says. A fraction is no whole number, `True` is no number, NaN and infinity are none either:
each is refused when the settings are made, from Python, from flags and from a recipe alike.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from numbers import Integral, Real
from typing import Any, Literal, cast

from phosphene.errors import UsageError
from phosphene.jsondata import alternatives, words


class Settings:
    """The base of every config dataclass. NumPy's numbers become Python's, lists of numbers become tuples.

    Raises UsageError, with the field and its value, for a number or a name that the field's type does not have.
    """

    def __post_init__(self) -> None:
        kinds = typing.get_type_hints(type(self))
        for name in (field.name for field in dataclasses.fields(cast("Any", self))):
            object.__setattr__(self, name, fitting(name, kinds[name], getattr(self, name)))


def fitting(name: str, kind: Any, value: Any) -> Any:
    """The value of a field whose type is made of numbers and names; a field of another type holds anything.

    Raises UsageError where it is none of them.
    """
    kinds = alternatives(kind)
    names = [one for choice in kinds if typing.get_origin(choice) is Literal for one in typing.get_args(choice)]
    numbers = [one for one in kinds if one in (int, float) or typing.get_origin(one) is tuple]
    if not names + numbers or (value is None and type(None) in kinds) or (isinstance(value, str) and value in names):
        return value
    for one in numbers:
        try:
            return number(one, value)
        except (TypeError, ValueError, OverflowError):
            continue
    if not numbers:
        raise UsageError(f"no {name} {value!r:.80}; choose {', '.join(names)}")
    raise UsageError(f"{name} must be {words(kind)}, got {value!r:.80}")


def number(kind: Any, value: Any) -> Any:
    """The value as an int, a float, or a tuple of such; an error of Python where it is none."""
    if typing.get_origin(kind) is tuple:
        kinds, values = typing.get_args(kind), tuple(value)
        kinds = kinds[:1] * len(values) if kinds[-1] is Ellipsis else kinds
        return tuple(number(one, part) for one, part in zip(kinds, values, strict=True))
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        raise TypeError
    if kind is float and not math.isfinite(value):  # raises OverflowError for an integer that no float holds
        raise ValueError
    return int(value) if isinstance(value, Integral) else float(value)


def check_least(settings: Settings, **least: float) -> None:
    """Raise UsageError where a field, if it is given, is below a number."""
    for name, lowest in least.items():
        value = getattr(settings, name)
        if value is not None and value < lowest:
            raise UsageError(f"{name} must be at least {lowest}, got {value}")


def check_positive(settings: Settings, *names: str, most: float | None = None) -> None:
    """Raise UsageError where a field, if it is given, is 0 or below, or above `most`."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and (value <= 0 or (most is not None and value > most)):
            wanted = "positive" if most is None else f"above 0 and up to {most:g}"
            raise UsageError(f"{name} must be {wanted}, got {value}")


def check_size(size: int | tuple[int, int] | None, least: int) -> None:
    """Raise UsageError where a side of a picture is below `least` pixels."""
    sides = (size,) if isinstance(size, int) else size or ()
    if any(side < least for side in sides):
        raise UsageError(f"size must be at least {least} pixels, got {size}")
