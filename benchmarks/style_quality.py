"""How good style transfer is: the effect of each part of the preset, and what networks see that were not optimized."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean, median

from common import table
from style_options import Options, Row
from style_sides import FullLoss, Pair, pair, without_parts

from phosphene.models import Model, load
from phosphene.style.heldout import judged
from phosphene.style.transfer import Painted, Transfer, paint

HELDOUT_TARGETS = {"minivgg": 0.5}  # at least; of the others:
HELDOUT_TARGET = 0.6
WHOLE = "quality"  # the part that is all of them


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
