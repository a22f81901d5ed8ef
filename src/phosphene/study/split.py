"""Where a gain of probability came from: a class that rose, or others that fell.

With logits z, the class c, o = log sum over k != c of exp z_k and m the mean over k != c of z_k, the log-odds of the
class are L = z_c - o, and between any two pictures

    gain of L  =  gain of z_c  -  gain of m  -  gain of (o - m)
                  own             mean          rivals

exactly: the class's own logit, the others all together, and those of them that stick out. `own` against `mean + rivals`
is the class against the others. Log-odds and not log p = z_c - log sum of exp z: that sum holds z_c too, and near p = 1
it is z_c, so that a class would seem to be held back by itself.

A softmax does not see a number that is added to all logits, yet `own` and `mean` do: they are said of the network's
own zero. `own + mean`, the lead over the mean of the others, and `rivals` stay the same. m leaves the class out, or in
a network of few classes its own rise would count as one of the others'.

Log p is a function of L alone. Along a path its gain is split step by step in the proportions of L's: the parts of a
step times (gain of log p) / (gain of L). This adds up exactly too, and counts what was done while p was small: near 1,
log p gains nothing any more.

Sources: Olah et al. 2017, Feature Visualization (Distill), for the question; the sum over a path is that of integrated
gradients (Sundararajan et al. 2017, arXiv 1703.01365).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

FLAT = 1e-9  # gain of log-odds below which the slope of log p is taken at the place itself


@dataclass(frozen=True)
class Answer:
    """What a network says of a picture about one class.

    logit: z_c. mean, largest: of the other logits. rival: the class of the largest. others: log sum of exp of them.
    """

    logit: float
    mean: float
    largest: float
    rival: int
    others: float

    @property
    def log_odds(self) -> float:
        """log(p / (1 - p))."""
        return self.logit - self.others

    @property
    def probability(self) -> float:
        """p, after the softmax."""
        return math.exp(self.log_probability)

    @property
    def log_probability(self) -> float:
        """log p, 0 or less; exact also where p rounds to 1."""
        odds = self.log_odds
        return -math.log1p(math.exp(-odds)) if odds > 0 else odds - math.log1p(math.exp(odds))


@dataclass(frozen=True)
class Split:
    """A gain in parts that add up to it. own: by the class's logit. mean: by the fall of the others' mean.
    rivals: by the fall of the largest others towards that mean."""

    own: float = 0.0
    mean: float = 0.0
    rivals: float = 0.0

    @property
    def others(self) -> float:
        """By the fall of the others, whichever they are."""
        return self.mean + self.rivals

    @property
    def lead(self) -> float:
        """By the class's lead over the mean of the others: the same when all logits are shifted."""
        return self.own + self.mean

    @property
    def gain(self) -> float:
        """The whole."""
        return self.own + self.mean + self.rivals

    @property
    def share(self) -> float:
        """The share of the others in the gain: below 0 where they rose too, above 1 where the class fell; NaN of 0."""
        return self.others / self.gain if self.gain else math.nan

    def __add__(self, other: Split) -> Split:
        return Split(self.own + other.own, self.mean + other.mean, self.rivals + other.rivals)

    def __rmul__(self, factor: float) -> Split:
        return Split(factor * self.own, factor * self.mean, factor * self.rivals)


def read(logits: Tensor, index: int) -> Answer:
    """The answer about class `index` in the logits (classes,) of one picture, in float64."""
    z = logits.detach().double().cpu()
    others = torch.cat([z[:index], z[index + 1 :]])
    largest, place = others.max(0)
    rival = int(place) + (int(place) >= index)
    return Answer(float(z[index]), float(others.mean()), float(largest), rival, float(others.logsumexp(0)))


def split(before: Answer, after: Answer) -> Split:
    """The gain of log-odds from one picture to another, by what it came from."""
    spread = (after.others - after.mean) - (before.others - before.mean)
    return Split(after.logit - before.logit, before.mean - after.mean, -spread)


def along(path: Sequence[Answer]) -> Split:
    """The gain of log p over a path of pictures, by what it came from at each step of it."""
    return sum((slope(a, b) * split(a, b) for a, b in pairwise(path)), Split())


def slope(before: Answer, after: Answer) -> float:
    """(gain of log p) / (gain of log-odds) between two answers; where there is no gain, 1 - p."""
    gain = after.log_odds - before.log_odds
    if abs(gain) < FLAT:
        return 1 - before.probability
    return (after.log_probability - before.log_probability) / gain
