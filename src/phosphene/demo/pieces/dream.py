"""A dream: whatever a layer sees in noise, and then more of it.

Source: Mordvintsev, Olah and Tyka 2015, "Inceptionism" (DeepDream).
"""

from __future__ import annotations

from phosphene.deepdream.config import DreamConfig
from phosphene.deepdream.octaves import octaves
from phosphene.demo.choice import lacks_style, sides, takes
from phosphene.demo.dreamed import DreamTake
from phosphene.demo.piece import Piece, Stage, Work, short
from phosphene.models import style_layers

SIDE = 192  # pixels: three times the coarsest octave
STEPS = 24
LR = 0.02  # twice the usual: there is no picture to keep
COST = 220  # picture-steps of a rendering at the usual size that take as long, by minivgg


def make(stage: Stage) -> Work:
    """A dream of the deepest layer that stands for style."""
    lack = lacks_style(stage.model)
    if lack:
        return PIECE.section(note=lack)
    layer = style_layers(stage.model)[1][-1]
    side, ladder = sides(stage.model, stage.size, SIDE)
    coarsest = octaves(side, side, DreamConfig.octaves, DreamConfig.ratio)[0]
    count = DreamConfig.octaves if ladder and takes(stage.model, coarsest[0], [layer]) else 1
    take = DreamTake(layer, side, count, STEPS, LR, COST)
    made = yield from take.dream(stage)
    assert made.path is not None  # it is written
    gain = f"score {short(made.before)} before, {short(made.after)} after"
    state = () if made.status == "ok" else (f"{made.status}: {made.reason}",)
    return PIECE.section(
        text=(
            f"Nobody asks for a unit here. The layer `{layer}` is shown noise, and whatever it sees there is made "
            "stronger, at a coarse size first and then at finer ones. Give it a photograph in place of noise: "
            "`phosphene dream photo.jpg`.",
        ),
        figures=(stage.exhibit(made.path, made.size, f"a dream of {layer} from noise", (layer, gain, *state)),),
        commands=(take.command(stage),),
        columns=3,
    )


PIECE = Piece("dream", "A dream", COST, make)
