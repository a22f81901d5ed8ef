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

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import torch
from common import describe, machine, replace_file, write_section
from style_options import Options, Row, arguments
from style_quality import ablation_rows, ablation_table, heldout_rows, heldout_table
from style_speed import race_rows, race_table, step_rows, step_table

from phosphene.cli.allocator import keep_freed_memory

Rows: TypeAlias = Callable[[Options], Iterator[Row]]
COMMANDS: dict[str, tuple[Rows, Callable[[Sequence[Row], Options], str]]] = {
    "step": (step_rows, step_table),
    "race": (race_rows, race_table),
    "ablation": (ablation_rows, ablation_table),
    "heldout": (heldout_rows, heldout_table),
}


def main() -> None:
    """Measure, keep every row, print the table."""
    keep_freed_memory()  # as the command does
    options, given = arguments(COMMANDS)
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
