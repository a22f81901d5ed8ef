"""Randomness that belongs to a picture, not to its batch.

Every number drawn for a row is a pure function of (seed, unit, purpose, step): `key` hashes the first three, and
the counter-based generator Philox (Salmon et al. 2011) takes the step as its counter. So position in the batch,
mates, worker and interruption change nothing, and resuming needs no generator state.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

BLOCK = 64  # steps drawn at once; amortises the cost of building one generator per row


def key(seed: int, unit: str, purpose: str) -> int:
    """A 63-bit number for (seed, unit, purpose); different triples collide with probability 2**-63."""
    digest = blake2b(f"{seed}\x1f{unit}\x1f{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Generators:
    """One stream of random numbers per row, addressed by purpose and step.

    units: the identity of each row (`Objective.identity`); equal identities draw equal numbers.
    """

    def __init__(self, seed: int, units: Sequence[str]) -> None:
        self.seed, self.units = seed, tuple(units)
        self._blocks: dict[str, tuple[int, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.units)

    def uniform(self, purpose: str, step: int, count: int) -> Tensor:
        """(b, count) float32 numbers in [0, 1) for this step, on the CPU."""
        block, offset = divmod(step, BLOCK)
        cached = self._blocks.get(purpose)
        if cached is None or cached[0] != block or cached[1].shape[2] != count:
            cached = (block, np.stack([self._draw(unit, purpose, block, count) for unit in self.units]))
            self._blocks[purpose] = cached
        return torch.from_numpy(cached[1][:, offset].copy())

    def normal(self, purpose: str, step: int, shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
        """(b, *shape) standard normal numbers for this step, drawn on the device itself."""
        rows = []
        for unit in self.units:
            generator = torch.Generator(device=device)
            generator.manual_seed(key(self.seed, unit, f"{purpose}\x1f{step}"))
            rows.append(torch.randn(tuple(shape), generator=generator, device=device))
        return torch.stack(rows)

    def _draw(self, unit: str, purpose: str, block: int, count: int) -> np.ndarray:
        stream = np.random.Philox(key=key(self.seed, unit, purpose), counter=[0, 0, 0, block])
        return np.random.Generator(stream).random((BLOCK, count), dtype=np.float32)
