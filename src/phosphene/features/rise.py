"""Whether an optimization came to anything: its picture is compared with the one that it started from.

The whole target is measured, as `measure.py` measures its unit: with its sign and its prices, by the plain network, on
8-bit pictures. Two ends are told as failures:

    fallen      end < start
    pale, idle  contrast < 1/16   and   end <= max(start, gray) + |start - gray|

contrast: the standard deviation of the color that varies most. A pale picture is no failure as such: the answer may be
a plain color, and then it scores higher than what it started from. But many units score higher on plain gray than on
the pattern of a random start, and there fading that pattern is the first way up, and a dead end. How far start and gray
differ is how far a pattern that nobody optimized moves the unit, so a pale picture has to rise by more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.features.measure import BEHIND, score
from phosphene.features.members import rebuilt, single, subject
from phosphene.models import Model
from phosphene.objectives import Family, Objective, Sum

PALE = 1 / 16  # contrast below which a picture is hardly one: the CPPN's gray failures had up to 0.06, pictures 0.1
FALL = 0.01  # of the start's score: a smaller loss is no more than the rounding to 8 bits
ADVICE = "try another --seed, a smaller --lr or another --signal"


@dataclass(frozen=True)
class Rise:
    """What a target gives for three pictures: the finished one, the one it started from, and plain gray."""

    end: float
    start: float
    gray: float


def alone(group: Objective, row: int) -> Objective:
    """The target of one row without what compares it with others of its family; its unit where nothing else is left."""
    tree = rebuilt(single(group, row), _without_family)
    return subject(tree) if _compares(tree) else tree


def rise(model: Model, picture: Tensor, start: Tensor, target: Objective) -> Rise:
    """How a target (bound, aimed, one row) stands on pictures (c, h, w) in [0, 1] after and before the optimization."""
    pictures = (picture, start, torch.full_like(picture, BEHIND))
    with torch.no_grad():
        return Rise(*(float(score(model, x[None].to(model.device, torch.float32), target)) for x in pictures))


def contrast(picture: Tensor) -> float:
    """Standard deviation over the picture (c, h, w), of the channel where it is largest."""
    return float(picture.flatten(1).std(dim=1, correction=0).max())


def idle(picture: Tensor, found: Rise) -> str:
    """Why a picture (c, h, w) in [0, 1] is no better than one that nobody optimized, "" when it is better."""
    if found.start - found.end > FALL * abs(found.start):
        return f"the score fell from {found.start:.4g} at the start to {found.end:.4g}; {ADVICE}"
    chance = max(found.start, found.gray) + abs(found.start - found.gray)
    if contrast(picture) < PALE and found.end <= chance:
        return (
            f"the picture is nearly one flat color, and its score of {found.end:.4g} no better than by chance "
            f"({found.gray:.4g} on plain gray, {found.start:.4g} at the start); {ADVICE}"
        )
    return ""


def _without_family(part: Objective) -> Objective:
    if not isinstance(part, Sum):
        return part
    kept = tuple(term for term in part.parts if not _compares(term))
    return part if not kept else Sum(kept) if len(kept) > 1 else kept[0]


def _compares(tree: Objective) -> bool:
    return any(isinstance(leaf, Family) for leaf in tree.leaves())
