"""Whether an optimization came to anything: its picture is compared with the one that it started from.

The target is measured with its sign, as `measure.py` measures its unit: by the plain network, on 8-bit pictures. Two
ends are told as failures:

    fallen      end < start, with the prices and without them
    faded       contrast < 1/16, no more than the start's, and end <= max(start, gray) + |start - gray|, without them

contrast: the standard deviation of the color that varies most. A pale picture is no failure as such: the answer may be
a plain color, and then it scores higher than what it started from. But many units score higher on plain gray than on
the pattern of a random start, and there fading that pattern is the first way up, and a dead end. How far start and gray
differ is how far a pattern that nobody optimized moves the unit, so a pale picture has to rise by more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from phosphene.features.measure import BEHIND, score
from phosphene.features.members import rebuilt, single, subject
from phosphene.models import Model
from phosphene.objectives import Constant, Family, Objective, Sum

PALE = 1 / 16  # contrast below which a picture is hardly one: the CPPN's gray failures had up to 0.06, pictures 0.1
FLAT = 1 / 255  # contrast of one flat color: less than an 8-bit level
FALL = 0.01  # of the start's score: a smaller loss is no more than the rounding to 8 bits
ADVICE = "try another --seed, a smaller --lr or another --signal"


@dataclass(frozen=True)
class Rise:
    """What a target gives for three pictures: the finished one, the one it started from, and plain gray."""

    end: float
    start: float
    gray: float

    @property
    def fell(self) -> bool:
        """Whether the optimization lost more than rounding does."""
        return self.start - self.end > FALL * abs(self.start)


def sought(group: Objective, row: int, *, prices: bool) -> Objective:
    """The target of one row without what compares it with others of its family; its unit where nothing else is left.

    prices: whether those on the picture alone are left in.
    """
    tree = rebuilt(single(group, row), partial(_cut, prices=prices))
    return subject(tree) if any(isinstance(leaf, Family) for leaf in tree.leaves()) else tree


def rise(model: Model, picture: Tensor, start: Tensor, target: Objective) -> Rise:
    """How a target (bound, aimed, one row) stands on pictures (c, h, w) in [0, 1] after and before the optimization."""
    pictures = (picture, start, torch.full_like(picture, BEHIND))
    with torch.no_grad():
        return Rise(*(float(score(model, x[None].to(model.device, torch.float32), target)) for x in pictures))


def contrast(picture: Tensor) -> float:
    """Standard deviation over the picture (c, h, w), of the channel where it is largest."""
    return float(picture.flatten(1).std(dim=1, correction=0).max())


def idle(picture: Tensor, start: Tensor, found: Rise, priced: Rise) -> str:
    """Why a picture (c, h, w) in [0, 1] is no better than one that nobody optimized, "" when it is better.

    start: what it was before. found, priced: how the target stands without and with its prices.
    """
    if found.fell and priced.fell:
        return f"the score fell from {found.start:.4g} at the start to {found.end:.4g}; {ADVICE}"
    chance = max(found.start, found.gray) + abs(found.start - found.gray)
    left = contrast(picture)
    if left < PALE and left <= max(contrast(start), FLAT) and found.end <= chance:
        return (
            f"the picture is nearly one flat color, and its score of {found.end:.4g} no better than by chance "
            f"({found.gray:.4g} on plain gray, {found.start:.4g} at the start); {ADVICE}"
        )
    return ""


def _cut(part: Objective, *, prices: bool) -> Objective:
    """A sum without its families, and without its prices."""
    if not isinstance(part, Sum):
        return part
    kept = [term for term in part.parts if not any(isinstance(leaf, Family) for leaf in term.leaves())]
    units = [term for term in kept if not all(leaf.regularizes or isinstance(leaf, Constant) for leaf in term.leaves())]
    kept = kept if prices else units or kept
    return part if not kept else Sum(tuple(kept)) if len(kept) > 1 else kept[0]
