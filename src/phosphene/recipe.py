"""Everything needed to make a picture again: the settings as frozen dataclasses, and the record as JSON.

Each default of the project is written here and nowhere else: command-line flags, Python defaults, web forms and
the recipe inside a picture are made from these fields. A record that a picture carries is data from a stranger:
`from_json` checks every type and refuses a newer schema; nothing in it is ever run.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union

from phosphene.errors import RecipeError, UsageError

SCHEMA = 1

C = TypeVar("C")


STYLE_PRESETS = ("quality", "gatys2015", "gatys-notebook", "neural-style", "pytorch-tutorial")
STYLE_CHOICES = {
    "preset": STYLE_PRESETS,
    "statistic": ("gram", "moments", "sliced"),
    "pooling": ("max", "average"),
    "keep_colors": ("no", "luminance", "histogram"),
    "signal": ("fourier", "pixels"),
    "optimizer": ("lbfgs", "adam"),
}


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"no {name} {value!r}; choose {', '.join(choices)}")


def _positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        raise UsageError(f"{name} must be positive, got {value}")


@dataclass(frozen=True)
class SignalConfig:
    """How the picture is parameterized."""

    signal: Literal["fourier", "pixels"] = "fourier"
    """Basis that is optimised: fourier (1/f-scaled real FFT, whitened color) or raw pixels."""
    decay: float = 1.0
    """Exponent of the 1/f amplitude spectrum (fourier); larger gives smoother, broader pictures."""
    cutoff: float = 0.45
    """Frequency in cycles per pixel where the fourier basis has faded out; 1.7 switches the low-pass off."""
    noise_start: float = 0.01
    """Standard deviation of the random start, in the basis's own units."""
    decorrelate: bool = True
    """Optimise whitened colors (three-channel pictures only)."""
    alpha: bool = False
    """Optimise transparency too: an alpha channel, shown to the network over random backgrounds."""

    def __post_init__(self) -> None:
        if self.signal not in ("fourier", "pixels"):
            raise UsageError(f"no signal {self.signal!r}; choose fourier or pixels")
        if self.decay < 0:
            raise UsageError(f"decay must not be negative, got {self.decay}")
        _positive("cutoff", self.cutoff)
        _positive("noise_start", self.noise_start)


@dataclass(frozen=True)
class TransformConfig:
    """Random changes between picture and network (transformation robustness). None = the preset's own value."""

    transforms: Literal["standard", "strong", "none"] = "standard"
    """Preset: standard (lucid's ranges), strong (for larger, simpler shapes), none."""
    jitter: float | None = None
    """Largest shift in pixels, each way."""
    scale: float | None = None
    """Largest change of size: 0.1 draws factors in 0.9 .. 1.1."""
    rotate: float | None = None
    """Largest turn in degrees, each way."""
    noise: float | None = None
    """Standard deviation of Gaussian noise added to each view, picture in [0, 1]."""
    crops: int | None = None
    """Random crops of the picture seen per step; 1 sees the whole picture."""
    crop_size: float | None = None
    """Smallest side of a crop, as a share of the picture (with crops > 1)."""
    relax: float | None = None
    """Strength that is left at the end of the run: 1 keeps the transforms as they are, 0.1 fades them to a tenth."""
    fill: Literal["reflect", "gray"] = "reflect"
    """What lies outside the picture when a view looks past its edge."""

    def __post_init__(self) -> None:
        if self.transforms not in ("standard", "strong", "none"):
            raise UsageError(f"no transforms preset {self.transforms!r}; choose standard, strong or none")
        if self.fill not in ("reflect", "gray"):
            raise UsageError(f"no fill {self.fill!r}; choose reflect or gray")
        for name in ("jitter", "scale", "rotate", "noise"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"{name} must not be negative, got {value}")
        if self.scale is not None and self.scale >= 1:
            raise UsageError(f"scale must be below 1, got {self.scale}")
        if self.crops is not None and self.crops < 1:
            raise UsageError(f"crops must be at least 1, got {self.crops}")
        for name in ("relax", "crop_size"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{name} must lie in 0 .. 1, got {value}")


@dataclass(frozen=True)
class OptimizerConfig:
    """How the ascent is done."""

    optimizer: Literal["adam", "lbfgs"] = "adam"
    """adam (many pictures at once) or lbfgs (one picture at a time, for smooth problems)."""
    lr: float | None = None
    """Step size; the optimizer's own default when left out (adam 0.05, lbfgs 1)."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's two decay rates."""
    history: int = 20
    """Gradient pairs that L-BFGS remembers."""
    redirect: bool = True
    """Let gradient through dead ReLUs while a unit is silent."""

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "lbfgs"):
            raise UsageError(f"no optimizer {self.optimizer!r}; choose adam or lbfgs")
        _positive("lr", self.lr)
        _positive("history", self.history)
        if not all(0 <= b < 1 for b in self.betas):
            raise UsageError(f"betas must lie in 0 .. 1, got {self.betas}")


@dataclass(frozen=True)
class RunConfig:
    """How the work is carried out; nothing here changes which picture is asked for."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic inside the network: auto takes what is fast and safe on the device."""
    batch: int | None = None
    """Pictures optimised at once; chosen by memory when left out."""
    batch_shape: int | None = None
    """Fixed batch shape: batches are padded to it, so that no picture depends on its company."""
    checkpoint_every: int = 64
    """Steps between checkpoints for --resume; 0 writes none."""

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise UsageError(f"no precision {self.precision!r}; choose auto, float32 or bfloat16")
        for name in ("batch", "batch_shape"):
            _positive(name, getattr(self, name))
        if self.checkpoint_every < 0:
            raise UsageError(f"checkpoint_every must not be negative, got {self.checkpoint_every}")


@dataclass(frozen=True)
class RenderConfig:
    """Feature visualization: what `render` does besides the target."""

    size: int | tuple[int, int] | None = None
    """Side of the picture in pixels, or height and width; the network's own input size when left out."""
    steps: int = 256
    """Steps of gradient ascent."""
    seed: int = 0
    """Seed of the start and of every random transform."""
    signal: SignalConfig = field(default_factory=SignalConfig)
    transform: TransformConfig = field(default_factory=TransformConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        sides = (self.size,) if isinstance(self.size, int) else self.size or ()
        if any(side < 2 for side in sides):
            raise UsageError(f"size must be at least 2 pixels, got {self.size}")
        if self.steps < 1:
            raise UsageError(f"steps must be at least 1, got {self.steps}")

    def canvas(self, default: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the picture; `default` is the network's input size."""
        if self.size is None:
            return default
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])


@dataclass(frozen=True)
class StyleConfig:
    """Style transfer: what `style` does besides its pictures. None = the preset's own value."""

    preset: Literal["quality", "gatys2015", "gatys-notebook", "neural-style", "pytorch-tutorial"] = "quality"
    """Loss and schedule: ours, or those of the paper, its notebook, neural-style, PyTorch's tutorial."""
    size: int = 512
    """Longer side of the picture in pixels."""
    steps: int | None = None
    """Steps at the largest scale."""
    seed: int = 0
    """Seed of a start from noise and of random projections."""
    content_weight: float | None = None
    """Weight of the content; 0 leaves it out."""
    style_weight: float | None = None
    """Weight of the style; 0 leaves it out."""
    tv_weight: float | None = None
    """Weight of the total variation: smooths."""
    statistic: Literal["gram", "moments", "sliced"] | None = None
    """What style is: Gram matrices, mean and covariance (Wasserstein-2), or sliced Wasserstein distances."""
    content_layers: str | None = None
    """Layers that hold the content, joined by commas; chosen for the network when left out."""
    style_layers: str | None = None
    """Layers that hold the style, joined by commas; chosen for the network when left out."""
    layer_weights: str | None = None
    """Weights of the style layers, joined by commas; scaled to a sum of 1."""
    start: str | None = None
    """content, noise, white, style, or a file."""
    style_scale: float = 1.0
    """Size of the style picture's longer side relative to the result's."""
    smallest: int | None = None
    """Longer side of the first, coarsest scale in pixels; 0 works at full size alone."""
    details: bool | None = None
    """Start every scale with the content's own details (only from the content, on a ladder of scales)."""
    pooling: Literal["max", "average"] | None = None
    """Pooling of the network: its own max pooling, or the paper's average pooling."""
    normalized: bool | None = None
    """Bring the mean activation of every channel to 1 first, as the paper does."""
    keep_colors: Literal["no", "luminance", "histogram"] = "no"
    """Keep the content's colors: luminance only, or by matching the style's colors to it first."""
    feather: float = 0.0
    """Width of the soft edge of regions, in pixels of the result to each side."""
    average: float | None = None
    """Decay of the running average of the pictures, 0 .. 1; 0 takes the last one."""
    signal: Literal["fourier", "pixels"] | None = None
    """Basis that is optimised."""
    optimizer: Literal["lbfgs", "adam"] | None = None
    """How the descent is done."""
    lr: float | None = None
    """Step size; the optimizer's own default when left out."""
    history: int | None = None
    """Gradient pairs that L-BFGS remembers."""

    def __post_init__(self) -> None:
        for name in ("size", "steps", "style_scale", "lr", "history"):
            _positive(name, getattr(self, name))
            if getattr(self, name) == float("inf"):
                raise UsageError(f"{name} must be finite")
        for name in ("content_weight", "style_weight", "tv_weight", "smallest", "feather"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise UsageError(f"{name} must be 0 or more, got {value}")
        if self.average is not None and not 0 <= self.average < 1:
            raise UsageError(f"average must lie in 0 .. 1 and below 1, got {self.average}")
        for name, choices in STYLE_CHOICES.items():
            if getattr(self, name) is not None:
                _choice(name, getattr(self, name), choices)


def to_json(value: Any) -> Any:
    """Plain JSON data for a dataclass, tuple or scalar."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(name): to_json(item) for name, item in value.items()}
    return value


def from_json(kind: type[C], data: Any, *, where: str = "recipe") -> C:
    """The dataclass `kind` from plain JSON data; unknown keys are ignored, wrong types are refused.

    Raises RecipeError that names the field.
    """
    if not isinstance(data, dict):
        raise RecipeError(f"{where}: expected an object, got {data!r:.80}")
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {name: _coerce(hints[name], item, f"{where}.{name}") for name, item in data.items() if name in known}
    try:
        return kind(**values)
    except (TypeError, UsageError) as error:
        raise RecipeError(f"{where}: {error}") from error


def check_schema(data: Any, where: str) -> None:
    """Raise RecipeError unless `data` is a record of a schema that this version can read."""
    if not isinstance(data, dict) or not isinstance(data.get("schema"), int):
        raise RecipeError(f"{where} holds no phosphene recipe (no schema number)")
    if data["schema"] > SCHEMA:
        raise RecipeError(
            f"{where} has recipe schema {data['schema']}, this version reads up to {SCHEMA}; update phosphene"
        )


def _coerce(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _coerce_union(args, value, where)
    if origin is Literal:
        ok = value in args
    elif origin is tuple:
        return _coerce_tuple(args, value, where)
    elif dataclasses.is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), value, where=where)
    elif hint is float:
        ok = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        value = float(value) if ok else value
    elif hint is int:
        ok = isinstance(value, int) and not isinstance(value, bool)
    elif hint is type(None):
        ok = value is None
    else:
        ok = hint is Any or isinstance(value, hint)
    if not ok:
        raise RecipeError(f"{where}: {value!r:.80} is not {getattr(hint, '__name__', hint)}")
    return value


def _coerce_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    for option in args:
        try:
            return _coerce(option, value, where)
        except RecipeError:
            continue
    raise RecipeError(f"{where}: {value!r:.80} has the wrong type")


def _coerce_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise RecipeError(f"{where}: {value!r:.80} is not a list")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_coerce(args[0], item, where) for item in value)
    if len(value) != len(args):
        raise RecipeError(f"{where}: expected {len(args)} values, got {len(value)}")
    return tuple(_coerce(arg, item, where) for arg, item in zip(args, value, strict=True))
