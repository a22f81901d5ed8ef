"""Making a sound again: from the recipe inside it and the recordings that it was made from.

A recipe names its recordings by the SHA-256 of their samples as the network hears them; whoever reruns it shows some
files, in any order. The recipe is a stranger's data (`engine/again.py`): the sound is asked for in its own way, from
the settings that the recipe tells, and what comes out counts only if its recipe would be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from phosphene.audio import reconstruct, style, texture
from phosphene.audio.config import SoundReconstructConfig, SoundStyleConfig, SoundTextureConfig
from phosphene.audio.reconstruct import SoundReconstructing
from phosphene.audio.recording import Recording, read
from phosphene.audio.style import SoundStyling
from phosphene.audio.synthesis import Synthesis
from phosphene.audio.terms import CONTENT, ORIGINAL, STYLE
from phosphene.audio.texture import SoundTexturing
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
from phosphene.errors import RecipeError, UsageError
from phosphene.media import samples_sha256
from phosphene.models import Model
from phosphene.recipe import RunConfig, check_schema, from_json

DIGITS = 12  # of a SHA-256, in messages

Recordings = dict[str, Recording]


def prepare(
    recipe: dict[str, Any],
    files: Sequence[str | Path] = (),
    *,
    model: Model | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    anyway: bool = False,
) -> Synthesis:
    """The sound that a recipe describes, checked and not yet begun.

    files: the recordings that it was made from, in any order. model: needed when its network is Python code. anyway:
    also with other weights. Raises RecipeError when the recipe cannot be carried out here.
    """
    check_schema(recipe, "the recipe")
    if recipe.get("kind") not in KINDS:
        raise RecipeError(f"this recipe is of kind {recipe.get('kind')!r:.80}, not one of {', '.join(KINDS)}")
    method = field(recipe, dict, "method")
    was_on = field(recipe, str, "environment", "device")
    check_bounds(
        {
            "steps": (field(recipe, int, "method", "steps"), 1, MAX_STEPS),
            "gradient pairs": (field(recipe, int, "method", "history"), 1, MAX_HISTORY),
        }
    )
    network = model if model is not None else recorded_model(recipe, weights)
    check_weights(recipe, network, anyway=anyway)
    check_variant(recipe, network)
    recordings = _recordings(recipe, files, network)
    try:
        name = field(recipe, str, "name")
        work = KINDS[recipe["kind"]](method, name, network, recordings, RunConfig(device or same_device(was_on)))
    except UsageError as error:
        raise RecipeError(f"the recipe cannot be carried out: {error}") from error
    if not work.narrow(recipe):
        raise RecipeError("the recipe cannot be carried out: its parts contradict each other")
    return work


def compare(recipe: dict[str, Any], work: Synthesis) -> tuple[bool, tuple[str, ...]]:
    """Whether all samples are those of the first time, and what differs since."""
    result = recipe.get("result")
    same = isinstance(result, dict) and result.get("samples_sha256") == samples_sha256(work.sounds[0].sound)
    return same, differences(recipe, work.model, work.arithmetic)


def _texture(method: dict[str, Any], name: str, network: Model, recordings: Recordings, run: RunConfig) -> Synthesis:
    config = from_json(SoundTextureConfig, method, where="method")
    return SoundTexturing(network, _named(recordings, STYLE), config, run, name=name)


def _style(method: dict[str, Any], name: str, network: Model, recordings: Recordings, run: RunConfig) -> Synthesis:
    config = from_json(SoundStyleConfig, method, where="method")
    return SoundStyling(network, _named(recordings, CONTENT), _named(recordings, STYLE), config, run, name=name)


def _reconstruction(
    method: dict[str, Any], name: str, network: Model, recordings: Recordings, run: RunConfig
) -> Synthesis:
    config = from_json(SoundReconstructConfig, method, where="method")
    return SoundReconstructing(network, _named(recordings, ORIGINAL), config, run)


KINDS: dict[str, Callable[[dict[str, Any], str, Model, Recordings, RunConfig], Synthesis]] = {
    texture.KIND: _texture,
    style.KIND: _style,
    reconstruct.KIND: _reconstruction,
}


def _named(recordings: Recordings, role: str) -> Recording:
    if role not in recordings:
        raise RecipeError(f"the recipe names no {role} recording")
    return recordings[role]


def _recordings(recipe: dict[str, Any], files: Sequence[str | Path], network: Model) -> Recordings:
    """The recordings that a recipe names. Raises RecipeError that lists all that are missing."""
    given = [read(file, "input", network) for file in files]
    known = {recording.sha256: recording for recording in given}
    named = {role: field(recipe, str, "inputs", role) for role in field(recipe, dict, "inputs")}
    missing = [f"the {role} recording (sha256 {sha[:DIGITS]})" for role, sha in named.items() if sha not in known]
    if missing:
        raise RecipeError(f"{', '.join(missing)}: not among the files given; add it with --input FILE")
    return {role: known[sha] for role, sha in named.items()}
