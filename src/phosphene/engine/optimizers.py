"""Gradient ascent on a signal's parameters: Adam for many pictures at once, L-BFGS for one.

Adam (Kingma and Ba 2014, arXiv 1412.6980) is elementwise, so rows stay independent. L-BFGS (Liu and Nocedal 1989) has
inner products over all parameters, which would couple rows: it takes one row only. Both are torch's own; the score is
negated here, once, because torch minimises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.recipe import OptimizerConfig

ADAM_LR = 0.05  # lucid's default with its Fourier scale, which is ours
ADAM_EPS = 1e-10  # below torch's 1e-8: gradients of a small probability are small, not zero
LBFGS_LR = 1.0  # with a strong Wolfe line search the first trial step
FUSED_ON = ("cpu", "cuda")  # devices with a fused Adam kernel

Evaluate: TypeAlias = Callable[[], tuple[Tensor, Sequence[Tensor]]]


class Ascent:
    """One optimiser over the parameters of a signal.

    Raises UsageError when L-BFGS is given more than one row.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], config: OptimizerConfig, *, rows: int) -> None:
        self.parameters = list(parameters)
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "adam":
            self.optimizer = torch.optim.Adam(
                self.parameters,
                lr=config.lr or ADAM_LR,
                betas=config.betas,
                eps=ADAM_EPS,
                fused=self.parameters[0].device.type in FUSED_ON,
            )
            return
        if rows != 1:
            raise UsageError(f"L-BFGS optimises one picture at a time, got {rows} rows")
        self.optimizer = torch.optim.LBFGS(
            self.parameters,
            lr=config.lr or LBFGS_LR,
            max_iter=1,
            history_size=config.history,
            line_search_fn="strong_wolfe",
        )

    def step(self, evaluate: Evaluate) -> Tensor:
        """One step up. evaluate() gives scores (b,) and the gradient of their sum; returns the first scores."""
        first: list[Tensor] = []

        def closure() -> float:
            scores, gradients = evaluate()
            first.append(scores)
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = gradient.neg()
            return -float(scores.sum()) if isinstance(self.optimizer, torch.optim.LBFGS) else 0.0

        if isinstance(self.optimizer, torch.optim.LBFGS):
            self.optimizer.step(closure)
        else:
            closure()
            self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        return first[0]

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on as if nothing had happened."""
        return self.optimizer.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state that `state` gave."""
        self.optimizer.load_state_dict(state)
