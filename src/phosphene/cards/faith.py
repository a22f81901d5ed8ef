"""Can the optimized pictures of a card be trusted? The study of faithfulness, asked of pictures that are there already.

The card's own picture is the one that is judged, those that differ are the family whose weakest counts, and the natural
pictures are those that the index names for the unit. So nothing is optimized twice. Most of the natural pictures are
the same for all units of a layer, so the cards of a book share what the layer says of them: each is shown to it once.
Sources: as `study/faithfulness.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from phosphene.cards.subject import Unit
from phosphene.engine import arithmetic
from phosphene.errors import PhospheneError
from phosphene.features.picture import Picture
from phosphene.objectives.units import Units
from phosphene.recipe import RunConfig
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.faithfulness import trusted_unit
from phosphene.study.judge import judged, unasked
from phosphene.study.responses import AT_ONCE, Chosen, Responses, batches, candidates, mean_response
from phosphene.study.trust import Trust


class Natural:
    """What the units of one layer do on natural pictures, remembered for the next unit: 4 bytes for each unit and
    picture. Batches have one shape, so a unit's numbers are, on a CPU, to the bit those of its card alone."""

    def __init__(self) -> None:
        self._means: dict[int, Tensor] = {}

    def responses(self, unit: Unit, bound: Units) -> Responses:
        """Those of a unit to the pictures that the index names for it. Raises UsageError where the data lacks one,
        PhospheneError where none can be read."""
        chosen = candidates(unit.data, unit.index, bound)
        self._read(unit, Chosen(unit.data, [number for number in chosen.numbers if number not in self._means]))
        held = [number for number in chosen.numbers if number in self._means]
        if not held:
            raise PhospheneError(f"none of the {len(chosen)} pictures can be read")
        values = torch.stack([self._means[number][unit.eye.unit] for number in held])
        return Responses(Chosen(unit.data, held), values, len(chosen) - len(held))

    def _read(self, unit: Unit, pictures: Chosen) -> None:
        model, layer = unit.eye.model, unit.eye.layer
        for rows, pixels in batches(model, pictures):
            filled = torch.cat([pixels, pixels.new_zeros((AT_ONCE - len(rows), *pixels.shape[1:]))])
            with torch.inference_mode():
                means = model.readings(filled, [layer], mean_response)[layer]
            self._means |= {pictures.numbers[row]: said for row, said in zip(rows, means, strict=False)}


def trust(
    unit: Unit, pictures: Mapping[str, Sequence[Picture]], natural: Natural, *, run: RunConfig, seed: int
) -> Trust | None:
    """What speaks for and against the pictures of a unit, by kind as in a card; None where none was optimized.

    natural: what is known already of the unit's layer. seed: of the natural pictures that are drawn at random. Raises
    UsageError where the data lacks an example.
    """
    if not pictures.get("positive"):
        return None
    began, model = time.perf_counter(), unit.eye.model
    bound = trusted_unit(model, unit.target)
    family = tuple(pictures.get("diverse", ()))
    ask = replace(FaithfulnessConfig(), pictures=len(family))
    return judged(
        model,
        bound,
        natural.responses(unit, bound),
        (pictures["positive"][0], *family),
        ask=ask,
        seed=seed,
        undefined=unasked(model, bound, ask),
        arithmetic=arithmetic(run),
        seconds=round(time.perf_counter() - began, 3),
    )
