"""What every kind of recipe needs to be carried out again: its text, its network, its threads, its circumstances.

A recipe is a stranger's data. It names registry models only, never code to import; its numbers are bounded; each part
is looked at by type before it is used. On a CPU with the same versions the pixels come out equal to the bit: sums over
threads round differently, so a rerun takes as many threads as the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from phosphene.engine.batching import Arithmetic, find_device
from phosphene.engine.environment import environment
from phosphene.errors import RecipeError, UsageError
from phosphene.metadata import parse_untrusted_json, read_recipe_text
from phosphene.models import AudioSpec, InputSpec, Model, load
from phosphene.recipe import check_schema, from_json

SAFE_SOURCES = ("phosphene:", "torchvision:", "timm:")  # names that load no code of the recipe's choice
HUB = "hf:"  # names that would load anybody's files

# larger numbers in a recipe are an attack or an accident
MAX_STEPS = 1_000_000
MAX_HISTORY = 10_000  # gradient pairs
MAX_CHANNELS = 4096
MAX_INPUT_SIDE = 4096  # pixels of the network's own input
MAX_SAMPLES = 10_000_000  # of its own clips
MAX_THREADS = 1024

T = TypeVar("T")
NAMES: dict[type, str] = {dict: "an object", list: "a list", str: "text", int: "a whole number"}


def read_recipe(path: str | Path) -> dict[str, Any]:
    """The recipe of a picture, from inside it or from NAME.json; RecipeError when there is none that can be read."""
    recipe = parse_untrusted_json(read_recipe_text(path))
    check_schema(recipe, Path(path).name)
    return recipe


def field(recipe: dict[str, Any], kind: type[T], *path: str) -> T:
    """A part of an untrusted recipe; RecipeError that names it when it is absent or of another type."""
    value: Any = recipe
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "it is absent" if value is None else f"got {value!r:.80}"
        raise RecipeError(f"the recipe's {'.'.join(path)} must be {NAMES[kind]}, {found}")
    return value


def check_bounds(bounds: dict[str, tuple[int, int, int]]) -> None:
    """Raise RecipeError unless each (value, least, most) is in order."""
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise RecipeError(f"the recipe asks for {value} {name}; sensible is {least} .. {most}")


def recorded_model(recipe: dict[str, Any], weights: str | Path | None, *, named: str | None = None) -> Model:
    """The network that a recipe names, loaded here, with the input that the recipe tells.

    named: the network instead, by whom it may run code of its own. RecipeError when the recipe would choose that code.
    """
    source, origin = field(recipe, str, "model", "source"), field(recipe, str, "model", "weights", "source")
    if named is None and source.startswith(HUB):
        raise RecipeError(
            f"the recipe's network is {source!r:.80}, and a file starts no download of its own choice; "
            "if you trust it, name it yourself: --model MODEL (model=)"
        )
    if named is None and not source.startswith(SAFE_SOURCES):
        raise RecipeError(
            f"the recipe's network is Python code, {source!r:.80}, which a picture may not start; "
            "if you trust it, name it yourself: --model MODEL (model=)"
        )
    channels = field(recipe, int, "model", "input", "channels")
    if not 1 <= channels <= MAX_CHANNELS:
        raise RecipeError(f"the recipe's network takes {channels} channels; sensible is 1 .. {MAX_CHANNELS}")
    chosen = weights if weights is not None else ("random" if origin == "random" else None)
    return load(named or source, weights=chosen, spec=_recorded_spec(field(recipe, dict, "model", "input")))


def _recorded_spec(given: dict[str, Any]) -> InputSpec | AudioSpec:
    """What the recipe's network takes: a sound has a rate."""
    if "rate" in given:
        heard = from_json(AudioSpec, given, where="model.input")
        if max(heard.samples, heard.rate) > MAX_SAMPLES:
            raise RecipeError(f"the recipe's network takes {heard.samples} samples; sensible is up to {MAX_SAMPLES}")
        return heard
    spec = from_json(InputSpec, given, where="model.input")
    if max(spec.size) > MAX_INPUT_SIDE:
        raise RecipeError(f"the recipe's network takes {max(spec.size)} pixels; sensible is up to {MAX_INPUT_SIDE}")
    return spec


def check_weights(recipe: dict[str, Any], model: Model, *, anyway: bool) -> None:
    """Raise RecipeError unless the weights are the recipe's, or are let pass."""
    wanted = field(recipe, str, "model", "weights", "sha256")
    if wanted != model.weights.sha256 and not anyway:
        raise RecipeError(
            f"the weights of {model.name} here ({model.weights.sha256[:12]}) are not the recipe's ({wanted[:12]}); "
            "give --weights FILE, or --allow-different-weights"
        )


def check_variant(recipe: dict[str, Any], model: Model) -> None:
    """The same weights make another network with other pooling or other scales: the SHA-256 does not tell."""
    wanted, here = recipe["model"].get("variant", []), list(model.variant)
    if wanted != here:
        raise RecipeError(
            f"the recipe's network was changed in Python, {wanted!r:.120}, and {model.name} here is {here!r:.120}; "
            "change it in the same way and give it (model=)"
        )


def same_device(name: str) -> str:
    """The device that was used, if it is here; else auto."""
    try:
        return str(find_device(name))
    except UsageError:
        return "auto"


@contextmanager
def threads(recipe: dict[str, Any]) -> Iterator[None]:
    """As many threads as the first time."""
    count = field(recipe, dict, "environment").get("threads")
    before = torch.get_num_threads()
    if isinstance(count, int) and 1 <= count <= MAX_THREADS:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def differences(recipe: dict[str, Any], model: Model, arithmetic: Arithmetic) -> tuple[str, ...]:
    """What is not as it was the first time, in words."""
    then, now = field(recipe, dict, "environment"), environment(arithmetic)
    found = [f"{key}: {then.get(key)!s:.80} then, {now[key]} now" for key in now if then.get(key) != now[key]]
    other = model.weights.sha256 != field(recipe, str, "model", "weights", "sha256")
    return ("other weights", *found) if other else tuple(found)
