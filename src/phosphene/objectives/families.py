"""Families of pictures: rows that are compared with each other.

    Diversity    -mean over the others j of cos(G_i, G_j),  G = F F^T / N      Olah et al. 2017 ("Diversity"); the Gram
                                                                               matrix of Gatys et al. 2015
    Alignment    -sum over |i - j| <= 4 of mean (F_i - F_j)^2 / decay^|i - j|  lucid's `alignment`
    interpolate  row k scores (1 - t_k) * first + t_k * last,  t from 0 to 1   lucid's `channel_interpolate`

Both leaves are objectives, so they are added: `features.12:50 + 5*diversity(features.12, group=9)` is nine pictures.
A group is `group` consecutive rows, and rows of different groups never mix: a group alone scores as it does in company.
Its rows must be in one batch (`together`); one that is cut in two is an error, never a quiet zero.

Departures: the peers compare the whole batch in a Python loop over pairs; here it is one matrix product per group. Each
score is the row's own, and the sum over a group does not depend on the other groups. Members of a Diversity group are
told apart by their random numbers (`facet`): from one start with one sequence of transforms, equal pictures have equal
gradients and never part. Those of an Alignment are not, so that a strip begins aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.acts import INPUT, Acts, views_per_row
from phosphene.objectives.algebra import NetworkLike, Objective, Scale, Sum, finite, number
from phosphene.objectives.likeness import gram_products
from phosphene.objectives.units import check_layer
from phosphene.objectives.words import layer_text, ranges_text

MAX_GROUP = 4096  # rows of a group: more than any batch holds; a larger number is an accident
NORM_FLOOR = 1e-12  # of a Gram matrix, under a division: a silent row is like none of the others
REACH = 4  # how far apart rows are still aligned, in rows (lucid)


@dataclass(frozen=True)
class Family(Objective, registered=False):
    """Base of the leaves that compare the rows of a group.

    layer: dotted name, alias, or "input" for the pictures themselves. group: rows of a group, 2 or more. members: which
    row of the family each of our rows is, group by group; one group of all by default.
    """

    regularizes: ClassVar[bool] = True
    word: ClassVar[str]

    layer: str
    group: int
    members: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_layer(self.layer)
        if not _whole(self.group) or not 2 <= self.group <= MAX_GROUP:
            raise UsageError(f"a group of {self.word} is 2 to {MAX_GROUP} pictures, got {self.group!r:.80}")
        given = self.members
        members = (given,) if isinstance(given, int) else tuple(given) or tuple(range(self.group))
        if not all(_whole(member) and member >= 0 for member in members):
            raise UsageError(f"members of {self.word} are numbers from 0, got {self.members!r:.80}")
        object.__setattr__(self, "members", members)

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        views = 1 if self.layer == INPUT else views_per_row(acts, rows)
        values = acts[self.layer]
        whole = self._whole_groups(len(values) // views)
        grouped = values[: whole * views].reshape(-1, self.group, views, *values.shape[1:])
        scores = self._scores(grouped).flatten()
        return torch.cat([scores, scores.new_zeros(len(values) // views - whole)])

    def followed_by(self, other: Self) -> Self | None:
        """One leaf for the rows of both, the other's groups behind ours; None when they are not alike and whole."""
        alike = replace(other, members=self.members) == self
        if not alike or any(len(leaf.members) % leaf.group for leaf in (self, other)):
            return None
        shift = (max(self.members) // self.group + 1) * self.group
        return replace(self, members=self.members + tuple(member + shift for member in other.members))

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    @property
    def rows(self) -> int:
        return len(self.members)

    @property
    def together(self) -> int:
        return self.group

    def take(self, rows: Sequence[int]) -> Objective:
        return replace(self, members=tuple(self.members[row if len(self.members) > 1 else 0] for row in rows))

    def bind(self, network: NetworkLike) -> Objective:
        return self if self.layer == INPUT else replace(self, layer=network.find_layer(self.layer).name)

    def _whole_groups(self, count: int) -> int:
        """How many of a batch's rows are whole groups; what is left repeats the last row, which fills up a batch."""
        if len(self.members) != count:
            raise UsageError(f"{self} compares {len(self.members)} pictures, and the batch has {count}")
        whole = 0
        while self._group_at(whole):
            whole += self.group
        if whole == 0 or any(member != self.members[whole - 1] for member in self.members[whole:]):
            raise UsageError(
                f"a group of {self.word} is cut in two: pictures {ranges_text(self.members)} are in a batch, and "
                f"each {self.group} that follow each other belong together; use a batch that {self.group} divides"
            )
        return whole

    def _group_at(self, start: int) -> bool:
        """Whether a whole group, in order, starts at this row."""
        members = self.members[start : start + self.group]
        return (
            len(members) == self.group
            and members[0] % self.group == 0
            and members == tuple(range(members[0], members[0] + self.group))
        )

    def _scores(self, values: Tensor) -> Tensor:
        """(groups, group) scores of activations (groups, group, views, c, *space)."""
        raise NotImplementedError

    def _options(self) -> str:
        members = "" if self.members == tuple(range(self.group)) else f", members={ranges_text(self.members)}"
        return f"{layer_text(self.layer)}, group={self.group}{members}"


@dataclass(frozen=True)
class Diversity(Family):
    """How unlike the other pictures of its group each one is: minus the mean cosine of their Gram matrices, -1 .. 0
    behind a rectifier. The Gram matrix of a row is the mean of its views'.
    """

    word: ClassVar[str] = "diversity"

    @property
    def facet(self) -> int:
        return self.members[0] % self.group if len(self.members) == 1 else 0

    def _scores(self, values: Tensor) -> Tensor:
        with torch.autocast(values.device.type, enabled=False):
            flat = values.flatten(4) if values.dim() > 4 else values[..., None]
            products = gram_products(flat.transpose(2, 3).flatten(3))
            lengths = products.diagonal(dim1=1, dim2=2).clamp(min=NORM_FLOOR**2).sqrt()
            cosines = products / (lengths[:, :, None] * lengths[:, None, :])
            others: Tensor = cosines.sum(2) - cosines.diagonal(dim1=1, dim2=2)
        return -others / (self.group - 1)

    def __str__(self) -> str:
        return f"{self.word}({self._options()})"


@dataclass(frozen=True)
class Alignment(Family):
    """How near each picture's features are to those of its neighbors in the group, position by position; 0 or less.

    decay: how much less the next neighbor counts than the one before it. Half of each pair's distance is charged to
    each of the two, so that the sum over a group is lucid's number.
    """

    word: ClassVar[str] = "alignment"

    decay: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "decay", finite(self.decay, "the decay of alignment"))
        if self.decay <= 0:
            raise UsageError(f"the decay of alignment is above 0, got {self.decay:g}")

    def _scores(self, values: Tensor) -> Tensor:
        flat = values.float().flatten(2)
        scores = flat.new_zeros(flat.shape[:2])
        for apart in range(1, min(REACH, self.group - 1) + 1):
            distances = (flat[:, apart:] - flat[:, :-apart]).square().mean(2) / (2 * self.decay**apart)
            gap = flat.new_zeros(len(flat), apart)
            scores = scores - torch.cat([distances, gap], 1) - torch.cat([gap, distances], 1)
        return scores

    def __str__(self) -> str:
        decay = "" if self.decay == 2 else f", decay={number(self.decay)}"
        return f"{self.word}({self._options()}{decay})"


def interpolate(first: Objective, last: Objective, steps: int) -> Objective:
    """A strip from one target to another: `steps` rows, of which row k scores (1 - t) * first + t * last.

    t = k / (steps - 1). first, last: of one row each. The rows share their start and their transforms, which belong to
    the two units and not to the weights, so that neighbors are alike. Add `alignment(layer, group=steps)` to keep them
    so.
    """
    if not _whole(steps) or not 2 <= steps <= MAX_GROUP:
        raise UsageError(f"an interpolation has 2 to {MAX_GROUP} steps, got {steps!r:.80}")
    for end in (first, last):
        if not isinstance(end, Objective) or end.rows != 1:
            raise UsageError(f"an interpolation joins two targets of one unit each, got {end!s:.80}")
    shares = [k / (steps - 1) for k in range(steps)]
    return Sum((Scale(tuple(1 - t for t in shares), first), Scale(tuple(shares), last)))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
