"""The running average of the pictures of a descent, corrected for its start (Kingma and Ba 2014, section 3).

Adam's last picture trembles; the average of the last ones is calmer, and nearer to the minimum (Crowson 2021).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from phosphene.signals import Signal


class Average:
    """The average of what `add` was given. decay: what each picture keeps of the ones before it; 0 for no average."""

    def __init__(self, decay: float) -> None:
        self.decay, self.weight = decay, 0.0
        self.sum: Tensor | None = None

    def add(self, signal: nn.Module) -> None:
        """Take in the picture as it is."""
        if not self.decay:
            return
        with torch.no_grad():
            now = signal() * (1 - self.decay)
            self.sum = now if self.sum is None else self.sum.to(now.device).mul_(self.decay).add_(now)
        self.weight = 1 - (1 - self.weight) * self.decay

    def picture(self, signal: Signal) -> Tensor:
        """The average, or the picture itself where none is kept."""
        if self.sum is None:
            with torch.no_grad():
                now: Tensor = signal()
            return now
        return self.sum / self.weight

    def clear(self) -> None:
        """Forget everything: another scale begins."""
        self.sum, self.weight = None, 0.0

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on."""
        return {"sum": self.sum, "weight": self.weight}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` gave."""
        self.sum, self.weight = state["sum"], state["weight"]
