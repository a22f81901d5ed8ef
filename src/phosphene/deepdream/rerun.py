"""Making a dream again: from the recipe inside it and the pictures it was made from.

A recipe names its pictures by the SHA-256 of their pixels, so the files that are shown may come in any order. It is a
stranger's data (`engine/again.py`), and its numbers are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from phosphene.deepdream.api import KIND, Dream, dreamt, seen
from phosphene.deepdream.config import DreamConfig
from phosphene.deepdream.dreaming import Dreaming
from phosphene.engine.again import (
    MAX_STEPS,
    check_bounds,
    check_variant,
    check_weights,
    differences,
    field,
    recorded_model,
    same_device,
)
from phosphene.errors import PhospheneError, RecipeError
from phosphene.media import pixels_sha256
from phosphene.models import Model
from phosphene.recipe import RunConfig, check_schema, from_json

MAX_SIDE = 1 << 15  # pixels
MAX_OCTAVES = 64
DIGITS = 12  # of a SHA-256, in messages
NAMES = {"picture": "the picture that was dreamed on", "guide": "the guide picture"}


@dataclass(frozen=True)
class Redreaming:
    """A dream that can be made again. work: not yet begun."""

    recipe: dict[str, Any]
    work: Dreaming
    picture: Tensor | None
    guide: Tensor | None

    def result(self) -> tuple[Dream, bool, tuple[str, ...]]:
        """The dream, whether all 8-bit levels are those of the first time, and what differs since."""
        made = dreamt(self.work, self.picture, self.guide)
        then = self.recipe.get("result")
        same = isinstance(then, dict) and then.get("pixels_sha256") == pixels_sha256(made.pixels)
        return made, same, differences(self.recipe, self.work.given, self.work.arithmetic)


def prepare(
    recipe: dict[str, Any],
    files: Sequence[str | Path] = (),
    *,
    model: Model | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    anyway: bool = False,
) -> Redreaming:
    """The dream that a recipe describes, checked and not yet begun.

    files: the pictures that it was made from, in any order. model: needed when its network is Python code. anyway:
    also with other weights. Raises RecipeError when the recipe cannot be carried out here.
    """
    check_schema(recipe, "the recipe")
    if recipe.get("kind") != KIND:
        raise RecipeError(f"this recipe is of kind {recipe.get('kind')!r:.80}, not {KIND!r}")
    config = from_json(DreamConfig, field(recipe, dict, "method"), where="method")
    check_bounds(
        {
            "pixels a side": (config.size or 1, 1, MAX_SIDE),
            "steps": (config.steps, 1, MAX_STEPS),
            "octaves": (config.octaves, 1, MAX_OCTAVES),
        }
    )
    precision, was_on = field(recipe, str, "environment", "precision"), field(recipe, str, "environment", "device")
    known = {pixels_sha256(picture): picture for picture in map(seen, files)}
    picture, guide = (_input(recipe, role, known) for role in NAMES)
    network = model if model is not None else recorded_model(recipe, weights)
    check_weights(recipe, network, anyway=anyway)
    check_variant(recipe, network)
    try:
        run = RunConfig(device=device or same_device(was_on), precision=precision)  # type: ignore[arg-type]
        return Redreaming(recipe, Dreaming(network, picture, config, run, guide=guide), picture, guide)
    except PhospheneError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error


def _input(recipe: dict[str, Any], role: str, known: dict[str, Tensor]) -> Tensor | None:
    """The picture of a role, None where the recipe has none; RecipeError when it is not among those given."""
    if field(recipe, dict, "inputs").get(role) is None:
        return None
    sha256 = field(recipe, str, "inputs", role)
    if sha256 not in known:
        raise RecipeError(
            f"{NAMES[role]} (sha256 {sha256[:DIGITS]}): not among the files given; add it with --input FILE"
        )
    return known[sha256]
