"""Text becomes values, or one line says which option cannot be read; every default comes from the recipe."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator

import pytest
from cyclopts import App

from phosphene.cli.main import build
from phosphene.cli.options import input_spec, numbers, pixels, steps
from phosphene.cli.render import render
from phosphene.errors import UsageError
from phosphene.jsondata import alternatives
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig, TransformConfig


@pytest.mark.parametrize(
    ("text", "value"), [("224", 224), ("224x320", (224, 320)), (" 64X32 ", (64, 32)), ("8×9", (8, 9)), (None, None)]
)
def test_pixels_are_a_side_or_height_by_width(text: str | None, value: object) -> None:
    assert pixels(text) == value


@pytest.mark.parametrize("text", ["", "x", "12x", "-5", "1.5", "3x4x5", "nan"])
def test_other_sizes_are_refused_by_the_option_s_name(text: str) -> None:
    with pytest.raises(UsageError, match="--input-size is a whole number of pixels"):
        pixels(text, "--input-size")


def test_numbers_are_joined_by_commas() -> None:
    assert numbers("0.5", "--mean") == (0.5,)
    assert numbers("-1, 2e-3,3", "--mean") == (-1.0, 0.002, 3.0)
    assert numbers(None, "--mean") is None


@pytest.mark.parametrize("text", ["", "a", "1,,2", "nan", "1,inf"])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--std is a number"):
        numbers(text, "--std")


def test_steps_are_whole() -> None:
    assert steps("1,32,128", "--snapshots") == (1, 32, 128)
    assert steps(None, "--snapshots") == ()
    for text in ("1.5", "inf", "nan", "x"):
        with pytest.raises(UsageError, match="--snapshots"):
            steps(text, "--snapshots")


def options(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, tuple[object, ...]]]:
    """(the words of a command, an option's name, what its type may be), for every option of every command."""
    for name in (name for name in app if not name.startswith("-")):
        yield from options(app[name], (*words, name))
    for argument in app.assemble_argument_collection() if words and app.default_command is not None else ():
        yield words, argument.name, alternatives(argument.hint)


@pytest.mark.parametrize("text", ["1.5", "-0.5", "1e-1", "nan", "inf"])
def test_no_option_of_any_command_rounds_a_fraction(text: str) -> None:
    app = build()
    whole = [(words, name) for words, name, kinds in options(app) if int in kinds and float not in kinds]
    assert len(whole) > 90
    for words, name in whole:
        with pytest.raises(UsageError, match=f"^{name} must be a whole number.*, got '{text}'$"):
            app.parse_args([*words, f"{name}={text}"], exit_on_error=False, print_error=False)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    _, bound, _ = build().parse_args(["texture", "a.png", "--steps", "2.0"], exit_on_error=False, print_error=False)
    assert bound.arguments["steps"] == 2


def test_an_input_is_described_only_when_a_flag_is_given() -> None:
    assert input_spec(None, None, None, None, None) is None
    spec = input_spec("24x32", 2, "0.5", None, "0,255")
    assert spec is not None
    assert (spec.channels, spec.size, spec.mean, spec.std) == (2, (24, 32), (0.5, 0.5), (1.0, 1.0))
    assert spec.value_range == (0.0, 255.0)


@pytest.mark.parametrize(
    ("span", "mean", "std", "said"),
    [("0", None, None, "--value-range takes two"), (None, "1,2", None, "mean has 2"), (None, None, "0", "std must")],
)
def test_an_input_that_cannot_be_is_refused(span: str | None, mean: str | None, std: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        input_spec("24", 3, mean, std, span)


def test_every_setting_of_the_recipe_is_a_flag_with_the_recipes_default() -> None:
    flags = inspect.signature(render).parameters
    for name, config in {
        "signal_": SignalConfig,
        "transform": TransformConfig,
        "optimizer": OptimizerConfig,
        "run": RunConfig,
    }.items():
        assert flags[name].default == config()
    for setting in dataclasses.fields(RenderConfig):
        if setting.name in ("steps", "seed"):
            assert flags[setting.name].default == setting.default
    assert "size" in typing.get_type_hints(render)
