"""One picture as it grows: a film, and the steps at which it was looked at."""

from __future__ import annotations

from phosphene.demo.choice import class_targets, has_classes, middle_layer, pick_classes, unit_target
from phosphene.demo.piece import Piece, Stage, Take, Work, short

STEPS = 192  # longer than elsewhere: the film shows when the picture has settled
SNAPSHOTS = (1, 8, 32, 96)  # crowded where it changes fast; the last step is the picture itself
WANTED = ("spiral",)


def make(stage: Stage) -> Work:
    """The film, the snapshots and the finished picture, of a class or else of a unit."""
    target = subject(stage)
    if target is None:
        return PIECE.section(
            note=f"{stage.model.name} has neither classes nor a layer with maps: nothing to watch here."
        )
    take = Take((target,), STEPS, snapshots=SNAPSHOTS, animate=True)
    (picture,) = yield from stage.render(take)
    film = stage.figure(picture, ("the film",), suffix=".webp")
    kept = [stage.figure(picture, (f"step {step}",), suffix=f".step{step:05d}.png") for step in SNAPSHOTS]
    last = stage.figure(picture, (f"step {STEPS}", f"activation {short(picture.activation)}"))
    return PIECE.section(
        text=(
            f"`{target}`, from faint noise to the finished picture. Most happens early, so the steps shown are further "
            "and further apart, and the film runs slower at its start.",
        ),
        figures=(film, *kept, last),
        commands=(stage.command(take),),
        columns=6,
    )


def subject(stage: Stage) -> str | None:
    """The target whose picture is watched."""
    if has_classes(stage.model):
        return class_targets(stage.model, pick_classes(stage.model, 1, WANTED))[0]
    layer = middle_layer(stage.model)
    return unit_target(layer, 0) if layer is not None else None


PIECE = Piece("animation", "How a picture grows", STEPS, make)
