"""Caricature: more of what a picture does at a layer, position by position.

    score = mean over p of  f(p) . r(p) * max(0.1, cos(f(p), r(p)))^power        r: the reference's activations

The dot product rewards strength, so what the layer saw in the reference comes out exaggerated; the cosine keeps to what
was seen (lucid's `caricature` and `dot_compare`; `cossim_pow`). It is a direction with a vector of its own at every
position: lucid's `tensor_direction`, and `Caricature(layer).aimed(map)` where the map is one of your own making.

Departures: lucid's dot_compare takes one cosine of the whole layer, and divides it by the length of one of the two
only, so that it grows with the picture's activations; ours is a cosine, at each position, as in `tensor_direction`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.algebra import finite
from phosphene.objectives.directions import agreement
from phosphene.objectives.statistics import Statistic, mass, per_position


@dataclass(frozen=True)
class Caricature(Statistic):
    """Agreement with the reference's activations, position by position, averaged over positions; no upper bound.

    power: of the cosine; 0 is the dot product alone. The reference must have the layer's positions: it has the size
    of the picture. It is masked by `mask` alone.
    """

    word: ClassVar[str] = "caricature"

    of: str = "content"
    power: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "power", finite(self.power, "the power of a caricature"))

    def _sums(self, features: Tensor, weight: Tensor | None, part: Tensor | None) -> tuple[Tensor, ...]:
        wanted = self._aimed()[0] if part is None else part
        if features.shape[1:] != wanted.shape[1:]:
            raise UsageError(
                f"{self} compares {tuple(features.shape[1:])} with {tuple(wanted.shape[1:])} of {self.of!r}: "
                "both pictures must have the same size"
            )
        form = "dot_cosine" if self.power else "dot"
        agreed = agreement(features.flatten(2), wanted.flatten(2), form, self.power)[:, None]
        return (agreed if weight is None else agreed * weight).sum(2), mass(agreed, weight)

    def _loss(self, sums: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
        return -per_position(*sums)[:, 0]

    def _target(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, ...]:
        if weight is not None:
            raise UsageError(f"a caricature goes position by position: mask the picture, not the reference {self.of!r}")
        if not bool(features.any()):
            raise UsageError(f"nothing to exaggerate: the reference {self.of!r} is silent at {self.layer}")
        return (features.detach().clone(),)
