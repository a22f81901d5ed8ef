"""Several pictures of one unit that differ: a picture is a facet of a unit and not the whole.

Source: Olah et al. 2017, Feature Visualization (Distill), "Diversity".
"""

from __future__ import annotations

from phosphene.demo.choice import class_targets, has_classes, middle_layer, pick_classes, unit_target
from phosphene.demo.piece import Piece, Stage, Take, Work, short
from phosphene.features.diversity import SHORT

STEPS = 96
COUNT = 4
WEIGHT = 0.1  # a tenth of what the unit rises: they part, and all stay pictures of it
WANTED = ("face",)


def make(stage: Stage) -> Work:
    """Four pictures of one class, or of one unit where there are no classes."""
    layer = middle_layer(stage.model)
    if layer is None:
        return PIECE.section(
            note=f"{stage.model.name} has no layer with maps, so there is nowhere to compare pictures."
        )
    if has_classes(stage.model):
        target = class_targets(stage.model, pick_classes(stage.model, 1, WANTED))[0]
    else:
        target = unit_target(layer, 0)
    take = Take((target,), STEPS, diversity=COUNT, diversity_weight=WEIGHT)
    sheet = yield from stage.render(take)
    return PIECE.section(
        text=(
            f"Four pictures of `{target}`, made together. Each pays for being like the others: for having the same "
            "features together, wherever they are. Where a unit looks for one thing alone, they stay alike; where it "
            "looks for several, each shows another.",
        ),
        figures=tuple(
            stage.figure(picture, (f"{k} of {COUNT}", f"activation {short(picture.activation)}"))
            for k, picture in enumerate(sheet, start=1)
        ),
        commands=(stage.command(take),),
    )


PIECE = Piece("diversity", "Four pictures of one unit", COUNT * STEPS + SHORT, make)
