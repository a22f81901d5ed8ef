"""Objectives that read the network's classes: before the softmax, after it, and against each other.

With logits z, class c, and o = log sum over k != c of exp z_k:

    Logit           z_c                            Simonyan et al. 2013
    Probability     p = 1 / (1 + exp(o - z_c)), climbed along its log-odds z_c - o
    LogProbability  log p = -log(1 + exp(o - z_c))
    Margin          z_c - max over k != c of z_k   against the best of the others (Carlini and Wagner 2017, negated)

All but the logit also rise when the other classes fall (Olah et al. 2017). Margin takes the best of the others and not
their log-sum-exp: that one is the log-odds, whose picture is the probability's already. It counts one rival at a time,
the log-odds all of them.

Departures: p's own gradient, p (1 - p) times that of the log-odds, vanishes where p is near 0 or 1 and leaves a gray
picture, so Probability ascends along the log-odds, which point the same way. That of log p is 1 - p times theirs: it
fades only as the class is reached. Both are computed from the odds, so that 1 - p does not round to 0 at p = 1 - 1e-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.objectives.acts import OUTPUT, Acts, average_views, views_per_row
from phosphene.objectives.algebra import NetworkLike, Objective
from phosphene.objectives.units import EVERY, Units
from phosphene.objectives.words import class_text, layer_text, ranges_text


@dataclass(frozen=True)
class Classes(Units):
    """Base of the leaves that read the network's output; units are class numbers or names."""

    layer: str = OUTPUT
    units: tuple[int | str, ...] = ()

    def __init__(self, units: Any, layer: str = OUTPUT) -> None:
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "units", units)
        self.__post_init__()

    def bind(self, network: NetworkLike) -> Objective:
        if self.units == (EVERY,):
            return super().bind(network)
        named = type(self)(tuple(network.find_class(unit) for unit in self.units), self.layer)
        return Units.bind(named, network)

    def _logits(self, acts: Acts) -> Tensor:
        """(b*v, classes) float32; a map of logits is averaged over space first."""
        logits = acts[self.layer].float()
        return logits if logits.dim() == 2 else logits.flatten(2).mean(2)

    def _own(self, logits: Tensor, acts: Acts, rows: Tensor) -> Tensor:
        """(b*v,) each view's own class."""
        return self._maps({**acts, self.layer: logits}, rows)

    def _text(self, word: str) -> str:
        numbers = [unit for unit in self.units if isinstance(unit, int)]
        plain = len(numbers) == len(self.units) or self.units == (EVERY,)
        classes = ranges_text(self.units) if plain else ",".join(class_text(unit) for unit in self.units)
        return f"{word}:{classes}" + ("" if self.layer == OUTPUT else f"@{layer_text(self.layer)}")


@dataclass(frozen=True, init=False)
class Logit(Classes):
    """A class before the softmax. units: class numbers or names."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return average_views(self._own(self._logits(acts), acts, rows), views_per_row(acts, rows))

    def __str__(self) -> str:
        return self._text("logit")


@dataclass(frozen=True, init=False)
class _Against(Classes):
    """Base of the leaves that compare a class with the others."""

    def bind(self, network: NetworkLike) -> Objective:
        if network.find_layer(self.layer).channels < 2:
            raise UsageError(f"{self} compares classes, and {self.layer} of {network.name} has one")
        return super().bind(network)

    def _own_and_others(self, acts: Acts, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(b*v,) each view's own class, and (b*v, classes) all of them with -inf in its place."""
        logits = self._logits(acts)
        views = views_per_row(acts, rows) if len(self.units) > 1 else 1
        chosen = self._index(views, logits.device).expand(logits.shape[0])
        return self._own(logits, acts, rows), logits.scatter(1, chosen[:, None], float("-inf"))

    def _odds(self, acts: Acts, rows: Tensor) -> Tensor:
        """(b*v,) log(p / (1 - p)) of each view's own class."""
        own, others = self._own_and_others(acts, rows)
        return own - others.logsumexp(1)


@dataclass(frozen=True, init=False)
class Probability(_Against):
    """A class after the softmax over all classes: it also rises when the other classes fall.

    The score is p; its gradient is that of the log-odds.
    """

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        odds = self._odds(acts, rows)
        return average_views(odds.detach().sigmoid() + (odds - odds.detach()), views_per_row(acts, rows))

    def __str__(self) -> str:
        return self._text("prob")


@dataclass(frozen=True, init=False)
class LogProbability(_Against):
    """Logarithm of a class after the softmax over all classes, 0 or less: minus the cross-entropy."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        return average_views(F.logsigmoid(self._odds(acts, rows)), views_per_row(acts, rows))

    def __str__(self) -> str:
        return self._text("logprob")


@dataclass(frozen=True, init=False)
class Margin(_Against):
    """How far a class is ahead of the best of the others, in logits: above 0 where the network would choose it."""

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        own, others = self._own_and_others(acts, rows)
        return average_views(own - others.amax(1), views_per_row(acts, rows))

    def __str__(self) -> str:
        return self._text("margin")
