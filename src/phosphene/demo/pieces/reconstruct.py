"""What each depth of the network keeps of a picture: its content and its style, reconstructed from noise.

The picture is drawn by phosphene itself. Source: Gatys et al. 2015, arXiv 1508.06576, figure 1.
"""

from __future__ import annotations

from PIL import Image

from phosphene.demo.choice import lacks_style, sides
from phosphene.demo.painted import ReconstructTake
from phosphene.demo.piece import Piece, Stage, Work
from phosphene.reports import Figure
from phosphene.reports.html import COLUMNS
from phosphene.style.reconstruct import Reconstruction
from phosphene.textures import Textures

SIDE = 96  # pixels: ten pictures in seconds
STEPS = 40  # for each; the deep ones still gain after them, slowly
COST = 700  # picture-steps of a rendering at the usual size that take as long, by minivgg
SCENE = 41  # many different things beside each other


def make(stage: Stage) -> Work:
    """Two rows, each led by the original: content by depth, style by depth."""
    lack = lacks_style(stage.model)
    if lack:
        return PIECE.section(note=lack)
    side, _ = sides(stage.model, stage.size, SIDE)
    original = stage.put("original.png", Image.fromarray(Textures(size=side).scene(SCENE)))
    take = ReconstructTake(original, stage.folder, side, STEPS, COST)
    result = yield from take.make(stage)
    shown = stage.exhibit(original, (side, side), "the picture that is reconstructed", ("original",))
    rows = [[exhibit(stage, item) for item in result if item.kind == kind] for kind in ("content", "style")]
    abreast = 1 + len(rows[0])
    leads = abreast in COLUMNS and len(rows[0]) == len(rows[1])
    figures = [figure for row in rows for figure in (shown, *row)] if leads else [*rows[0], *rows[1], shown]
    return PIECE.section(
        text=(
            "Each picture began as noise and was changed until one layer saw in it what it sees in the original. First "
            "the features themselves: layers near the picture give back every pixel, deep ones only what is where, "
            "because the rest makes no difference to them. The higher the decibels, the nearer to the original.",
            "Then the correlations of the features, of one layer, of two, and so on: what comes back is the texture, "
            "from colors and grain to whole shapes, and never where anything was.",
        ),
        figures=tuple(figures),
        commands=(take.command(stage),),
        columns=abreast if leads else 4,
    )


def exhibit(stage: Stage, item: Reconstruction) -> Figure:
    """One picture with what it was made from and how near it came."""
    assert item.panel.path is not None  # it is written
    first, _, rest = item.layer.partition(",")
    if item.kind == "content":
        near = "no pixel differs" if item.panel.psnr is None else f"{item.panel.psnr:.1f} dB"
        caption = (f"content at {first}", near)
    else:
        layers = f"{first} to {rest.rpartition(',')[2]}" if rest else first
        caption = (f"style at {layers}", f"{100 * item.share:.2g}% of noise's distance")
    return stage.exhibit(item.panel.path, item.panel.size, f"{caption[0]}, reconstructed from noise", caption)


PIECE = Piece("reconstruct", "What each depth keeps of a picture", COST, make)
