"""Scores and positions out of one batch: what passes by in the network is reduced on the spot, nothing is copied.

A score is the largest response of a unit over positions, its position the first place where it stands. Both come out
of one pass over a map: on a CPU that of adaptive pooling to one place, which reads channels-last maps as they lie and
is faster than a maximum alone; a maximum with its place reads them with strides, nine times as long.

A map that the network does not overwrite is reduced by another thread while the network goes on. Which maps those are,
PyTorch's version counters say: every operation in place raises that of its tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from phosphene.examples.exact import LARGEST
from phosphene.examples.ranked import NOWHERE, Places, Scores
from phosphene.models import Layer, Model


@dataclass(frozen=True)
class Peaks:
    """Of a layer for each picture and unit: largest (b, c), and flat (b, c), where in a row of all positions it first
    stands; None without space. width of a row of the map; front: positions before it (tokens that have no place)."""

    largest: Tensor
    flat: Tensor | None = None
    width: int = 1
    front: int = 0

    def places(self) -> Places:
        """(b, c, 2) y, x on the layer's map."""
        places = np.full((*self.largest.shape, 2), NOWHERE, np.int16)
        if self.flat is not None:
            grid = self.flat.cpu().numpy().astype(np.int32) - self.front
            places[..., 0] = y = grid // self.width
            places[..., 1] = grid - y * self.width
            places[grid < 0] = NOWHERE
        return places


@dataclass(frozen=True)
class Read:
    """scores (b, units) of a batch; faults: {row: layer whose response is no number}; peaks: of each layer."""

    scores: Scores
    faults: Mapping[int, str]
    peaks: tuple[Peaks, ...]

    def places(self) -> Places:
        """(b, units, 2) where the scores stand; apart, because it need not be done before the next batch."""
        return np.concatenate([one.places() for one in self.peaks], 1)


def read(
    model: Model, pictures: Tensor, rows: int, columns: Mapping[str, slice], lasts: Collection[str], aside: Executor
) -> Read:
    """Scores of the first `rows` of pictures (b, c, h, w).

    columns: where the units of each layer stand. lasts: the layers that `lasting` gave; `aside` reduces their maps.
    """

    def reduced(layer: Layer, value: Tensor) -> Callable[[], Peaks]:
        if layer.name in lasts:
            return aside.submit(peaks, value[:rows], layer).result
        found = peaks(value[:rows], layer)
        return lambda: found

    with torch.inference_mode():
        seen = model.readings(pictures, list(columns), reduced)
    every = tuple(seen[name]() for name in columns)
    scores = torch.cat([one.largest for one in every], 1).cpu().numpy() + np.float32(0)  # -0 becomes 0, its equal
    faults = {}
    for row, unit in reversed(np.argwhere(~(np.abs(scores) <= LARGEST)).tolist()):
        faults[row] = next(name for name, units in columns.items() if units.start <= unit < units.stop)
    return Read(scores, faults, every)


def peaks(value: Tensor, layer: Layer) -> Peaks:
    """The peaks of value (b, c, *space), the activations of a layer."""
    if value.dim() < 3:
        return Peaks(value.float().clone())
    width, front = value.shape[-1], 0
    if value.dim() == 3 and layer.tokens is not None:
        front, height, _ = layer.tokens
        width = (value.shape[2] - front) // height  # of a clip of another length than the layer table's
    with torch.inference_mode():
        maps = value.float()
        if maps.device.type != "cpu" or maps.dim() > 4:
            row = maps.flatten(2)
            flat = row.argmax(2, keepdim=True)
            largest = row.gather(2, flat)
        else:
            maps = maps if maps.dim() == 4 else maps.unsqueeze(2)
            largest, flat = adaptive_max_pool2d(maps, 1, return_indices=True)
    return Peaks(largest.flatten(1), flat.flatten(1), width, front)


def lasting(model: Model, layers: Collection[str], blank: Tensor) -> frozenset[str]:
    """The layers with maps that nothing overwrites before the network is done; none on other devices than a CPU.

    blank: an input (1, c, *space) of nothing.
    """

    def noted(layer: Layer, value: Tensor) -> tuple[Tensor, int]:
        return value, value._version

    if next(model.net.parameters(), blank).device.type != "cpu":
        return frozenset()
    with torch.no_grad():  # in inference mode nothing is counted
        seen = model.readings(blank, layers, noted)
    return frozenset(name for name, (value, before) in seen.items() if value.dim() > 2 and value._version == before)
