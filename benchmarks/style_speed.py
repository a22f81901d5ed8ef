"""How fast style transfer is: the cost of a step over the bare network, and the time to the loss of a plain program.

A side of a ratio is a function that gives seconds; the two take turns (`common.paired`), and the median ratio is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from statistics import mean, median

from common import Paired, paired, seconds, table
from style_options import Options, Row
from style_sides import Race, stages_of

from phosphene.engine.batching import arithmetic
from phosphene.models import replicated_edges
from phosphene.style.transfer import StepDone, Transfer

STEP_TARGET, RACE_TARGET = 1.15, 1 / 3  # at most
ENDLESS = 100_000  # steps; the step benchmark takes as many of them as it needs


def step_rows(options: Options) -> Iterator[Row]:
    """The bare network against ever more of a step, up to all of it, on the first pair."""
    transfer = Transfer(options.model, options.pairs[0].job, options.config(smallest=0, steps=ENDLESS), options.run)
    steps = (event for event in transfer if isinstance(event, StepDone))
    list(islice(steps, options.warm_up))  # until L-BFGS remembers as many steps as it will
    bare, stages = stages_of(transfer)
    side = seconds(options.waited(bare), options.clock)
    for name, work in stages.items():
        yield {
            "what": name,
            **measured(paired(side, seconds(options.waited(work), options.clock), options.rounds)),
            "evaluations": 1,
        }
    counts: list[int] = []

    def whole() -> float:
        before = transfer.evaluations
        spent = seconds(options.waited(lambda: next(steps)), options.clock)()
        counts.append(transfer.evaluations - before)
        return spent / counts[-1]

    found = paired(side, whole, options.rounds)
    yield {"what": "the whole step", **measured(found), "evaluations": mean(counts)}


def measured(found: Paired) -> Row:
    """A `Paired` as JSON has it; a is the bare or plain side."""
    numbers = {"bare": found.a, "ours": found.b, "ratio": found.ratio, "low": found.low, "high": found.high}
    return {**numbers, "rounds": found.rounds, "text": str(found)}


def step_table(rows: Sequence[Row], options: Options) -> str:
    """Markdown of `step_rows`."""
    cells = [[row["what"], row["bare"], row["ours"], row["text"], float(row["evaluations"])] for row in rows]
    verdict = "met" if rows[-1]["ratio"] <= STEP_TARGET else "missed"
    precision = arithmetic(options.run).precision
    header = ("of an evaluation", "bare s", "ours s", "ratio", "evaluations a step")
    return f"""## Style transfer: the engine's own cost

An evaluation of the loss and its gradient in the preset `quality` over the bare network: forward and gradient to the
input of the same truncated {options.models[0]} in plain torch, {options.size} px, {precision}, the same memory layout
on both sides. Each line has all that the line before it has; the last has L-BFGS, too. Wanted: at most {STEP_TARGET};
{verdict}.

{table(header, cells)}"""


def race_rows(options: Options) -> Iterator[Row]:
    """Our time to the plain side's loss over its time, pair by pair."""
    model = replicated_edges(options.model)  # as `quality` has it, on both sides
    for each in options.pairs:
        race = Race(
            model, each.job, options.config(), options.run, evaluations=options.evaluations, clock=options.clock
        )
        found = paired(race.plain, race.ours, options.rounds, warm_up=0)
        yield {
            "content": each.content,
            "style": each.style,
            **measured(found),
            "agreement": race.agreement,
            "plain_final": race.final,
            "wanted": race.wanted,
            "plain_evaluations": options.evaluations,
            "our_loss": race.loss,
            "our_evaluations": race.evaluations,
            "our_steps": race.steps,
            "our_curve": race.curve,
            "to_final": next((spent for spent, _, loss in race.curve if loss <= race.final), race.curve[-1][0]),
            "met": race.met,
        }


def race_table(rows: Sequence[Row], options: Options) -> str:
    """Markdown of `race_rows`."""
    columns = {
        "content": "content",
        "style": "style",
        "plain s": "bare",
        "ours s": "ours",
        "plain loss at its end": "plain_final",
        "lowest on its way": "wanted",
        "our loss": "our_loss",
        "our evaluations": "our_evaluations",
        "steps at full size": "our_steps",
    }
    cells = [
        [
            *(row[key] for key in columns.values()),
            f"{row['to_final'] / row['bare']:.2f}x",
            row["text"] if row["met"] else f"not reached in {row['ratio']:.2f}x",
        ]
        for row in rows
    ]
    ratios = [row["ratio"] if row["met"] else float("inf") for row in rows]
    verdict = (
        "met" if max(ratios) <= RACE_TARGET else "met in the median" if median(ratios) <= RACE_TARGET else "missed"
    )
    return f"""## Style transfer: time to a loss

The plain side is the PyTorch tutorial's program with our loss: {options.models[0]}, {options.size} px, one scale, from
the content, torch's L-BFGS without a line search on pixels, {options.evaluations} evaluations. Ours is the preset
`quality` with its whole ladder, and at full size as many steps as it takes until its loss is at most the lowest that
the plain side saw on its way. Both losses are computed by one function, on float pictures, off the clock. Without a
line search the plain side may end above what it saw; our time to the loss at its end stands before that to its lowest.
Wanted: at most {RACE_TARGET:.2f}; {verdict}.

{table((*columns, "ours / plain, to its end", "to its lowest"), cells)}"""
