"""The loss of a style transfer as named terms, and the ledger that remembers what each of them was.

A term is a weighted statistic: `content relu4_2`, `style relu1_1`, `style2 relu1_1 region2`, `tv2`. The engine raises
one score, their sum; reports, charts and `--json` need every one of them, at every evaluation, without a second pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives import INPUT, TV2, Objective, Scale
from phosphene.style.job import Job
from phosphene.style.method import Method, content_terms, style_terms
from phosphene.style.tiles import TileSums

KINDS = ("content", "style", "tv")  # what terms are summed up as


@dataclass(frozen=True)
class Ledger(Objective, registered=False):
    """The sum of some terms that remembers what each of them was, and shows them the regions of the picture.

    sums: takes the sums that the terms are functions of, where the picture is cut into tiles.
    entries: (terms,) losses of each evaluation since the list was last cleared, on the device.
    latest: what `best` found last.
    """

    terms: tuple[Objective, ...]
    regions: Mapping[str, Tensor]
    sums: TileSums | None = None
    entries: list[Tensor] = field(default_factory=list)
    latest: list[Tensor] = field(default_factory=list)

    def __call__(self, acts: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        seen = {**acts, **self.regions, **(self.sums(acts[INPUT]) if self.sums is not None else {})}
        scores = torch.stack([term(seen, rows) for term in self.terms])
        self.entries.append(-scores.detach().sum(1))
        return scores.sum(0)

    @property
    def children(self) -> tuple[Objective, ...]:
        return self.terms

    def best(self) -> Tensor:
        """(terms,) the losses at the lowest of the evaluations: where a line search ends; clears the entries.

        A step without an evaluation, which L-BFGS takes where the gradient is exactly zero, leaves them as they were.
        """
        if self.entries:
            lowest = int(torch.stack(self.entries).sum(1).argmin()) if len(self.entries) > 1 else 0
            self.latest[:] = [self.entries[lowest]]
            self.entries.clear()
        return self.latest[0]


def named_terms(made: Method, job: Job) -> dict[str, Objective]:
    """The terms of the loss by name. Raises UsageError when nothing is asked for."""
    terms: list[Objective] = []
    if job.content is not None:
        terms += content_terms(made)
    total = sum(style.weight for style in job.styles)
    if job.styles and not total > 0:
        raise UsageError("the weights of the styles are all 0: nothing is asked for")
    for k, style in enumerate(job.styles, 1):
        terms += style_terms(made, of=style_name(k), mask=style.region, share=style.weight / total)
    if not terms:
        raise UsageError("no content and no style: nothing is asked for")
    if made.tv_weight:
        terms.append(Scale(-made.tv_weight, TV2()))
    return {term_name(term): term for term in terms}


def style_name(number: int) -> str:
    """What the style of that number, from 1, is called in terms: style, style2, style3."""
    return "style" if number == 1 else f"style{number}"


def style_number(name: str) -> int:
    """The number, from 1, of a style by its name in terms."""
    return int(name.removeprefix("style") or 1)


def term_name(term: Objective) -> str:
    """What a weighted term is called in reports."""
    leaf: Any = term.leaves()[0]
    if leaf.regularizes:
        return str(leaf)
    return " ".join(filter(None, (leaf.of, leaf.layer, leaf.mask)))


def summed(losses: Mapping[str, float]) -> dict[str, float]:
    """Losses by term -> {"total", "content", "style", "tv"}."""
    kinds = {kind: sum((value for name, value in losses.items() if name.startswith(kind)), 0.0) for kind in KINDS}
    return {"total": sum(losses.values()), **kinds}
