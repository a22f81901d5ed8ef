"""The settings of probes and cards. As in `recipe`, flags and Python defaults are made from these."""

from __future__ import annotations

from dataclasses import dataclass

from phosphene.errors import UsageError
from phosphene.examples.config import MAX_EXAMPLES
from phosphene.recipe import Settings, check_least

MOST_ABREAST = 6  # examples in a row of the page


@dataclass(frozen=True)
class ProbeConfig(Settings):
    """Which examples are probed, and how much of the activation a patch must keep."""

    probed: int = 6
    """How many of the highest examples are changed and cut."""
    keep: float = 0.8
    """Share of the activation that the smallest patch still keeps, above that of a plain gray picture."""
    limit: int | None = None
    """Look at so many pictures of the data only, evenly spread; for use without --index."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, limit=1)
        if not 1 <= self.probed <= MAX_EXAMPLES:
            raise UsageError(f"probed is 1 to {MAX_EXAMPLES} examples, got {self.probed}")
        if not 0 < self.keep < 1:
            raise UsageError(f"keep is a share between 0 and 1, got {self.keep}")


@dataclass(frozen=True)
class CardConfig(Settings):
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
        super().__post_init__()
        check_least(self, diverse=1, steps=0, similar=1, abreast=1)
        if not 1 <= self.examples <= MOST_ABREAST:
            raise UsageError(f"examples is 1 to {MOST_ABREAST} in a row, got {self.examples}")
