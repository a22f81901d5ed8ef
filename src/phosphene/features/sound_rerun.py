"""Making a clip again from the recipe inside it, as `rerun.py` does for pictures.

On a CPU with the same versions every sample comes out equal to the bit. The recipe is a stranger's data
(`engine/again.py`), and its numbers are bounded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

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
from phosphene.errors import RecipeError, UsageError
from phosphene.features.audio_config import AudioConfig
from phosphene.features.clip import Clip, samples_sha256
from phosphene.features.sounding import KIND, Sounding
from phosphene.models import Model
from phosphene.objectives import from_data
from phosphene.recipe import RunConfig, check_schema, from_json

MAX_ROWS = 4096  # clips in a batch
MAX_CROPS = 1024


def prepare(
    recipe: dict[str, Any],
    *,
    model: Model | None,
    weights: str | Path | None,
    device: str | None,
    anyway: bool,
    init: Tensor | None = None,
) -> Sounding:
    """The rendering that a recipe describes, checked and not yet begun. init: the sound it started from, if any."""
    check_schema(recipe, "the recipe")
    if recipe.get("kind") != KIND:
        raise RecipeError(f"this is a recipe of kind {recipe.get('kind')!r:.80}, not {KIND!r}")
    config = from_json(AudioConfig, field(recipe, dict, "method"), where="method")
    shape = field(recipe, int, "batch_shape")
    check_bounds(
        {
            "batch_shape": (shape, 1, MAX_ROWS),
            "steps": (config.steps, 1, MAX_STEPS),
            "crops": (config.crops, 1, MAX_CROPS),
        }
    )
    objective = from_data(field(recipe, dict, "target", "data"))
    row = field(recipe, int, "target", "row")
    if not 0 <= row < objective.together <= shape:
        raise RecipeError(f"the recipe is of row {row} of {objective.together} in a batch of {shape}")
    network = model if model is not None else recorded_model(recipe, weights)
    check_weights(recipe, network, anyway=anyway)
    check_variant(recipe, network)
    was_on = field(recipe, str, "environment", "device")
    wanted = recipe["inputs"].get("init_sha256") if isinstance(recipe.get("inputs"), dict) else None
    if wanted is not None and init is None:
        raise RecipeError("the clip was started from a recording; give it with --init FILE (init=)")
    try:
        work = Sounding(
            network, objective, config, RunConfig(device or same_device(was_on), batch_shape=shape), init=init
        )
    except UsageError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error
    if work.rows != objective.together:
        raise RecipeError(f"a recipe makes one clip and its family, this one asks for {work.rows}")
    if work.inputs()["init_sha256"] != wanted:
        raise RecipeError("the start sound is not the one that the recipe names (its samples differ, or it names none)")
    return work


def compare(recipe: dict[str, Any], work: Sounding) -> tuple[Clip, bool, tuple[str, ...]]:
    """The clip that came out, whether every sample is equal, and what differs from the first time."""
    clip = work.clips()[recipe["target"]["row"]]
    result = recipe.get("result")
    same = isinstance(result, dict) and result.get("samples_sha256") == samples_sha256(clip.sound)
    return clip, same, differences(recipe, work.model, work.arithmetic)
