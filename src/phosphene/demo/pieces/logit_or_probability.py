"""A class by its logit beside the same class by its probability: two questions, two pictures.

A probability is softmax(z)_c: it rises with the class's own logit and with the fall of the others, so optimizing it
may leave the class behind and only push the rest down. Source: Olah et al. 2017, Feature Visualization (Distill).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from phosphene.demo.choice import class_targets, has_classes, pick_classes
from phosphene.demo.piece import Piece, Stage, Take, Work, short
from phosphene.demo.pieces.classes import percent
from phosphene.features.picture import Picture
from phosphene.models import Model
from phosphene.objectives import OUTPUT, Probability

STEPS = 128  # as for the classes above
COUNT = 2
WANTED = ("face", "star")  # things of several parts: there is something to leave out


@dataclass(frozen=True)
class Answer:
    """What the plain network says of a picture: the class's logit, the mean of the others, its probability."""

    logit: float
    others: float
    probability: float

    @property
    def lines(self) -> tuple[str, ...]:
        """For a caption."""
        return (
            f"logit {short(self.logit)}",
            f"other logits {short(self.others)} on average",
            f"probability {percent(self.probability)}",
        )


def ask(model: Model, picture: Picture, index: int) -> Answer:
    """Show the saved picture to the plain network."""
    with torch.no_grad():
        logits = model.activations(picture.pixels[None].to(model.device), [OUTPUT])[OUTPUT].float().flatten()
    others = (logits.sum() - logits[index]) / (len(logits) - 1)
    return Answer(float(logits[index]), float(others), float(logits.softmax(0)[index]))


def make(stage: Stage) -> Work:
    """For each class the two pictures side by side, with the numbers that tell them apart."""
    model = stage.model
    if not has_classes(model):
        return PIECE.section(note=f"{model.name} does not answer with classes: there is no probability to compare.")
    chosen = pick_classes(model, COUNT, WANTED)
    take = Take(class_targets(model, chosen) + class_targets(model, chosen, Probability), STEPS)
    sheet = yield from stage.render(take)
    figures, findings = [], []
    for place, index in enumerate(chosen):
        pair = (sheet[place], sheet[place + len(chosen)])
        answers = [ask(model, picture, index) for picture in pair]
        for word, picture, answer in zip(("logit", "probability"), pair, answers, strict=True):
            figures.append(stage.figure(picture, (f"{model.label(index)}, by {word}", *answer.lines)))
        findings.append(finding(model.label(index), *answers))
    return PIECE.section(
        text=(
            "A logit rises only with evidence for its class. A probability compares: it also rises when the evidence "
            "for all other classes falls. The same class asked for in these two ways gives two different pictures.",
            " ".join(findings),
        ),
        figures=tuple(figures),
        commands=(stage.command(take),),
    )


def finding(label: str, by_logit: Answer, by_probability: Answer) -> str:
    """One sentence about the two pictures of a class that says what was measured, whatever it was."""
    own, others = by_probability.logit - by_logit.logit, by_probability.others - by_logit.others
    return (
        f"{label}: asked for by its probability, its own logit ends {apart(own)} than when asked for by its logit, "
        f"and the other logits {apart(others)} on average."
    )


def apart(difference: float) -> str:
    """A difference in words, such as "12 lower"."""
    return f"{short(abs(difference))} {'higher' if difference > 0 else 'lower'}"


PIECE = Piece("logit-or-probability", "A logit, or a probability?", 2 * COUNT * STEPS, make)
