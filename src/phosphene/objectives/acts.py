"""Activations as objectives meet them: what they are called, and how views belong to rows.

acts: {layer: (b*v, c, *space)} and "input": (b, c, *space), the signal itself. A row is one independent picture, shown
in v views that follow each other; rows (b*v,) says which row each view shows. A row's score is the mean of its views'.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

Acts: TypeAlias = Mapping[str, Tensor]
INPUT = "input"  # the untransformed signal
OUTPUT = "output"  # what the network returns: its logits


def views_per_row(acts: Acts, rows: Tensor) -> int:
    """v: how many views show each row; `acts["input"]`, when there, has one entry per row."""
    return rows.shape[0] // acts[INPUT].shape[0] if INPUT in acts else 1


def average_views(values: Tensor, views: int) -> Tensor:
    """(b*v,) values of views, those of a row together -> (b,) mean of each row."""
    return values if views == 1 else values.view(-1, views).mean(1)


@lru_cache(maxsize=256)
def index(units: tuple[int, ...], views: int, device: torch.device) -> Tensor:
    """Units as an index tensor on the device, one per view; made once, not once a step."""
    return torch.tensor(units, device=device).repeat_interleave(views)


@lru_cache(maxsize=256)
def floats(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Numbers as a float32 tensor on the device; made once, not once a step."""
    return torch.tensor(values, device=device)


def positions(values: Tensor) -> Tensor:
    """Activations (b, c, *space) -> (b, c, n) in float32; a vector (b, c) has one position."""
    return values.float().flatten(2) if values.dim() > 2 else values.float()[..., None]
