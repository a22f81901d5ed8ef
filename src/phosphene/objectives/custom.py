"""A function of one's own as an objective.

    loud = Custom(lambda acts, rows: acts["features.12"].flatten(1).amax(1), ["features.12"], name="loud")
    render(model, loud - 0.05 * TV())

It joins trees as any leaf does. It is code and not data: texts and recipes tell its name and layers, and reading them
back is refused. Whoever has the function makes the picture again in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.acts import INPUT, Acts, average_views, views_per_row
from phosphene.objectives.algebra import NetworkLike, Objective
from phosphene.objectives.units import check_layer
from phosphene.objectives.words import layer_text, name_text

Score: TypeAlias = Callable[[Acts, Tensor], Tensor]


@dataclass(frozen=True, eq=False, init=False)
class Custom(Objective, registered=False):
    """A score that a function computes; higher is better.

    fn(acts, rows) -> scores: acts {layer: (b*v, c, *space)} holds the layers under the names given here, and "input"
    (b, c, *space); rows (b*v,) says which row each view shows. Scores are one per view, (b*v,), which are averaged, or
    one per row, (b,). It must keep rows apart: no mean over the batch. layers: dotted names or aliases, or "input".
    name: how texts and recipes call it; the function's own name by default. It serves every row.
    """

    fn: Score = field(compare=False, repr=False)
    reads: tuple[str, ...]
    name: str = ""
    bound: tuple[str, ...] = field(default=(), compare=False, repr=False, kw_only=True)

    def __init__(self, fn: Score, layers: str | Iterable[str], name: str = "", *, bound: tuple[str, ...] = ()) -> None:
        reads = (layers,) if isinstance(layers, str) else tuple(layers)
        if not callable(fn) or not reads:
            raise UsageError(f"a custom objective needs a function and the layers that it reads, got {fn!r:.80}")
        for layer in reads:
            check_layer(layer)
        values = {"fn": fn, "reads": reads, "name": name or getattr(fn, "__name__", type(fn).__name__), "bound": bound}
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        given = {name: acts[real] for name, real in zip(self.reads, self._real, strict=True)}
        if INPUT in acts:
            given[INPUT] = acts[INPUT]
        scores: Any = self.fn(given, rows)
        views = views_per_row(acts, rows)
        count = rows.shape[0]
        if not isinstance(scores, Tensor) or tuple(scores.shape) not in ((count,), (count // views,)):
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise UsageError(f"{self} must give one score per view, ({count},), or per row, ({count // views},): {got}")
        return average_views(scores.float(), views) if len(scores) == count else scores.float()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Custom) and self._told() == other._told()

    def __hash__(self) -> int:
        return hash(self._told())

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(self._real)

    def bind(self, network: NetworkLike) -> Objective:
        real = tuple(layer if layer == INPUT else network.find_layer(layer).name for layer in self._real)
        return Custom(self.fn, self.reads, self.name, bound=real)

    def __str__(self) -> str:
        return f"custom({', '.join([name_text(self.name), *map(layer_text, self.reads)])})"

    def _told(self) -> tuple[Any, ...]:
        return (self.fn, self.reads, self.name)

    @property
    def _real(self) -> tuple[str, ...]:
        return self.bound or self.reads
