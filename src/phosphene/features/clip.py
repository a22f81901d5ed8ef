"""What rendering sounds gives: a `Clip` that knows how it was made, and `Clips` in the order of their targets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.features.picture import Status
from phosphene.files import atomic_write, safe_name
from phosphene.media import from_levels, leveled, to_levels, wav_bytes
from phosphene.metadata import embed_in_sound, sidecar

ENDS = 160  # samples that fade to silence in the file, 10 ms at 16 kHz: what ends in the middle of a wave clicks


@dataclass(frozen=True)
class Clip:
    """One optimised sound.

    sound: (channels, samples) in [-1, 1], already rounded to 16 bits. rate: samples per second. target, layer, unit:
    what it was made for. activation: what the plain network gives for that unit on these samples. loudness: LUFS. peak:
    true peak, 1 is full scale. status: "ok", "degenerate" (reason says why) or "interrupted". recipe: everything needed
    to make it again. label: lines that tell it from the others of its family.
    """

    sound: Tensor
    rate: int
    target: str
    layer: str
    unit: int | str | None
    seed: int
    steps: int
    activation: float
    loudness: float
    peak: float
    status: Status
    reason: str
    seconds: float
    recipe: dict[str, Any] = field(repr=False)
    label: str = ""
    path: Path | None = None

    @property
    def values(self) -> Tensor:
        """The samples, as what is optimised is called where it may be a picture or a sound."""
        return self.sound

    def blank(self) -> Tensor:
        """A sound as long that is silent."""
        return torch.zeros_like(self.sound)

    def save(self, path: str | Path, *, metadata: bool = True) -> Clip:
        """Write a 16-bit WAV with the recipe in its INFO and NAME.json beside it; returns the clip with its path."""
        file = Path(path)
        if file.suffix.lower() != ".wav":
            raise UsageError(f"clips are saved as .wav, got {file.name!r}")
        levels = to_levels(self.sound.numpy())
        if not metadata:
            sidecar(file).unlink(missing_ok=True)  # of an earlier clip: it would speak for this one
            atomic_write(file, wav_bytes(levels, self.rate))
            return replace(self, path=file)
        text = json.dumps(self.recipe, ensure_ascii=False)
        described = f"{self.target} of {self.recipe['model']['name']} by phosphene"
        atomic_write(file, embed_in_sound(levels, self.rate, text, description=described))
        atomic_write(sidecar(file), (json.dumps(self.recipe, ensure_ascii=False, indent=1) + "\n").encode())
        return replace(self, path=file)


@dataclass(frozen=True)
class Clips:
    """Sounds of one rendering, in the order of their targets. Iterates, indexes and saves itself."""

    clips: tuple[Clip, ...]
    model: str
    device: str
    seconds: float

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def __getitem__(self, index: int) -> Clip:
        return self.clips[index]

    def save(self, folder: str | Path, *, metadata: bool = True) -> Clips:
        """Write every clip into a folder, named by its target; returns them with their paths."""
        saved = [clip.save(Path(folder) / (safe_name(clip.target) + ".wav"), metadata=metadata) for clip in self.clips]
        return replace(self, clips=tuple(saved))


def kept(wave: Tensor, rate: int, loudness: float) -> Tensor:
    """A wave (channels, samples) as its file will hold it: silent ends, at its loudness, in 16 bits."""
    length = min(ENDS, wave.shape[-1] // 4)
    envelope = torch.ones(wave.shape[-1])
    if length > 0:
        envelope[:length] = torch.linspace(0, 1, length)
        envelope[-length:] = envelope[:length].flip(0)
    finite = torch.nan_to_num(wave.float().cpu(), nan=0.0, posinf=0.0, neginf=0.0)
    return torch.from_numpy(from_levels(to_levels(leveled(finite * envelope, rate, loudness).numpy())))


def samples_sha256(sound: Tensor) -> str:
    """SHA-256 of the 16-bit levels alone, channel after channel within each sample, as the WAV holds them."""
    return hashlib.sha256(to_levels(sound.numpy()).T.astype("<i2").tobytes()).hexdigest()
