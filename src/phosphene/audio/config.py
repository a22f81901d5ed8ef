"""The settings of sounds made from recordings. As in `recipe.py`, flags, defaults and recipes are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from phosphene.errors import UsageError
from phosphene.media.loudness import LOUDEST, USUAL
from phosphene.recipe import Settings, check_least, check_positive

MAX_SECONDS = 60.0  # of a sound and of a recording: one optimisation holds all of it in memory


@dataclass(frozen=True)
class SoundTextureConfig(Settings):
    """More of a sound: what `audio texture` does besides the recording."""

    seconds: float | None = None
    """Length of the texture, any; that of the recording when left out."""
    steps: int = 400
    """Steps of the optimizer."""
    seed: int = 0
    """Seed of the noise that it starts from: another one, another sound of the same texture."""
    start: Literal["spectrum", "white"] = "spectrum"
    """Noise that it starts from: with the recording's mean spectrum, or white."""
    statistic: Literal["gram", "moments"] = "gram"
    """What is compared: Gram matrices, or means and covariances (Wasserstein-2)."""
    style_layers: str | None = None
    """Layers that hold the texture, joined by commas; chosen for the network when left out."""
    seamless: bool = False
    """Make a loop: its end continues at its beginning, and neither fades."""
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
        check(self)
        if self.seconds is not None and not 0 < self.seconds <= MAX_SECONDS:
            raise UsageError(f"seconds must be above 0 and up to {MAX_SECONDS:g}, got {self.seconds:g}")


@dataclass(frozen=True)
class SoundStyleConfig(Settings):
    """One recording in the style of another: what `audio style` does besides the two."""

    content_weight: float = 0.05
    """Weight of what happens when, as the content has it."""
    style_weight: float = 1.0
    """Weight of what it sounds like, as the style has it."""
    steps: int = 400
    """Steps of the optimizer."""
    seed: int = 0
    """Seed of the noise, where it starts from noise."""
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
        check(self)
        check_least(self, content_weight=0, style_weight=0)
        if not self.content_weight + self.style_weight > 0:
            raise UsageError("content_weight and style_weight are both 0: nothing is asked for")


@dataclass(frozen=True)
class SoundReconstructConfig(Settings):
    """A recording from what each layer keeps of it: what `audio reconstruct` does besides the recording."""

    steps: int = 300
    """Steps of the optimizer, for each layer."""
    seed: int = 0
    """Seed of the noise that all start from."""
    layers: str | None = None
    """Layers, joined by commas, shallow to deep; chosen for the network when left out."""
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    """lbfgs or adam."""
    lr: float | None = None
    """Step size; the optimizer's own default when left out."""
    history: int = 20
    """Gradient pairs that L-BFGS remembers."""
    loudness: float = USUAL
    """Loudness of the files in LUFS, -16 at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self)


Making = SoundTextureConfig | SoundStyleConfig | SoundReconstructConfig


def check(config: Making) -> None:
    """Raise UsageError for numbers that cannot be meant."""
    check_least(config, steps=1, history=1)
    check_positive(config, "lr")
    if config.loudness > LOUDEST:
        raise UsageError(f"loudness is {LOUDEST:g} LUFS at most, so that no sound hurts; got {config.loudness:g}")
