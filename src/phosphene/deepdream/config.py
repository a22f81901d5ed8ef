"""The settings of a dream. As in `recipe`, flags, Python defaults and the recipe are made from these fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from phosphene.errors import UsageError
from phosphene.recipe import Settings, check_least, check_positive


@dataclass(frozen=True)
class DreamConfig(Settings):
    """DeepDream: what `dream` does besides its picture."""

    layers: str | None = None
    """What is dreamed of: LAYER or LAYER:UNIT, joined by commas; a layer chosen for the network when left out."""
    size: int | None = None
    """Longer side in pixels; the picture's own, 512 at most, when left out (from noise: the network's input)."""
    octaves: int = 4
    """Sizes that are dreamed at, coarse to fine; those under 32 pixels are left out."""
    ratio: float = 1.4
    """How much larger each octave is than the one before."""
    steps: int = 12
    """Steps of ascent at each octave."""
    lr: float = 0.01
    """Step size: how strong the dream is."""
    jitter: float = 16.0
    """Largest random shift in pixels, each way, between steps."""
    signal: Literal["fourier", "pixels"] = "fourier"
    """Basis that is optimised: fourier changes shades and colors too, pixels draws with lines."""
    seed: int = 0
    """Seed of a start from noise and of the jitter."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, octaves=1, steps=1, size=2, jitter=0)
        check_positive(self, "lr")
        if self.ratio <= 1:
            raise UsageError(f"ratio must be above 1, got {self.ratio}")
