"""Random changes between sound and network: what survives them is a sound, not a trick (transformation robustness).

A shift in time, a crop and a small change of speed, which moves pitch and time together, are ONE resampling by cubic
convolution (Keys 1981); then gain, polarity and white noise at a drawn distance from the signal.

    view(t) = g x(a t + s) + n,    t in samples from the center of the view; silence beyond the ends

As for pictures their strength falls linearly to the `relax` share, reached at 5/6 of the run (transforms/image.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.seeds import Generators

RELAXED_AT = 5 / 6  # share of the run after which the transforms stay at their relaxed strength
NUMBERS = 6  # uniform draws per view: shift, speed, gain, polarity, noise, crop
NOISE_SPAN = 20.0  # dB above the lowest distance that noise may be drawn at
KEYS = -0.5  # Keys's constant: reproduces a parabola exactly


@dataclass(frozen=True)
class AudioRanges:
    """Largest changes. shift: samples, each way. speed: share, each way. gain: dB, each way. polarity: turn half of the
    views over. noise: least distance of the signal from white noise in dB, None for no noise. crop: share of the clip
    that a view shows. crops: views per row. relax: strength that is left at the end.
    """

    shift: float = 400.0
    speed: float = 0.005
    gain: float = 6.0
    polarity: bool = True
    noise: float | None = 20.0
    crop: float = 1.0
    crops: int = 1
    relax: float = 0.1

    def __post_init__(self) -> None:
        for name, limit in (("shift", math.inf), ("speed", 0.5), ("gain", 60.0)):
            if not 0 <= getattr(self, name) < limit:
                raise UsageError(f"{name} must be 0 or more and below {limit:g}, got {getattr(self, name)}")
        if self.noise is not None and not math.isfinite(self.noise):
            raise UsageError(f"noise is a distance in dB, got {self.noise}")
        if not 0 < self.crop <= 1 or not 0 <= self.relax <= 1:
            raise UsageError(f"crop and relax are shares of 1, got {self.crop} and {self.relax}")
        if self.crops < 1:
            raise UsageError(f"crops must be at least 1, got {self.crops}")


QUIET = AudioRanges(shift=0, speed=0, gain=0, polarity=False, noise=None, relax=1.0)  # changes nothing


@dataclass(frozen=True)
class AudioParams:
    """What one step drew, for each view. start, speed: (b*v,) of the resampling, None for none. gain: (b*v,) with sign.
    noise: (b*v, c, samples) of deviation 1, or None. below: (b*v,) factor from the signal's level to the noise's.
    """

    start: Tensor | None
    speed: Tensor | None
    gain: Tensor | None
    noise: Tensor | None
    below: Tensor | None


@dataclass(frozen=True)
class Shake:
    """Shift, speed, crop, gain, polarity, noise. One instance serves every step of a run.

    samples: of the clip. steps: length of the run, for `relax`.
    """

    ranges: AudioRanges
    samples: int
    steps: int
    channels: int = 1

    @property
    def views(self) -> int:
        """Views per row."""
        return self.ranges.crops

    @property
    def length(self) -> int:
        """Samples of a view."""
        return max(1, round(self.samples * self.ranges.crop))

    @property
    def still(self) -> bool:
        """Whether nothing is drawn, so that every step shows the same views."""
        r = self.ranges
        return not (r.shift or r.speed or r.gain or r.polarity or r.crop < 1 or r.noise is not None)

    def strength(self, step: int) -> float:
        """Share of the full ranges at this step: 1 at the start, `relax` from 5/6 of the run on."""
        return max(self.ranges.relax, 1 - (1 - self.ranges.relax) * step / max(1.0, RELAXED_AT * self.steps))

    def draw(self, generators: Generators, step: int, device: torch.device | str = "cpu") -> AudioParams:
        """The random part of one step: a function of (seed, unit, step) only."""
        r, strength = self.ranges, self.strength(step)
        numbers = generators.uniform("transform", step, NUMBERS * r.crops).view(-1, NUMBERS)
        signed = numbers * 2 - 1
        start = speed = gain = noise = below = None
        if r.shift or r.speed or r.crop < 1:
            start = signed[:, 0] * r.shift * strength + signed[:, 5] * (self.samples - self.length) / 2
            speed = 1 + signed[:, 1] * r.speed * strength
            if not r.speed:  # between samples a resampling dulls the highest frequencies
                start = start.round() + ((self.samples - self.length) % 2) / 2
            start, speed = start.to(device), speed.to(device)
        if r.gain or r.polarity:
            gain = 10 ** (signed[:, 2] * r.gain * strength / 20)
            gain = torch.where((numbers[:, 3] < 0.5) & r.polarity, -gain, gain).to(device)
        if r.noise is not None:
            shape = (r.crops, self.channels, self.length)
            noise = generators.normal("noise", step, shape, device).flatten(0, 1)
            below = (strength * 10 ** (-(r.noise + NOISE_SPAN * numbers[:, 4]) / 20)).to(device)
        return AudioParams(start, speed, gain, noise, below)

    def __call__(self, x: Tensor, params: AudioParams) -> tuple[Tensor, Tensor]:
        """Waves (b, c, samples) -> views (b*v, c, length) and the row (b*v,) that each view shows."""
        rows = torch.arange(x.shape[0], device=x.device).repeat_interleave(self.views)
        seen = x if self.views == 1 else x[rows]
        if params.start is not None and params.speed is not None:
            seen = resampled(seen, params.start, params.speed, self.length)
        if params.gain is not None:
            seen = seen * params.gain[:, None, None]
        if params.noise is not None and params.below is not None:
            level = seen.detach().square().mean((1, 2)).sqrt()
            seen = seen + params.noise * (level * params.below)[:, None, None]
        return seen, rows


def resampled(x: Tensor, start: Tensor, speed: Tensor, length: int) -> Tensor:
    """(n, c, length) the waves (n, c, samples), read at `speed` around their middle plus `start` samples."""
    samples = x.shape[-1]
    from_center = torch.arange(length, device=x.device) - (length - 1) / 2
    places = from_center * speed[:, None] + start[:, None] + (samples - 1) / 2
    before = places.floor()
    share = places - before
    found = torch.zeros(x.shape[0], x.shape[1], length, device=x.device, dtype=x.dtype)
    for offset in (-1, 0, 1, 2):
        index = before.long() + offset
        inside = (index >= 0) & (index < samples)
        weight = cubic(share - offset) * inside
        taken = x.gather(2, index.clamp(0, samples - 1)[:, None].expand(-1, x.shape[1], -1))
        found = found + taken * weight[:, None]
    return found


def cubic(distance: Tensor) -> Tensor:
    """Keys's cubic convolution kernel at a distance in samples, within 2."""
    d = distance.abs()
    near = ((KEYS + 2) * d - (KEYS + 3)) * d * d + 1
    far = KEYS * (((d - 5) * d + 8) * d - 4)
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
