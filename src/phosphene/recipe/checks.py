"""What settings are checked for: names that are known, numbers that can be meant."""

from __future__ import annotations

from phosphene.errors import UsageError


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"no {name} {value!r}; choose {', '.join(choices)}")


def check_positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        raise UsageError(f"{name} must be positive, got {value}")
    if value == float("inf"):
        raise UsageError(f"{name} must be finite, got {value}")


def check_whole(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{name} must be at least 1, got {value}")
