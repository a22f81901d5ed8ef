"""The settings of a study. As in `recipe`, flags, Python defaults and the recipe are made from these fields."""

from __future__ import annotations

from dataclasses import dataclass

from phosphene.errors import UsageError
from phosphene.recipe import MAX_FAMILY, Settings, check_least, check_size


@dataclass(frozen=True)
class RegularizationConfig(Settings):
    """One unit under every regularization: what the study does besides the unit."""

    size: int | tuple[int, int] | None = None
    """Side of the pictures in pixels, or height and width; the network's own input size when left out."""
    steps: int = 256
    """Steps of gradient ascent for each picture."""
    seed: int = 0
    """Seed of the starts, of the transforms, and of the views that pictures are judged by."""
    methods: str | None = None
    """Methods by name, joined by commas; all when left out. `none` is made always: the rest is compared with it."""
    views: int = 16
    """Random views, of the default transforms, over which the activation of each picture is averaged."""
    natural: str | None = None
    """File of `phosphene natural`: the spectrum of pictures of your own to compare with, in place of 1/f^2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size, 2)
        check_least(self, steps=1, views=1)


@dataclass(frozen=True)
class FaithfulnessConfig(Settings):
    """Whether an optimized picture can be trusted: what is compared with it."""

    pictures: int = 9
    """Pictures of the unit, made to differ, whose weakest is compared with the data's best; 0 leaves that out."""
    top: int = 16
    """Natural pictures with the highest responses that the picture's way through the network is compared with."""
    random: int = 64
    """Natural pictures drawn at random: how alike pictures are that have nothing to do with the unit."""
    limit: int | None = None
    """Look at so many pictures of the data only, evenly spread."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, top=3, random=3, limit=1)
        if self.pictures != 0 and not 2 <= self.pictures <= MAX_FAMILY:
            raise UsageError(f"pictures is 2 to {MAX_FAMILY} that differ, or 0; got {self.pictures}")
