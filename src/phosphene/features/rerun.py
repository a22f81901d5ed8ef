"""Making a picture again from the recipe inside it, and with it the family that it was compared with.

On a CPU with the same versions the pixels come out equal to the bit: the recipe holds the seed, the settings, the batch
shape, the thread count and the arithmetic. Where something differs, `Rerun.differences` says what. The recipe is a
stranger's data (`engine/again.py`), and its numbers are bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from phosphene.engine.again import (
    MAX_HISTORY,
    MAX_STEPS,
    check_bounds,
    check_variant,
    check_weights,
    differences,
    recorded_model,
    same_device,
)
from phosphene.engine.again import field as field
from phosphene.engine.again import read_recipe as read_recipe
from phosphene.engine.again import threads as threads
from phosphene.errors import RecipeError, UsageError
from phosphene.features.picture import Picture
from phosphene.features.references import digest
from phosphene.features.rendering import Rendering
from phosphene.media import pixels_sha256
from phosphene.models import Model
from phosphene.objectives import from_data
from phosphene.recipe import RenderConfig, RunConfig, check_schema, from_json

# larger numbers in a recipe are an attack or an accident
MAX_BATCH_PIXELS = 1 << 29  # of all pictures of a batch: 6 GB of float32 RGB
MAX_CROPS = 1024
DIGITS = 12  # of a SHA-256, in messages


@dataclass(frozen=True)
class Rerun:
    """A picture made again. same: whether every pixel is equal. differences: what differs from the first time."""

    picture: Picture
    same: bool
    differences: tuple[str, ...]


def rerun(
    source: str | Path | dict[str, Any],
    *,
    model: Model | None = None,
    weights: str | Path | None = None,
    init: Tensor | None = None,
    pictures: Sequence[Tensor] = (),
    device: str | None = None,
    allow_different_weights: bool = False,
) -> Rerun:
    """Make a picture again.

    source: the picture's file, or its recipe. model: needed when the recipe's network is Python code or was given in
    Python. weights: a file, when they are not where they are looked for. init: the picture (c, h, w) that it started
    from. pictures: those that its target looks at, in any order. Raises RecipeError when the recipe cannot be carried
    out here.
    """
    recipe = source if isinstance(source, dict) else read_recipe(source)
    again = prepare(
        recipe,
        model=model,
        weights=weights,
        init=init,
        pictures=pictures,
        device=device,
        anyway=allow_different_weights,
    )
    with threads(recipe):
        for _ in again:
            pass
    return compare(recipe, again)


def prepare(
    recipe: dict[str, Any],
    *,
    model: Model | None,
    weights: str | Path | None,
    init: Tensor | None,
    pictures: Sequence[Tensor] = (),
    device: str | None,
    anyway: bool,
) -> Rendering:
    """The rendering that a recipe describes, checked and not yet begun."""
    check_schema(recipe, "the recipe")
    if recipe.get("kind") != "feature":
        raise RecipeError(f"cannot rerun a recipe of kind {recipe.get('kind')!r:.80}; this version knows 'feature'")
    config = from_json(RenderConfig, field(recipe, dict, "method"), where="method")
    shape = field(recipe, int, "batch_shape")
    _check_numbers(config, shape)
    if config.signal.natural is not None and not config.signal.natural.lstrip().startswith("{"):
        raise RecipeError("the recipe names a file of natural statistics; only their text may stand there")
    objective = from_data(field(recipe, dict, "target", "data"))
    row = field(recipe, int, "target", "row") if "row" in field(recipe, dict, "target") else 0
    if not 0 <= row < objective.together <= shape:
        raise RecipeError(f"the recipe is of row {row} of {objective.together} in a batch of {shape}")
    precision = field(recipe, str, "environment", "precision")
    was_on = field(recipe, str, "environment", "device")
    inputs = recipe["inputs"] if isinstance(recipe.get("inputs"), dict) else {}
    wanted = inputs.get("init_sha256")
    network = model if model is not None else recorded_model(recipe, weights)
    check_weights(recipe, network, anyway=anyway)
    check_variant(recipe, network)
    if wanted is not None and init is None:
        raise RecipeError("the picture was started from another one; give it with --init FILE (init=)")
    references = _references(inputs, pictures, config, network)
    try:
        run = RunConfig(device=device or same_device(was_on), precision=precision, batch_shape=shape)  # type: ignore[arg-type]
        rendering = Rendering(network, objective, config, run, init=init, references=references)
    except UsageError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error
    if rendering.plan.rows != objective.together:
        raise RecipeError(f"a recipe makes one picture and its family, this one asks for {rendering.plan.rows}")
    if rendering.shared.init_sha256 != wanted:
        raise RecipeError(
            "the start picture is not the one that the recipe names (its pixels differ, or it names none)"
        )
    return rendering


def compare(recipe: dict[str, Any], rendering: Rendering) -> Rerun:
    """What came out, beside what the recipe says came out the first time."""
    picture = rendering.sheet()[recipe["target"].get("row", 0)]
    result = recipe.get("result")
    same = isinstance(result, dict) and result.get("pixels_sha256") == pixels_sha256(picture.pixels)
    return Rerun(picture, same, differences(recipe, rendering.plan.model, rendering.arithmetic))


def _references(
    inputs: dict[str, Any], pictures: Sequence[Tensor], config: RenderConfig, model: Model
) -> dict[str, Tensor]:
    """The pictures that the target looks at, by name; RecipeError when one is not among those given."""
    named = inputs.get("references", {})
    if not isinstance(named, dict) or not all(isinstance(sha256, str) for sha256 in named.values()):
        raise RecipeError(f"the recipe's inputs.references must be names and SHA-256 sums, got {named!r:.80}")
    size, channels = config.canvas(model.picture_spec.size), model.picture_spec.channels
    known = {digest(picture, size, channels): picture for picture in pictures} if named else {}
    missing = next((name for name, sha256 in named.items() if sha256 not in known), None)
    if missing is not None:
        raise RecipeError(
            f"the picture {missing!r} that the target looks at (sha256 {named[missing]:.{DIGITS}}) is not among those "
            "given; add it with --input FILE (pictures=)"
        )
    return {name: known[sha256] for name, sha256 in named.items()}


def _check_numbers(config: RenderConfig, shape: int) -> None:
    height, width = config.canvas((0, 0))
    bounds = {
        "batch_shape": (shape, 1, MAX_BATCH_PIXELS),
        "pixels in a batch": (shape * height * width, 1, MAX_BATCH_PIXELS),
        "steps": (config.steps, 1, MAX_STEPS),
        "crops": (config.transform.crops or 1, 1, MAX_CROPS),
        "history": (config.optimizer.history, 1, MAX_HISTORY),
    }
    check_bounds(bounds)
