"""Making a painting, or a picture of a figure, again: from the recipe inside it and the pictures it was made from.

A recipe names its pictures by the SHA-256 of their pixels. Whoever reruns it shows some files, in any order, and each
is known by its pixels: nobody needs to remember which was the content. A picture that is missing or was changed is told
before anything is computed. A picture of a figure is asked for in the figure's own way, from the settings that its
recipe tells; what comes out counts only if its recipe would be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from phosphene.engine.again import (
    MAX_HISTORY,
    MAX_STEPS,
    check_bounds,
    check_variant,
    check_weights,
    differences,
    field,
    recorded_model,
    same_device,
)
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.media import pixels_sha256
from phosphene.models import Model
from phosphene.models.edges import VARIANT as EVEN
from phosphene.models.normalized import VARIANT as NORMALIZED
from phosphene.models.pooling import VARIANT as AVERAGED
from phosphene.objectives import parse
from phosphene.objectives.statistics import Statistic
from phosphene.recipe import (
    ReconstructConfig,
    RunConfig,
    StyleConfig,
    TextureConfig,
    TradeoffConfig,
    check_schema,
    from_json,
)
from phosphene.style import reconstruct, texture, tradeoff
from phosphene.style.api import Painter
from phosphene.style.figure import Work
from phosphene.style.inputs import Given, Inputs, Mask, read
from phosphene.style.job import over_white
from phosphene.style.method import method
from phosphene.style.network import normalized_by_folder
from phosphene.style.painting import Painting
from phosphene.style.reconstruct import Reconstructing
from phosphene.style.record import KIND
from phosphene.style.texture import Texturing
from phosphene.style.tradeoff import Tradeoff

MAX_STYLES = 64
MAX_LAYERS = 256  # that one term compares
MAX_SIDE = 1 << 15  # pixels
DIGITS = 12  # of a SHA-256, in messages


@dataclass(frozen=True)
class Repainted:
    """A painting made again. same: whether all 8-bit levels are equal. differences: what differs since."""

    painting: Painting
    same: bool
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """Files that were given, by the SHA-256 of their pixels."""

    files: dict[str, tuple[Path, Given]]

    def find(self, named: Any, what: str, missing: list[str]) -> tuple[Path, Given] | None:
        """The file of an input as a recipe names it; what is not there is added to `missing`."""
        wanted = field({"inputs": {what: named}}, str, "inputs", what, "sha256")
        found = self.files.get(wanted)
        if found is None:
            missing.append(f"the {what} picture (sha256 {wanted[:DIGITS]})")
        return found


def prepare(
    recipe: dict[str, Any],
    files: Sequence[str | Path] = (),
    *,
    model: Model | None = None,
    weights: str | Path | None = None,
    normalize: str | Path | None = None,
    device: str | None = None,
    anyway: bool = False,
) -> Painter:
    """The painting that a recipe describes, checked and not yet begun.

    files: the pictures and masks that it was made from, in any order. normalize: the folder that its channels were
    measured on, if one was given. model: needed when its network is Python code. anyway: also with other weights.
    Raises RecipeError when the recipe cannot be carried out here.
    """
    check_schema(recipe, "the recipe")
    if recipe.get("kind") != KIND:
        raise RecipeError(f"this recipe is of kind {recipe.get('kind')!r:.80}, not {KIND!r}")
    config = from_json(StyleConfig, field(recipe, dict, "method"), where="method")
    check_bounds(
        {
            "pixels a side": (config.size, 1, MAX_SIDE),
            "pixels a style's side": (round(config.size * config.style_scale), 1, MAX_SIDE),
            "steps": (config.steps or 1, 1, MAX_STEPS),
            "gradient pairs": (config.history or 1, 1, MAX_HISTORY),
        }
    )
    precision, was_on = field(recipe, str, "environment", "precision"), field(recipe, str, "environment", "device")
    inputs = found_inputs(field(recipe, dict, "inputs"), Shown(dict(_known(files))))
    network = model if model is not None else recorded_model(recipe, weights)
    check_weights(recipe, network, anyway=anyway)
    try:
        if normalize is not None:
            network = normalized_by_folder(network, method(config, network)[0], normalize)
        elif any(str(word).startswith(NORMALIZED) for word in recipe["model"].get("variant", [])) and model is None:
            raise RecipeError("its channels were measured on a folder of pictures; give it with --normalize DIR")
        check_variant(recipe, network)
        run = RunConfig(device=device or same_device(was_on), precision=precision)  # type: ignore[arg-type]
        return Painter(network, inputs, config, run)
    except UsageError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error


def compare(recipe: dict[str, Any], painter: Painter, painting: Painting) -> Repainted:
    """What came out, beside what the recipe says came out the first time."""
    result = recipe.get("result")
    same = isinstance(result, dict) and result.get("pixels_sha256") == pixels_sha256(painting.pixels)
    return Repainted(painting, same, differences(recipe, painter.made.model, painter.made.arithmetic))


def found_inputs(named: dict[str, Any], shown: Shown) -> Inputs:
    """The inputs that a recipe names, from files. Raises RecipeError that lists all that are missing."""
    styles = field({"inputs": named}, list, "inputs", "styles")
    if len(styles) > MAX_STYLES:
        raise RecipeError(f"the recipe names {len(styles)} styles; sensible is up to {MAX_STYLES}")
    missing: list[str] = []

    def picture(part: Any, what: str) -> Given | None:
        found = None if part is None else shown.find(part, what, missing)
        return None if found is None else found[1]

    def mask(part: Any, what: str) -> Mask | None:
        found = None if part is None else shown.find(part, what, missing)
        return None if found is None else Mask(found[0], part.get("color"))

    def masks(key: str) -> dict[int, Mask]:
        parts = [(part, mask(part, key.rstrip("s"))) for part in field({"inputs": named}, list, "inputs", key)]
        return {field(part, int, "style"): found for part, found in parts if found is not None}

    content, start = picture(named.get("content"), "content"), picture(named.get("start"), "start")
    pictures = [picture(part, f"style {k}") for k, part in enumerate(styles, 1)]
    drawn, parts, leave = masks("masks"), masks("style_masks"), mask(named.get("leave"), "leave")
    if missing:
        raise RecipeError(f"{', '.join(missing)}: not among the files given; add it with --input FILE")
    try:
        weights = tuple(float(weight) for weight in named.get("weights", []))
        return Inputs(content, tuple(filter(None, pictures)), weights, drawn, parts, leave, start)
    except (UsageError, TypeError, ValueError) as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error


def prepare_figure(
    recipe: dict[str, Any],
    files: Sequence[str | Path] = (),
    *,
    model: Model | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    anyway: bool = False,
) -> Work:
    """The picture of a reconstruction, a texture or a trade-off that a recipe describes, checked and not yet begun.

    Parameters as those of `prepare`. Raises RecipeError when the recipe cannot be carried out here.
    """
    check_schema(recipe, "the recipe")
    if recipe.get("kind") not in FIGURES:
        raise RecipeError(f"this recipe is of kind {recipe.get('kind')!r:.80}, not one of {', '.join(FIGURES)}")
    precision, was_on = field(recipe, str, "environment", "precision"), field(recipe, str, "environment", "device")
    pictures = _pictures(recipe, files)
    network = model if model is not None else recorded_model(recipe, weights)
    check_weights(recipe, network, anyway=anyway)
    try:
        run = RunConfig(device=device or same_device(was_on), precision=precision)  # type: ignore[arg-type]
        work = FIGURES[recipe["kind"]](recipe, network, pictures, run)
    except UsageError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error
    check_variant(recipe, work.figure.model)
    if not work.figure.narrow(recipe):
        raise RecipeError("the recipe cannot be carried out: its parts contradict each other")
    return work


def compare_figure(recipe: dict[str, Any], work: Work) -> tuple[bool, tuple[str, ...]]:
    """Whether all 8-bit levels are those of the first time, and what differs since."""
    result, figure = recipe.get("result"), work.figure
    same = isinstance(result, dict) and result.get("pixels_sha256") == pixels_sha256(figure.panels[0].pixels)
    return same, differences(recipe, figure.model, figure.arithmetic)


Pictures: TypeAlias = dict[str, Tensor]


def _reconstruction(recipe: dict[str, Any], network: Model, pictures: Pictures, run: RunConfig) -> Work:
    layers = ",".join(_layers(recipe, reconstruct.LOSS))
    pooling = "average" if _is_varied(recipe, AVERAGED) else "max"
    told = {"content_layers": layers, "style_layers": layers, "pooling": pooling}
    config = from_json(ReconstructConfig, _told(recipe) | told, where="method")
    return Reconstructing(network, _named(pictures, reconstruct.ORIGINAL), config, run)


def _is_varied(recipe: dict[str, Any], word: str) -> bool:
    """Whether the recipe's network was changed in that way."""
    variant = recipe["model"].get("variant")
    return isinstance(variant, list) and word in variant


def _texture(recipe: dict[str, Any], network: Model, pictures: Pictures, run: RunConfig) -> Work:
    edges = "replicated" if _is_varied(recipe, EVEN) else "own"
    told = _told(recipe) | {"style_layers": ",".join(_layers(recipe, reconstruct.LOSS)), "edges": edges}
    settings = field(recipe, dict, "method")
    config = from_json(TextureConfig, {**settings, **told, "size": settings["size"]}, where="method")
    check_bounds({"pixels of the example's side": (round(told["size"] * config.scale), 0, MAX_SIDE)})
    return Texturing(network, _named(pictures, texture.EXAMPLE), config, run)


def _tradeoff(recipe: dict[str, Any], network: Model, pictures: Pictures, run: RunConfig) -> Work:
    normalized = field(recipe, list, "method", "normalized") or _layers(recipe, tradeoff.STYLE)
    told = _told(recipe) | {
        "content_layer": _layers(recipe, tradeoff.CONTENT)[0],
        "style_layers": ",".join(map(str, normalized)),
        "ratios": repr(field(recipe, dict, "target", tradeoff.CONTENT).get("weight")),
    }
    config = from_json(TradeoffConfig, {**field(recipe, dict, "method"), **told}, where="method")
    content, style = _named(pictures, tradeoff.CONTENT), _named(pictures, tradeoff.STYLE)
    return Tradeoff(network, content, style, config, run)


FIGURES: dict[str, Callable[[dict[str, Any], Model, Pictures, RunConfig], Work]] = {
    reconstruct.KIND: _reconstruction,
    texture.KIND: _texture,
    tradeoff.KIND: _tradeoff,
}


def _pictures(recipe: dict[str, Any], files: Sequence[str | Path]) -> Pictures:
    """The pictures that a figure's recipe names, (3, h, w). Raises RecipeError that lists all that are missing."""
    known = {pixels_sha256(opaque): opaque for opaque in (over_white(given.pixels) for _, (_, given) in _known(files))}
    named = {role: field(recipe, str, "inputs", role) for role in field(recipe, dict, "inputs")}
    missing = [
        f"the {role} picture (sha256 {sha256[:DIGITS]})" for role, sha256 in named.items() if sha256 not in known
    ]
    if missing:
        raise RecipeError(f"{', '.join(missing)}: not among the files given; add it with --input FILE")
    return {role: known[sha256] for role, sha256 in named.items()}


def _named(pictures: Pictures, role: str) -> Tensor:
    if role not in pictures:
        raise RecipeError(f"the recipe names no {role} picture")
    return pictures[role]


def _told(recipe: dict[str, Any]) -> dict[str, Any]:
    """Size, steps and seed as every figure's settings have them, within bounds."""
    sides = field(recipe, list, "method", "size")
    if len(sides) != 2 or not all(type(side) is int for side in sides):
        raise RecipeError(f"the recipe's method.size must be height and width, got {sides!r:.80}")
    steps, seed = field(recipe, int, "method", "steps"), field(recipe, int, "method", "seed")
    check_bounds({"pixels a side": (max(sides), 1, MAX_SIDE), "steps": (steps, 1, MAX_STEPS)})
    return {"size": max(sides), "steps": steps, "seed": seed}


def _layers(recipe: dict[str, Any], term: str) -> list[str]:
    """The layers that a term of the target compares, in its own order. Raises RecipeError for any other target."""
    text = field(recipe, str, "target", term, "text")
    try:
        found = [leaf.layer for leaf in parse(text).leaves() if isinstance(leaf, Statistic)]
    except PhospheneError as error:
        raise RecipeError(f"the recipe's target.{term} cannot be read: {error}") from error
    if not found or len(found) > MAX_LAYERS:
        raise RecipeError(f"the recipe's target.{term} compares {len(found)} layers; sensible is 1 .. {MAX_LAYERS}")
    return found


def _known(files: Sequence[str | Path]) -> Iterator[tuple[str, tuple[Path, Given]]]:
    for file in files:
        given = read(file, "input")
        yield given.sha256, (Path(file), given)
