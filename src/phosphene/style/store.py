"""Where a painting lies while it is made and when it is done: its checkpoint, and what tells that it is this one.

    FOLDER/NAME.png, NAME.json                 the picture and its recipe
    FOLDER/.phosphene/NAME.png.safetensors     the state of the work, while there is one

Every file is written whole or not at all, so a crash at any moment leaves a folder that can be resumed. A checkpoint
and a finished picture say which network, pictures and settings they belong to; those of others are refused or redone.
"""

from __future__ import annotations

import json
from typing import Any

from phosphene.engine.checkpoint import Checkpoint
from phosphene.errors import PhospheneError
from phosphene.media import output_format, pixels_sha256, read_pixels
from phosphene.metadata import parse_untrusted_json, read_recipe_text
from phosphene.style.record import KIND

EXACT = ("PNG", "TIFF")  # formats that give back the pixels that were written


class Store(Checkpoint):
    """The place of one painting. file: where it goes."""

    def finished(self, identity: dict[str, Any]) -> dict[str, Any] | None:
        """The recipe of this very painting if it is done and lies here, sound; else None."""
        if not self.file.is_file():
            return None
        try:
            recipe = parse_untrusted_json(read_recipe_text(self.file))
            mine = json.loads(json.dumps(identity))
            same = all(recipe[key] == mine[key] for key in ("model", "method", "inputs"))
            same = same and recipe["environment"]["precision"] == mine["precision"]
            done = recipe["kind"] == KIND and recipe["result"]["status"] == "ok"
            sound = not same or not done or self._holds(recipe["result"]["pixels_sha256"])
        except (PhospheneError, KeyError, TypeError, ValueError):
            return None
        return recipe if same and done and sound else None

    def _holds(self, sha256: str) -> bool:
        """Whether the file has these pixels; where it is not exactly 8 bits it is enough that it can be read."""
        found = read_pixels(self.file)
        return found.bits != 8 or output_format(self.file) not in EXACT or pixels_sha256(found.pixels) == sha256
