"""A family of pictures with a common ground: every row is its own signal plus low-resolution parts that all rows share.

    x_i = sigmoid(C @ (own_i + sum_k up_k(mean_j s_jk)))

Mordvintsev et al., Distill 2018 ("Aligned feature visualization interpolation"; lucid's `lowres_tensor`): rows of one
family, such as the steps between two units, take up the same layout where their targets let them, so that neighbors can
be compared. It mixes rows by construction: use it for the rows of ONE family, never for rows that have nothing to do
with each other. All else that this package promises about rows holds between families, not within one.

The shared part is kept once per row and averaged, since the engine wants the first axis of every parameter to be rows;
all copies get the same gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.seeds import Generators
from phosphene.signals.base import Signal
from phosphene.signals.laplacian import enlarged

FACTORS = (4, 8, 16)  # how much coarser the shared parts are than the picture


class Shared(Signal):
    """Rows of `own` with shared parts `factors` times coarser than the picture; size, colors and start are own's.

    group: rows of a family, of which several may follow each other; all rows when left out. Rows behind the last whole
    family, which fill up a batch, have a common part each.
    """

    def __init__(self, own: Signal, *, factors: Sequence[int] = FACTORS, group: int | None = None) -> None:
        super().__init__(own.rows, channels=own.channels, size=own.size, alpha=own.alpha, clamped=own.clamped)
        if not factors or min(factors) < 1:
            raise UsageError(f"shared parts are 1 or more times coarser than the picture, got {tuple(factors)}")
        self.group = own.rows if group is None else group
        if not 1 <= self.group <= own.rows:
            raise UsageError(f"a family of {self.group} does not fit into {own.rows} rows")
        self.own = own
        self.basis = own.basis
        height, width = own.size
        sizes = [(-(-height // factor), -(-width // factor)) for factor in factors]
        self.parts = nn.ParameterList(torch.zeros(own.rows, own.shape[1], *size) for size in sizes)

    def linear(self) -> Tensor:
        common = torch.stack([enlarged(self._averaged(part), self.size) for part in self.parts]).sum(0)
        families = self.rows // self.group
        spread = [common[:families].repeat_interleave(self.group, 0), common[families:]]
        return self.own.linear() + torch.cat(spread)

    def _averaged(self, part: Tensor) -> Tensor:
        """(b, c, h, w) -> the mean of each family, and behind them the rows that belong to none."""
        whole = self.rows - self.rows % self.group
        return torch.cat([part[:whole].view(-1, self.group, *part.shape[1:]).mean(1), part[whole:]])

    def write(self, linear: Tensor) -> None:
        for part in self.parts:
            part.zero_()
        self.own.write(linear)

    def start(self, generators: Generators, deviation: float = 0.01) -> None:
        """Own parts as ever; shared ones at zero, so that nothing depends on how many rows there are."""
        with torch.no_grad():
            for part in self.parts:
                part.zero_()
        self.own.start(generators, deviation)
