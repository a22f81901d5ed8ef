"""What natural pictures do to one unit: the same number as is told of an optimized picture, for each of them.

An index of a scan ranks by the largest response over positions, where a picture is optimized for a mean, or at one
place. So every picture is read again, by the unit's own objective. With an index only those are read that it names for
the unit: its highest examples and the sample; without one, all of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from phosphene.errors import PhospheneError, UsageError
from phosphene.examples.data import Pictures, item, places
from phosphene.examples.feed import decoded
from phosphene.examples.index import Index
from phosphene.examples.ranked import NO_PICTURE
from phosphene.models import InputSpec, Layer, Model, to_input
from phosphene.objectives import Objective
from phosphene.objectives.units import Units

AT_ONCE = 8  # pictures in one pass through a network
AHEAD = 24  # pictures that may wait, decoded


class Chosen:
    """Some pictures of a data set, by their numbers, ascending."""

    def __init__(self, data: Pictures, numbers: Sequence[int]) -> None:
        self.data, self.numbers = data, tuple(numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def load(self, index: int) -> Image.Image:
        """The picture as RGB."""
        picture: Image.Image = self.data.load(self.numbers[index])
        return picture

    def key(self, index: int) -> str:
        """Its name in the whole data set."""
        return self.data.key(self.numbers[index])

    def item(self, index: int) -> tuple[Image.Image, str | None]:
        """The picture and the name of its class."""
        return item(self.data, self.numbers[index])


@dataclass(frozen=True)
class Responses:
    """A unit on natural pictures. data: those that could be read. values: (n,) its response to each, float32."""

    data: Chosen = field(repr=False)
    values: Tensor = field(repr=False)
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def best(self) -> float:
        """The highest response."""
        return float(self.values.max())

    @property
    def varies(self) -> bool:
        """Whether the unit tells any two of the pictures apart."""
        return bool(self.values.max() > self.values.min())

    def top(self, count: int) -> list[int]:
        """Rows of the `count` highest responses, best first; of equal ones the earlier picture."""
        order = torch.argsort(self.values, descending=True, stable=True)
        return [int(row) for row in order[:count]]

    def share_below(self, value: float) -> float:
        """The share of the pictures to which the unit responds less than `value`."""
        return float((self.values < value).float().mean())

    def pictures(self, rows: Sequence[int], spec: InputSpec) -> Tensor:
        """(n, c, h, w) pictures as the network saw them."""
        return torch.cat([to_input(self.data.load(row), spec) for row in rows])


def candidates(data: Pictures, index: Index | None, unit: Units) -> Chosen:
    """The pictures to look at for a unit: those that an index names for it, or all.

    Raises UsageError for an index without the unit's layer or whose pictures the data does not hold.
    """
    if index is None:
        return Chosen(data, range(len(data)))
    top = index.top(unit.layer, int(unit.units[0]), k=index.header.kept.top)
    sample = [index.header.keys[number] for number in index.tally.sample.numbers if number != NO_PICTURE]
    keys = sorted({*(one.key for one in top), *sample})
    found = places(data, keys)
    missing = next((key for key in keys if key not in found), None)
    if missing is not None:
        raise UsageError(f"the data does not hold the example {missing!r}; name the data that was scanned")
    return Chosen(data, sorted(found.values()))


def batches(model: Model, data: Chosen) -> Iterator[tuple[list[int], Tensor]]:
    """(rows, (b, c, h, w)) of the pictures as a network sees them; those that cannot be read are left out."""
    spec, device = model.picture_spec, model.device
    rows: list[int] = []
    pictures: list[Tensor] = []
    for one in decoded(data, range(len(data)), lambda picture: to_input(picture, spec), workers=None, ahead=AHEAD):
        if one.pixels is not None:
            rows.append(one.number)
            pictures.append(one.pixels)
        if len(rows) == AT_ONCE:
            yield rows, torch.cat(pictures).to(device)
            rows, pictures = [], []
    if rows:
        yield rows, torch.cat(pictures).to(device)


def respond(model: Model, data: Chosen, unit: Objective) -> Iterator[int | Responses]:
    """What a unit (bound, one row) does on every picture: how many are done, again and again, and the responses last.

    Raises PhospheneError when no picture can be read.
    """
    kept: list[int] = []
    values: list[Tensor] = []
    for rows, pictures in batches(model, data):
        values.append(scores(model, pictures, unit))
        kept += rows
        yield rows[-1] + 1
    if not kept:
        raise PhospheneError(f"none of the {len(data)} pictures can be read")
    yield Responses(Chosen(data.data, [data.numbers[row] for row in kept]), torch.cat(values), len(data) - len(kept))


def responses(model: Model, data: Chosen, unit: Objective) -> Responses:
    """The same without a look at the progress."""
    return next(found for found in respond(model, data, unit) if isinstance(found, Responses))


def scores(model: Model, pictures: Tensor, unit: Objective) -> Tensor:
    """(b,) what a unit (bound, one row) does on pictures (b, c, h, w), by the plain network."""
    with torch.no_grad():
        acts = model.activations(pictures, unit.layers)
        return unit(acts, torch.arange(len(pictures), device=pictures.device)).float().cpu()


def mean_response(layer: Layer, value: Tensor) -> Tensor:
    """(b, c) of the activation (b, c, *space) of a layer: the mean of each channel over space."""
    value = value.float()
    return (value.flatten(2).mean(2) if value.dim() > 2 else value).cpu()
