"""The honest number: what a stranger finds who loads the saved picture and runs the plain network on it.

No transforms, no copy of the network, float32, the 8-bit picture, one picture at a time, resized to nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from phosphene.models import Model
from phosphene.objectives import INPUT, Objective

BEHIND = 0.5  # gray that shows through where a picture with an alpha channel is transparent


def measure(model: Model, picture: Tensor, unit: Objective) -> float:
    """The value of `unit` (bound, one row) on a picture (c, h, w) in [0, 1]."""
    x = picture[None].to(model.device, torch.float32)
    acts = {INPUT: x}
    seen = x
    if x.shape[1] == model.spec.channels + 1:
        seen = x[:, :-1] * x[:, -1:] + BEHIND * (1 - x[:, -1:])
    layers = unit.layers - {INPUT}
    with torch.no_grad():
        if layers:
            acts.update(model.activations(seen, layers))
        return float(unit(acts, torch.zeros(1, dtype=torch.int64, device=x.device)))
