"""What style transfer gives: a `Painting` that knows how it was made, saves itself, and shows itself in a notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from phosphene.display.notebook import embedded, figure, png
from phosphene.files import atomic_write
from phosphene.media import Bits, from_tensor, write_picture
from phosphene.metadata import KEY, sidecar
from phosphene.style.heldout import HeldOut


@dataclass(frozen=True, eq=False)
class Painting:
    """The result of a style transfer.

    pixels: (3 or 4, h, w) in [0, 1], not rounded. losses: {"total", "content", "style", "tv"}, weighted, of the
    picture. layers: the same by term and layer. history: (scale, step, total loss) of every step; traces: beside it
    the losses by term, in the order of `layers`. evaluations: of the loss and its gradient. status: "ok",
    "interrupted", or "degenerate" for the reason given. recipe: everything needed to make it again.
    """

    pixels: Tensor = field(repr=False)
    losses: Mapping[str, float]
    layers: Mapping[str, float]
    history: tuple[tuple[int, int, float], ...] = field(repr=False)
    traces: tuple[tuple[float, ...], ...] = field(repr=False)
    heldout: HeldOut | None
    evaluations: int
    seconds: float
    peak_memory_mb: float
    status: str
    reason: str
    recipe: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    path: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    def image(self) -> Image.Image:
        """As a PIL picture of 8 bits."""
        return from_tensor(self.pixels)

    def save(self, path: str | Path, *, bits: Bits = 8, metadata: bool = True) -> Painting:
        """Write the picture in the format of its suffix, and NAME.json beside it; returns it with its path and notes.

        PNG carries the recipe inside, too. bits: 16 for PNG and TIFF. Raises UsageError for a suffix of no format,
        FileError when the file cannot be written.
        """
        file = Path(path)
        text = {}
        if metadata:
            network = self.recipe.get("model", {}).get("name", "")
            text = {KEY: json.dumps(self.recipe, ensure_ascii=False), "Software": "phosphene"}
            text["Description"] = f"style transfer with {network} by phosphene"
        notes = write_picture(file, self.pixels, bits=bits, text=text)
        if metadata:
            atomic_write(sidecar(file), (json.dumps(self.recipe, ensure_ascii=False, indent=1) + "\n").encode())
        else:
            sidecar(file).unlink(missing_ok=True)  # of an earlier picture: it would speak for this one
        return replace(self, path=file, notes=(*self.notes, *notes))

    def figures(self) -> str:
        """What was measured on it, in one line."""
        height, width = self.size
        losses = ", ".join(f"{name} {loss:.3g}" for name, loss in self.losses.items() if name != "total")
        words = [f"{width}x{height}", f"loss {self.losses['total']:.3g} ({losses})", f"{self.evaluations} evaluations"]
        if self.heldout is not None and self.heldout.removed is not None:
            words.append(f"{self.heldout.network} sees {self.heldout.removed:.0%} of the style's distance gone")
        return ", ".join(words if self.status == "ok" else [*words, f"{self.status}: {self.reason}".rstrip(": ")])

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        return figure(embedded(self.image(), "the painting"), [self.figures()])


def summary(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` prints of a painting, but for its path, from its recipe."""
    result = recipe["result"]
    return {
        "size": result["size"],
        "seconds": result["seconds"],
        "peak_memory_mb": result["peak_memory_mb"],
        "evaluations": result["evaluations"],
        "loss": result["losses"],
        "layers": result["layers"],
        "heldout": result["heldout"] or {},
    }
