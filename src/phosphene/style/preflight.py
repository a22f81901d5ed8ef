"""Before a transfer begins: how each of its scales will be done, how much memory and time that takes.

The network is measured once, on small pictures (`memory.py`); every scale then has its own choice, since the coarse
ones fit where the last one does not. `words` are for the user, who should know before the work starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from phosphene.errors import PhospheneError
from phosphene.models import Model
from phosphene.objectives import INPUT, Objective
from phosphene.style.memory import Choice, choose, estimate
from phosphene.style.method import Method
from phosphene.style.reach import Pair, Reach, measure_reach

EVALUATIONS = 1.15  # in a step of L-BFGS on the mean: most line searches take the first trial


@dataclass(frozen=True)
class Plan:
    """How each scale is done, the last one of the result. seconds: all of it, 0 where it could not be measured.

    reach: what the units see, where a scale is cut into tiles. words: for the user, "" where nothing was measured.
    """

    choices: tuple[Choice, ...]
    seconds: float
    reach: Reach | None
    words: str

    @property
    def peak(self) -> int:
        """Bytes at the height, above what the process holds with the network loaded."""
        return max(choice.peak for choice in self.choices)

    def following(self, done: Sequence[tuple[int, int | None]], model: Model, terms: Objective) -> Plan:
        """The plan with the choices (history, side of the tiles) of a run that is to be continued to the bit."""
        choices = [replace(own, history=h, side=s) for own, (h, s) in zip(self.choices, done, strict=True)]
        cut = self.reach is None and any(choice.side is not None for choice in choices)
        reach = measure_reach(model, terms.layers - {INPUT}) if cut else self.reach
        return replace(self, choices=tuple(choices), reach=reach)


def planned(
    model: Model, terms: Objective, sizes: Sequence[Pair], steps: Sequence[int], made: Method, free: int
) -> Plan:
    """The plan for scales of `sizes` (height, width) and `steps`, in SHARE of `free` bytes.

    model: where and as it will run. terms: bound, not aimed. A network that takes no picture of the sizes that are
    measured gets a plan without numbers. Raises UsageError where nothing fits.
    """
    try:
        found = estimate(model, terms, sizes[-1], made)
    except PhospheneError:
        raise
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError):
        return unmeasured(len(sizes), made)
    reach = cache(lambda: measure_reach(model, terms.layers - {INPUT}))
    per_pixel = found.seconds / found.pixels
    choices = [choose(replace(found, size=(h, w), seconds=per_pixel * h * w), free, reach) for h, w in sizes]
    each = EVALUATIONS if made.optimizer == "lbfgs" else 1.0
    seconds = sum(each * count * choice.seconds for count, choice in zip(steps, choices, strict=True))
    cut = any(choice.side is not None for choice in choices)
    return Plan(tuple(choices), seconds, reach() if cut else None, f"{choices[-1].words}; {duration(seconds)}")


def unmeasured(scales: int, made: Method) -> Plan:
    """The plan of a network that could not be measured: as if there were memory enough."""
    return Plan((Choice(made.history, None, 0, 0.0, ""),) * scales, 0.0, None, "")


def duration(seconds: float) -> str:
    """A rough time in words: about 40 seconds, about 3 minutes."""
    if seconds < 90:
        count = max(1, round(seconds))
        return f"about {count} second{'s' * (count != 1)}"
    return f"about {round(seconds / 60)} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"
