"""The folder of a rendering: pictures as they are done, checkpoints for `--resume`, and what run it belongs to.

    FOLDER/NAME.png, NAME.json     one pair per picture
    FOLDER/sheet.png               at the end
    FOLDER/.phosphene/run.json     which rendering this folder holds: a resumed one must be the same
    FOLDER/.phosphene/batch-N.safetensors    the state of the batch in work

Every file is written whole or not at all, so a crash at any moment leaves a folder that can be resumed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from phosphene.engine.checkpoint import read_state, write_state
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.features.picture import Picture
from phosphene.files import atomic_write, ensure_folder, safe_name
from phosphene.media import pixels_sha256, png_bytes, quantize, read_array, read_picture, to_tensor
from phosphene.metadata import parse_untrusted_json, read_recipe_text

WORK = ".phosphene"


class Store:
    """Where a rendering keeps what it makes.

    folder: made when absent. resume: go on with what is there. metadata: write recipes. Raises PhospheneError when the
    folder cannot be written.
    """

    def __init__(self, folder: str | Path, *, resume: bool = False, metadata: bool = True) -> None:
        self.folder, self.resume, self.metadata = ensure_folder(folder), resume, metadata

    def begin(self, run: dict[str, Any]) -> dict[str, Any]:
        """Note which rendering this is; when resuming, check it and give back the one noted (its batch size counts)."""
        file = self.folder / WORK / "run.json"
        if self.resume and file.is_file():
            noted = parse_untrusted_json(file.read_text())
            wrong = [key for key in run if key != "batch" and noted.get(key) != json.loads(json.dumps(run[key]))]
            if wrong:
                raise UsageError(
                    f"cannot resume {self.folder}: it holds another rendering (its {', '.join(wrong)} differ); "
                    "use another --out, or leave --resume out to start anew"
                )
            return noted
        self.clear()
        atomic_write(file, json.dumps(run).encode())
        return run

    def clear(self) -> None:
        """Remove checkpoints of an earlier rendering."""
        work = self.folder / WORK
        for old in [*work.glob("batch-*.safetensors"), work / "run.json"]:
            old.unlink(missing_ok=True)
        if work.is_dir() and not any(work.iterdir()):
            work.rmdir()

    def path(self, target: str, suffix: str = ".png") -> Path:
        """Where the picture of a target goes."""
        return self.folder / (safe_name(target) + suffix)

    def put(self, picture: Picture, name: str) -> Picture:
        """Write one picture."""
        return picture.save(self.path(name), metadata=self.metadata)

    def put_frame(self, name: str, step: int, frame: torch.Tensor) -> None:
        """Write a snapshot taken on the way."""
        atomic_write(self.path(name, f".step{step:05d}.png"), png_bytes(frame))

    def put_animation(self, picture: Picture, name: str) -> Path:
        """Write the film of a picture."""
        return atomic_write(self.path(name, ".webp"), picture.animation())

    def finished(self, name: str) -> tuple[torch.Tensor, dict[str, Any]] | None:
        """Pixels and recipe of a picture that an earlier run finished; None when there is none or it is not sound."""
        file = self.path(name)
        if not (self.resume and file.is_file()):
            return None
        try:
            recipe = parse_untrusted_json(read_recipe_text(file))
            array = file.with_suffix(".npy")
            pixels = read_array(array) if array.is_file() else _pixels(file, recipe)
        except (PhospheneError, KeyError, TypeError):
            return None
        result = recipe.get("result", {})
        sound = result.get("status") in ("ok", "degenerate") and result.get("pixels_sha256") == pixels_sha256(pixels)
        return (pixels, recipe) if sound else None

    def checkpoint(self, batch: int, state: dict[str, Any]) -> None:
        """Keep the state of a batch."""
        write_state(self._state(batch), state)

    def restore(self, batch: int) -> dict[str, Any] | None:
        """The state of a batch that an earlier run kept; None when there is none."""
        file = self._state(batch)
        return read_state(file) if self.resume and file.is_file() else None

    def forget(self, batch: int) -> None:
        """Remove the state of a batch that is done."""
        self._state(batch).unlink(missing_ok=True)

    def _state(self, batch: int) -> Path:
        return self.folder / WORK / f"batch-{batch}.safetensors"


def _pixels(file: Path, recipe: dict[str, Any]) -> torch.Tensor:
    """The picture as the tensor it was saved from: its recipe knows how many channels that had."""
    image = read_picture(file)
    channels = int(recipe["result"]["channels"])
    if channels not in (1, 3, 4):
        raise RecipeError(f"{file.name} lacks its .npy")
    return quantize(to_tensor(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])))
