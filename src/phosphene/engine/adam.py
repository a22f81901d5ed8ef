"""Adam (Kingma and Ba 2014, arXiv 1412.6980): torch's own kernels without the class around them.

`torch.optim.Adam` imports torch's compiler when it is made, a second of every command that renders one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

EPS = 1e-10  # below torch's 1e-8: gradients of a small probability are small, not zero
FUSED_ON = ("cpu", "cuda")  # devices with a fused kernel


class Adam:
    """Climbs with tensors in place. betas: decay of the means of gradients and of their squares.

    means, squares, counts: of each parameter the running means, and (as a tensor, for the kernel) the steps done.
    """

    def __init__(self, parameters: Sequence[Tensor], *, lr: float, betas: tuple[float, float]) -> None:
        self.parameters = [parameter.detach() for parameter in parameters]  # the same memory
        self.lr, self.betas = lr, betas
        self.fused = self.parameters[0].device.type in FUSED_ON
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        device = self.parameters[0].device if self.fused else torch.device("cpu")
        self.counts = [torch.zeros((), dtype=torch.float32, device=device) for _ in self.parameters]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step up along gradients of the parameters' shapes."""
        with torch.no_grad():
            adam(
                self.parameters,
                list(gradients),
                self.means,
                self.squares,
                [],
                self.counts,
                foreach=False,
                fused=self.fused,
                amsgrad=False,
                beta1=self.betas[0],
                beta2=self.betas[1],
                lr=self.lr,
                weight_decay=0.0,
                eps=EPS,
                maximize=True,
            )

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on as if nothing had happened."""
        return {"means": self.means, "squares": self.squares, "counts": self.counts}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state that `state` gave. Raises ValueError when it is of other parameters."""
        for name, own in (("means", self.means), ("squares", self.squares), ("counts", self.counts)):
            given = state[name]
            if [tuple(tensor.shape) for tensor in given] != [tuple(tensor.shape) for tensor in own]:
                raise ValueError(f"the {name} of another optimization do not fit")
            for tensor, value in zip(own, given, strict=True):
                tensor.copy_(value)
