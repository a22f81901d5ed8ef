"""A picture painted in the manner of another: the content of one, the style of the other.

Both are drawn by phosphene itself, so that nothing needs a file: an eye, and pebbles.
Source: Gatys et al. 2015, arXiv 1508.06576.
"""

from __future__ import annotations

from PIL import Image

from phosphene.demo.choice import lacks_style, sides
from phosphene.demo.painted import StyleTake
from phosphene.demo.piece import Piece, Stage, Work
from phosphene.demo.pieces.classes import percent
from phosphene.textures import CLASSES, Textures

SIDE = 192  # pixels: patterns that minivgg knows best from smaller ones stay crisp, and it is done in seconds
STEPS = 30  # at each scale; further ones only add grain to what is black
COST = 500  # picture-steps of a rendering at the usual size that take as long, by minivgg
WEIGHT = 0.05  # of the content, ten times the preset's: a drawing has few details to be known by
CONTENT, STYLE = ("eye", 0), ("pebbles", 2)  # name and number of a drawing: plain large shapes; a pattern all over


def make(stage: Stage) -> Work:
    """Content, style and painting, side by side."""
    lack = lacks_style(stage.model)
    if lack:
        return PIECE.section(note=lack)
    side, ladder = sides(stage.model, stage.size, SIDE)
    content, style = (stage.put(f"{name}.png", drawing(name, number, side)) for name, number in (CONTENT, STYLE))
    take = StyleTake(content, style, stage.folder / "painting.png", side, STEPS, COST, ladder, WEIGHT)
    painting, measured = yield from take.paint(stage)
    assert painting.path is not None  # it is written
    removed, kept = measured.removed, measured.content
    told = [] if removed is None else [f"{percent(removed)} of the distance to the style is gone"]
    told += [] if kept is None else [f"correlation with the content {kept:.2f}"]
    square = (side, side)
    return PIECE.section(
        text=(
            "Features of a deeper layer tell what is where. The correlations between the features of a layer, summed "
            "over all places, tell how things look and not where they are. A painting has the first of one picture "
            "and the second of another; both were measured by the network above, and nothing else is known to it.",
            "The numbers below the painting are the network's own: how much nearer its correlations have come to those "
            "of the style, on the mean of the layers, and how well what is where still agrees with the content.",
        ),
        figures=(
            stage.exhibit(content, square, "the picture that gives the content: an eye", ("content", "an eye")),
            stage.exhibit(style, square, "the picture that gives the style: pebbles", ("style", "pebbles")),
            stage.exhibit(painting.path, painting.size, "the eye, painted as of pebbles", ("painting", *told)),
        ),
        commands=(take.command(stage),),
        note="" if painting.status == "ok" else f"The painting is {painting.status}: {painting.reason}.",
        columns=3,
    )


def drawing(name: str, number: int, side: int) -> Image.Image:
    """A picture of phosphene's own set, by the name of its class."""
    return Textures(size=side).load(CLASSES.index(name) + number * len(CLASSES))


PIECE = Piece("style", "One picture in the manner of another", COST, make)
