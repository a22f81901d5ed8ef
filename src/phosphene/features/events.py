"""What happens while pictures are rendered: the events of a `Rendering`, for whoever shows it as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from phosphene.engine import Step
from phosphene.features.picture import Picture


@dataclass(frozen=True)
class Progress:
    """A step was done. done, total: picture-steps of the whole rendering. step: the engine's own record.

    places: which of all the pictures, in the order of the targets, its first rows are; further rows fill the batch up.
    """

    done: int
    total: int
    batch: int
    batches: int
    step: Step
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class Notice:
    """Something that the user should know and that is no error."""

    text: str


@dataclass(frozen=True)
class Done:
    """A picture is finished."""

    picture: Picture


Event: TypeAlias = Progress | Notice | Done
