"""The one loop: optimise a signal until the network's inside is what was asked for.

    for step in optimize(objective, model, signal, transform, config): ...

A generator of `Step`; progress bars, checkpoints, previews and early stops are bodies of that `for`. Nothing in it
waits for the device except where it must (every `CHECK_EVERY` steps, to find silent rows), so scores stay on the
device until the consumer looks. Each step is a closed helper: no mode, hook or context is open while the consumer
holds a Step.

Silent rows. At every CHECK_EVERY-th step the gradient at the views is looked at, row by row; a row without any is
dead, and until the next check its gradient goes through redirected rectifiers (`models/redirect.py`). What decides
about a row is that row alone, so its mates change nothing. Where a unit has company that reads the network too (a
diversity, a content), only the unit's own gradient is looked at, and a dead row does not feel that company until it is
awake: the company's gradient would keep the rectifiers from being redirected, and the row would be stuck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from phosphene.engine.optimizers import Ascent
from phosphene.errors import RecipeError, UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, Constant, Objective, Scale, Statistic, Sum
from phosphene.recipe import RenderConfig
from phosphene.seeds import Generators
from phosphene.signals import Signal, Wave

CHECK_EVERY = 8  # steps between looks for silent rows: a look costs one wait for the device


class Transform(Protocol):
    """What the loop needs of a transform. still: every step shows the same views."""

    @property
    def still(self) -> bool: ...
    def draw(self, generators: Generators, step: int, device: torch.device | str = "cpu") -> Any: ...
    def __call__(self, x: Tensor, params: Any) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Step:
    """One step that was done.

    i: steps done so far, from 1. scores: (b,) on the device, under this step's transforms, before its update.
    silent: (b,) rows without gradient at the last look. broken: (b,) the step at which a row's gradient stopped
    being finite, 0 if never. signal: the live signal.
    """

    i: int
    scores: Tensor
    silent: Tensor
    broken: Tensor
    signal: Signal | Wave
    loop: Loop

    def state(self) -> dict[str, Any]:
        """Everything that `optimize(..., state=...)` needs to go on as if never interrupted.

        The tensors are the live ones: write them down (`write_state`) or copy them before the next step.
        """
        return self.loop.state(self.i)


def optimize(
    objective: Objective,
    model: Model,
    signal: Signal | Wave,
    transform: Transform,
    config: RenderConfig,
    *,
    state: dict[str, Any] | None = None,
    learned: dict[str, Any] | None = None,
) -> Iterator[Step]:
    """Raise every row's score. Yields a Step after each of `config.steps` steps.

    objective: bound, with as many rows as the signal (or one for all). model: on the signal's device, frozen or not:
    it is left as it is. config: steps, seed and optimizer are read. state: of an earlier Step, to resume behind it.
    learned: the optimizer's state to begin with (`Ascent.state`), of a run that this one continues in another form.
    """
    loop = Loop(objective, model, signal, transform, config)
    if learned is not None:
        loop.ascent.restore(learned)
    first = loop.restore(state) if state is not None else 0
    for i in range(first, config.steps):
        scores = loop.step(i)
        yield Step(i + 1, scores, loop.silent, loop.broken, signal, loop)


class Loop:
    """The state of one optimisation and how it takes a step."""

    def __init__(
        self, objective: Objective, model: Model, signal: Signal | Wave, transform: Transform, config: RenderConfig
    ) -> None:
        if objective.rows not in (1, signal.rows):
            raise UsageError(f"{objective} has {objective.rows} rows, the signal {signal.rows}")
        if not objective.layers:
            raise UsageError(f"{objective} is a number, not a target: no picture raises it")
        self.objective, self.model, self.signal, self.transform, self.config = (
            objective,
            model,
            signal,
            transform,
            config,
        )
        self.parameters = [p for p in signal.parameters() if p.requires_grad]
        self.device = self.parameters[0].device
        names = [objective.identity(row if objective.rows > 1 else 0) for row in range(signal.rows)]
        self.generators = Generators(config.seed, names)
        self.layers = objective.layers - {INPUT}
        self.unit, self.company = parted(objective)
        self.ascent = Ascent(self.parameters, config.optimizer, rows=signal.rows)
        self.silent = torch.zeros(signal.rows, dtype=torch.bool, device=self.device)
        self.broken = torch.zeros(signal.rows, dtype=torch.int64, device=self.device)
        self.any_silent = False
        self.look_due = False

    def step(self, i: int) -> Tensor:
        """Step i (from 0); returns the scores (b,)."""
        self.look_due = bool(self.config.optimizer.redirect and self.layers and i % CHECK_EVERY == 0)
        with torch.enable_grad():
            return self.ascent.step(lambda: self._evaluate(i), still=self.transform.still)

    def state(self, done: int) -> dict[str, Any]:
        return {
            "done": done,
            "signal": self.signal.state_dict(),
            "ascent": self.ascent.state(),
            "silent": self.silent,
            "broken": self.broken,
        }

    def restore(self, state: dict[str, Any]) -> int:
        """Take the state that a Step gave; returns the steps that were done. RecipeError when it is of another run."""
        try:
            self.signal.load_state_dict(state["signal"])
            self.ascent.restore(state["ascent"])
            self.silent = state["silent"].to(self.device)
            self.broken = state["broken"].to(self.device)
            done = int(state["done"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise RecipeError("the saved state is not of this run; delete it to start anew") from error
        self.any_silent = bool(self.silent.any())
        return done

    def _evaluate(self, i: int) -> tuple[Tensor, Sequence[Tensor]]:
        if self.look_due:
            self.look_due = False
            seen = self._look_for_silence(i)
            if not self.any_silent:
                return seen
        scores, _ = self.scores(i, redirect=self.silent if self.any_silent else None)
        gradients = torch.autograd.grad(scores.sum(), self.parameters, materialize_grads=True)
        return scores.detach(), self._finite_rows(gradients, i)

    def scores(self, i: int, redirect: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores (b,) with their graph, and those of the unit without its company."""
        whole, unit, _ = self._seen(i, redirect)
        return whole, unit

    def _seen(self, i: int, redirect: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (b,) of the whole objective and of its unit, and the views (b*v, c, h, w) they were measured on."""
        x = self.signal()
        views, rows = self.transform(x, self.transform.draw(self.generators, i, self.device))
        if views is x:
            views = x.view_as(x)  # a price reads the picture: what it asks for is not what the network asks for
        acts = {INPUT: x}
        if self.layers:
            mask = redirect[rows] if redirect is not None else None
            acts.update(self.model.activations(views, self.layers, redirect=mask))
        if self.company is None:
            scores = self.objective(acts, rows).expand(x.shape[0])
            return scores, scores, views
        unit = self.unit(acts, rows).expand(x.shape[0])
        if redirect is not None:
            acts = without_gradient(acts, self.company.layers - {INPUT}, redirect[rows])
        return unit + self.company(acts, rows), unit, views

    def _look_for_silence(self, i: int) -> tuple[Tensor, Sequence[Tensor]]:
        """Find the silent rows; returns the evaluation without redirection: the step's own when there are none."""
        scores, unit, views = self._seen(i)
        if self.company is None:
            asked = [views, *self.parameters]
            at_views, *gradients = torch.autograd.grad(scores.sum(), asked, materialize_grads=True)
        else:
            (at_views,) = torch.autograd.grad(unit.sum(), [views], retain_graph=True, materialize_grads=True)
            gradients = list(torch.autograd.grad(scores.sum(), self.parameters, materialize_grads=True))
        per_row = at_views.flatten(1).abs().amax(1).view(self.signal.rows, -1).amax(1)
        self.silent = per_row == 0
        self.any_silent = bool(self.silent.any())
        return scores.detach(), gradients if self.any_silent else self._finite_rows(gradients, i)

    def _finite_rows(self, gradients: Sequence[Tensor], i: int) -> Sequence[Tensor]:
        """Gradients with zeros for rows that are not finite, so that one broken row stays alone."""
        sums = torch.stack([g.flatten(1).sum(1) for g in gradients]).sum(0)
        sound = torch.isfinite(sums)
        if self.device.type == "cpu" and bool(sound.all()):
            return gradients
        self.broken = torch.where((self.broken == 0) & ~sound, i + 1, self.broken)
        return [torch.where(sound.view(-1, *[1] * (g.dim() - 1)), g, 0.0) for g in gradients]


def parted(objective: Objective) -> tuple[Objective, Objective | None]:
    """The terms that ask for a unit and all that reads the picture alone; and the unit's company, which also reads the
    network: families and, beside a unit, statistics. None where there is no company, or nothing else.
    """
    terms = _terms(objective)
    for kinds in ((Constant, Statistic), (Constant,)):
        beside = [all(leaf.regularizes or isinstance(leaf, kinds) for leaf in term.leaves()) for term in terms]
        company = [term for term, is_beside in zip(terms, beside, strict=True) if is_beside and term.layers - {INPUT}]
        if not all(beside):
            break
    else:
        return objective, None
    others = [term for term in terms if term not in company]
    return (_joined(others), _joined(company)) if company else (objective, None)


def without_gradient(acts: dict[str, Tensor], layers: frozenset[str], views: Tensor) -> dict[str, Tensor]:
    """The same activations, but no gradient reaches those of `views` (b*v,) bool at `layers`."""
    dammed = {name: acts[name] for name in layers}
    for name, values in dammed.items():
        dammed[name] = torch.where(views.view(-1, *[1] * (values.dim() - 1)), values.detach(), values)
    return {**acts, **dammed}


def _terms(objective: Objective) -> list[Objective]:
    """What an objective is the sum of."""
    if isinstance(objective, Sum):
        return [term for part in objective.parts for term in _terms(part)]
    if isinstance(objective, Scale) and isinstance(objective.of, Sum) and not isinstance(objective.factor, tuple):
        return [objective.factor * term for part in objective.of.parts for term in _terms(part)]
    return [objective]


def _joined(terms: list[Objective]) -> Objective:
    return Sum(tuple(terms)) if len(terms) > 1 else terms[0]
