"""Making a picture again from the recipe inside it.

On a CPU with the same versions the pixels come out equal to the bit: the recipe holds the seed, the settings, the batch
shape, the thread count and the arithmetic. Where something differs, `Rerun.differences` says what. The recipe is a
stranger's data: it names registry models only, never code to import, and its numbers are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

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

SAFE_SOURCES = ("torchvision:", "timm:")  # names that load no code of the recipe's choice

# larger numbers in a recipe are an attack or an accident
MAX_BATCH_PIXELS = 1 << 29  # of all pictures of a batch: 6 GB of float32 RGB
MAX_STEPS = 1_000_000
MAX_CROPS = 1024
MAX_HISTORY = 10_000  # gradient pairs
MAX_CHANNELS = 4096
MAX_INPUT_SIDE = 4096  # pixels of the network's own input
MAX_THREADS = 1024

T = TypeVar("T")
NAMES: dict[type, str] = {dict: "an object", str: "text", int: "a whole number"}


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
        raise RecipeError(f"cannot rerun a recipe of kind {recipe.get('kind')!r:.80}; this version knows 'feature'")
    config = from_json(RenderConfig, field(recipe, dict, "method"), where="method")
    shape = field(recipe, int, "batch_shape")
    _check_numbers(config, shape)
    objective = from_data(field(recipe, dict, "target", "data"))
    precision = field(recipe, str, "environment", "precision")
    was_on = field(recipe, str, "environment", "device")
    wanted = recipe["inputs"].get("init_sha256") if isinstance(recipe.get("inputs"), dict) else None
    network = model if model is not None else _load(recipe, weights)
    _check_weights(recipe, network, anyway)
    if wanted is not None and init is None:
        raise RecipeError("the picture was started from another one; give it with --init FILE (init=)")
    try:
        run = RunConfig(device=device or _device(was_on), precision=precision, batch_shape=shape)  # type: ignore[arg-type]
        rendering = Rendering(network, objective, config, run, init=init)
    except UsageError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error
    if rendering.plan.rows != 1:
        raise RecipeError(f"a recipe makes one picture, this one asks for {rendering.plan.rows}")
    if rendering.shared.init_sha256 != wanted:
        raise RecipeError(
            "the start picture is not the one that the recipe names (its pixels differ, or it names none)"
        )
    return rendering


def compare(recipe: dict[str, Any], rendering: Rendering) -> Rerun:
    """What came out, beside what the recipe says came out the first time."""
    picture = rendering.sheet()[0]
    then, now = field(recipe, dict, "environment"), environment(rendering.arithmetic)
    differences = [f"{key}: {then.get(key)!s:.80} then, {now[key]} now" for key in now if then.get(key) != now[key]]
    if rendering.plan.model.weights.sha256 != field(recipe, str, "model", "weights", "sha256"):
        differences.insert(0, "other weights")
    result = recipe.get("result")
    same = isinstance(result, dict) and result.get("pixels_sha256") == pixels_sha256(picture.pixels)
    return Rerun(picture, same, tuple(differences))


@contextmanager
def threads(recipe: dict[str, Any]) -> Iterator[None]:
    """As many threads as the first time: sums over threads round differently."""
    count = field(recipe, dict, "environment").get("threads")
    before = torch.get_num_threads()
    if isinstance(count, int) and 1 <= count <= MAX_THREADS:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def field(recipe: dict[str, Any], kind: type[T], *path: str) -> T:
    """A part of an untrusted recipe; RecipeError that names it when it is absent or of another type."""
    value: Any = recipe
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "it is absent" if value is None else f"got {value!r:.80}"
        raise RecipeError(f"the recipe's {'.'.join(path)} must be {NAMES[kind]}, {found}")
    return value


def _check_numbers(config: RenderConfig, shape: int) -> None:
    height, width = config.canvas((0, 0))
    bounds = {
        "batch_shape": (shape, 1, MAX_BATCH_PIXELS),
        "pixels in a batch": (shape * height * width, 1, MAX_BATCH_PIXELS),
        "steps": (config.steps, 1, MAX_STEPS),
        "crops": (config.transform.crops or 1, 1, MAX_CROPS),
        "history": (config.optimizer.history, 1, MAX_HISTORY),
    }
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise RecipeError(f"the recipe asks for {value} {name}; sensible is {least} .. {most}")


def _load(recipe: dict[str, Any], weights: str | Path | None) -> Model:
    source, origin = field(recipe, str, "model", "source"), field(recipe, str, "model", "weights", "source")
    if not source.startswith(SAFE_SOURCES):
        raise RecipeError(
            f"the recipe's network is Python code, {source!r:.80}, which a picture may not start; "
            "if you trust it, name it yourself: --model MODEL (model=)"
        )
    channels = field(recipe, int, "model", "input", "channels")
    if not 1 <= channels <= MAX_CHANNELS:
        raise RecipeError(f"the recipe's network takes {channels} channels; sensible is 1 .. {MAX_CHANNELS}")
    spec = from_json(InputSpec, field(recipe, dict, "model", "input"), where="model.input")
    if max(spec.size) > MAX_INPUT_SIDE:
        raise RecipeError(f"the recipe's network takes {max(spec.size)} pixels; sensible is up to {MAX_INPUT_SIDE}")
    chosen = weights if weights is not None else ("random" if origin == "random" else None)
    return load(source, weights=chosen, spec=spec)


def _check_weights(recipe: dict[str, Any], model: Model, anyway: bool) -> None:
    wanted = field(recipe, str, "model", "weights", "sha256")
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
