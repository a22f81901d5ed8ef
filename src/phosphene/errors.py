"""The errors that phosphene raises: typed, loud, and quoting the input that caused them.

Every error is a `PhospheneError`. Its `exit_code` says how the command line ends: 1 when the work failed,
2 when it was asked for wrongly. A message is one line: what was given, what is wrong, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_FAILED = 1
EXIT_USAGE = 2
MAX_SUGGESTIONS = 3  # more than three names stop being a hint


class PhospheneError(Exception):
    """Base of every error that phosphene raises on purpose."""

    exit_code = EXIT_FAILED


class UsageError(PhospheneError):
    """The request itself is wrong: a name, a number or an option that cannot be meant."""

    exit_code = EXIT_USAGE


class UnknownNameError(UsageError):
    """A model, layer, class or unit that does not exist; carries the nearest names that do."""


class ParseError(UsageError):
    """A target that does not parse; `position` is the 0-based offset of the first wrong character."""

    def __init__(self, text: str, position: int, problem: str) -> None:
        self.text, self.position, self.problem = text, position, problem
        super().__init__(
            f"cannot read target {text!r} at character {position + 1}: {problem}\n  {text}\n  {' ' * position}^"
        )


class WeightsError(PhospheneError):
    """Weights that are missing, damaged, of another network, or unsafe to read."""


class MediaError(PhospheneError):
    """A picture or sound that cannot be read or written."""


class RecipeError(PhospheneError):
    """A recipe that is absent, damaged, of a newer schema, or cannot be carried out here."""


class MissingExtraError(PhospheneError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; pip install "phosphene[{extra}]"')


def unknown(kind: str, given: object, where: str, known: Iterable[str]) -> UnknownNameError:
    """An `UnknownNameError` such as: no layer 'layer5' in resnet50; did you mean layer4, layer3?"""
    near = nearest(str(given), known)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return UnknownNameError(f"no {kind} {str(given)!r} in {where}{hint}")


def nearest(given: str, known: Iterable[str]) -> list[str]:
    """Up to three known names closest to `given`, ignoring case; names that contain it count as close."""
    names = list(dict.fromkeys(known))
    lowered = {name.lower(): name for name in reversed(names)}
    close = [lowered[key] for key in get_close_matches(given.lower(), lowered, MAX_SUGGESTIONS, cutoff=0.6)]
    inside = [name for name in names if given and given.lower() in name.lower()]
    return list(dict.fromkeys(close + inside))[:MAX_SUGGESTIONS]
