"""Units of one layer in the middle of the network, one picture each.

Source: Olah et al. 2017, Feature Visualization (Distill), the channel objective.
"""

from __future__ import annotations

from phosphene.demo.choice import SHEET_UNITS, layer_name, middle_layer, unit_target
from phosphene.demo.piece import Piece, Stage, Take, Work, short

STEPS = 96  # textures settle sooner than classes


def make(stage: Stage) -> Work:
    """The first units of the layer, in their order: nothing is picked by hand."""
    layer = middle_layer(stage.model)
    if layer is None:
        return PIECE.section(note=f"{stage.model.name} has no layer with maps, so there are no units to show here.")
    count = min(SHEET_UNITS, layer.channels)
    take = Take((unit_target(layer, *range(count)),), STEPS)
    sheet = yield from stage.render(take)
    figures = (
        stage.figure(picture, (f"unit {picture.unit}", f"activation {short(picture.activation)}")) for picture in sheet
    )
    units = f"the first {count} of its {layer.channels} units" if count < layer.channels else f"all its {count} units"
    return PIECE.section(
        text=(
            f"`{layer_name(layer)}` lies in the middle of the network, where trained ones are past edges and plain "
            f"colors and not yet at whole things. These are {units}, as they come and not the best of them. Each "
            "picture raises one unit, on average over all its positions.",
        ),
        figures=tuple(figures),
        commands=(stage.command(take),),
        columns=6,
    )


PIECE = Piece("layer", "Units of one layer", SHEET_UNITS * STEPS, make)
