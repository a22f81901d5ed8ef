"""Can the optimized pictures of a card be trusted? The study of faithfulness, asked of pictures that are there already.

The card's own picture is the one that is judged, those that differ are the family whose weakest counts, and the natural
pictures are those that the index names for the unit. So nothing is optimized twice.
Sources: as `study/faithfulness.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from phosphene.cards.subject import Unit
from phosphene.engine import arithmetic
from phosphene.features.picture import Picture
from phosphene.recipe import RunConfig
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.faithfulness import trusted_unit
from phosphene.study.judge import judged, unasked
from phosphene.study.responses import candidates, responses
from phosphene.study.trust import Trust


def trust(unit: Unit, pictures: Mapping[str, Sequence[Picture]], *, run: RunConfig, seed: int) -> Trust | None:
    """What speaks for and against the pictures of a unit, by kind as in a card; None where none was optimized.

    seed: of the natural pictures that are drawn at random. Raises UsageError where the data lacks an example.
    """
    if not pictures.get("positive"):
        return None
    began, model = time.perf_counter(), unit.eye.model
    bound = trusted_unit(model, unit.target)
    family = tuple(pictures.get("diverse", ()))
    ask = replace(FaithfulnessConfig(), pictures=len(family))
    natural = responses(model, candidates(unit.data, unit.index, bound), bound)
    return judged(
        model,
        bound,
        natural,
        (pictures["positive"][0], *family),
        ask=ask,
        seed=seed,
        undefined=unasked(model, bound, ask),
        arithmetic=arithmetic(run),
        seconds=round(time.perf_counter() - began, 3),
    )
