"""Scores and positions out of one batch: what passes by in the network is reduced on the spot, nothing is copied.

A score is the largest response of a unit over positions, its position the first place where it stands. Positions cost
more than scores, so they are looked up for those examples only that the tally may keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.examples.exact import LARGEST
from phosphene.examples.ranked import NOWHERE, Places, Scores
from phosphene.examples.tally import Tally
from phosphene.models import Layer, Model

GATHERED = 1 << 22  # values copied at once while positions are looked up: 16 MB
FULL = 0.1  # share of a picture's units from which one pass over all of them is faster than picking


@dataclass(frozen=True)
class Read:
    """scores (b, units), places (b, units, 2); faults: {row: layer whose response is no number}."""

    scores: Scores
    places: Places
    faults: Mapping[int, str]


def read(
    model: Model, pictures: Tensor, rows: int, columns: Mapping[str, slice], tally: Tally, sampled: NDArray[np.bool_]
) -> Read:
    """Scores of the first `rows` of pictures (b, c, h, w); columns: where the units of each layer stand.

    sampled: (rows,) the pictures that may be in the sample.
    """

    def reduced(layer: Layer, value: Tensor) -> tuple[Scores, Places]:
        value = value[:rows].float()
        scores = value.amax(tuple(range(2, value.dim()))) if value.dim() > 2 else value
        found = scores.cpu().numpy() + np.float32(0)  # -0 becomes 0, which it equals
        places = np.full((*found.shape, 2), NOWHERE, np.int16)
        if value.dim() > 2:
            wanted = tally.wanted(found, sampled, columns[layer.name])
            at = np.nonzero(wanted)
            places[at] = _on_grid(_largest(value, wanted)[at], value, layer)
        return found, places

    with torch.inference_mode():
        seen = model.readings(pictures, list(columns), reduced)
    scores = np.concatenate([seen[name][0] for name in columns], 1)
    places = np.concatenate([seen[name][1] for name in columns], 1)
    faults = {}
    for row in np.flatnonzero(~(np.abs(scores) <= LARGEST).all(1)):
        unit = int(np.flatnonzero(~(np.abs(scores[row]) <= LARGEST))[0])
        faults[int(row)] = next(name for name, units in columns.items() if units.start <= unit < units.stop)
    return Read(scores, places, faults)


def _largest(value: Tensor, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(b, c) where, in a row of all positions, the largest response in value (b, c, *space) stands first; 0 unasked."""
    flat = np.zeros(wanted.shape, np.int64)
    full = wanted.mean(1) > FULL
    if full.any():
        flat[full] = value[torch.from_numpy(np.flatnonzero(full)).to(value.device)].flatten(2).argmax(2).cpu().numpy()
    rows, units = np.nonzero(wanted & ~full[:, None])
    step = max(1, GATHERED // value[0, 0].numel())
    for start in range(0, len(rows), step):
        at = rows[start : start + step], units[start : start + step]
        picked = value[torch.from_numpy(at[0]).to(value.device), torch.from_numpy(at[1]).to(value.device)]
        flat[at] = picked.flatten(1).argmax(1).cpu().numpy()
    return flat


def _on_grid(flat: NDArray[np.int64], value: Tensor, layer: Layer) -> Places:
    """(n, 2) places y, x of n positions in the space of value (b, c, *space)."""
    if value.dim() == 3:  # tokens: some stand before the grid and have no place
        front, _, width = layer.tokens or (0, 1, value.shape[2])
        y, x = np.divmod(flat - front, width)
        return np.where((flat >= front)[:, None], np.stack([y, x], 1), NOWHERE).astype(np.int16)
    y, x = np.divmod(flat, value.shape[-1])
    return np.stack([y, x], 1).astype(np.int16)
