"""A recording that a sound is made from, as a network hears it: at its rate, in its channels, at one level.

A network hears the same recording differently when it is louder, so all are brought to -23 dBFS before they are heard,
and what was made is compared at that level too. A recording so spiky that its peak would leave full scale is heard
softer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from phosphene.audio.config import MAX_SECONDS
from phosphene.errors import UsageError
from phosphene.media import read_sound, samples_sha256
from phosphene.media.sound import SILENT
from phosphene.models import AudioSpec, Model
from phosphene.signals.waveform import LEVEL

Source: TypeAlias = str | Path | Tensor


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording. name: of its file, else what it is for. sound: (channels, samples) as it was read, at the network's
    rate. notes: what was changed."""

    name: str
    sound: Tensor = field(repr=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Of its 16-bit levels at the network's rate."""
        return samples_sha256(self.sound)

    @cached_property
    def heard(self) -> Tensor:
        """(channels, samples) at -23 dBFS."""
        return at_level(self.sound)

    @property
    def samples(self) -> int:
        """Its length."""
        return int(self.sound.shape[-1])


def at_level(sound: Tensor) -> Tensor:
    """A sound (channels, samples) at a root mean square of -23 dBFS, or softer where its peak would pass 1."""
    gain = min(LEVEL / float(sound.square().mean().sqrt()), 1 / float(sound.abs().max()))
    return (sound * gain).clamp(-1, 1)  # the clamp only takes rounding off


def read(source: Source, role: str, model: Model) -> Recording:
    """A recording for a network, from a file, or from a tensor (channels, samples) or (samples,) at its rate.

    Raises MediaError for a file that is no sound, or silent, or longer than a minute; UsageError for such a tensor, and
    for what is shorter than the network hears at once.
    """
    recording = _read(source, role, model.audio_spec)
    check_length(model, recording.samples, f"the {role} {recording.name!r}")
    return recording


def check_length(model: Model, samples: int, what: str) -> None:
    """Raise UsageError for a sound that is shorter than what a network hears at once."""
    spec = model.audio_spec
    if samples < spec.least:
        raise UsageError(
            f"{what} lasts {samples / spec.rate:.3g} s ({samples} samples), and {model.name} hears "
            f"{spec.least / spec.rate:.3g} s ({spec.least}) at once; take a longer one"
        )


def _read(source: Source, role: str, spec: AudioSpec) -> Recording:
    if isinstance(source, str | Path):
        sound, notes = read_sound(source, rate=spec.rate, channels=spec.channels, longest=MAX_SECONDS)
        return Recording(Path(source).name, sound, notes)
    sound = source.detach().float().cpu()
    sound = sound[None] if sound.dim() == 1 else sound
    if sound.dim() != 2 or len(sound) != spec.channels or 0 in sound.shape:
        raise UsageError(f"the {role} is ({spec.channels}, samples) at {spec.rate} Hz, got {tuple(source.shape)}")
    if sound.shape[-1] > MAX_SECONDS * spec.rate:
        raise UsageError(f"the {role} lasts {sound.shape[-1] / spec.rate:.0f} s, and {MAX_SECONDS:g} s is the most")
    if not bool((sound.abs() <= 1).all()):
        raise UsageError(f"the {role} has NaN or values outside -1 .. 1")
    if float(sound.abs().max()) < SILENT:
        raise UsageError(f"the {role} is silent")
    return Recording(role, sound)
