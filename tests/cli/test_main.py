"""The door: commands by name, one line per error, the promised exit codes."""

from __future__ import annotations

from typing import Any

import pytest

from phosphene.cli import main
from phosphene.cli.main import COMMANDS, NEGATIVE, run
from phosphene.errors import PhospheneError
from phosphene.version import version


def test_no_command_lists_the_commands(phosphene: Any) -> None:
    ran = phosphene()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert all(command.__name__ in ran.err for command in COMMANDS)


@pytest.mark.parametrize("words", [("--help",), *[(command.__name__, "--help") for command in COMMANDS]])
def test_every_command_has_help(phosphene: Any, words: tuple[str, ...]) -> None:
    ran = phosphene(*words)
    assert ran.code == 0
    assert ran.err == ""
    assert "Usage: phosphene" in ran.out


def test_help_shows_the_defaults_that_the_recipe_sets(phosphene: Any) -> None:
    text = " ".join(phosphene("render", "--help").out.split())
    for fact in ("--steps", "256", "--seed", "--resume", "--betas", "--crop-size", "--batch-shape"):
        assert fact in text


def test_the_version_is_the_packages_own(phosphene: Any) -> None:
    assert phosphene("--version").out.strip() == version()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("paint",), 'Unknown command "paint"'),
        (("models", "--colour"), "Unknown option: --colour"),
        (("render",), "MODEL"),
        (("render", "squeezenet1_1", "features.2:1", "--steps", "many"), '"many"'),
        (("render", "squeezenet1_1", "features.2:1", "--signal", "wavelets"), '"wavelets"'),
        (("render", "squeezenet1_1", "features.2:1", "--betas", "0.9"), "--betas requires 2"),
    ],
)
def test_wrong_use_is_one_line_with_the_word_in_it(phosphene: Any, words: tuple[str, ...], said: str) -> None:
    ran = phosphene(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert said in ran.err
    assert ran.err.endswith("; see phosphene --help\n")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (PhospheneError("no such luck"), 1, "error: no such luck\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_what_a_command_raises_decides_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, code: int, said: str
) -> None:
    def models() -> int:
        raise raised

    monkeypatch.setattr(main, "COMMANDS", (models,))
    assert run(["models"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("word", "negative"),
    [
        ("-logit:1", True),
        ("-features.12:7", True),
        ("-features.7", True),
        ("-0.5*(a:1 + b:2)", True),
        ("-(a:1 - b:1)", True),
        ("-1,1", True),
        ("-3", True),
        ("--size", False),
        ("--init=a.png", False),
        ("-h", False),
        ("features.12:7", False),
    ],
)
def test_a_minus_sign_makes_no_option_of_a_target_or_number(word: str, negative: bool) -> None:
    assert bool(NEGATIVE.match(word) and not word.startswith("--")) == negative


def test_negative_numbers_reach_their_options(phosphene: Any, workplace: Any) -> None:
    words = ["--steps", "1", "--seed", "-3", "--value-range", "-1,1", "--mean", "0", "--std", "1", "--json"]
    ran = phosphene("render", "nets:bare", "conv:0", "--input-size", "24", *words)
    assert ran.code == 0
    assert ran.json["results"][0]["seed"] == -3
