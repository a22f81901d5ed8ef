"""One picture of a figure: its pixels, what the plain network measures on them, and the recipe that makes it again.

The losses are those of the saved file, 8 bits a channel, so that a stranger who loads it finds the same numbers; and

    psnr = 10 log10(1 / mean (x - o)^2)    in decibels, against the original o at the same size

says how much of it came back. A panel that lies in a folder with the same recipe is found there and not made again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from torch import Tensor

from phosphene.display.notebook import embedded, figure, png
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.files import atomic_write
from phosphene.media import from_tensor, pixels_sha256, png_bytes, quantize, read_picture, to_tensor
from phosphene.metadata import embed, parse_untrusted_json, read_recipe_text, sidecar

SAME = ("kind", "model", "target", "method", "inputs")  # parts of a recipe that decide which picture it makes


@dataclass(frozen=True)
class Panel:
    """One picture that was made for a figure.

    name: of its file, without the suffix. pixels: (3, h, w) in [0, 1], rounded to 8 bits. losses: by term, without
    weights, measured on these pixels. psnr: in decibels, or None where there is no original of that size or nothing
    is lost. noise: the same losses for the noise that it may start from. status: "ok" or "interrupted".
    """

    name: str
    pixels: Tensor = field(repr=False)
    losses: Mapping[str, float]
    noise: Mapping[str, float]
    psnr: float | None
    status: Literal["ok", "interrupted"]
    seconds: float
    recipe: dict[str, Any] = field(repr=False)
    path: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    def image(self) -> Image.Image:
        """As a PIL picture."""
        return from_tensor(self.pixels)

    def save(self, path: str | Path, *, metadata: bool = True) -> Panel:
        """Write a PNG with the recipe inside and NAME.json beside it; returns the panel with its path."""
        file = Path(path)
        if file.suffix.lower() != ".png":
            raise UsageError(f"panels are saved as .png, got {file.name!r}")
        if metadata:
            text = json.dumps(self.recipe, ensure_ascii=False)
            atomic_write(file, embed(self.pixels, text, description=f"{self.name} by phosphene"))
            atomic_write(sidecar(file), (json.dumps(self.recipe, ensure_ascii=False, indent=1) + "\n").encode())
        else:
            sidecar(file).unlink(missing_ok=True)  # of an earlier picture: it would speak for this one
            atomic_write(file, png_bytes(self.pixels))
        return replace(self, path=file)

    def figures(self) -> str:
        """What was measured on it, in one line."""
        losses = [f"{term} {loss:.3g}" for term, loss in self.losses.items()]
        decibels = [] if self.psnr is None else [f"{self.psnr:.1f} dB"]
        return ", ".join([self.name, *losses, *decibels, *([] if self.status == "ok" else [self.status])])

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        return figure(embedded(self.image(), self.name), [self.figures()])


def panel_of(name: str, pixels: Tensor, recipe: dict[str, Any], path: Path | None = None) -> Panel:
    """The panel of these pixels that a recipe with its result describes. Raises RecipeError when it is of others."""
    try:
        result = recipe["result"]
        if result["pixels_sha256"] != pixels_sha256(pixels):
            raise RecipeError(f"the recipe of {name} is of another picture")
        return Panel(
            name=name,
            pixels=pixels,
            losses={str(term): float(loss) for term, loss in result["losses"].items()},
            noise={str(term): float(loss) for term, loss in result["noise"].items()},
            psnr=None if result["psnr"] is None else float(result["psnr"]),
            status="ok" if result["status"] == "ok" else "interrupted",
            seconds=float(result["seconds"]),
            recipe=recipe,
            path=path,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(f"the recipe of {name} is damaged: {error}") from error


def find_panel(folder: Path, name: str, wanted: Mapping[str, Any]) -> Panel | None:
    """The finished panel of that name in a folder, if its recipe is the one that is wanted; else None."""
    file = folder / f"{name}.png"
    if not file.is_file():
        return None
    try:
        recipe = parse_untrusted_json(read_recipe_text(file))
        found = panel_of(name, quantize(to_tensor(read_picture(file))), recipe, file)
    except PhospheneError:
        return None
    same = all(recipe.get(part) == wanted[part] for part in SAME)
    return found if same and found.status == "ok" else None


def psnr(pixels: Tensor, original: Tensor | None) -> float | None:
    """Decibels between two pictures (3, h, w) in [0, 1]; None without an original of that shape, and for no error."""
    if original is None or original.shape != pixels.shape:
        return None
    error = float((pixels - original).square().mean())
    return 10 * math.log10(1 / error) if error > 0 else None
