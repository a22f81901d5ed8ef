"""Gradient ascent on a signal's parameters: Adam for many pictures at once, L-BFGS for one.

Adam (Kingma and Ba 2014, arXiv 1412.6980) is elementwise, so rows stay independent; it is torch's own. L-BFGS
(`lbfgs.py`) has inner products over all parameters, which would couple rows: it takes one row only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.engine.lbfgs import LBFGS, Evaluate
from phosphene.errors import UsageError
from phosphene.recipe import OptimizerConfig

ADAM_LR = 0.05  # lucid's default with its Fourier scale, which is ours
ADAM_EPS = 1e-10  # below torch's 1e-8: gradients of a small probability are small, not zero
LBFGS_LR = 1.0  # with a strong Wolfe line search the first trial step
FUSED_ON = ("cpu", "cuda")  # devices with a fused Adam kernel
LINE = 16  # float32 values in a cache line of 64 bytes


def learning_rate(config: OptimizerConfig) -> float:
    """The step size: the config's own, else the optimizer's default."""
    return config.lr or (ADAM_LR if config.optimizer == "adam" else LBFGS_LR)


class Ascent:
    """One optimiser over the parameters of a signal.

    Raises UsageError when L-BFGS is given more than one row.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], config: OptimizerConfig, *, rows: int) -> None:
        self.parameters = list(parameters)
        self.pieces = [[parameter] for parameter in self.parameters]
        self.optimizer: torch.optim.Optimizer | LBFGS
        if config.optimizer == "lbfgs":
            if rows != 1:
                raise UsageError(f"L-BFGS optimises one picture at a time, got {rows} rows")
            self.optimizer = LBFGS(self.parameters, lr=learning_rate(config), history=config.history)
            return
        fused = self.parameters[0].device.type in FUSED_ON
        self.pieces = [pieces_of(parameter) for parameter in self.parameters] if fused else self.pieces
        self.optimizer = torch.optim.Adam(
            [piece for pieces in self.pieces for piece in pieces],
            lr=learning_rate(config),
            betas=config.betas,
            eps=ADAM_EPS,
            fused=fused,
        )

    def step(self, evaluate: Evaluate, *, still: bool = False) -> Tensor:
        """One step up. evaluate() gives scores (b,) and the gradient of their sum; returns the first scores.

        still: evaluate() is the same function at every step, so that L-BFGS need not ask twice (`LBFGS.step`).
        """
        if isinstance(self.optimizer, LBFGS):
            return self.optimizer.step(evaluate, still=still)
        scores, gradients = evaluate()
        for pieces, gradient in zip(self.pieces, gradients, strict=True):
            down = gradient.neg()  # torch minimises
            for piece, part in zip(pieces, down if len(pieces) > 1 else [down.view_as(pieces[0])], strict=True):
                piece.grad = part
        self.optimizer.step()
        self.optimizer.zero_grad()
        return scores

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on as if nothing had happened."""
        return self.optimizer.state() if isinstance(self.optimizer, LBFGS) else self.optimizer.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state that `state` gave."""
        if isinstance(self.optimizer, LBFGS):
            self.optimizer.restore(state)
        else:
            self.optimizer.load_state_dict(state)


def pieces_of(parameter: nn.Parameter) -> list[nn.Parameter]:
    """What the fused Adam is given so that a row's place in the batch changes no bit: rows of one parameter, or all.

    torch hands out whole cache lines to its threads and rounds what is left at the end of a tensor differently. Rows of
    whole lines leave nothing and stay together: one call of the kernel, not one per row. Others become parameters of
    their own, in the same memory, where the same elements are left of each.
    """
    if parameter[0].numel() % LINE == 0:
        return [parameter]
    return [nn.Parameter(row) for row in parameter.data]
