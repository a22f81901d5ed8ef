"""The user's own hypotheses: pictures that should excite a unit, and where they stand among those of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from phosphene.cards.percentile import share_below
from phosphene.cards.subject import Unit
from phosphene.errors import UsageError
from phosphene.examples.folder import SUFFIXES, Folder
from phosphene.examples.kinds import PICTURE, SOUND
from phosphene.examples.recordings import LONGEST, starts
from phosphene.media import opaque, read_picture, read_sound
from phosphene.media.sound import SUFFIXES as SOUND_SUFFIXES
from phosphene.models import AudioSpec, Model


@dataclass(frozen=True)
class Answer:
    """name: of the picture. score: of the unit. percentile: percent of the data's pictures that score lower.
    pixels: (c, h, w) as the network saw it."""

    name: str
    score: float
    percentile: float
    pixels: Tensor

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {"picture": self.name, "score": self.score, "percentile": round(self.percentile, 3)}


def files(model: Model, asked: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """(name, file) of pictures and of all pictures in folders; of sounds for a network that hears.

    Raises UsageError for what is not there or empty.
    """
    word, suffixes = (SOUND, SOUND_SUFFIXES) if isinstance(model.spec, AudioSpec) else (PICTURE, SUFFIXES)
    found: list[tuple[str, Path]] = []
    for one in map(Path, asked):
        if one.is_dir():
            inside = Folder(one, suffixes=suffixes)
            if not len(inside):
                raise UsageError(f"no {word}s in '{one}' for --ask")
            found += [(f"{one.name}/{inside.key(i)}", one / inside.key(i)) for i in range(len(inside))]
        elif one.is_file():
            found.append((one.name, one))
        else:
            raise UsageError(f"no {word} or folder '{one}' for --ask")
    return found


def answers(unit: Unit, asked: Sequence[tuple[str, Path]]) -> Iterator[Answer]:
    """What a unit says of each picture, or of the strongest piece of each sound. Raises MediaError for a file that is
    none, UsageError for a sound that is too short."""
    for name, file in asked:
        heard = pieces(unit, file) if unit.rate else [unit.entering(opaque(read_picture(file)))]
        scores = unit.eye.look(torch.stack(heard))[0]
        score, pixels = float(scores.max()), heard[int(scores.argmax())]
        share = share_below(unit.index, unit.eye.layer, unit.eye.unit, score)
        yield Answer(name, score, 100 * share, pixels)


def pieces(unit: Unit, file: Path) -> list[Tensor]:
    """A recording in pieces (c, 1, samples), cut as those of a scan."""
    spec, samples = unit.eye.model.audio_spec, unit.index.header.kept.samples
    sound, _ = read_sound(file, rate=spec.rate, channels=spec.channels, longest=LONGEST)
    if (length := sound.shape[1]) < spec.least:
        raise UsageError(
            f"'{file.name}' lasts {length / spec.rate:.3g} s, and {unit.eye.model.name} hears "
            f"{spec.least / spec.rate:.3g} s at once"
        )
    whole = pad(sound, (0, max(0, samples - length)))
    return [unit.entering(whole[:, at : at + samples]) for at in starts(length, samples)]
