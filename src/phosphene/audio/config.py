"""The settings of sounds made from recordings. As in `recipe`, flags, defaults and recipes are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from phosphene.errors import UsageError
from phosphene.media.loudness import USUAL, check_loudness
from phosphene.recipe import Settings, check_least, check_positive

MAX_SECONDS = 60.0  # of a sound and of a recording: one optimisation holds all of it in memory


@dataclass(frozen=True, kw_only=True)
class MakingConfig(Settings):
    """What every sound made from recordings is told besides what it is to be."""

    steps: int = 400
    """Steps of the optimizer."""
    seed: int = 0
    """Seed of a start from noise: another one, another sound of the same kind."""
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    """lbfgs or adam."""
    lr: float | None = None
    """Step size; the optimizer's own default when left out."""
    history: int = 20
    """Gradient pairs that L-BFGS remembers."""
    loudness: float = USUAL
    """Loudness of the file in LUFS, -16 at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, steps=1, history=1)
        check_positive(self, "lr")
        check_loudness(self.loudness)


@dataclass(frozen=True, kw_only=True)
class SoundTextureConfig(MakingConfig):
    """More of a sound: what `audio texture` does besides the recording."""

    seconds: float | None = None
    """Length of the texture, any; that of the recording when left out."""
    start: Literal["spectrum", "white"] = "spectrum"
    """Noise that it starts from: with the recording's mean spectrum, or white."""
    statistic: Literal["gram", "moments"] = "gram"
    """What is compared: Gram matrices, or means and covariances (Wasserstein-2)."""
    style_layers: str | None = None
    """Layers that hold the texture, joined by commas; chosen for the network when left out."""
    seamless: bool = False
    """Make a loop: its end continues at its beginning, and neither fades."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "seconds", most=MAX_SECONDS)


@dataclass(frozen=True, kw_only=True)
class SoundStyleConfig(MakingConfig):
    """One recording in the style of another: what `audio style` does besides the two."""

    content_weight: float = 0.05
    """Weight of what happens when, as the content has it."""
    style_weight: float = 1.0
    """Weight of what it sounds like, as the style has it."""
    start: Literal["content", "noise"] = "content"
    """What it starts from."""
    statistic: Literal["gram", "moments"] = "gram"
    """What of the style is compared: Gram matrices, or means and covariances (Wasserstein-2)."""
    content_layers: str | None = None
    """Layers that hold the content, joined by commas; chosen for the network when left out."""
    style_layers: str | None = None
    """Layers that hold the style, joined by commas; chosen for the network when left out."""
    seamless: bool = False
    """Make a loop: its end continues at its beginning, and neither fades."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, content_weight=0, style_weight=0)
        if not self.content_weight + self.style_weight > 0:
            raise UsageError("content_weight and style_weight are both 0: nothing is asked for")


@dataclass(frozen=True, kw_only=True)
class SoundReconstructConfig(MakingConfig):
    """A recording from what each layer keeps of it: what `audio reconstruct` does besides the recording."""

    steps: int = 300
    """Steps of the optimizer, for each layer."""
    layers: str | None = None
    """Layers, joined by commas, shallow to deep; chosen for the network when left out."""
