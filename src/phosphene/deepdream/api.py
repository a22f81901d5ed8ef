"""DeepDream, whole: a picture in, a dream with its recipe out.

`dream` gives a Dream. `Dreaming` (`dreaming.py`) is the same work as a stream of events, for whoever shows it as it
happens, and `dreamt` is what came of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image
from torch import Tensor

from phosphene.deepdream.config import DreamConfig
from phosphene.deepdream.dreaming import Dreaming, Frame, Status
from phosphene.display.notebook import embedded, figure, png
from phosphene.engine.environment import environment
from phosphene.errors import UsageError
from phosphene.files import atomic_write
from phosphene.media import animation_bytes, from_tensor, opaque, pixels_sha256, png_bytes, read_pixels, to_tensor
from phosphene.metadata import embed, sidecar
from phosphene.models import Model, load
from phosphene.models.model import describe
from phosphene.recipe import SCHEMA, RunConfig, to_json
from phosphene.version import version

KIND = "dream"  # of its recipes
NOISE = "noise"  # the word for no picture
LEAST = 8  # pixels of a picture's shorter side

Source: TypeAlias = str | Path | Image.Image | Tensor


@dataclass(frozen=True)
class Dream:
    """A dream. pixels: (3, h, w) in [0, 1], rounded to 8 bits. before, after: the target's score of the picture and of
    these pixels, by the plain network. status: "ok", "degenerate" (reason says why) or "interrupted". frames: of the
    film, the dream itself first; () without one. recipe: everything needed to make it again."""

    pixels: Tensor = field(repr=False)
    target: str
    before: float
    after: float
    status: Status
    reason: str
    seconds: float
    recipe: dict[str, Any] = field(repr=False)
    frames: tuple[Tensor, ...] = field(default=(), repr=False)
    path: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    def image(self) -> Image.Image:
        """As a PIL picture."""
        return from_tensor(self.pixels)

    def save(self, path: str | Path, *, metadata: bool = True) -> Dream:
        """Write a PNG with the recipe inside and NAME.json beside it; returns the dream with its path."""
        file = Path(path)
        if file.suffix.lower() != ".png":
            raise UsageError(f"dreams are saved as .png, got {file.name!r}")
        if metadata:
            text = json.dumps(self.recipe, ensure_ascii=False)
            atomic_write(file, embed(self.pixels, text, description=f"a dream of {self.target} by phosphene"))
            atomic_write(sidecar(file), (json.dumps(self.recipe, ensure_ascii=False, indent=1) + "\n").encode())
        else:
            sidecar(file).unlink(missing_ok=True)  # of an earlier picture: it would speak for this one
            atomic_write(file, png_bytes(self.pixels))
        return replace(self, path=file)

    def save_film(self, path: str | Path, *, fps: float = 12.0) -> Path:
        """Write the film as .webp or .gif; UsageError when no further frames were asked for."""
        file = Path(path)
        if file.suffix.lower() not in (".webp", ".gif"):
            raise UsageError(f"films are saved as .webp or .gif, got {file.name!r}")
        if not self.frames:
            raise UsageError("there is no film: dream with zoom=FRAMES (--zoom)")
        return atomic_write(
            file, animation_bytes(self.frames, format="gif" if file.suffix.lower() == ".gif" else "webp", fps=fps)
        )

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        line = f"{self.target}: {self.before:.4g} in the picture, {self.after:.4g} in the dream"
        lines = [line] if self.status == "ok" else [line, f"{self.status}: {self.reason}"]
        return figure(embedded(self.image(), f"a dream of {self.target}"), lines)


def dream(
    picture: Source,
    *,
    model: Model | None = None,
    layers: str | None = None,
    size: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    config: DreamConfig | None = None,
    run: RunConfig | None = None,
    guide: Source | None = None,
    zoom: int = 0,
) -> Dream:
    """A picture with more in it of what a network sees there (DeepDream).

    picture: a file, a PIL picture, (3 or 4, h, w) in [0, 1], or "noise". model: the network inside the package when
    left out. layers: LAYER or LAYER:UNIT, joined by commas. layers, size, steps, seed: in place of the config's own.
    guide: a picture whose features are dreamed of. zoom: further frames of a film that goes into the dream.
    Raises UsageError for what cannot be meant, MediaError for a file that is no picture.
    """
    named = (("layers", layers), ("size", size), ("steps", steps), ("seed", seed))
    settings = replace(config or DreamConfig(), **{name: value for name, value in named if value is not None})  # type: ignore[arg-type]
    start = None if isinstance(picture, str) and picture == NOISE else seen(picture)
    led = None if guide is None else seen(guide)
    work = Dreaming(model or load(), start, settings, run or RunConfig(), guide=led, frames=1 + checked(zoom))
    frames = [event.picture for event in work if isinstance(event, Frame)]
    return dreamt(work, start, led, frames=frames if zoom else ())


def checked(zoom: int) -> int:
    """The further frames of a film; UsageError when they are fewer than none."""
    if zoom < 0:
        raise UsageError(f"zoom is a number of frames, 0 or more, got {zoom}")
    return zoom


def seen(source: Source) -> Tensor:
    """(3, h, w) in [0, 1] of a file, a PIL picture or a tensor, transparent parts over white."""
    if isinstance(source, Tensor):
        x = source.detach().float().cpu()
    elif isinstance(source, Image.Image):
        x = to_tensor(opaque(source))
    else:
        x = read_pixels(source).pixels
    if x.dim() != 3 or x.shape[0] not in (1, 3, 4) or not bool(((x >= 0) & (x <= 1)).all()):
        raise UsageError(f"a picture is (3 or 4, height, width) in 0 .. 1, got {tuple(x.shape)}")
    if min(x.shape[1:]) < LEAST:
        raise UsageError(f"the picture is {x.shape[2]}x{x.shape[1]}, and no side may be under {LEAST} pixels")
    if len(x) == 4:
        x = (x[:3] * x[3:] + (1 - x[3:])).clamp(0, 1)
    return x.expand(3, -1, -1)


def dreamt(work: Dreaming, picture: Tensor | None, guide: Tensor | None, *, frames: Sequence[Tensor] = ()) -> Dream:
    """What came of a dreaming; for use after its first frame. picture, guide: as they were given, for the recipe."""
    pixels = work.finished
    assert pixels is not None  # the first frame is there, interrupted or not
    after = work.measured(pixels[None])
    recipe = record(work, picture, guide, pixels, after)
    return Dream(
        pixels,
        str(work.objective),
        work.before,
        after,
        work.status,
        work.reason,
        round(work.seconds, 3),
        recipe,
        tuple(frames),
    )


def record(
    work: Dreaming, picture: Tensor | None, guide: Tensor | None, pixels: Tensor, after: float
) -> dict[str, Any]:
    """The recipe of a dream. No absolute paths and no user names: pictures are named by their SHA-256."""
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "app": {"name": "phosphene", "version": version()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": describe(work.given),
        "target": {"text": str(work.objective)},
        "method": to_json(replace(work.config, layers=work.layers, size=max(work.size))),
        "inputs": {
            "picture": None if picture is None else pixels_sha256(picture),
            "guide": None if guide is None else pixels_sha256(guide),
        },
        "environment": environment(work.arithmetic),
        "result": {
            "score_before": finite(work.before),
            "score": finite(after),
            "steps": work.steps,
            "seconds": round(work.seconds, 3),
            "status": work.status,
            "reason": work.reason,
            "size": [work.size[1], work.size[0]],
            "pixels_sha256": pixels_sha256(pixels),
        },
    }


def finite(value: float) -> float | None:
    """A number for JSON, which has no NaN."""
    return value if math.isfinite(value) else None
