"""What an optimizer learned at one scale, at the next: a warm start up the ladder.

An enlarged picture is a linear map of the smaller one's parameters, p' = E p, so a difference of parameters becomes
s' = E s. A gradient y becomes what keeps every product with a difference, y' . s' = y . s. L-BFGS then knows from its
first step how the loss bends along the pairs (s, y) that it has; Adam keeps its means of gradients and their squares.
In the Fourier basis E copies coefficients and scales them; in pixels it enlarges.

Source: Crowson 2021 (style-transfer-pytorch) carries Adam's means up in pixels. Departures: L-BFGS, the Fourier basis,
and gradients that shrink as the pixels become more.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from phosphene.engine.lbfgs import in_order, remembered
from phosphene.engine.optimizers import pieces_of
from phosphene.signals import Fourier, Signal
from phosphene.style.ladder import enlarged


def carried(state: dict[str, Any], coarse: Signal, fine: Signal, *, history: int) -> dict[str, Any] | None:
    """The state of an optimizer over the parameter of `coarse`, one picture, as one over that of `fine`.

    state: as `Ascent.state` gives it, after at least one step. history: pairs of L-BFGS that are kept at most.
    None where it learned nothing: L-BFGS takes no step where the gradient is exactly zero.
    """
    if isinstance(coarse, Fourier) and isinstance(fine, Fourier):
        lift: Lift = FourierLift(coarse, fine)
    else:
        lift = PixelLift(_parameter(coarse), _parameter(fine))
    if "memory" in state:
        return _pairs(state["memory"], lift, history) if state["memory"]["pairs"].shape[1] else None
    return {**_means(state, lift, _parameter(fine)), "counts": state["counts"]}


class Lift(Protocol):
    """The map E between the parameters of two signals. known: which of the fine ones it reaches."""

    known: Tensor

    def difference(self, s: Tensor) -> Tensor: ...
    def gradient(self, y: Tensor, power: int = 1) -> Tensor: ...


class FourierLift:
    """Coefficients of the same waves: as many cycles across the picture."""

    def __init__(self, coarse: Fourier, fine: Fourier) -> None:
        self.shape, self.target = coarse.coefficients.shape, fine.coefficients.shape
        across = min(self.shape[3], self.target[3]) - 1  # without the highest frequency: a wave of half a grid
        down = min(self.shape[2], self.target[2]) // 2
        self.places = [(slice(0, down), slice(0, across)), (slice(1 - down, None), slice(0, across))]
        pixels = fine.size[0] * fine.size[1] / (coarse.size[0] * coarse.size[1])
        self.ratio = torch.ones_like(fine.scale)[..., None]
        self.known = torch.zeros(self.target, dtype=torch.bool, device=fine.scale.device)
        for place in self.places:
            grown = pixels * coarse.scale[(..., *place)] / fine.scale[(..., *place)]
            self.ratio[(..., *place, slice(None))] = grown[..., None]
            self.known[(..., *place, slice(None))] = True

    def _copied(self, v: Tensor) -> Tensor:
        v, copy = v.view(self.shape), v.new_zeros(self.target)
        for place in self.places:
            copy[(..., *place, slice(None))] = v[(..., *place, slice(None))]
        return copy

    def difference(self, s: Tensor) -> Tensor:
        return self._copied(s) * self.ratio

    def gradient(self, y: Tensor, power: int = 1) -> Tensor:
        """power: 2 for squares of gradients."""
        return self._copied(y) / self.ratio**power


class PixelLift:
    """Pixels, enlarged."""

    def __init__(self, coarse: Tensor, fine: Tensor) -> None:
        self.shape, self.size = coarse.shape, (fine.shape[2], fine.shape[3])
        self.area = fine.numel() / coarse.numel()
        self.known = torch.ones_like(fine, dtype=torch.bool)

    def difference(self, s: Tensor) -> Tensor:
        return enlarged(s.view(self.shape), self.size)

    def gradient(self, y: Tensor, power: int = 1) -> Tensor:
        """power: 2 for squares of gradients."""
        return enlarged(y.view(self.shape), self.size) / self.area**power


def _pairs(memory: dict[str, Any], lift: Lift, history: int) -> dict[str, Any]:
    """L-BFGS: its pairs. No pair is made of what lies between two scales."""
    moves, bends = in_order(memory)[:, -history:]
    lifted = ([lift.difference(s).flatten() for s in moves], [lift.gradient(y).flatten() for y in bends])
    return {"memory": remembered(torch.stack([torch.stack(part) for part in lifted]), history), "before": None}


def _means(state: dict[str, Any], lift: Lift, parameter: nn.Parameter) -> dict[str, Any]:
    """Adam: its means. What the coarse scale could not know moves as what it knows does on the mean."""
    (mean,), (square,) = state["means"], state["squares"]
    squares = lift.gradient(square, power=2).clamp(min=0)
    squares = torch.where(lift.known, squares, squares[lift.known].mean())
    shape = pieces_of(parameter)[0].shape
    return {"means": [lift.gradient(mean).view(shape)], "squares": [squares.view(shape)]}


def _parameter(signal: Signal) -> nn.Parameter:
    (parameter,) = signal.parameters()
    return parameter
