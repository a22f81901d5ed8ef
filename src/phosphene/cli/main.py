"""The door of the command line: commands by name, errors as one line.

Exit codes: 0 ok, 1 failed, 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from phosphene.cli import (
    audio,
    audio_reconstruct,
    audio_style,
    audio_texture,
    card,
    demo,
    dream,
    grid,
    inspect,
    natural,
    probe,
    reconstruct,
    render,
    rerun,
    scan,
    study,
    study_class,
    study_faithfulness,
    study_regularization,
    style,
    texture,
    tradeoff,
)
from phosphene.cli.allocator import keep_freed_memory
from phosphene.cli.options import refuse_fractions
from phosphene.errors import EXIT_FAILED, EXIT_USAGE, PhospheneError
from phosphene.files import reason
from phosphene.version import version

# a target that starts with a minus sign is no option: -logit:1, -features.12, "-0.5*(a:1 + b:2)";
# nor is a number: --value-range -1,1
NEGATIVE = re.compile(r"""-\s*(?:[\d.]+\s*\*\s*)?[("A-Za-z_\d][^=]*[:(*.]|-[\d.]""")

HELP = """Show what is inside a neural network, and paint with it.

Start with: phosphene demo
Then: phosphene render logit:spiral, phosphene render squeezenet1_1 features.12:0..15
"""

COMMANDS = (
    demo.demo,
    render.render,
    dream.dream,
    grid.grid,
    reconstruct.reconstruct,
    texture.texture,
    tradeoff.tradeoff,
    style.style,
    scan.scan,
    scan.merge,
    scan.examples,
    probe.probe,
    card.card,
    inspect.models,
    inspect.layers,
    inspect.classify,
    natural.natural,
    rerun.info,
    rerun.rerun,
    inspect.doctor,
)
study.app.command(study_regularization.study_regularization, name="regularization")
study.app.command(study_class.study_class, name="class")
study.app.command(study_faithfulness.study_faithfulness, name="faithfulness")
for command in (audio_texture.texture, audio_style.style, audio_reconstruct.reconstruct):
    audio.audio.command(command)


def build() -> App:
    """The command line as data: all commands and their flags."""
    app = App(
        name="phosphene",
        help=HELP,
        version=version,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative_iterable=()),  # a list cannot be emptied: no --empty-betas
        config=refuse_fractions,
    )
    for command in COMMANDS:
        app.command(command)
    app.command(study.app)
    app.command(audio.audio)
    return app


def run(arguments: Sequence[str]) -> int:
    """Carry out one command; returns the exit code."""
    if not arguments:
        return fail(
            f"no command; choose {', '.join([*(command.__name__ for command in COMMANDS), 'study', 'audio'])}",
            EXIT_USAGE,
            hint=True,
        )
    words = [f" {word}" if NEGATIVE.match(word) and not word.startswith("--") else word for word in arguments]
    try:
        result = build()(words, exit_on_error=False, print_error=False, result_action="return_value")
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        return fail(str(error), EXIT_USAGE, hint=True)
    except PhospheneError as error:
        return fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return fail("interrupted", render.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; no second error at exit
        return EXIT_FAILED
    except OSError as error:  # stdout on a full disk, say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return fail(reason(error), EXIT_FAILED)


def fail(message: str, code: int, *, hint: bool = False) -> int:
    """Say what went wrong on stderr."""
    text = " ".join(message.split()).rstrip(".") if hint else message
    print(f"error: {text}" + ("; see phosphene --help" if hint else ""), file=sys.stderr)
    return code


def main() -> None:
    """Entry point of the `phosphene` command."""
    keep_freed_memory()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
