"""How fast and how good style transfer is: cost of a step, race to a loss, effect of each part, held-out judges.

    step      seconds of an evaluation of ours / forward and gradient of the same truncated network      at most 1.15
    race      our seconds to the loss of a plain L-BFGS after 300 evaluations / its seconds              at most 1/3
    ablation  each part of the preset `quality` off, one at a time: its loss, held-out style, seconds
    heldout   share of the style distance removed, by networks that were not optimized      at least 0.6 (minivgg 0.5)

Seconds on a shared machine mean little, so the two sides of a ratio take turns (`common.paired`); what is quoted is the
median ratio and its range. Each command prints a Markdown table; `--out FILE` keeps every row as JSON while it works.

    python benchmarks/style.py step --size 512
    python benchmarks/style.py race --out race.json
    python benchmarks/style.py heldout --document      # puts the table into docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal, TypeAlias

import torch
from common import CLOCKS, Paired, describe, machine, paired, replace_file, seconds, table, write_section
from style_sides import FullLoss, Pair, Race, in_step, pair, pictures, stages_of, without_parts

from phosphene.cli.allocator import keep_freed_memory
from phosphene.engine.batching import arithmetic, find_device
from phosphene.models import Model, load, replicated_edges
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.heldout import judged
from phosphene.style.transfer import Painted, StepDone, Transfer, paint

IMAGES = Path(__file__).resolve().parent.parent.parent / "shared" / "images"  # with folders content and style
STEP_TARGET, RACE_TARGET = 1.15, 1 / 3  # at most
HELDOUT_TARGETS = {"minivgg": 0.5}  # at least; of the others:
HELDOUT_TARGET = 0.6
REAL = ("vgg19_cd16x", "squeezenet1_1")  # networks trained on photographs, which judge
OPTIMIZED = (*REAL, "minivgg")
WHOLE = "quality"  # the part that is all of them
ENDLESS = 100_000  # steps; the step benchmark takes as many of them as it needs

Row: TypeAlias = dict[str, Any]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Options:
    """The command line. count: pairs, or photographs for each style. steps: of ours at each scale, None = the preset's.
    evaluations: of the plain side. warm_up: steps before the clock. weights: of the network that is optimized, None =
    its own. clock: what seconds are."""

    command: str
    size: int
    rounds: int
    count: int
    steps: int | None
    evaluations: int
    warm_up: int
    models: tuple[str, ...]
    judges: tuple[str, ...]
    contents: tuple[Path, ...]
    styles: tuple[Path, ...]
    device: str
    precision: Precision
    weights: str | None
    clock: Callable[[], float]

    @property
    def run(self) -> RunConfig:
        return RunConfig(device=self.device, precision=self.precision)

    @property
    def model(self) -> Model:
        """The network that is optimized, where there is one."""
        return load(self.models[0], weights=self.weights)

    @property
    def pairs(self) -> list[Pair]:
        return in_step(self.contents, self.styles, self.count)

    def config(self, **parts: Any) -> StyleConfig:
        """The preset `quality` with some parts changed."""
        return StyleConfig(**{"size": self.size, "steps": self.steps, **parts})

    def waited(self, work: Callable[[], object]) -> Callable[[], object]:
        """`work` that ends when the device has done it."""
        if find_device(self.device).type != "cuda":
            return work
        return lambda: (work(), torch.cuda.synchronize())


# --- the cost of a step ---


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


# --- the race against a plain program ---


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
        [*(row[key] for key in columns.values()), row["text"] if row["met"] else f"not reached in {row['ratio']:.2f}x"]
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
the plain side saw on its way. Both losses are computed by one function, on float pictures, off the clock. Wanted: at
most {RACE_TARGET:.2f}; {verdict}.

{table((*columns, "ours / plain"), cells)}"""


# --- each part of `quality` off ---


def ablation_rows(options: Options) -> Iterator[Row]:
    """Every part off on every pair: the loss of `quality`, what the judge says, evaluations and seconds."""
    model, judge = options.model, load(options.judges[0])
    for each in options.pairs:
        loss = FullLoss(model, each.job, options.size, options.run)
        sides = Transfer(model, each.job, options.config(), options.run).sides
        whole = paint(model, each.job, options.config(), options.run)
        named = {"content": each.content, "style": each.style}
        yield {"part": WHOLE, **named, **result(whole, each, loss, judge)}
        for name, (config, run) in without_parts(options.config(), options.run, whole, sides).items():
            yield {"part": name, **named, **result(paint(model, each.job, config, run), each, loss, judge)}


def result(painted: Painted, each: Pair, loss: FullLoss, judge: Model) -> Row:
    """The figures of one painting."""
    verdict = judged(judge, each.job, painted.picture)
    return {
        "loss": loss(painted.picture),
        "removed": verdict.removed,
        "similarity": verdict.content,
        "evaluations": painted.evaluations,
        "seconds": painted.seconds,
        "status": painted.status,
    }


def ablation_table(rows: Sequence[Row], options: Options) -> str:
    """Markdown of `ablation_rows`: means over the pairs, and medians of the ratios to the whole preset's."""
    whole = {(row["content"], row["style"]): row for row in rows if row["part"] == WHOLE}
    cells = []
    for name in dict.fromkeys(row["part"] for row in rows):
        mine = [row for row in rows if row["part"] == name]
        ratios = {
            key: median(row[key] / whole[row["content"], row["style"]][key] for row in mine)
            for key in ("loss", "seconds")
        }
        cells.append(
            [
                *(name, mean(row["loss"] for row in mine), f"{ratios['loss']:.2f}x"),
                *(percent(mean(row["removed"] for row in mine)), mean(row["similarity"] for row in mine)),
                *(round(mean(row["evaluations"] for row in mine)), mean(row["seconds"] for row in mine)),
                f"{ratios['seconds']:.2f}x",
            ]
        )
    header = (
        *("part", "loss", "of the whole's", "style removed", "content similarity", "evaluations", "seconds"),
        "of the whole's",
    )
    return f"""## Style transfer: what each part does

{options.models[0]}, {options.size} px, the mean of {len(whole)} pairs. Each line is the preset `quality` with one
thing changed. The loss is that of `quality` itself at full size, whatever was minimized. Style removed (the share of
the content's style distance) and content similarity (correlation of features) are measured by {options.judges[0]},
which was not optimized.

{table(header, cells)}"""


# --- held-out judges ---


def heldout_rows(options: Options) -> Iterator[Row]:
    """Every style on some photographs by every network, judged by the other real ones."""
    networks = {name: load(name) for name in dict.fromkeys((*options.models, *options.judges))}
    for style in options.styles:
        for content in options.contents[: options.count]:
            each = pair(content, style)
            for name in options.models:
                painted = paint(networks[name], each.job, options.config(), options.run)
                for other in options.judges:
                    if other != name:
                        verdict = judged(networks[other], each.job, painted.picture).data()
                        made = {"optimized": name, "seconds": painted.seconds, "status": painted.status}
                        yield {"content": each.content, "style": each.style, **made, **verdict}


def heldout_table(rows: Sequence[Row], options: Options) -> str:
    """Markdown of `heldout_rows`: a line a style, a column for each network and judge."""
    columns = list(dict.fromkeys((row["optimized"], row["network"]) for row in rows))
    shares = {
        style: [
            mean(
                row["style_removed"] for row in rows if (row["style"], row["optimized"], row["network"]) == (style, *by)
            )
            for by in columns
        ]
        for style in dict.fromkeys(row["style"] for row in rows)
    }
    lowest = [min(column) for column in zip(*shares.values(), strict=True)]
    wanted = [HELDOUT_TARGETS.get(name, HELDOUT_TARGET) for name, _ in columns]
    verdicts = [f"{percent(w)}: {'met' if low >= w else 'missed'}" for low, w in zip(lowest, wanted, strict=True)]
    cells = [[style, *map(percent, row)] for style, row in shares.items()]
    footer = [["lowest", *map(percent, lowest)], ["at least", *verdicts]]
    photographs = ", ".join(dict.fromkeys(row["content"] for row in rows))
    return f"""## Style transfer: the style that other networks see

The share of the content picture's style distance (relative Gram distance, mean over the judge's five layers) that is
gone after a transfer at the default weights, {options.size} px, the mean over the photographs {photographs}.

{table(("style", *(f"{name}, judged by {judge}" for name, judge in columns)), [*cells, *footer])}"""


def percent(share: float) -> str:
    """0.623 -> 62%."""
    return f"{100 * share:.0f}%"


# --- the command line ---

Rows: TypeAlias = Callable[[Options], Iterator[Row]]
COMMANDS: dict[str, tuple[Rows, Callable[[Sequence[Row], Options], str]]] = {
    "step": (step_rows, step_table),
    "race": (race_rows, race_table),
    "ablation": (ablation_rows, ablation_table),
    "heldout": (heldout_rows, heldout_table),
}


def arguments() -> tuple[Options, argparse.Namespace]:
    """The command line: what to measure, and what to do with it."""
    parser = argparse.ArgumentParser(description="Measure style transfer.")
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument("--size", type=int, help="longer side in pixels (512; heldout 256)")
    parser.add_argument("--model", nargs="+", help="networks that are optimized (heldout takes several)")
    parser.add_argument("--judge", nargs="+", help="networks that judge (heldout takes several)")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder with folders content and style of pictures")
    parser.add_argument("--content", type=Path, nargs="+", default=[], help="content pictures in place of the folder's")
    parser.add_argument("--style", type=Path, nargs="+", default=[], help="style pictures in place of the folder's")
    parser.add_argument("--count", type=int, default=3, help="pairs, or heldout photographs (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="rounds of a comparison (step 15, race 1)")
    parser.add_argument("--steps", type=int, help="steps of ours at each scale (default: the preset's)")
    parser.add_argument("--evaluations", type=int, default=300, help="of the plain side (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=22, help="steps before the clock (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda ... (default: %(default)s)")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"], help="of our network")
    parser.add_argument("--weights", help="of the network that is optimized: a file, or random (not for heldout)")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default: %(default)s)")
    parser.add_argument(
        "--clock", default="wall", choices=list(CLOCKS), help="cpu: of this process, for a busy machine"
    )
    parser.add_argument("--out", type=Path, help="a JSON file for every row, written as they come")
    parser.add_argument("--document", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    heldout = given.command == "heldout"
    others = [name for name in REAL if name not in (given.model or OPTIMIZED[:1])]
    options = Options(
        command=given.command,
        size=given.size or (256 if heldout else 512),
        rounds=given.rounds or (15 if given.command == "step" else 1),
        count=given.count,
        steps=given.steps,
        evaluations=given.evaluations,
        warm_up=given.warm_up,
        models=tuple(given.model or (OPTIMIZED if heldout else OPTIMIZED[:1])),
        judges=tuple(given.judge or (REAL if heldout else others)),
        contents=tuple(pictures(given.content, given.images / "content")),
        styles=tuple(pictures(given.style, given.images / "style")),
        device=given.device,
        precision=given.precision,
        weights=given.weights,
        clock=CLOCKS[given.clock],
    )
    if given.clock == "cpu" and given.threads > 1:
        parser.error("--clock cpu needs --threads 1: the time of two threads is added up")
    if min(given.threads, options.size, options.rounds, options.count, options.evaluations) < 1:
        parser.error("--threads, --size, --rounds, --count and --evaluations are whole numbers from 1")
    return options, given


def main() -> None:
    """Measure, keep every row, print the table."""
    keep_freed_memory()  # as the command does
    options, given = arguments()
    torch.set_num_threads(given.threads)
    facts, rows = machine(), list[Row]()
    find_rows, find_table = COMMANDS[options.command]
    for row in find_rows(options):
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
        if given.out is not None:
            replace_file(given.out, json.dumps({"command": options.command, "machine": facts, "rows": rows}, indent=1))
    clock = " Seconds are the processor's, of this process." if given.clock == "cpu" else ""
    text = f"{find_table(rows, options)}\n\nMeasured on: {describe(facts)}{clock}"
    print(text)
    if given.document:
        name = f"style-{options.command}"
        write_section(f"{name}-{options.models[0]}" if options.command == "step" else name, text)


if __name__ == "__main__":
    main()
