"""Pictures of classes, and what the plain network says of each.

Source: Simonyan et al. 2013, arXiv 1312.6034 (class model visualization).
"""

from __future__ import annotations

from phosphene.demo.choice import class_targets, has_classes, pick_classes
from phosphene.demo.piece import Piece, Stage, Take, Work, short
from phosphene.features.picture import Picture
from phosphene.models import Model, classify

STEPS = 128  # from here on the shapes stay and only gain contrast
COUNT = 8  # two rows on a screen, four on a phone
# from the plainest to the richest: a color, lines, lattices, curves, things
WANTED = ("red", "stripes_045", "checkerboard", "dots", "zigzag", "spiral", "star", "face")


def make(stage: Stage) -> Work:
    """The pictures, each with its class, its activation and the network's own verdict."""
    model = stage.model
    if not has_classes(model):
        return PIECE.section(note=f"{model.name} does not answer with classes, so there are none to show.")
    chosen = pick_classes(model, COUNT, WANTED)
    take = Take(class_targets(model, chosen), STEPS)
    sheet = yield from stage.render(take)
    figures = []
    right = 0
    for index, picture in zip(chosen, sheet, strict=True):
        seen, line = verdict(model, picture)
        right += seen == index
        figures.append(stage.figure(picture, (model.label(index), f"logit {short(picture.activation)}", line)))
    return PIECE.section(
        text=(
            "Each picture began as faint noise and was changed step by step until the network answered with one class "
            "as loudly as it could. No photograph is involved: what you see is what the network itself holds to be "
            "typical of the class.",
            "Below each: the class asked for, its logit (the number before the softmax), and what the plain network "
            f"answers when it is shown the saved file. It names the class asked for {right} times out of {len(sheet)}.",
        ),
        figures=tuple(figures),
        commands=(stage.command(take),),
        note="" if model.labels else f"{model.name} brings no class names: its classes are called by their numbers.",
    )


def verdict(model: Model, picture: Picture) -> tuple[int, str]:
    """The class that the plain network sees in a picture, and a line that says so."""
    index, label, probability, _ = classify(model, picture.pixels.to(model.device), 1)[0]
    return index, f"seen as {label}, {percent(probability)}"


def percent(probability: float) -> str:
    """A probability to read; never 100% or 0% unless it is."""
    if probability in (0.0, 1.0):
        return f"{probability:.0%}"
    return ">99.9%" if probability > 0.999 else "<0.1%" if probability < 0.001 else f"{probability:.1%}"


PIECE = Piece("classes", "Pictures of classes", COUNT * STEPS, make)
