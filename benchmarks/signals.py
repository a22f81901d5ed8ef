"""What a step costs in another signal, or with pictures that are made to differ, over the plain step.

    cost = step with the part / step of the Fourier signal alone, the same units, views and network        (1 is free)

Seconds are those of the processor, over all threads: on a shared machine the clock also counts what others compute. The
two sides take turns (`common.paired`) all the same. Results go into docs/benchmarks.md.

    python benchmarks/signals.py --threads 1 --rounds 9
    python benchmarks/signals.py --quick         # does it run? writes nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import process_time

from common import Paired, measure, paired, table

from phosphene.engine import Step, arithmetic, optimize
from phosphene.models import Model, load
from phosphene.objectives import Channel, Diversity, Objective
from phosphene.recipe import RenderConfig, RunConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Maco, Shared, Signal
from phosphene.transforms import build

NETWORK, LAYER, UNIT = "squeezenet1_1", "features.12", 50
SIDE = 224  # pixels; what the network was trained on
ROWS = 9  # pictures of a family
PERIOD = 8  # steps; how often the engine looks for silent rows, so that a round has one look
WARM_UP = 16  # steps after which all rows are awake
WEIGHT = 100.0  # of the diversity; time does not depend on it
MOST = 1.3  # times the plain step


@dataclass(frozen=True)
class Part:
    """What is added to the plain step. limited: whether a limit was set for it."""

    name: str
    signal: Callable[[], Signal]
    objective: Objective
    limited: bool = False


def plain_signal() -> Signal:
    """Fourier pictures of the family."""
    return Fourier(ROWS, size=(SIDE, SIDE))


PLAIN = Channel(LAYER, [UNIT] * ROWS)
PARTS = (
    Part("diversity of 9", plain_signal, PLAIN + WEIGHT * Diversity(LAYER, ROWS), limited=True),
    Part("MACO", lambda: Maco(ROWS, size=(SIDE, SIDE)), PLAIN, limited=True),
    Part("shared coarse parts", lambda: Shared(plain_signal()), PLAIN),
)


def side(model: Model, signal: Signal, objective: Objective, steps: int, warm_up: int) -> Callable[[], float]:
    """A side for `paired`: processor seconds per step of a run that never ends, so that its transforms stay as wide."""
    bound = objective.bind(model)
    signal.start(Generators(0, [bound.identity(row) for row in range(ROWS)]))
    transform = build(TransformConfig(), size=(SIDE, SIDE), steps=10_000)
    run = optimize(bound, model, signal, transform, RenderConfig(size=SIDE, steps=10_000))
    last = take(run, warm_up)
    if warm_up >= WARM_UP and bool(last.silent.any()):
        raise RuntimeError(f"rows are silent after {warm_up} steps: redirected rectifiers would be measured")

    def measured() -> float:
        start = process_time()
        take(run, steps)
        return (process_time() - start) / steps

    return measured


def take(run: Iterator[Step], count: int) -> Step:
    """Advance a run by `count` steps and give the last."""
    *_, last = islice(run, count)
    return last


def cost(model: Model, part: Part, *, steps: int, warm_up: int, rounds: int) -> Paired:
    """Seconds of a plain step (a) and of one with the part (b)."""
    plain = side(model, plain_signal(), PLAIN, steps, warm_up)
    return paired(plain, side(model, part.signal(), part.objective, steps, warm_up), rounds)


def section(rounds: int, quick: bool) -> str:
    """The table of costs, in the arithmetic that `auto` takes here."""
    how = arithmetic(RunConfig(device="cpu"))
    model = load(NETWORK).prepared(how.device, dtype=how.dtype, memory_format=how.memory_format)
    steps, warm_up, rounds = (1, 1, 1) if quick else (PERIOD, WARM_UP, rounds)
    rows = []
    for part in PARTS:
        found = cost(model, part, steps=steps, warm_up=warm_up, rounds=rounds)
        limit = f"{MOST:.2f}: {'met' if found.ratio <= MOST else 'missed'}" if part.limited else ""
        rows.append([part.name, found.a, found.b, str(found), limit])
    return f"""## Signals and families over the plain step

{ROWS} pictures of `{LAYER}:{UNIT}` of {NETWORK}, {SIDE} px, {how.precision} in the network. The plain step is that of
the `fourier` signal without a family: the same units, views, network, transforms and optimizer. Seconds are those of
the processor.

{table(("with", "plain s/step", "s/step", "ratio", "at most"), rows)}
"""


if __name__ == "__main__":
    measure("signals", "Measure what signals and families cost.", section, rounds=9)
