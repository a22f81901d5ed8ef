"""Options that several commands share, and how text becomes their values.

Flags are made from the config dataclasses of `recipe`: a default and its help are written there, once.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter

from phosphene.errors import UsageError
from phosphene.jsondata import alternatives, words
from phosphene.models import InputSpec, Model, is_known, load
from phosphene.models.weights import RANDOM
from phosphene.recipe import OptimizerConfig, RunConfig, SignalConfig, TransformConfig

Flat = Parameter(name="*")

SignalFlags = Annotated[SignalConfig, Flat, Parameter(group="Picture")]
TransformFlags = Annotated[TransformConfig, Flat, Parameter(group="Transforms")]
OptimizerFlags = Annotated[OptimizerConfig, Flat, Parameter(group="Optimizer")]
RunFlags = Annotated[RunConfig, Flat, Parameter(group="Machine")]

Json = Annotated[bool, Parameter(name="--json", negative="", group="Output", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, Parameter(negative="", group="Output", help="No progress and no notices.")]
Weights = Annotated[
    str | None, Parameter(group="Network", help='A file of weights (.safetensors, .pth), or "random" for none at all.')
]


@dataclass(frozen=True)
class Network:
    """How a network is opened; all but `weights` is for networks that do not say what they take."""

    weights: str | None = None
    """A file of weights (.safetensors, .pth), or "random" for none at all."""
    channels: int | None = None
    """Input channels of a network of your own."""
    input_size: str | None = None
    """Its input in pixels, N or HxW."""
    mean: str | None = None
    """Its mean, one number per channel joined by commas, or one for all."""
    std: str | None = None
    """Its standard deviation, in the same way."""
    value_range: str | None = None
    """What black and white are before mean and std, such as 0,255."""

    def open(self, name: str) -> Model:
        """The model of that name, with these weights and this input."""
        spec = input_spec(self.input_size, self.channels, self.mean, self.std, self.value_range)
        return load(name, weights=self.weights, spec=spec)

    def words(self) -> list[str]:
        """The flags that open a network in this way again."""
        given = [(field.name.replace("_", "-"), getattr(self, field.name)) for field in fields(self)]
        return [word for name, value in given if value is not None for word in (f"--{name}", str(value))]

    def rerun_words(self, name: str) -> list[str]:
        """What `phosphene rerun` needs besides a picture made with the network of that name: what no recipe may say."""
        named = [] if is_known(name) else ["--model", name]
        return named if self.weights in (None, RANDOM) else [*named, "--weights", str(self.weights)]


NetworkFlags = Annotated[Network, Flat, Parameter(group="Network")]


def refuse_fractions(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raise UsageError for a fraction where an option takes whole numbers: the parser would round it in silence."""
    for argument in arguments:
        kinds = alternatives(argument.hint)
        for text in (token.value for token in argument.tokens if int in kinds and float not in kinds):
            if _is_fraction(text):
                raise UsageError(f"{argument.name} must be {words(argument.hint)}, got {text!r}")


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()  # nor are "nan" and "inf"
    except ValueError:
        return False  # no number at all: the parser says so


def machine_words(run: RunConfig) -> list[str]:
    """The flags that say where, and in which arithmetic; none where phosphene may choose."""
    given = (("device", run.device), ("precision", run.precision))
    return [word for name, value in given if value != "auto" for word in (f"--{name}", value)]


def pixels(text: str | None, option: str = "--size") -> int | tuple[int, int] | None:
    """`224` or `224x320` (height x width)."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:[xX×](\d+))?", text.strip())
    if match is None:
        raise UsageError(f"{option} is a whole number of pixels or HEIGHTxWIDTH, got {text!r}")
    return int(match[1]) if match[2] is None else (int(match[1]), int(match[2]))


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """`0.5` or `0.485,0.456,0.406`."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise UsageError(f"{option} is a number or several joined by commas, got {text!r}")
    return values


def steps(text: str | None, option: str) -> tuple[int, ...]:
    """`1,32,128`."""
    values = numbers(text, option) or ()
    if not all(value.is_integer() for value in values):
        raise UsageError(f"{option} takes whole numbers joined by commas, got {text!r}")
    return tuple(int(value) for value in values)


def input_spec(
    size: str | None, channels: int | None, mean: str | None, std: str | None, value_range: str | None
) -> InputSpec | None:
    """The input that the flags describe; None when no flag is given. What is left out is 0 mean, unit std."""
    if size is None and channels is None and mean is None and std is None and value_range is None:
        return None
    given: dict[str, Any] = {"channels": channels or 3, "mean": (0.0,), "std": (1.0,)}
    side = pixels(size, "--input-size")
    if side is not None:
        given["size"] = (side, side) if isinstance(side, int) else side
    for name, text in (("mean", mean), ("std", std)):
        values = numbers(text, f"--{name}")
        if values is not None:
            given[name] = values
    span = numbers(value_range, "--value-range")
    if span is not None:
        if len(span) != 2:
            raise UsageError(f"--value-range takes two numbers such as 0,255, got {value_range!r}")
        given["value_range"] = (span[0], span[1])
    return InputSpec(**given)
