"""The settings of sounds. As in `recipe`, flags, Python defaults and the recipe are made from these fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from phosphene.errors import UsageError
from phosphene.media.loudness import USUAL, check_loudness
from phosphene.recipe import Settings, check_least, check_positive

MAX_SECONDS = 60.0  # of a clip: more than any network here hears at once

SoundSignal: TypeAlias = Literal["stft", "modulated", "fourier", "samples"]


@dataclass(frozen=True)
class AudioConfig(Settings):
    """Clips for units of a network that hears: what `audio render` does besides the target."""

    seconds: float | None = None
    """Length of the clip; what the network was trained on when left out."""
    steps: int = 256
    """Steps of gradient ascent."""
    seed: int = 0
    """Seed of the start and of every random transform."""
    signal: SoundSignal = "stft"
    """Basis that is optimised: stft (short windows with a spectral slope), modulated (the same under an envelope that
    moves as those of natural sounds: clearer sweeps and calls), fourier (one real FFT with the same slope, for sounds
    that go on), or the samples themselves."""
    decay: float = 0.5
    """Exponent of the falling amplitude spectrum that clips begin with: 0 is white, 0.5 is 3 dB an octave (not for
    samples)."""
    low: float = 80.0
    """Lowest frequency in Hz that moves freely (not for samples)."""
    high: float | None = None
    """Highest one in Hz; 0.47 of the sample rate when left out."""
    level: float = -23.0
    """Level that the sound is held at while it is optimised: its root mean square in dB below full scale."""
    start: float = 0.1
    """Deviation of the noise that it starts from, in the basis's own units: less lets the target stand out more."""
    lr: float = 0.05
    """Step size of Adam."""
    still: bool = False
    """No random changes between sound and network."""
    shift: float = 25.0
    """Largest shift in milliseconds, each way."""
    speed: float = 0.005
    """Largest change of speed, and so of pitch: 0.005 is 9 cents, each way."""
    gain: float = 6.0
    """Largest change of level in dB, each way."""
    polarity: bool = True
    """Turn half of the views over."""
    noise: float = 0.0
    """White noise this many dB below the sound, up to 20 dB less of it: only what stands out of noise is found."""
    crop: float = 1.0
    """Share of the clip that a view shows."""
    crops: int = 1
    """Views of the clip per step."""
    relax: float = 0.3
    """Strength of the random changes that is left at the end of the run."""
    loudness: float = USUAL
    """Loudness of the file in LUFS (ITU-R BS.1770), -16 at most; quieter where its true peak would pass -1 dBTP."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, steps=1, decay=0, low=0)
        check_positive(self, "lr", "start")
        check_positive(self, "seconds", most=MAX_SECONDS)
        if self.level > 0:
            raise UsageError(f"level must not be above 0 dB, got {self.level}")
        if self.high is not None and self.low >= self.high:
            raise UsageError(f"a band rises from low to high Hz, got {self.low:g} .. {self.high:g}")
        check_loudness(self.loudness)
