"""`phosphene info` and `rerun`: pictures and sounds explained, and made again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.audio import rerun as composed
from phosphene.cli import audio as sounds
from phosphene.cli import audio_made
from phosphene.cli import dream as dreams
from phosphene.cli.console import Screen, relative
from phosphene.cli.options import Json, Quiet, Weights
from phosphene.cli.reconstruct import show as show_figure
from phosphene.cli.render import INTERRUPTED, entry, show, start_picture, stopping
from phosphene.cli.watch import PaintMeter
from phosphene.deepdream import rerun as dreamt
from phosphene.deepdream.api import KIND as DREAM
from phosphene.engine.again import field, read_recipe, recorded_model, threads
from phosphene.errors import RecipeError
from phosphene.features import rerun as feature
from phosphene.features import sound_rerun as heard
from phosphene.features.sounding import KIND as SOUND
from phosphene.files import ensure_folder, safe_name
from phosphene.models import AudioSpec, Model
from phosphene.recipe import from_json
from phosphene.style import rerun as painted
from phosphene.style.api import Finished
from phosphene.style.painting import summary
from phosphene.style.record import KIND as STYLE
from phosphene.style.transfer import StepDone

FEATURE = "feature"
KINDS = (FEATURE, SOUND, DREAM, STYLE, *painted.FIGURES, *composed.KINDS)


@dataclass(frozen=True)
class Asked:
    """What a rerun is given besides the recipe."""

    file: Path
    out: Path
    model: Model | None
    weights: str | None
    init: Path | None
    inputs: tuple[Path, ...]
    normalize: Path | None
    device: str | None
    anyway: bool


def info(file: Path, /, *, as_json: Json = False, quiet: Quiet = False) -> int:
    """Show the recipe inside a picture or a sound: the network, the target, the method, how it went.

    Parameters
    ----------
    file
        A picture or sound that phosphene made, or its .json.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    recipe = read_recipe(file)
    if as_json:
        screen.json(recipe)
        return 0
    for name, value in flattened(recipe):
        screen.result(f"{name:34} {value}")
    return 0


def flattened(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested data as dotted names and short values."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flattened(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        text = str(value)
        yield prefix, text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def rerun(
    file: Path,
    /,
    *,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/rerun"),
    model: Annotated[str | None, Parameter(group="Network")] = None,
    weights: Weights = None,
    init: Annotated[Path | None, Parameter(group="Picture")] = None,
    input: Annotated[tuple[Path, ...], Parameter(group="Picture")] = (),
    normalize: Annotated[Path | None, Parameter(group="Network")] = None,
    device: Annotated[str | None, Parameter(group="Machine")] = None,
    allow_different_weights: Annotated[bool, Parameter(negative="", group="Network")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Make a picture or a sound again from the recipe inside it, and say whether it is the same.

    Parameters
    ----------
    file
        A picture that phosphene made, or its .json.
    out
        Folder for the new picture or sound.
    model
        The network, when the recipe names Python code: a picture may not start that by itself.
    init
        The picture or recording that it was started from, if any.
    input
        A picture, mask or recording that it was made from, or that its target looks at; each is known by its content,
        so any order will do.
    normalize
        The folder of pictures that channels were measured on, if any.
    device
        Another device than the first time.
    allow_different_weights
        Go on although the weights are not the ones that the recipe names.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    recipe = read_recipe(file)
    kind = recipe.get("kind")
    if kind not in KINDS:
        raise RecipeError(f"cannot rerun a recipe of kind {kind!r:.80}; this version knows {', '.join(KINDS)}")
    network = recorded_model(recipe, weights, named=model) if model is not None else None
    asked = Asked(file, out, network, weights, init, input, normalize, device, allow_different_weights)
    if kind == FEATURE:
        return rerender(recipe, asked, screen)
    if kind == SOUND:
        return resound(recipe, asked, screen)
    if kind == DREAM:
        return redream(recipe, asked, screen)
    if kind in composed.KINDS:
        return recompose(recipe, asked, screen)
    return (repaint if kind == STYLE else redraw)(recipe, asked, screen)


def rerender(recipe: dict[str, Any], asked: Asked, screen: Screen) -> int:
    """A picture of feature visualization, made again."""
    start = None
    if asked.init is not None:
        channels = field(recipe, int, "model", "input", "channels")
        alpha = field(recipe, dict, "method", "signal").get("alpha") is True
        start = start_picture(asked.init, channels, alpha=alpha)
    rendering = feature.prepare(
        recipe,
        model=asked.model,
        weights=asked.weights,
        init=start,
        pictures=[seen_as(recipe, file) for file in asked.inputs],
        device=asked.device,
        anyway=asked.anyway,
    )
    ensure_folder(asked.out)
    with threads(recipe):
        stopped = show(rendering, screen)
    if stopped:
        return interrupted(screen)
    again = feature.compare(recipe, rendering)
    picture = again.picture.save(asked.out / (safe_name(again.picture.target) + ".png"))
    said = f"{relative(picture.path)}  {picture.target}  activation {picture.activation:.4g}"
    tell(screen, entry(picture), said, again.same, again.differences)
    return 0


def seen_as(recipe: dict[str, Any], file: Path) -> Any:
    """A picture that a target looks at, as (c, h, w) for the recipe's network."""
    return start_picture(file, field(recipe, int, "model", "input", "channels"), alpha=False, option="--input")


def resound(recipe: dict[str, Any], asked: Asked, screen: Screen) -> int:
    """A clip for a unit of a network that hears, made again."""
    start = None
    if asked.init is not None:
        spec = from_json(AudioSpec, field(recipe, dict, "model", "input"), where="model.input")
        start = sounds.start_sound(asked.init, spec, screen)
    work = heard.prepare(
        recipe, model=asked.model, weights=asked.weights, device=asked.device, anyway=asked.anyway, init=start
    )
    ensure_folder(asked.out)
    with threads(recipe):
        stopped = sounds.show(work, screen)
    if stopped:
        return interrupted(screen)
    clip, same, differences = heard.compare(recipe, work)
    clip = clip.save(asked.out / (safe_name(clip.target) + ".wav"))
    tell(screen, sounds.entry(clip), sounds.said(clip), same, differences, "samples")
    return 0


def recompose(recipe: dict[str, Any], asked: Asked, screen: Screen) -> int:
    """A sound made from recordings, made again from the recordings that are given."""
    work = composed.prepare(
        recipe, asked.inputs, model=asked.model, weights=asked.weights, device=asked.device, anyway=asked.anyway
    )
    ensure_folder(asked.out)
    with threads(recipe):
        stopped = audio_made.show(work, screen)
    if stopped and not work.complete:
        return interrupted(screen)
    same, differences = composed.compare(recipe, work)
    sound = work.sounds[0].save(asked.out / f"{asked.file.stem}.wav")
    said = "  ".join([str(relative(sound.path)), *audio_made.said(sound)])
    tell(screen, audio_made.entry(sound), said, same, differences, "samples")
    return 0


def repaint(recipe: dict[str, Any], asked: Asked, screen: Screen) -> int:
    """A painting of style transfer, made again from the pictures that are shown."""
    painter = painted.prepare(
        recipe,
        asked.inputs,
        model=asked.model,
        weights=asked.weights,
        normalize=asked.normalize,
        device=asked.device,
        anyway=asked.anyway,
    )
    ensure_folder(asked.out)
    painting = None
    with threads(recipe), PaintMeter(screen) as meter, stopping(painter) as stopped:
        meter.begin(asked.file.name)
        for event in painter:
            if isinstance(event, StepDone):
                meter.show(event, painter.transfer)
            elif isinstance(event, Finished):
                painting = event.painting
    if stopped or painting is None:
        return interrupted(screen)
    again = painted.compare(recipe, painter, painting)
    written = painting.save(asked.out / f"{asked.file.stem}.png")
    said = f"{relative(written.path)}  loss {painting.losses['total']:.4g}"
    tell(screen, {"path": relative(written.path), **summary(painting.recipe)}, said, again.same, again.differences)
    return 0


def redraw(recipe: dict[str, Any], asked: Asked, screen: Screen) -> int:
    """A picture of a reconstruction, a texture or a trade-off, made again from the pictures that are shown."""
    work = painted.prepare_figure(
        recipe, asked.inputs, model=asked.model, weights=asked.weights, device=asked.device, anyway=asked.anyway
    )
    ensure_folder(asked.out)
    with threads(recipe):
        show_figure(work, screen)
    if not work.complete:
        return interrupted(screen)
    same, differences = painted.compare_figure(recipe, work)
    panel = work.figure.panels[0].save(asked.out / f"{asked.file.stem}.png")
    result = {"path": relative(panel.path), "losses": dict(panel.losses), "psnr": panel.psnr, "seconds": panel.seconds}
    said = "  ".join([str(relative(panel.path)), *(f"{name} {loss:.4g}" for name, loss in panel.losses.items())])
    tell(screen, result, said, same, differences)
    return 0


def redream(recipe: dict[str, Any], asked: Asked, screen: Screen) -> int:
    """A dream, made again from the pictures that are shown."""
    again = dreamt.prepare(
        recipe, asked.inputs, model=asked.model, weights=asked.weights, device=asked.device, anyway=asked.anyway
    )
    ensure_folder(asked.out)
    with threads(recipe):
        _, stopped = dreams.show(again.work, screen)
    if stopped:
        return interrupted(screen)
    made, same, differences = again.result()
    written = made.save(asked.out / f"{asked.file.stem}.png")
    said = f"{relative(written.path)}  {written.target}  score {written.after:.4g}"
    tell(screen, dreams.entry(written), said, same, differences)
    return 0


def interrupted(screen: Screen) -> int:
    """Say that nothing came of it."""
    screen.say("interrupted; nothing was written")
    return INTERRUPTED


def tell(
    screen: Screen,
    result: dict[str, Any],
    said: str,
    same: bool,
    differences: tuple[str, ...],
    parts: str = "pixels",
) -> None:
    """The new picture or sound on stdout, and whether it is the old one."""
    for difference in differences:
        screen.say(f"differs: {difference}")
    if screen.as_json:
        screen.json({**result, f"same_{parts}": same, "differences": list(differences)})
    else:
        screen.result(f"{said}  {'the same' if same else 'not the same'} {parts}")
