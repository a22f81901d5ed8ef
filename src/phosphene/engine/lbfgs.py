"""L-BFGS (Liu and Nocedal 1989) whose memory is one matrix: two passes over it a step, and algebra of 40 numbers.

A pair is a move s = x' - x and how the gradient of the loss changed over it, y. With the last m of them as rows of S
and Y, the product of the inverse Hessian with a gradient g is (Byrd, Nocedal and Schnabel 1994, theorem 2.2)

    H g = c g + S^T b - c Y^T a,    a = R^-1 S g,    b = R^-T (D a + c (Y Y^T a - Y g)),    c = 4 s.y / y.y of the last

R is the upper triangle of S Y^T in the order of time, D its diagonal. S g and Y g are one pass over the memory, and
they give the products of the next pair with all others, too: S y = S g' - S g. The sum is the other pass. The usual
loop over the pairs has the same result, in as many passes over memory and four over the gradient for each pair.

Departures: it climbs, so gradients are those of the score and y = g - g'. The small algebra is in float64 on the CPU. A
pair without curvature is not remembered, and a line search that finds nothing better clears the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from phosphene.engine.wolfe import Trial, search

MAX_EVALUATIONS = 25  # in a step; most steps take one
# Times s.y / y.y of the last pair, which is how the loss bends where it bends most. Most directions bend less: of style
# transfers at 256 pixels, losses after 182 evaluations with 4 are those after more than 157 with 1 by 5 to 10%.
BOLDNESS = 4.0
CURVATURE = 1e-8  # least cosine between s and y: below it, what is left of s.y is rounding

Evaluate: TypeAlias = Callable[[], tuple[Tensor, Sequence[Tensor]]]
Seen: TypeAlias = tuple[Tensor, Tensor, Tensor]  # where, scores, gradient


class Memory:
    """The last pairs of moves s and bends y, each (n,), and their products."""

    def __init__(self, history: int, like: Tensor) -> None:
        self.history = history
        self.count = 0  # pairs that are remembered
        self.next = 0  # where the next one goes
        self.pairs = like.new_empty(2, history, like.numel())
        self.crossed = torch.zeros(history, history, dtype=torch.float64)  # [i, j]: s_i . y_j
        self.bent = torch.zeros(history, history, dtype=torch.float64)  # [i, j]: y_i . y_j
        self.curvature = 1.0  # c: how far to go in directions that no pair knows

    def clear(self) -> None:
        self.count = self.next = 0

    def products(self, gradient: Tensor) -> Tensor:
        """(2, pairs) on the CPU: S g and Y g."""
        moves, bends = self.pairs[:, : self.count]
        return torch.stack([moves @ gradient, bends @ gradient]).cpu().double()

    def add(self, move: Tensor, bend: Tensor) -> int | None:
        """Remember a pair in place of the oldest; gives its place, None where it has no curvature."""
        crossed, bent, moved = (float(a.dot(b)) for a, b in ((move, bend), (bend, bend), (move, move)))
        if not crossed > CURVATURE * (bent * moved) ** 0.5:
            return None
        place = self.next
        self.pairs[0, place], self.pairs[1, place] = move, bend
        self.crossed[place, place], self.bent[place, place] = crossed, bent
        self.curvature = BOLDNESS * crossed / bent
        self.count = max(self.count, place + 1)
        self.next = (place + 1) % self.history
        return place

    def cross(self, place: int, before: Tensor, after: Tensor) -> None:
        """Take down the products of all pairs with the bend at `place`: those of the gradients before and after it."""
        change = torch.zeros_like(after)
        change[:, : before.shape[1]] = before
        change -= after
        others = torch.arange(self.count) != place
        self.crossed[: self.count, place][others] = change[0][others]
        self.bent[: self.count, place][others] = change[1][others]
        self.bent[place, : self.count][others] = change[1][others]

    def direction(self, gradient: Tensor, products: Tensor) -> Tensor:
        """H g. products: those of the gradient."""
        time = (torch.arange(self.count) + (self.next if self.count == self.history else 0)) % self.count
        crossed, bent = (square[time][:, time] for square in (self.crossed, self.bent))
        upper, (s_g, y_g) = crossed.triu(), products[:, time, None]
        a = torch.linalg.solve_triangular(upper, s_g, upper=True)
        inner = crossed.diagonal()[:, None] * a + self.curvature * (bent @ a - y_g)
        b = torch.linalg.solve_triangular(upper.mT, inner, upper=False)
        weights = torch.empty(2, self.count, dtype=torch.float64)
        weights[0, time], weights[1, time] = b[:, 0], -self.curvature * a[:, 0]
        weights = weights.to(gradient)
        moves, bends = self.pairs[:, : self.count]
        return torch.addmv(gradient, moves.t(), weights[0], beta=self.curvature).addmv_(bends.t(), weights[1])

    def state(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs[:, : self.count],
            "next": self.next,
            "crossed": self.crossed[: self.count, : self.count],
            "bent": self.bent[: self.count, : self.count],
            "curvature": self.curvature,
        }

    def restore(self, state: dict[str, Any]) -> None:
        pairs = state["pairs"]
        count = pairs.shape[1]
        if count > self.history or pairs.shape[2] != self.pairs.shape[2]:
            raise ValueError(f"{tuple(pairs.shape)} pairs do not fit {tuple(self.pairs.shape)}")
        self.count, self.next, self.curvature = count, int(state["next"]), float(state["curvature"])
        self.pairs[:, :count] = pairs.to(self.pairs)
        self.crossed[:count, :count], self.bent[:count, :count] = state["crossed"], state["bent"]


def in_order(state: dict[str, Any]) -> Tensor:
    """(2, pairs, n) the moves and bends of a memory's state, the oldest first."""
    pairs: Tensor = state["pairs"]
    return pairs.roll(-state["next"], 1) if state["next"] < pairs.shape[1] else pairs


def remembered(pairs: Tensor, history: int) -> dict[str, Any]:
    """The state of a memory with these pairs (2, pairs, n), the oldest first, at most `history`."""
    moves, bends = pairs
    crossed, bent = (part.cpu().double() for part in (moves @ bends.t(), bends @ bends.t()))
    curvature = BOLDNESS * float(crossed[-1, -1] / bent[-1, -1])
    return {"pairs": pairs, "next": len(moves) % history, "crossed": crossed, "bent": bent, "curvature": curvature}


class LBFGS:
    """Climbs with the parameters of one problem. lr: the first trial of a line search. history: pairs remembered."""

    def __init__(self, parameters: Sequence[nn.Parameter], *, lr: float, history: int) -> None:
        self.parameters, self.lr = list(parameters), lr
        self.memory = Memory(history, joined(self.parameters))
        self.before: tuple[Tensor, Tensor, Tensor] | None = None  # the last step: its gradient, products, move
        self.seen: Seen | None = None  # the evaluation where the last step ended

    def step(self, evaluate: Evaluate, *, still: bool = False) -> Tensor:
        """One step up, along one direction; gives the scores (b,) before it.

        still: evaluate() is the same function at every step. Then the point where the last line search ended is known
        already: one evaluation a step in place of two. Where the gradient is exactly zero there is no step.
        """
        here, scores, gradient = start = self._start(evaluate, still)
        products = self._learned(gradient)
        upward, slope, first = self._direction(gradient, products)
        if not slope < 0:
            self.before, self.seen = None, start
            return scores

        def at(step: float) -> Trial[Seen]:
            there = torch.add(here, upward, alpha=step)
            self._move(there)
            reached, bend = evaluated(evaluate)
            return Trial(step, -float(reached.sum()), -float(bend.dot(upward)), (there, reached, bend))

        origin = Trial(0.0, -float(scores.sum()), slope, start)
        chosen = search(at, origin, first, most=MAX_EVALUATIONS)
        self._move(chosen.found[0])
        self.seen, self.before = chosen.found, (gradient, products, upward.mul_(chosen.step))
        if chosen is origin:
            self.before = None
            self.memory.clear()
        return scores

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on as if nothing had happened: all but what the last evaluation found."""
        return {"memory": self.memory.state(), "before": self.before}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state that `state` gave. Raises ValueError when it is of other parameters."""
        self.memory.restore(state["memory"])
        device, before = self.parameters[0].device, state["before"]
        self.before = None if before is None else (before[0].to(device), before[1], before[2].to(device))
        self.seen = None

    def _start(self, evaluate: Evaluate, still: bool) -> Seen:
        here = joined(self.parameters)
        if still and self.seen is not None and torch.equal(self.seen[0], here):
            return self.seen
        self.seen = None
        return here.clone(), *evaluated(evaluate)

    def _learned(self, gradient: Tensor) -> Tensor:
        """Remember the last step, now that the gradient behind it is known; gives the products of the gradient."""
        memory, place, known = self.memory, None, None
        if self.before is not None:
            earlier, known, move = self.before
            place = memory.add(move, earlier - gradient)
            self.before = None
        products = memory.products(gradient)
        if place is not None and known is not None:
            memory.cross(place, known, products)
        return products

    def _direction(self, gradient: Tensor, products: Tensor) -> tuple[Tensor, float, float]:
        """Where to go, how the loss falls there, and the first trial."""
        if self.memory.count:
            upward = self.memory.direction(gradient, products)
            slope = -float(gradient.dot(upward))
            if slope < 0:
                return upward, slope, self.lr
            self.memory.clear()
        size = float(gradient.abs().sum())
        return gradient.clone(), -float(gradient.dot(gradient)), self.lr * min(1.0, 1.0 / size) if size else self.lr

    def _move(self, there: Tensor) -> None:
        with torch.no_grad():
            parts = torch.split(there, [parameter.numel() for parameter in self.parameters])
            for parameter, part in zip(self.parameters, parts, strict=True):
                parameter.copy_(part.view_as(parameter))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """All values in one row; of one tensor, no copy."""
    rows = [part.detach().reshape(-1) for part in parts]
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def evaluated(evaluate: Evaluate) -> tuple[Tensor, Tensor]:
    """The scores and their gradient in one row."""
    scores, gradients = evaluate()
    return scores, joined(gradients)
