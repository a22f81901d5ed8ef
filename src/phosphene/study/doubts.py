"""The sentences that follow from the numbers of a study of faithfulness, with what each can and cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phosphene.study.path import KINSHIP, LAYERS
from phosphene.study.result import short

if TYPE_CHECKING:
    from phosphene.study.transfer import Transfer
    from phosphene.study.trust import Trust

NAMES = {"natural": "Against natural pictures", "path": "The road through the network", "family": "The weakest of many"}
AGAINST = {
    "natural": "a natural picture raises the unit more",
    "path": "it takes another road through the network than natural pictures of the unit",
    "family": "the weakest of several does not beat the best natural picture",
}


@dataclass(frozen=True)
class Check:
    """A question that was asked of a picture. doubt: whether the answer speaks against it; None where it says nothing.

    answer: follows from the numbers. can, cannot: what such an answer tells, and what it does not. against: a doubt in
    a few words.
    """

    name: str
    title: str
    doubt: bool | None
    answer: str
    can: str
    cannot: str
    against: str


def checks(study: Trust) -> tuple[Check, ...]:
    """All questions: natural pictures, the road, the weakest of many, and each other network."""
    found = [natural(study), path(study), family(study)]
    return (*found, *(transferred(study, one, i) for i, one in enumerate(study.transfers)))


def natural(study: Trust) -> Check:
    """The activation against that of the best natural picture."""
    value, best, count = study.picture.activation, study.natural.best, len(study.natural)
    said = f"The unit gives {short(value)} on the picture and {short(best)} on the best of {pictures(count)}"
    doubt: bool | None = not value > best
    if study.picture.status != "ok":
        said, doubt = f"There is no sound picture: {study.picture.reason or study.picture.status}", None
    elif not study.natural.varies:
        said, doubt = f"{said}, and {short(best)} on all the others: the data tells nothing about this unit", None
    elif doubt:
        said += ": the ascent ended below what nature reaches, so it is no maximum"
    elif study.ratio is not None:
        said += f", {short(study.ratio)} times as much"
    return Check(
        "natural",
        NAMES["natural"],
        doubt,
        f"{said}.",
        "Below the best natural picture, the optimization failed, and the picture shows less than the unit's maximum.",
        "Above it, nothing is said about natural pictures: far above it, the picture lies where none of them is.",
        AGAINST["natural"],
    )


def path(study: Trust) -> Check:
    """The way through the network."""
    reason = study.undefined.get("path", "")
    if not reason and study.another_road is None:
        few = len(study.path) < LAYERS
        reason = (
            f"the unit lies within the first {LAYERS - 1} layers, where pictures differ in color and contrast alone"
            if few
            else f"{study.path[-1].layer} says the same of all pictures"
        )
    if reason:
        answer = f"The road is not judged: {reason}."
    else:
        last = study.path[-1]
        scale = f", {last.normalized:.2f} on the scale of the paper" if math.isfinite(last.normalized) else ""
        verdict = "The picture takes another road" if study.another_road else "No sign of another road"
        answer = (
            f"{verdict}: at {last.layer} it is more like a natural picture of the unit than like a random one in "
            f"{last.kinship:.0%} of pairs (chance is 50%, the flag is raised below {KINSHIP:.0%}, natural pictures of "
            f"the unit reach {last.natural_kinship:.0%}){scale}."
        )
    return Check(
        "path",
        NAMES["path"],
        study.another_road,
        answer,
        "Below the threshold, what drives the unit in the picture is not what drives it in natural pictures: do not "
        "explain the one by the other.",
        "About one ordinary unit in eight is flagged too. Above the threshold, both excite more of the same channels "
        "than chance would, and no more than that: a hidden road beside the common one is not ruled out.",
        AGAINST["path"],
    )


def family(study: Trust) -> Check:
    """The weakest of several pictures that differ."""
    reason = study.undefined.get("family", "")
    doubt: bool | None = None
    if study.weakest is None:
        answer = f"The weakest of many is not asked for: {reason}."
    else:
        beats = "beats" if study.criterion else "does not beat"
        answer = (
            f"The weakest of {len(study.family)} pictures that differ gives {short(study.weakest)}, which {beats} the "
            f"best natural picture with {short(study.natural.best)}."
        )
        doubt = not study.criterion
    return Check(
        "family",
        NAMES["family"],
        doubt,
        answer,
        "Where even the weakest beats nature, the activation is no stroke of luck of one start.",
        "The pictures may all be wrong in the same way; that they differ does not make any of them natural.",
        AGAINST["family"],
    )


def transferred(study: Trust, one: Transfer, place: int) -> Check:
    """The picture in another network."""
    who = f"{one.unit} of {one.model}"
    relation = f"correlation {one.held_out:.2f} on pictures that it was not chosen by"
    if not one.related:
        answer, doubt = f"No unit of {one.model} answers alike: the nearest is {one.unit}, {relation}.", None
    else:
        answer = (
            f"The counterpart is {who}, {relation}. It gives {short(one.value)} on the picture, more than on "
            f"{one.share:.0%} of the natural pictures; its best is {short(one.best)}."
        )
        doubt = one.share < 0.5
    return Check(
        f"transfer-{place + 1}",
        f"In {one.model}",
        doubt,
        answer,
        "A picture that the counterpart answers to as well holds something that both networks look for.",
        "One that it does not may still be right for this network: no two units are the same.",
        f"its counterpart in {one.model} hardly answers to it",
    )


def pictures(count: int) -> str:
    """A number of natural pictures in words."""
    return f"{count} natural picture{'s' * (count != 1)}"


def verdict(study: Trust) -> str:
    """How many of the questions speak against the picture."""
    asked = [check for check in checks(study) if check.doubt is not None]
    doubts = [check.against for check in asked if check.doubt]
    if not asked:
        return "Nothing could be asked of the optimized picture."
    if not doubts:
        return f"None of {len(asked)} questions speaks against the optimized picture."
    verb = "speaks" if len(doubts) == 1 else "speak"
    return f"{len(doubts)} of {len(asked)} questions {verb} against the optimized picture: {'; '.join(doubts)}."
