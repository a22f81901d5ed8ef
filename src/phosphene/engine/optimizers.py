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
# Evaluations in a step at most. torch's own default, 5/4 of the iterations, leaves none for the line search of one
# iteration: a first trial that is no better is then dropped and tried again for ever.
MAX_EVALUATIONS = 25
FUSED_ON = ("cpu", "cuda")  # devices with a fused Adam kernel
LINE = 16  # float32 values in a cache line of 64 bytes

Evaluate: TypeAlias = Callable[[], tuple[Tensor, Sequence[Tensor]]]


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
        self.last: tuple[list[Tensor], Tensor, Sequence[Tensor]] | None = None  # where, scores, gradients
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "adam":
            fused = self.parameters[0].device.type in FUSED_ON
            self.pieces = [pieces_of(parameter) for parameter in self.parameters] if fused else self.pieces
            self.optimizer = torch.optim.Adam(
                [piece for pieces in self.pieces for piece in pieces],
                lr=learning_rate(config),
                betas=config.betas,
                eps=ADAM_EPS,
                fused=fused,
            )
            return
        if rows != 1:
            raise UsageError(f"L-BFGS optimises one picture at a time, got {rows} rows")
        self.optimizer = torch.optim.LBFGS(
            self.parameters,
            lr=learning_rate(config),
            max_iter=1,
            max_eval=MAX_EVALUATIONS,
            history_size=config.history,
            tolerance_grad=0,  # whoever asks for steps gets them: scores may be small numbers of any kind
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

    def step(self, evaluate: Evaluate, *, still: bool = False) -> Tensor:
        """One step up. evaluate() gives scores (b,) and the gradient of their sum; returns the first scores.

        still: evaluate() is the same function at every step. Then what L-BFGS asks first, at the point where the last
        line search ended, is known already: one evaluation a step in place of two.
        """
        first: list[Tensor] = []

        def closure() -> float:
            scores, gradients = self._remembered() or evaluate()
            if still and isinstance(self.optimizer, torch.optim.LBFGS):
                self.last = ([p.detach().clone() for p in self.parameters], scores, gradients)
            first.append(scores)
            for pieces, gradient in zip(self.pieces, gradients, strict=True):
                down = gradient.neg()
                for piece, part in zip(pieces, down if len(pieces) > 1 else [down.view_as(pieces[0])], strict=True):
                    piece.grad = part
            return -float(scores.sum()) if isinstance(self.optimizer, torch.optim.LBFGS) else 0.0

        if isinstance(self.optimizer, torch.optim.LBFGS):
            self.optimizer.step(closure)  # type: ignore[no-untyped-call]
        else:
            closure()
            self.optimizer.step()
        self.optimizer.zero_grad()
        return first[0]

    def _remembered(self) -> tuple[Tensor, Sequence[Tensor]] | None:
        """The last evaluation, if the parameters are where it was made."""
        if self.last is None or not all(map(torch.equal, self.last[0], self.parameters)):
            return None
        return self.last[1:]

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on as if nothing had happened."""
        return self.optimizer.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state that `state` gave."""
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
