"""The settings of probes and cards. As in `recipe.py`, flags and Python defaults are made from these."""

from __future__ import annotations

from dataclasses import dataclass

from phosphene.errors import UsageError
from phosphene.examples.config import MAX_EXAMPLES

MOST_ABREAST = 6  # examples in a row of the page


@dataclass(frozen=True)
class ProbeConfig:
    """Which examples are probed, and how much of the activation a patch must keep."""

    probed: int = 6
    """How many of the highest examples are changed and cut."""
    keep: float = 0.8
    """Share of the activation that the smallest patch still keeps, above that of a plain gray picture."""
    limit: int | None = None
    """Look at so many pictures of the data only, evenly spread; for use without --index."""

    def __post_init__(self) -> None:
        if not 1 <= self.probed <= MAX_EXAMPLES:
            raise UsageError(f"probed is 1 to {MAX_EXAMPLES} examples, got {self.probed}")
        if not 0 < self.keep < 1:
            raise UsageError(f"keep is a share between 0 and 1, got {self.keep}")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be at least 1 picture, got {self.limit}")


@dataclass(frozen=True)
class CardConfig:
    """What a card shows of a unit."""

    examples: int = 6
    """Examples in each row of the spectrum, six at most."""
    diverse: int = 4
    """Optimized pictures that differ from each other; 1 leaves them out."""
    steps: int = 128
    """Steps of gradient ascent of each optimized picture; 0 leaves all of them out."""
    similar: int = 6
    """Units of the same layer that respond most alike."""
    faithfulness: bool = True
    """Ask whether the optimized pictures can be trusted."""
    abreast: int = 4
    """Units of a book whose pictures are optimized in the same batches."""

    def __post_init__(self) -> None:
        if not 1 <= self.examples <= MOST_ABREAST:
            raise UsageError(f"examples is 1 to {MOST_ABREAST} in a row, got {self.examples}")
        for name, least in (("diverse", 1), ("steps", 0), ("similar", 1), ("abreast", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, got {getattr(self, name)}")
