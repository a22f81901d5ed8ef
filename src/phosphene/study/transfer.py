"""The same picture in another network: does the unit that answers to the same photographs answer to it too?

The counterpart of a unit is the unit of the other network whose responses over the data correlate best with it,
Pearson's r: of all channels of its building blocks, by their mean over space, and of its classes. It is chosen on
every other picture, and r is told on the rest, where the best of thousands has no luck.

What is seen by both has a chance to be in the pictures; what only one of them answers to is its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.models import Model, to_input
from phosphene.models.blocks import blocks
from phosphene.models.tap import OUTPUT
from phosphene.objectives import Channel, Logit
from phosphene.objectives.units import Units
from phosphene.study.responses import Responses, batches, mean_response, responses, scores

RELATED = 0.3  # correlation on held-out pictures below which a counterpart is one by name only (Cohen 1988: "medium")
FEWEST = 8  # pictures that a correlation is told of, half of them


@dataclass(frozen=True)
class Transfer:
    """A picture in another network. unit: the counterpart's target. r: its correlation on the pictures that it was
    chosen on; held_out: on the others. value: what it does on the picture; best: on the best natural one. share: of
    the natural pictures that it answers less than this one.
    """

    model: str
    unit: str
    r: float
    held_out: float
    value: float
    best: float
    share: float

    @property
    def related(self) -> bool:
        """Whether the counterpart deserves its name."""
        return self.held_out >= RELATED


class Correlated:
    """Pearson's r of one row of numbers with many, summed up batch by batch, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: tuple[Tensor, ...] = ()
        self.own = (0.0, 0.0)

    def add(self, own: Tensor, others: Tensor) -> None:
        """own (b,), others (b, n)."""
        x, y = own.double(), others.double()
        found = (y.sum(0), y.square().sum(0), (x[:, None] * y).sum(0))
        self.sums = found if not self.sums else tuple(a + b for a, b in zip(self.sums, found, strict=True))
        self.own = (self.own[0] + float(x.sum()), self.own[1] + float(x.square().sum()))
        self.count += len(x)

    def r(self) -> Tensor:
        """(n,); 0 where one of the two does not vary."""
        total, squares, products = (one / self.count for one in self.sums)
        mean, square = self.own[0] / self.count, self.own[1] / self.count
        variance = (squares - total.square()).clamp(min=0) * max(square - mean**2, 0)
        varied = variance > 1e-12 * (squares * square).clamp(min=1e-30)  # what rounding leaves of a constant
        return torch.where(varied, (products - mean * total) / variance.clamp(min=1e-300).sqrt(), 0.0)


def transfer(other: Model, natural: Responses, picture: Tensor) -> Transfer:
    """A picture (c, h, w) in another network. natural: the unit's responses in its own.

    Raises UsageError for a network that sees no pictures, and for fewer than eight pictures.
    """
    spec = other.picture_spec
    if len(natural) < FEWEST:
        raise UsageError(f"a counterpart is looked for in {FEWEST} pictures or more, got {len(natural)}")
    unit, r, held_out = counterpart(other, natural)
    answers = responses(other, natural.data, unit)
    seen = to_input(picture, spec).to(other.device)
    value = float(scores(other, seen, unit))
    name = f"logit:{other.label(int(unit.units[0]))}" if isinstance(unit, Logit) else str(unit)
    return Transfer(other.name, name, r, held_out, value, answers.best, answers.share_below(value))


def counterpart(other: Model, natural: Responses) -> tuple[Units, float, float]:
    """The unit of another network that answers most alike: (unit, r where it was chosen, r on the other half)."""
    names = [*blocks(other), *([OUTPUT] if other.layers[OUTPUT].layout == "vector" else [])]
    halves = (Correlated(), Correlated())
    with torch.inference_mode():
        for rows, pictures in batches(other, natural.data):
            read = other.readings(pictures, names, mean_response)
            values = torch.cat([read[name] for name in names], 1)
            for half, sums in enumerate(halves):
                own = [i for i, row in enumerate(rows) if row % 2 == half]
                if own:
                    sums.add(natural.values[[rows[i] for i in own]], values[own])
    chosen, held = (sums.r() for sums in halves)
    place = best = int(chosen.argmax())
    for name in names:
        if place < other.layers[name].channels:
            break
        place -= other.layers[name].channels
    unit = Logit(place) if name == OUTPUT else Channel(name, (place,))
    bound = unit.bind(other)
    assert isinstance(bound, Units)
    return bound, float(chosen[best]), float(held[best])
