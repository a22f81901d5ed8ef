"""The settings of a scan. As in `recipe`, flags, Python defaults and the index's header are made from these."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phosphene.errors import UsageError
from phosphene.recipe import Settings, check_least, check_positive

MAX_EXAMPLES = 1000
MAX_SECONDS = 60.0  # of a piece of a recording


@dataclass(frozen=True)
class ScanConfig(Settings):
    """What a scan keeps of a data set, and how it goes through it."""

    top: int = 16
    """How many of the highest and of the lowest scores are kept for each unit."""
    sample: int = 256
    """Pictures drawn from the data set for what lies between; all their scores are kept."""
    whole: bool = False
    """Show the network the full picture, not its center. One picture at a time; for networks that take any size."""
    seconds: float | None = None
    """Sounds: length of the pieces that recordings are cut into; what the network was trained on when left out."""
    classes: bool = True
    """Keep the mean score of each class, where the data has classes: 16 bytes for each class and unit."""
    limit: int | None = None
    """Look at so many pictures only, evenly spread over the data."""
    shard: str | None = None
    """I/N: the I-th of N equal parts of the data, for `phosphene merge`."""
    batch: int = 16
    """Pictures that go through the network at once, a fixed shape: it decides about the last bit of a score."""
    workers: int | None = None
    """Threads that decode pictures; one for each core when left out."""
    checkpoint_every: float = 60.0
    """Seconds between checkpoints in --out; 0 writes none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, top=1, sample=1, batch=1, limit=1, workers=1, checkpoint_every=0)
        if max(self.top, self.sample) > MAX_EXAMPLES:
            raise UsageError(f"top and sample may be {MAX_EXAMPLES} at most, got {max(self.top, self.sample)}")
        check_positive(self, "seconds", most=MAX_SECONDS)
        self.part(1)

    def part(self, size: int) -> tuple[int, int]:
        """(first, end) of the pictures of this shard, of a data set of `size`."""
        if self.shard is None:
            return 0, size
        match = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"shard is I/N with I from 1 to N, such as 3/7; got {self.shard!r}")
        one, all_ = int(match[1]), int(match[2])
        return (one - 1) * size // all_, one * size // all_
