"""The settings of a study. As in `recipe.py`, flags, Python defaults and the recipe are made from these fields."""

from __future__ import annotations

from dataclasses import dataclass

from phosphene.errors import UsageError


@dataclass(frozen=True)
class RegularizationConfig:
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
        sides = (self.size,) if isinstance(self.size, int) else self.size or ()
        if any(side < 2 for side in sides):
            raise UsageError(f"size must be at least 2 pixels, got {self.size}")
        for name in ("steps", "views"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
