"""One sound that was made from recordings, and where it lies: with its recipe, and its state while it is made.

    FOLDER/NAME.wav, NAME.json                 the sound and its recipe
    FOLDER/.phosphene/NAME.wav.safetensors     the state of the work, while there is one

What was measured is of the saved file, so that a stranger who loads it finds the same numbers. Every file is written
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from phosphene.display.notebook import heard
from phosphene.engine.checkpoint import Checkpoint
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.media import samples_sha256
from phosphene.media.loudness import loud
from phosphene.media.wav import from_levels, read_wav
from phosphene.metadata import parse_untrusted_json, read_recipe_text, write_sound

SAME = ("kind", "name", "model", "target", "method", "inputs")  # parts of a recipe that decide which sound it makes
HALF_RANGE = 32768  # levels of 16 bits to which reading gives 1; writing gives the highest, 32767
Status = Literal["ok", "degenerate", "interrupted"]


@dataclass(frozen=True)
class Sound:
    """A sound that was made.

    name: of its file, without the suffix. sound: (channels, samples) in [-1, 1], already rounded to 16 bits. rate:
    samples per second. losses: by term, without weights, of these samples; noise: the same of white noise. measured:
    copying, held-out distance, spectral distance, as `measures.py` says. loudness: LUFS. peak: true peak, 1 is full
    scale. seamless: whether it is a loop. status: "ok", "degenerate" (reason says why) or "interrupted".
    """

    name: str
    sound: Tensor = field(repr=False)
    rate: int
    losses: Mapping[str, float]
    noise: Mapping[str, float]
    measured: Mapping[str, Any]
    loudness: float
    peak: float
    seamless: bool
    steps: int
    status: Status
    reason: str
    seconds: float
    recipe: dict[str, Any] = field(repr=False)
    path: Path | None = None

    @property
    def loss(self) -> float:
        """The sum of the weighted losses of these samples."""
        return self._weighted(self.losses)

    @property
    def share(self) -> float:
        """The loss as a share of white noise's."""
        return self.loss / self._weighted(self.noise)

    def told(self) -> list[str]:
        """What was measured, in words."""
        if self.status == "degenerate":
            return []
        measured, lines = self.measured, [f"loss {self.loss:.3g}, {100 * self.share:.2g}% of white noise's"]
        if measured.get("held_out") is not None:
            share = measured["held_out"]["share_of_white_noise"]
            lines.append(f"held out: {100 * share:.2g}% of white noise's distance")
        if "copying_of_noise" in measured:
            lines.append(f"copying {measured['copying']:.2f} (noise {measured['copying_of_noise']:.2f})")
        if "spectral_distance" in measured:
            exact = measured["signal_to_noise"] is None
            near = "exact" if exact else f"signal to noise {measured['signal_to_noise']:.1f} dB"
            lines.append(f"{near}, spectra {measured['spectral_distance']:.1f} dB apart")
        return lines

    def caption(self) -> tuple[str, ...]:
        """Lines under the sound: what was measured, and how loud it is."""
        level = loud(self.loudness, self.peak) + (", a loop" if self.seamless else "")
        lines = [self.name, *self.told(), level]
        return tuple(lines if self.status == "ok" else [*lines, f"{self.status}: {self.reason}"])

    def save(self, path: str | Path, *, metadata: bool = True) -> Sound:
        """Write a 16-bit WAV with the recipe in its INFO and NAME.json beside it; returns the sound with its path."""
        file = Path(path)
        if file.suffix.lower() != ".wav":
            raise UsageError(f"sounds are saved as .wav, got {file.name!r}")
        described = f"{self.name} with {self.recipe['model']['name']} by phosphene"
        write_sound(file, self.sound, self.rate, self.recipe if metadata else None, description=described)
        return replace(self, path=file)

    def _repr_html_(self) -> str:
        return heard(self.sound, self.rate, self.name, self.caption())

    def _weighted(self, losses: Mapping[str, float]) -> float:
        return float(sum(self.recipe["target"][name]["weight"] * loss for name, loss in losses.items()))


def sound_of(name: str, sound: Tensor, recipe: dict[str, Any], path: Path | None = None) -> Sound:
    """The sound of these samples that a recipe with its result describes. Raises RecipeError when it is of others."""
    try:
        result = recipe["result"]
        if result["samples_sha256"] != samples_sha256(sound):
            raise RecipeError(f"the recipe of {name} is of another sound")
        return Sound(
            name=name,
            sound=sound,
            rate=int(recipe["model"]["input"]["rate"]),
            losses={str(term): float(loss) for term, loss in result["losses"].items()},
            noise={str(term): float(loss) for term, loss in result["noise"].items()},
            measured=dict(result["measured"]),
            loudness=float("-inf") if result["loudness"] is None else float(result["loudness"]),
            peak=float(result["peak"]),
            seamless=recipe["method"].get("seamless") is True,
            steps=int(result["steps"]),
            status=result["status"],
            reason=str(result["reason"]),
            seconds=float(result["seconds"]),
            recipe=recipe,
            path=path,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(f"the recipe of {name} is damaged: {error}") from error


class Place(Checkpoint):
    """Where one sound goes. file: its WAV."""

    def find(self, name: str, wanted: Mapping[str, Any]) -> Sound | None:
        """The finished sound, if it lies here and its recipe is the one that is wanted; else None."""
        if not self.file.is_file():
            return None
        try:
            recipe = parse_untrusted_json(read_recipe_text(self.file))
            samples, _ = read_wav(self.file.read_bytes(), self.file.name)
            levels = np.round(samples * HALF_RANGE).astype(np.int16)
            found = sound_of(name, torch.from_numpy(from_levels(levels)), recipe, self.file)
        except (PhospheneError, OSError):
            return None
        same = all(recipe.get(part) == wanted[part] for part in SAME)
        return found if same and found.status == "ok" else None
