"""What a step costs for networks that hear, over the bare network.

    cost = engine's step / forward and gradient to the wave of the plain network, same batch and numbers     (1 is free)

The engine's step is that wave out of its spectrum, shifted, turned down, laid under noise, the network, the gradient
through all of it, and Adam. The two sides take turns (`common.paired`), and what counts is the processor time of the
process, so that others on the machine count less. Results go into docs/benchmarks.md.

    python benchmarks/audio.py --rounds 15
    python benchmarks/audio.py --quick           # does it run? writes nothing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from time import process_time

import torch
from common import measure, paired, table
from torch import Tensor

from phosphene.engine import optimize
from phosphene.features.audio_config import AudioConfig
from phosphene.features.sounding import Sounding
from phosphene.models import Model, load
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig

ROWS = 8  # clips of a batch
PERIOD = 8  # steps; how often the engine looks for silent rows, so that a round has one look
MOST = 1.25  # times the bare network
CPU = RunConfig("cpu", batch=ROWS)


@dataclass(frozen=True)
class Case:
    """A network, and the units whose clips are made. bounded: whether the step is to cost `MOST` at most."""

    network: str
    target: str
    bounded: bool = True


CASES = (
    Case("yamnet", "logit:0..7"),
    Case("crepe_tiny", "logit:100..107"),
    Case("silero_vad_16k", "logit:speech", bounded=False),  # smaller than the making of the wave that it hears
)


def bare(model: Model, waves: Tensor) -> Callable[[], object]:
    """A step of the plain network: forward and gradient to its input."""

    def step() -> object:
        with torch.enable_grad():
            logits = model.net(waves)
            score = logits.flatten(2).mean(2).sum() if logits.dim() > 2 else logits.sum()
            return torch.autograd.grad(score, [waves])

    return step


def per_step(work: Callable[[], object], count: int) -> Callable[[], float]:
    """A side for `paired`: processor seconds of one of `count` steps."""

    def side() -> float:
        start = process_time()
        for _ in range(count):
            work()
        return (process_time() - start) / count

    return side


def row(case: Case, count: int, rounds: int) -> list[object]:
    """A row of the table."""
    model = load(case.network, weights="random")
    model.net.eval()  # as the engine hears it: batch norm that learns costs more
    for parameter in model.net.parameters():
        parameter.requires_grad_(False)
    work = Sounding(model, case.target, AudioConfig(), CPU)
    objective = work.groups[0]
    wave, transform = work.parts(objective, ROWS)
    run = optimize(
        objective, model, wave, transform, RenderConfig(steps=100_000, optimizer=OptimizerConfig(lr=work.config.lr))
    )
    waves = wave().detach().requires_grad_()
    ours = per_step(lambda: list(islice(run, 1)), count)
    found = paired(per_step(bare(model, waves), count), ours, rounds)
    verdict = f"{MOST:.2f}: {'met' if found.ratio <= MOST else 'missed'}" if case.bounded else ""
    return [case.network, f"{work.samples} samples", found.a, found.b, str(found), verdict]


def section(rounds: int, quick: bool) -> str:
    """The table of costs."""
    rows = [row(case, 1 if quick else PERIOD, 1 if quick else rounds) for case in CASES[: 1 if quick else None]]
    return f"""## Sounds over the bare network

{ROWS} clips at once at the defaults of `audio render`, float32. Seconds are of processor time.

{table(("network", "clip", "bare s/step", "engine s/step", "ratio", "at most"), rows)}
"""


if __name__ == "__main__":
    measure("audio", "Measure what a step costs for networks that hear.", section, rounds=15)
