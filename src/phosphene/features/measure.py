"""The honest number: what a stranger finds who loads the saved picture and runs the plain network on it.

No transforms, no copy of the network, float32, the 8-bit picture, one picture at a time, resized to nothing. The same
look tells a picture that failed: a unit that is silent on it, a number that is none. `rise.py` tells one that came to
nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.models import Model
from phosphene.objectives import INPUT, Objective

BEHIND = 0.5  # gray that shows through where a picture with an alpha channel is transparent


@dataclass(frozen=True)
class Measured:
    """What a unit does on a picture. value: its activation. silent: no gradient, and no more than on plain gray."""

    value: float
    silent: bool = False


def measure(model: Model, picture: Tensor, unit: Objective, *, blank: float = BEHIND) -> Measured:
    """What `unit` (bound, one row) does on a picture (c, h, w) in [0, 1], or on a sound (c, samples).

    blank: the value of a picture that shows nothing, or of a sound that is silent.
    """
    x = picture[None].to(model.device, torch.float32)
    with torch.enable_grad():
        x.requires_grad_(True)
        reached = score(model, x, unit)
        reads = bool(unit.layers - {INPUT}) and reached.requires_grad
        (gradient,) = torch.autograd.grad(reached, [x], materialize_grads=True) if reads else (None,)
    value = float(reached.detach())
    silent = gradient is not None and not bool(gradient.any())
    if silent:  # a softmax at exactly 1 has no gradient either, and is no failure
        with torch.no_grad():
            silent = value == float(score(model, torch.full_like(x, blank), unit))
    return Measured(value, silent)


def failure(measured: Measured, broken_at: int, *, finite: bool) -> str:
    """Why a finished picture shows nothing, "" when it is sound.

    broken_at: the step at which its gradient stopped being finite, 0 for never. finite: its values before rounding.
    """
    if broken_at:
        return f"the gradient stopped being finite at step {broken_at}"
    if not finite:
        return "the picture's values stopped being finite; a smaller --lr may help"
    if not math.isfinite(measured.value):
        return f"the network gives {measured.value} for this picture"
    if measured.silent:
        return "the unit stays silent: no gradient reaches the picture"
    return ""


def score(model: Model, x: Tensor, objective: Objective) -> Tensor:
    """What an objective (bound, one row) gives for a picture (1, c, h, w), or for a sound, with its graph."""
    acts = {INPUT: x}
    seen = x
    if x.shape[1] == model.spec.channels + 1:
        seen = x[:, :-1] * x[:, -1:] + BEHIND * (1 - x[:, -1:])
    layers = objective.layers - {INPUT}
    if layers:
        acts.update(model.activations(seen, layers))
    return objective(acts, torch.zeros(1, dtype=torch.int64, device=x.device)).sum()
