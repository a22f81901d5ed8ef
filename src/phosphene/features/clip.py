"""What rendering sounds gives: a `Clip` that knows how it was made, and `Clips` in the order of their targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from phosphene.display.notebook import heard, row
from phosphene.errors import UsageError
from phosphene.features.ahead import Standing
from phosphene.features.picture import Status
from phosphene.files import safe_name
from phosphene.media import kept as kept
from phosphene.media import samples_sha256 as samples_sha256
from phosphene.media.loudness import loud
from phosphene.metadata import write_sound
from phosphene.seeds import Generators

ROOM = 1e-3  # root mean square: 60 dB below full scale
ROOM_SEED = 0


def faint_noise(channels: int, samples: int) -> Tensor:
    """A sound (channels, samples) of nothing: faint white noise, as in a quiet room, the same each time.

    Digital silence is nothing that a network knows: YAMNet gives it a logit of -243 for a bird, and this noise -5.
    """
    return ROOM * Generators(ROOM_SEED, ["quiet"]).normal("room", 0, (channels, samples))[0]


@dataclass(frozen=True)
class Clip:
    """One optimised sound.

    sound: (channels, samples) in [-1, 1], already rounded to 16 bits. rate: samples per second. target, layer, unit:
    what it was made for. activation: what the plain network gives for that unit on these samples. loudness: LUFS. peak:
    true peak, 1 is full scale. status: "ok", "degenerate" (reason says why) or "interrupted". recipe: everything needed
    to make it again. label: lines that tell it from the others of its family. standing: of a class, where it stands
    among all classes of the network on these samples.
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
    standing: Standing | None = None
    path: Path | None = None

    @property
    def values(self) -> Tensor:
        """The samples, as what is optimised is called where it may be a picture or a sound."""
        return self.sound

    def blank(self) -> Tensor:
        """A sound as long of nothing."""
        return faint_noise(*self.sound.shape)

    def caption(self) -> tuple[str, ...]:
        """Lines under the clip: what it was made for, what came of it, how loud it is."""
        lines = [*(self.label or self.target).split("\n"), f"activation {self.activation:.4g}"]
        if self.standing is not None:
            lines.append(self.standing.words())
        lines.append(loud(self.loudness, self.peak))
        return tuple(lines if self.status == "ok" else [*lines, f"{self.status}: {self.reason}"])

    def save(self, path: str | Path, *, metadata: bool = True) -> Clip:
        """Write a 16-bit WAV with the recipe in its INFO and NAME.json beside it; returns the clip with its path."""
        file = Path(path)
        if file.suffix.lower() != ".wav":
            raise UsageError(f"clips are saved as .wav, got {file.name!r}")
        described = f"{self.target} of {self.recipe['model']['name']} by phosphene"
        write_sound(file, self.sound, self.rate, self.recipe if metadata else None, description=described)
        return replace(self, path=file)

    def _repr_html_(self) -> str:
        return heard(self.sound, self.rate, self.target, self.caption())


@dataclass(frozen=True)
class Clips:
    """Sounds of one rendering, in the order of their targets. Iterates, indexes, saves and shows itself."""

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

    def _repr_html_(self) -> str:
        return row((clip._repr_html_() for clip in self.clips), len(self.clips))
