"""Frozen dataclasses as plain JSON data, and back: a record that a picture carries is data from a stranger.

`from_json` checks every type and refuses what does not fit; `check_schema` refuses records of a newer version. Unknown
keys are ignored, so that an older version reads what a newer one added within a schema. Nothing of a record is ever
run.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from typing import Any, Literal, TypeVar, Union

from phosphene.errors import RecipeError, UsageError

SCHEMA = 1
WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text", type(None): "nothing"}

C = TypeVar("C")


def to_json(value: Any) -> Any:
    """Plain JSON data for a dataclass, tuple or scalar."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(name): to_json(item) for name, item in value.items()}
    return value


def from_json(kind: type[C], data: Any, *, where: str = "recipe") -> C:
    """The dataclass `kind` from plain JSON data; unknown keys are ignored, wrong types are refused.

    Raises RecipeError that names the field.
    """
    if not isinstance(data, dict):
        raise RecipeError(f"{where}: expected an object, got {data!r:.80}")
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {name: _coerce(hints[name], item, f"{where}.{name}") for name, item in data.items() if name in known}
    try:
        return kind(**values)
    except (TypeError, UsageError) as error:
        raise RecipeError(f"{where}: {error}") from error


def check_schema(data: Any, where: str) -> None:
    """Raise RecipeError unless `data` is a record of a schema that this version can read."""
    if not isinstance(data, dict) or not isinstance(data.get("schema"), int):
        raise RecipeError(f"{where} holds no phosphene recipe (no schema number)")
    if data["schema"] > SCHEMA:
        raise RecipeError(
            f"{where} has recipe schema {data['schema']}, this version reads up to {SCHEMA}; update phosphene"
        )


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a type is a union of; itself where it is none."""
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)


def words(hint: Any) -> str:
    """What a value of a type is, for people: "a whole number or auto"."""
    kinds = [kind for kind in alternatives(hint) if kind is not type(None)]
    if len(kinds) > 1:
        return " or ".join(map(words, kinds))
    (kind,) = kinds or (hint,)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, args))
    if origin is tuple and args[-1] is Ellipsis:
        return f"a list, each {words(args[0])}"
    if origin is tuple:
        return f"a list of {len(args)}, each {words(args[0])}"
    return WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _coerce(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if len(alternatives(hint)) > 1:
        return _coerce_union(hint, value, where)
    if origin is Literal:
        if value not in args:
            raise RecipeError(f"{where}: {value!r:.80} is none of {', '.join(map(str, args))}")
        return value
    if origin is tuple:
        return _coerce_tuple(args, value, where)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value, where=where)
    if hint is float:
        ok = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        value = float(value) if ok else value
    elif hint is int:
        ok = isinstance(value, int) and not isinstance(value, bool)
    elif hint is type(None):
        ok = value is None
    else:
        ok = hint is Any or isinstance(value, hint)
    if not ok:
        raise RecipeError(f"{where}: {value!r:.80} is not {words(hint)}")
    return value


def _coerce_union(hint: Any, value: Any, where: str) -> Any:
    for option in alternatives(hint):
        try:
            return _coerce(option, value, where)
        except RecipeError:
            continue
    raise RecipeError(f"{where}: {value!r:.80} is not {words(hint)}")


def _coerce_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise RecipeError(f"{where}: {value!r:.80} is not a list")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_coerce(args[0], item, where) for item in value)
    if len(value) != len(args):
        raise RecipeError(f"{where}: expected {len(args)} values, got {len(value)}")
    return tuple(_coerce(arg, item, where) for arg, item in zip(args, value, strict=True))
