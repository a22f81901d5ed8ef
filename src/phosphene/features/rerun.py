"""Making a picture again from the recipe inside it.

On a CPU with the same versions the pixels come out equal to the bit: the recipe holds the seed, the settings, the batch
shape, the thread count and the arithmetic. Where something differs, `Rerun.differences` says what. The recipe is a
stranger's data: it names registry models only, never code to import, and its numbers are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.engine.batching import find_device
from phosphene.errors import RecipeError, UsageError
from phosphene.features.picture import Picture
from phosphene.features.record import environment
from phosphene.features.render import Rendering
from phosphene.media import pixels_sha256
from phosphene.metadata import parse_untrusted_json, read_recipe_text
from phosphene.models import InputSpec, Model, load
from phosphene.objectives import from_data
from phosphene.recipe import RenderConfig, RunConfig, check_schema, from_json

SAFE_SOURCES = ("torchvision:", "timm:", "phosphene:")  # names that load no code of the recipe's choice
MAX_SIDE = 16384  # pixels; a larger number in a recipe is an attack or an accident
MAX_BATCH = 4096


@dataclass(frozen=True)
class Rerun:
    """A picture made again. same: whether every pixel is equal. differences: what differs from the first time."""

    picture: Picture
    same: bool
    differences: tuple[str, ...]


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The recipe of a picture, from inside it or from NAME.json; RecipeError when there is none that can be read."""
    recipe = parse_untrusted_json(read_recipe_text(path))
    check_schema(recipe, Path(path).name)
    return recipe


def rerun(
    source: str | Path | dict[str, Any],
    *,
    model: Model | None = None,
    weights: str | Path | None = None,
    init: Tensor | None = None,
    device: str | None = None,
    allow_different_weights: bool = False,
) -> Rerun:
    """Make a picture again.

    source: the picture's file, or its recipe. model: needed when the recipe's network is Python code or was given in
    Python. weights: a file, when they are not where they are looked for. init: the picture (c, h, w) that it started
    from. Raises RecipeError when the recipe cannot be carried out here.
    """
    recipe = source if isinstance(source, dict) else read_recipe(source)
    again = prepare(recipe, model=model, weights=weights, init=init, device=device, anyway=allow_different_weights)
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
    device: str | None,
    anyway: bool,
) -> Rendering:
    """The rendering that a recipe describes, checked and not yet begun."""
    check_schema(recipe, "the recipe")
    if recipe.get("kind") != "feature":
        raise RecipeError(f"cannot rerun a recipe of kind {recipe.get('kind')!r}; this version knows 'feature'")
    try:
        config = from_json(RenderConfig, recipe["method"])
        objective = from_data(recipe["target"]["data"])
        shape, precision = int(recipe["batch_shape"]), str(recipe["environment"]["precision"])
        wanted, was_on = recipe["inputs"]["init_sha256"], str(recipe["environment"]["device"])
    except (KeyError, TypeError, ValueError) as error:
        raise RecipeError(f"the recipe is incomplete: {error}") from error
    sides = config.size if isinstance(config.size, tuple) else (config.size or 0,)
    if max(sides) > MAX_SIDE or not 1 <= shape <= MAX_BATCH:
        raise RecipeError(f"the recipe asks for {sides} pixels in batches of {shape}; that is no sensible picture")
    network = model if model is not None else _load(recipe, weights)
    _check_weights(recipe, network, anyway)
    if wanted is not None and init is None:
        raise RecipeError("the picture was started from another one; give it with --init FILE (init=)")
    try:
        run = RunConfig(device=device or _device(was_on), precision=precision, batch_shape=shape)  # type: ignore[arg-type]
        rendering = Rendering(network, objective, config, run, init=init)
    except UsageError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error
    if wanted is not None and rendering.shared.init_sha256 != wanted:
        raise RecipeError("the start picture is not the one that the recipe names (its pixels differ)")
    return rendering


def compare(recipe: dict[str, Any], rendering: Rendering) -> Rerun:
    """What came out, beside what the recipe says came out the first time."""
    picture = rendering.sheet()[0]
    then, now = recipe.get("environment", {}), environment(rendering.arithmetic)
    differences = [f"{key}: {then.get(key)} then, {now[key]} now" for key in now if then.get(key) != now[key]]
    if picture.recipe["model"]["weights"]["sha256"] != recipe["model"]["weights"]["sha256"]:
        differences.insert(0, "other weights")
    same = recipe.get("result", {}).get("pixels_sha256") == pixels_sha256(picture.pixels)
    return Rerun(replace(picture), same, tuple(differences))


@contextmanager
def threads(recipe: dict[str, Any]) -> Iterator[None]:
    """As many threads as the first time: sums over threads round differently."""
    count = recipe.get("environment", {}).get("threads")
    before = torch.get_num_threads()
    if isinstance(count, int) and 1 <= count <= 1024:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _load(recipe: dict[str, Any], weights: str | Path | None) -> Model:
    try:
        source, origin = str(recipe["model"]["source"]), str(recipe["model"]["weights"]["source"])
        spec = from_json(InputSpec, recipe["model"]["input"])
    except (KeyError, TypeError) as error:
        raise RecipeError(f"the recipe does not say which network: {error}") from error
    if not source.startswith(SAFE_SOURCES):
        raise RecipeError(
            f"the recipe's network is Python code, {source!r}, which a picture may not start; "
            "if you trust it, name it yourself: --model MODEL (model=)"
        )
    chosen = weights if weights is not None else ("random" if origin == "random" else None)
    return load(source, weights=chosen, spec=spec)


def _check_weights(recipe: dict[str, Any], model: Model, anyway: bool) -> None:
    try:
        wanted = str(recipe["model"]["weights"]["sha256"])
    except (KeyError, TypeError) as error:
        raise RecipeError(f"the recipe does not say which weights: {error}") from error
    if wanted != model.weights.sha256 and not anyway:
        raise RecipeError(
            f"the weights of {model.name} here ({model.weights.sha256[:12]}) are not the recipe's ({wanted[:12]}); "
            "give --weights FILE, or --allow-different-weights"
        )


def _device(name: str) -> str:
    try:
        return str(find_device(name))
    except UsageError:
        return "auto"
