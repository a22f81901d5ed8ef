"""One class in three signals: what is optimised decides how the answer looks.

Sources: Olah et al. 2017 (Fourier), Fel et al. 2023, arXiv 2306.06805 (MACO), Mordvintsev et al. 2018 (CPPN).
"""

from __future__ import annotations

from phosphene.demo.choice import class_targets, has_classes, middle_layer, pick_classes, unit_target
from phosphene.demo.piece import Piece, Stage, Take, Work, short
from phosphene.recipe import SignalConfig

STEPS = 96  # the formula is slow to draw, and has its shape by then
WANTED = ("star",)  # a shape that stands by itself
MADE = (
    ("fourier", "waves of all sizes, each free"),
    ("maco", "as much of each size of wave as in nature"),
    ("cppn", "a formula of position"),
)


def make(stage: Stage) -> Work:
    """The same target, seed and steps, once in each signal."""
    found = subject(stage)
    if found is None:
        return PIECE.section(note=f"{stage.model.name} has neither classes nor maps, so there is nothing to compare.")
    figures, commands = [], []
    for name, words in MADE:
        take = Take((found,), STEPS, name, signal=SignalConfig(signal=name))  # type: ignore[arg-type]
        (picture,) = yield from stage.render(take)
        figures.append(stage.figure(picture, (f"--signal {name}", words, f"activation {short(picture.activation)}")))
        commands.append(stage.command(take))
    return PIECE.section(
        text=(
            f"Three pictures of `{found}`. The first may use any wave of any size. In the second, MACO, how strong "
            "each size is was fixed beforehand, as in natural pictures, and only where the waves meet was found: no "
            "glare and no grain can come of it, and it fills the whole picture. The third is a small network from "
            "position to color: as smooth as a formula, and of any size.",
        ),
        figures=tuple(figures),
        commands=tuple(commands),
        columns=3,
    )


def subject(stage: Stage) -> str | None:
    """The target that is shown: a class, else a unit."""
    if has_classes(stage.model):
        return class_targets(stage.model, pick_classes(stage.model, 1, WANTED))[0]
    layer = middle_layer(stage.model)
    return None if layer is None else unit_target(layer, 0)


PIECE = Piece("signals", "Three ways to write a picture", len(MADE) * STEPS, make)
