"""What a network expects at its input, and what is known of one layer: plain data, no network inside.

A picture in phosphene is (channels, height, width) in [0, 1]. `InputSpec` says how the network wants it:
`(x * (high - low) + low - mean) / std` per channel, and how a photograph is resized and cropped on its way in.
A wrong value range is the commonest cause of bad pictures and fails silently, so nothing here has a hidden
default: a registry entry takes it from the weights' own metadata, a user's network states it. A sound is
(channels, samples) in [-1, 1]; `AudioSpec` says the rate and length in which a network wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from phosphene.errors import UsageError
from phosphene.recipe import Settings

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB in [0, 1]; Krizhevsky et al. 2012 data, as torchvision publishes them
IMAGENET_STD = (0.229, 0.224, 0.225)

Layout = Literal["channels_first", "channels_last", "tokens", "vector"]


@dataclass(frozen=True)
class InputSpec(Settings):
    """How a network wants its pictures.

    channels: input channels. size: (height, width) it was trained at. mean, std: one value per channel, in units
    of `value_range`. value_range: (low, high) that black and white have before mean and std, e.g. (0, 255).
    resize: short side that photographs are resized to before the center crop to `size`; None means `size` itself.
    """

    channels: int = 3
    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    value_range: tuple[float, float] = (0.0, 1.0)
    resize: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels < 1:
            raise UsageError(f"an input needs at least 1 channel, got {self.channels}")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) not in (1, self.channels):
                raise UsageError(f"{name} has {len(values)} values for {self.channels} channels: {values}")
            if len(values) == 1:
                object.__setattr__(self, name, values * self.channels)
        if any(s <= 0 for s in self.std):
            raise UsageError(f"std must be positive, got {self.std}")
        if not self.value_range[0] < self.value_range[1]:
            raise UsageError(f"value_range must rise, got {self.value_range}")
        if min(self.size) < 1:
            raise UsageError(f"size must be at least 1x1, got {self.size}")


@dataclass(frozen=True)
class AudioSpec(Settings):
    """How a network wants its sounds: waves (b, c, n) in [-1, 1].

    rate: samples per second. samples: length of the clip that it is shown where nobody says. channels: of the wave.
    least: the shortest clip that it can hear, in samples. normalize: "clip" takes each clip to mean 0 and deviation 1
    first. What a network does to its frames, or how it makes a spectrogram, is part of the network.
    """

    rate: int = 16_000
    samples: int = 16_000
    channels: int = 1
    least: int = 1
    normalize: Literal["none", "clip"] = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rate", "samples", "channels", "least"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} of a sound must be at least 1, got {getattr(self, name)}")
        if self.samples < self.least:
            raise UsageError(f"a clip of {self.samples} samples is shorter than the {self.least} that can be heard")


@dataclass(frozen=True)
class Layer:
    """One row of a network's layer table.

    name: the module's dotted name. aliases: other names for it (`conv4_2`). kind: the module's class name.
    channels: units in the layer. spatial: (height, width) at the spec's input size, () for a vector; of a sound it is
    time, and what else the layer has.
    layout: where the channels are in the raw output. stride, receptive_field: in input pixels; None is unknown or
    global.
    tokens: (class/register tokens in front, grid height, grid width) when layout is "tokens".
    calls: how often one run of the network calls the module; the layer is what the last call returns.
    """

    name: str
    kind: str
    channels: int
    spatial: tuple[int, ...]
    layout: Layout
    aliases: tuple[str, ...] = ()
    stride: int | None = None
    receptive_field: int | None = None
    tokens: tuple[int, int, int] | None = None
    calls: int = 1


@dataclass(frozen=True)
class WeightsInfo:
    """Which weights a model carries: where they came from and the SHA-256 of their content."""

    source: str  # "random", "torchvision:IMAGENET1K_V1", "file:squeezenet1_1.safetensors", "given"
    sha256: str
