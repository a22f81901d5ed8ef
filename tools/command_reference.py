"""docs/commands.md, written from the commands themselves: a reference that is generated cannot be out of date for long.

    python tools/command_reference.py            rewrites docs/commands.md
    python tools/command_reference.py --check    exits 1 when it is stale

The commands, their flags, defaults and help come from `phosphene.cli.main.build()`; cyclopts puts them into Markdown,
without regard to the width of the terminal. This file adds what all commands share.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from phosphene.cli.main import build
from phosphene.files import atomic_write

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
LIST_OF_COMMANDS = "**Commands**:"  # where the part that is not a table of contents begins in what cyclopts writes

HEADER = """# Commands

<!-- Generated: run `python tools/command_reference.py` instead of editing this page. -->

Results go to stdout, progress and notices to stderr. With `--json` stdout is one JSON object.
Exit codes: 0 done, 1 failed, 2 asked for wrongly, 130 interrupted.
A target that starts with a minus sign is not taken for a flag: `phosphene render squeezenet1_1 -logit:goldfish` works.
`phosphene --help` and `phosphene COMMAND --help` print the same in the terminal, `phosphene --version` the version.
"""


def reference() -> str:
    """The whole page. Raises ValueError when cyclopts no longer writes its list of commands."""
    with started_as("phosphene"):
        text = build().generate_docs(output_format="markdown")
    _, found, commands = text.partition(LIST_OF_COMMANDS)
    if not found:
        raise ValueError(
            f"cyclopts wrote no {LIST_OF_COMMANDS!r}; look at what generate_docs gives and change this file"
        )
    return f"{HEADER}\n{commands.strip()}\n"


@contextmanager
def started_as(program: str) -> Iterator[None]:
    """Inside, cyclopts takes this for the program that runs; of `python -m pytest` it makes "render -m pytest"."""
    before, sys.argv[0] = sys.argv[0], program
    try:
        yield
    finally:
        sys.argv[0] = before


def is_current(document: Path = DOCUMENT) -> bool:
    """Whether the page holds what the commands say now."""
    return document.is_file() and document.read_text(encoding="utf-8") == reference()


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check compare it; returns the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print(f"usage: python {Path(__file__).name} [--check]", file=sys.stderr)
        return 2
    if arguments:
        current = is_current()
        print(f"{DOCUMENT.name} is {'current' if current else 'stale; run this file without --check'}", file=sys.stderr)
        return 0 if current else 1
    atomic_write(DOCUMENT, reference().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
