"""Gradient ascent on a signal's parameters: Adam for many pictures at once, L-BFGS for one.

Adam (`adam.py`) is elementwise, so rows stay independent. L-BFGS
(`lbfgs.py`) has inner products over all parameters, which would couple rows: it takes one row only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from phosphene.engine.adam import FUSED_ON, Adam
from phosphene.engine.lbfgs import LBFGS, Evaluate
from phosphene.errors import UsageError
from phosphene.recipe import OptimizerConfig

ADAM_LR = 0.05  # lucid's default with its Fourier scale, which is ours
LBFGS_LR = 1.0  # with a strong Wolfe line search the first trial step
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
        self.optimizer: Adam | LBFGS
        if config.optimizer == "lbfgs":
            if rows != 1:
                raise UsageError(f"L-BFGS optimises one picture at a time, got {rows} rows")
            self.optimizer = LBFGS(self.parameters, lr=learning_rate(config), history=config.history)
            return
        if self.parameters[0].device.type in FUSED_ON:
            self.pieces = [pieces_of(parameter) for parameter in self.parameters]
        parts = [piece for pieces in self.pieces for piece in pieces]
        self.optimizer = Adam(parts, lr=learning_rate(config), betas=config.betas)

    def step(self, evaluate: Evaluate, *, still: bool = False) -> Tensor:
        """One step up. evaluate() gives scores (b,) and the gradient of their sum; returns the first scores.

        still: evaluate() is the same function at every step, so that L-BFGS need not ask twice (`LBFGS.step`).
        """
        if isinstance(self.optimizer, LBFGS):
            return self.optimizer.step(evaluate, still=still)
        scores, gradients = evaluate()
        parts: list[Tensor] = []
        for pieces, gradient in zip(self.pieces, gradients, strict=True):
            parts += gradient if len(pieces) > 1 else [gradient.view_as(pieces[0])]
        self.optimizer.step(parts)
        return scores

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on as if nothing had happened."""
        return self.optimizer.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state that `state` gave."""
        self.optimizer.restore(state)


def pieces_of(parameter: nn.Parameter) -> list[nn.Parameter]:
    """What the fused Adam is given so that a row's place in the batch changes no bit: rows of one parameter, or all.

    torch hands out whole cache lines to its threads and rounds what is left at the end of a tensor differently. Rows of
    whole lines leave nothing and stay together: one call of the kernel, not one per row. Others become parameters of
    their own, in the same memory, where the same elements are left of each.
    """
    if parameter[0].numel() % LINE == 0:
        return [parameter]
    return [nn.Parameter(row) for row in parameter.data]
