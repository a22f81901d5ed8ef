"""What rendering gives: a `Picture` that knows how it was made, and a `Sheet` of them that shows itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from phosphene.contact import contact_sheet
from phosphene.display.notebook import embedded, figure, png, row
from phosphene.errors import UsageError
from phosphene.features.measure import BEHIND
from phosphene.files import atomic_write
from phosphene.media import animation_bytes, array_bytes, from_tensor, png_bytes
from phosphene.metadata import embed, sidecar

Status = Literal["ok", "degenerate", "interrupted"]


@dataclass(frozen=True)
class Picture:
    """One optimised picture.

    pixels: (c, h, w) in [0, 1], already rounded to 8 bits. target, layer, unit: what it was made for. activation:
    what the plain network gives for that unit on these pixels. status: "ok", "degenerate" (reason says why) or
    "interrupted". recipe: everything needed to make it again. label: lines that tell it from the others of its family,
    in place of the target in a sheet. frames: (steps done, pixels) kept on the way.
    """

    pixels: Tensor
    target: str
    layer: str
    unit: int | str | None
    seed: int
    steps: int
    activation: float
    status: Status
    reason: str
    seconds: float
    recipe: dict[str, Any] = field(repr=False)
    label: str = ""
    frames: tuple[tuple[int, Tensor], ...] = field(default=(), repr=False)
    path: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    @property
    def values(self) -> Tensor:
        """The pixels, as what is optimised is called where it may be a picture or a sound."""
        return self.pixels

    def blank(self) -> Tensor:
        """A picture like it that shows nothing."""
        return torch.full_like(self.pixels, BEHIND)

    def image(self) -> Image.Image:
        """As a PIL picture; more than four channels side by side in gray."""
        return from_tensor(self.pixels)

    def save(self, path: str | Path, *, metadata: bool = True) -> Picture:
        """Write a PNG with the recipe inside and NAME.json beside it; returns the picture with its path.

        Pictures of other than 1, 3 or 4 channels get NAME.npy too: their channels as 8-bit numbers (c, h, w).
        """
        file = Path(path)
        if file.suffix.lower() != ".png":
            raise UsageError(f"pictures are saved as .png, got {file.name!r}")
        text = json.dumps(self.recipe, ensure_ascii=False)
        described = f"{self.target} of {self.recipe.get('model', {}).get('name', '')} by phosphene"
        atomic_write(file, embed(self.pixels, text, description=described) if metadata else png_bytes(self.pixels))
        if self.pixels.shape[0] not in (1, 3, 4):
            atomic_write(file.with_suffix(".npy"), array_bytes(self.pixels))
        if metadata:
            atomic_write(sidecar(file), (json.dumps(self.recipe, ensure_ascii=False, indent=1) + "\n").encode())
        return replace(self, path=file)

    def animation(self, *, fps: float = 12.0, format: Literal["webp", "gif"] = "webp") -> bytes:
        """The optimisation as a film; UsageError when no frames were kept."""
        if not self.frames:
            raise UsageError("no frames were kept: render with frames=N (--animate)")
        return animation_bytes([frame for _, frame in self.frames] + [self.pixels] * 6, format=format, fps=fps)

    def caption(self) -> list[str]:
        """Lines under the picture in a sheet."""
        lines = [*(self.label or self.target).split("\n"), f"activation {self.activation:.4g}"]
        return lines if self.status == "ok" else [*lines, self.status]

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        return figure(embedded(self.image(), self.target), self.caption())


@dataclass(frozen=True)
class Sheet:
    """Pictures of one rendering, in the order of their targets. Iterates, indexes, saves and shows itself."""

    pictures: tuple[Picture, ...]
    title: str
    device: str
    precision: str
    seconds: float
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    def __getitem__(self, index: int) -> Picture:
        return self.pictures[index]

    def image(self) -> Image.Image:
        """The labelled contact sheet as a PIL picture."""
        return contact_sheet([p.pixels for p in self.pictures], [p.caption() for p in self.pictures], title=self.title)

    def save(self, path: str | Path) -> Path:
        """Write the labelled contact sheet as PNG."""
        return atomic_write(Path(path), png_bytes(self.image()))

    def _repr_html_(self) -> str:
        return row((one._repr_html_() for one in self.pictures), len(self.pictures))


def titled(model_name: str, pictures: Sequence[Picture]) -> str:
    """The headline of a sheet: the network, and the layer when there is but one."""
    layers = {picture.layer for picture in pictures}
    return f"{model_name} · {layers.pop()}" if len(layers) == 1 else model_name
