"""What the numbers of a study of faithfulness are, once its pictures are there: whoever made them.

A study optimizes its own pictures; a card has them already. Both are judged here, by the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from phosphene.engine import Arithmetic
from phosphene.errors import UsageError
from phosphene.features.diversity import compared_layer
from phosphene.features.picture import Picture
from phosphene.features.plan import named
from phosphene.models import Model
from phosphene.objectives.units import Units
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.path import Similarity, road, similarities
from phosphene.study.responses import Responses
from phosphene.study.transfer import transfer
from phosphene.study.trust import Trust

DRAWN = 0x5EED  # stream of the random pictures, apart from that of the starts
LEAST = 3  # natural pictures, and random ones, that the road is compared with


def unasked(model: Model, unit: Units, ask: FaithfulnessConfig) -> dict[str, str]:
    """{question: why it cannot be asked of a bound unit}, as far as that is known before any work."""
    found = {}
    if ask.pictures == 0:
        found["family"] = "no further pictures were wanted"
    else:
        try:
            compared_layer(model, unit)
        except UsageError as error:
            found["family"] = str(error)
    if road(model, unit.layer)[-1:] != (unit.layer,):
        found["path"] = f"{unit.layer} has too few channels to be compared by their ranks"
    return found


def judged(
    model: Model,
    unit: Units,
    natural: Responses,
    pictures: Sequence[Picture],
    *,
    ask: FaithfulnessConfig,
    seed: int,
    undefined: Mapping[str, str],
    arithmetic: Arithmetic,
    seconds: float,
    others: Sequence[Model] = (),
) -> Trust:
    """The answers for pictures of a bound unit, the first being its own and the rest made to differ.

    natural: what natural pictures do to it. seed: of the random ones. undefined: what `unasked` gave. arithmetic,
    seconds: those of the work, for the record.
    """
    top = natural.top(ask.top)
    examples = natural.pictures(top, model.picture_spec)
    missing = {**_pathless(natural, ask), **undefined}
    path = () if "path" in missing else _path(model, unit, natural, top, examples, pictures[0].pixels, ask, seed)
    return Trust(
        model=model.name,
        target=str(named(unit, model)),
        config=ask,
        picture=pictures[0],
        family=tuple(pictures[1:]),
        natural=natural,
        examples=examples,
        path=path,
        transfers=tuple(transfer(other, natural, pictures[0].pixels) for other in others),
        undefined=missing,
        device=arithmetic.device.type,
        precision=arithmetic.precision,
        seconds=seconds,
    )


def _pathless(natural: Responses, ask: FaithfulnessConfig) -> dict[str, str]:
    """Why the road cannot be compared with these natural pictures, if so."""
    if len(natural) - ask.top < LEAST:
        return {"path": f"{len(natural)} natural pictures are too few to draw random ones from"}
    if not natural.varies:
        return {"path": "the unit gives the same on all natural pictures, so none of them are its own"}
    return {}


def _path(
    model: Model,
    unit: Units,
    natural: Responses,
    top: Sequence[int],
    examples: Tensor,
    picture: Tensor,
    ask: FaithfulnessConfig,
    seed: int,
) -> tuple[Similarity, ...]:
    own = set(top)
    drawn = torch.randperm(len(natural), generator=torch.Generator().manual_seed(seed ^ DRAWN))
    rest = sorted([int(row) for row in drawn if int(row) not in own][: ask.random])
    random = natural.pictures(rest, model.picture_spec)
    return similarities(model, road(model, unit.layer), picture[None], examples, random)
