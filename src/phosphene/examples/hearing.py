"""What a position of a layer hears of a wave: which axis of its map is time, and from which sample to which.

As for pictures (`models/receptive.py`) NaN is the dye: one sample of a long silent wave is NaN, and the positions that
turn NaN are those that hear it. Two samples are enough. A multiple m S of the stride S is heard by the positions from
m - (b - 1) // S on, the one before it by those up to (m S - 1 - a) // S, where position p hears [p S + a, p S + b).

Departures: a and b are known to a stride, and the wider one is taken, so a position may hear a little less than is
said. They are exact where the window of a position is a multiple of the stride.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.models import Layer, Model
from phosphene.models.heard import LONGER
from phosphene.models.receptive import Field

MOST_PLACES = 1 << 15  # along one axis of a map: positions are kept as 16-bit numbers
LENGTHS = 4  # pieces: the wave that is dyed is so long, so that the widest fields end in it

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Hearing:
    """time: which of a position's two numbers runs with time. stride: samples. field: a box of height 1, y0 = 0, of
    what the position 0 hears, before the clip's beginning too; None where it hears all of it."""

    time: int
    stride: int
    field: Field | None


def hearings(model: Model, layers: Sequence[Layer], samples: int) -> dict[str, Hearing | None]:
    """What the positions of each layer hear; None for one without time. samples: of a clip.

    Raises UsageError for a layer with more positions than an index can name.
    """
    names = [layer.name for layer in layers]
    at, longer = _shapes(model, names, samples), _shapes(model, names, samples + LONGER)
    found: dict[str, Hearing | None] = {}
    for layer in layers:
        if len(space := at.get(layer.name, ())) and max(space) > MOST_PLACES:
            raise UsageError(
                f"{layer.name} has {max(space)} positions in {samples} samples, and {MOST_PLACES} are the most that an "
                f"index can name; use shorter pieces (--seconds), or name other layers"
            )
        found[layer.name] = _of(model, layer, space, longer.get(layer.name, ()), samples)
    return found


def _of(model: Model, layer: Layer, space: tuple[int, ...], longer: tuple[int, ...], samples: int) -> Hearing | None:
    if len(space) not in (1, 2) or len(space) != len(longer):
        return None
    grew = [axis for axis, (a, b) in enumerate(zip(space, longer, strict=True)) if b > a]
    if not grew:
        return None
    axis = grew[0]
    stride = layer.stride or round(LONGER / (longer[axis] - space[axis]))
    time = axis + 2 - len(space)
    return Hearing(time, stride, _field(model, layer.name, axis, stride, samples))


def _field(model: Model, name: str, axis: int, stride: int, samples: int) -> Field | None:
    length = LENGTHS * samples
    middle = length // 2 // stride
    if not 0 < middle * stride < length:
        return None
    behind = _dyed(model, name, axis, length, middle * stride)
    before = _dyed(model, name, axis, length, middle * stride - 1)
    if behind is None or before is None:
        return None
    first, last = behind[0], before[1]
    a = middle * stride - (last + 1) * stride
    b = (middle - first + 1) * stride
    return Field((0, 0), (0, a, 1, b)) if b - a < samples else None


def _dyed(model: Model, name: str, axis: int, length: int, sample: int) -> tuple[int, int] | None:
    """The first and the last position that hear a sample; None where one of them is at an end of the map, or nothing
    can be said."""
    wave = torch.zeros((1, model.audio_spec.channels, length), device=model.device)
    wave[..., sample] = math.nan
    value = _run(model, [name], wave).get(name)
    if value is None:
        return None
    others = [one for one in range(value.dim()) if one != axis + 2]
    places = value.isnan().any(dim=others[0]) if len(others) == 1 else value.isnan().amax(others)
    heard = places.nonzero().flatten()
    if not len(heard) or heard[0] == 0 or heard[-1] == value.shape[axis + 2] - 1:
        return None
    return int(heard[0]), int(heard[-1])


def _shapes(model: Model, names: Sequence[str], samples: int) -> Shapes:
    """{layer: its map's shape} for a silent clip; layers that the network cannot reach at that length are left out."""
    wave = torch.zeros((1, model.audio_spec.channels, samples), device=model.device)
    every = _run(model, names, wave)
    if not every:  # one that needs another length ends the run, though those before it may not
        every = {name: value for one in names for name, value in _run(model, [one], wave).items()}
    return {name: tuple(value.shape[2:]) for name, value in every.items()}


def _run(model: Model, names: Sequence[str], wave: Tensor) -> dict[str, Tensor]:
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        torch.backends.nnpack.flags(enabled=False),  # kernels that compute in tiles smear NaN
        torch.backends.cudnn.flags(enabled=False),
    ):
        warnings.simplefilter("ignore")
        try:
            return model.activations(wave, names)
        except Exception:  # a stranger's network, of one length only
            return {}
