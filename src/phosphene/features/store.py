"""The folder of a rendering: pictures as they are done, checkpoints for `--resume`, and what run it belongs to.

    FOLDER/NAME.png, NAME.json     one pair per picture; NAME.wav for a sound
    FOLDER/sheet.png               at the end
    FOLDER/.phosphene/run.json     which rendering this folder holds: a resumed one must be the same
    FOLDER/.phosphene/batch-GROUP-ROW-SHAPE.safetensors    the state of the batch in work

Every file is written whole or not at all, so a crash at any moment leaves a folder that can be resumed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch

from phosphene.engine.checkpoint import read_state, write_state
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.features.clip import Clip, samples_sha256
from phosphene.features.picture import Picture
from phosphene.files import FileError, atomic_write, ensure_folder, safe_name
from phosphene.media import (
    from_levels,
    pixels_sha256,
    png_bytes,
    quantize,
    read_array,
    read_picture,
    read_sound,
    to_tensor,
)
from phosphene.metadata import parse_untrusted_json, read_recipe_text, sidecar

WORK = ".phosphene"
DONE = ("ok", "degenerate")  # status of a picture or sound that is not made again

READ = 1 << 15  # what readers of WAV files divide a 16-bit level by; a clip is divided by the largest level, 1 less

Made = TypeVar("Made", Picture, Clip)


class Store:
    """Where a rendering keeps what it makes.

    folder: made by `open`. resume: go on with what is there. metadata: write recipes.
    """

    suffix: ClassVar[str] = ".png"

    def __init__(self, folder: str | Path, *, resume: bool = False, metadata: bool = True) -> None:
        self.folder, self.resume, self.metadata = Path(folder), resume, metadata
        self.run: dict[str, Any] = {}
        self._sizes: list[int] | None = None

    def open(self, run: dict[str, Any]) -> None:
        """Make the folder for the rendering that `run` identifies; when resuming, check that it holds this one.

        Raises FileError when the folder cannot be written, UsageError when it holds another rendering.
        """
        ensure_folder(self.folder)
        self.run = json.loads(json.dumps(run))
        if self.resume and self._note.is_file():
            self._sizes = self._noted()
        else:
            self.clear()

    def batch_sizes(self, choose: Callable[[], list[int]]) -> list[int]:
        """Batch size of each group: as noted by the run that is resumed, since it decides about bits; else chosen."""
        if self._sizes is None:
            self._sizes = choose()
            atomic_write(self._note, json.dumps({"run": _digests(self.run), "batch": self._sizes}).encode())
        return self._sizes

    def clear(self) -> None:
        """Remove checkpoints of an earlier rendering."""
        work = self.folder / WORK
        for old in [*work.glob("batch-*.safetensors"), self._note]:
            old.unlink(missing_ok=True)
        if work.is_dir() and not any(work.iterdir()):
            work.rmdir()

    def path(self, target: str, suffix: str | None = None) -> Path:
        """Where the picture or sound of a target goes."""
        return self.folder / (safe_name(target) + (suffix or self.suffix))

    def put(self, made: Made, name: str) -> Made:
        """Write one picture or sound."""
        if not self.metadata:
            sidecar(self.path(name)).unlink(missing_ok=True)  # of an earlier one: it would speak for this one
        return made.save(self.path(name), metadata=self.metadata)

    def put_frame(self, name: str, step: int, frame: torch.Tensor) -> None:
        """Write a snapshot taken on the way."""
        atomic_write(self.path(name, f".step{step:05d}.png"), png_bytes(frame))

    def put_large(self, name: str, pixels: torch.Tensor) -> None:
        """Write a picture in its larger size, beside the one that was measured."""
        atomic_write(self.path(name, ".large.png"), png_bytes(pixels))

    def put_animation(self, picture: Picture, name: str) -> Path:
        """Write the film of a picture."""
        return atomic_write(self.path(name, ".webp"), picture.animation())

    def finished(self, name: str) -> tuple[torch.Tensor, dict[str, Any]] | None:
        """Pixels or samples, and recipe, of what this rendering has done already; None when there is nothing intact."""
        file = self.path(name)
        if not (self.resume and file.is_file()):
            return None
        try:
            recipe = parse_untrusted_json(read_recipe_text(file))
            values, intact = self._read(file, recipe)
            done = recipe["result"]["status"] in DONE and self._same_run(recipe)
        except (PhospheneError, KeyError, TypeError, ValueError):
            return None
        return (values, recipe) if intact and done else None

    def checkpoint(self, batch: str, state: dict[str, Any]) -> None:
        """Keep the state of a batch."""
        write_state(self._state(batch), state)

    def restore(self, batch: str) -> dict[str, Any] | None:
        """The state of a batch that an earlier run kept; None when there is none."""
        file = self._state(batch)
        return read_state(file) if self.resume and file.is_file() else None

    def forget(self, batch: str) -> None:
        """Remove the state of a batch that is done."""
        self._state(batch).unlink(missing_ok=True)

    def _read(self, file: Path, recipe: dict[str, Any]) -> tuple[torch.Tensor, bool]:
        """What a file holds, and whether it is what its recipe says."""
        array = file.with_suffix(".npy")
        pixels = read_array(array) if array.is_file() else _pixels(file, recipe)
        return pixels, recipe["result"]["pixels_sha256"] == pixels_sha256(pixels)

    @property
    def _note(self) -> Path:
        return self.folder / WORK / "run.json"

    def _state(self, batch: str) -> Path:
        return self.folder / WORK / f"batch-{batch}.safetensors"

    def _noted(self) -> list[int]:
        try:
            noted = parse_untrusted_json(self._note.read_text(encoding="utf-8"))
            theirs, sizes = dict(noted["run"]), [int(size) for size in noted["batch"]]
        except (OSError, PhospheneError, KeyError, TypeError, ValueError) as error:
            raise FileError(f"cannot resume '{self.folder}': '{self._note}' is damaged; leave --resume out") from error
        wrong = [key for key, digest in _digests(self.run).items() if theirs.get(key) != digest]
        if wrong:
            raise UsageError(
                f"cannot resume '{self.folder}': it holds another rendering (its {', '.join(wrong)} differ); "
                "use another --out, or leave --resume out to start anew"
            )
        return sizes

    def _same_run(self, recipe: dict[str, Any]) -> bool:
        """Whether a picture in the folder is of this rendering, and not left there by an earlier one."""
        run = self.run
        found = (recipe["model"], recipe["method"], recipe["environment"]["precision"], recipe["inputs"])
        shape = run.get("batch_shape") in (None, recipe["batch_shape"])
        return shape and found == (run["model"], run["method"], run["precision"], run["inputs"])


class SoundStore(Store):
    """Where a rendering of sounds keeps its clips: NAME.wav in place of NAME.png."""

    suffix: ClassVar[str] = ".wav"

    def _read(self, file: Path, recipe: dict[str, Any]) -> tuple[torch.Tensor, bool]:
        spec = recipe["model"]["input"]
        read, _ = read_sound(file, rate=int(spec["rate"]), channels=int(spec["channels"]))
        sound = torch.from_numpy(from_levels((read * READ).round().numpy()))
        return sound, recipe["result"]["samples_sha256"] == samples_sha256(sound)


def _digests(run: dict[str, Any]) -> dict[str, str]:
    """What identifies a rendering, part by part, in few bytes: the targets alone can be megabytes."""
    return {key: hashlib.sha256(json.dumps(run[key], sort_keys=True).encode()).hexdigest() for key in run}


def _pixels(file: Path, recipe: dict[str, Any]) -> torch.Tensor:
    """The picture as the tensor it was saved from: its recipe knows how many channels that had."""
    image = read_picture(file)
    channels = int(recipe["result"]["channels"])
    if channels not in (1, 3, 4):
        raise RecipeError(f"{file.name} lacks its .npy")
    return quantize(to_tensor(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])))
