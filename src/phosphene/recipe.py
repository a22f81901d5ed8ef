"""Everything that is needed to make a picture again: the settings, as frozen dataclasses.

Each default of the project is written here and nowhere else: command-line flags, Python defaults, web forms and
the recipe inside a picture are made from these fields. `jsondata.py` takes them to JSON and back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from phosphene.errors import UsageError
from phosphene.jsondata import SCHEMA as SCHEMA
from phosphene.jsondata import check_schema as check_schema
from phosphene.jsondata import from_json as from_json
from phosphene.jsondata import to_json as to_json

SIGNAL_NAMES = ("fourier", "pixels", "maco", "cppn", "laplacian")
SHARING = ("fourier", "pixels", "laplacian")  # signals that a sum leaves what they are
STYLE_PRESETS = ("quality", "gatys2015", "gatys-notebook", "neural-style", "pytorch-tutorial")
STYLE_CHOICES = {
    "preset": STYLE_PRESETS,
    "statistic": ("gram", "moments", "sliced"),
    "pooling": ("max", "average"),
    "edges": ("own", "replicated"),
    "keep_colors": ("no", "luminance", "histogram"),
    "signal": ("fourier", "pixels"),
    "optimizer": ("lbfgs", "adam"),
}
MAX_FAMILY = 256  # pictures of one unit: more than any batch holds
TEXTURE_SIDE = 8  # pixels: half of what reaches a VGG's fifth block
TRADEOFF_RATIOS = {  # of alpha to beta
    "gatys2015": (1e-5, 1e-4, 1e-3, 1e-2),  # the paper's columns
    "quality": (1e-2, 1e-1, 1.0, 10.0),  # from about the preset's own 0.005 to hardly any style
}
TRADEOFF_SCALES = tuple(TRADEOFF_RATIOS)
TRADEOFF_STARTS = ("content", "noise")


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"no {name} {value!r}; choose {', '.join(choices)}")


def _positive(name: str, value: float | None) -> None:
    if value is not None and not value > 0:
        raise UsageError(f"{name} must be positive, got {value}")
    if value == float("inf"):
        raise UsageError(f"{name} must be finite, got {value}")


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{name} must be at least 1, got {value}")


@dataclass(frozen=True)
class SignalConfig:
    """How the picture is parameterized."""

    signal: Literal["fourier", "pixels", "maco", "cppn", "laplacian"] = "fourier"
    """Basis that is optimised: fourier (1/f-scaled real FFT, whitened color), raw pixels, maco (phases of a fixed
    natural spectrum), cppn (a formula of position, smooth at any size), or laplacian (a pyramid of bands)."""
    decay: float = 1.0
    """Exponent of the 1/f amplitude spectrum (fourier, maco); larger gives smoother, broader pictures."""
    cutoff: float = 0.45
    """Frequency in cycles per pixel where a low-pass has faded out (fourier, maco); 1.7 switches it off."""
    noise_start: float = 0.01
    """Standard deviation of the random start, in the basis's own units (maco starts from random phases always)."""
    levels: int = 4
    """Bands of the pyramid, each half as fine as the one before (laplacian)."""
    natural: str | None = None
    """File of `phosphene natural`: colors and spectrum of pictures of your own, in place of ImageNet's and 1/f."""
    decorrelate: bool = True
    """Optimise whitened colors (three-channel pictures only)."""
    alpha: bool = False
    """Optimise transparency too: an alpha channel, shown to the network over random backgrounds."""
    transparency: bool = False
    """Fade out what the unit did not look at: opacity from the gradients of all steps, as in MACO's figures."""
    large: int | None = None
    """Longer side in pixels of a second, larger file of each picture: a formula has no size (cppn)."""
    shared: bool = False
    """Give the pictures of a family (a strip, a diversity) common coarse parts, so that they take up one layout."""

    def __post_init__(self) -> None:
        _choice("signal", self.signal, SIGNAL_NAMES)
        _at_least_one("levels", self.levels)
        if self.alpha and (self.transparency or self.signal == "maco"):
            raise UsageError("alpha does not go with maco or transparency: use transparency without alpha")
        if self.large is not None and (self.signal != "cppn" or self.transparency or self.large < 2):
            wanted = "2 pixels or more, with the signal cppn and without transparency"
            raise UsageError(f"large must be {wanted}; got {self.large} with {self.signal}")
        if self.shared and self.signal not in SHARING:
            raise UsageError(f"shared goes with {', '.join(SHARING)}, not with {self.signal}")
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
        _choice("fill", self.fill, ("reflect", "gray"))
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
    pool_gradient: Literal["max", "average", "l2"] = "max"
    """Gradient of max pooling: its own, or the smoother one of average or of root mean square pooling."""
    gradient_blur: float = 0.0
    """Standard deviation in pixels of a Gaussian over the gradient; 0 leaves it as it is."""
    gradient_blur_at: Literal["picture", "strided"] = "picture"
    """Where the gradient is blurred: at the picture, or at the input of every strided layer, in its own pixels."""

    def __post_init__(self) -> None:
        _choice("optimizer", self.optimizer, ("adam", "lbfgs"))
        _positive("lr", self.lr)
        _positive("history", self.history)
        if not all(0 <= b < 1 for b in self.betas):
            raise UsageError(f"betas must lie in 0 .. 1, got {self.betas}")
        _choice("pool_gradient", self.pool_gradient, ("max", "average", "l2"))
        _choice("gradient_blur_at", self.gradient_blur_at, ("picture", "strided"))
        if not 0 <= self.gradient_blur < float("inf"):
            raise UsageError(f"gradient_blur must be 0 or more, got {self.gradient_blur}")


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
    memory: float | None = None
    """Gigabytes that may be used; what is free when left out."""
    checkpoint_every: int = 64
    """Steps between checkpoints for --resume; 0 writes none."""

    def __post_init__(self) -> None:
        _choice("precision", self.precision, ("auto", "float32", "bfloat16"))
        for name in ("batch", "batch_shape", "memory"):
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
class DiversityConfig:
    """Several pictures of each unit that differ: a term is added to the target, which holds it from then on."""

    diversity: int | Literal["auto"] = 1
    """Pictures of each unit, made to differ; auto: four, with the largest weight that holds."""
    diversity_weight: float | Literal["auto"] = 0.25
    """How much they are made to differ, 1 being worth as much as all that the unit rises; auto: the largest weight that
    leaves each picture 0.7 of what the unit reaches alone, found in short runs."""

    def __post_init__(self) -> None:
        if self.diversity != "auto" and not 1 <= self.diversity <= MAX_FAMILY:
            raise UsageError(f"diversity is 1 to {MAX_FAMILY} pictures, or auto; got {self.diversity}")
        if self.diversity_weight != "auto" and not 0 <= self.diversity_weight < float("inf"):
            raise UsageError(f"diversity_weight must be 0 or more, or auto; got {self.diversity_weight}")


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
    warm: bool | None = None
    """Start every scale with what the optimizer learned at the one below."""
    pooling: Literal["max", "average"] | None = None
    """Pooling of the network: its own max pooling, or the paper's average pooling."""
    edges: Literal["own", "replicated"] | None = None
    """Edges of the network's convolutions: its own, or with the outermost units repeated, so that all count alike."""
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
        for name in ("content_weight", "style_weight", "tv_weight", "smallest", "feather"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise UsageError(f"{name} must be 0 or more and finite, got {value}")
        if self.average is not None and not 0 <= self.average < 1:
            raise UsageError(f"average must lie in 0 .. 1 and below 1, got {self.average}")
        for name, choices in STYLE_CHOICES.items():
            if getattr(self, name) is not None:
                _choice(name, getattr(self, name), choices)


@dataclass(frozen=True)
class ReconstructConfig:
    """Reconstructions: what `reconstruct` does besides its picture."""

    size: int = 256
    """Longer side of the pictures in pixels."""
    steps: int = 200
    """Steps of L-BFGS for each picture."""
    seed: int = 0
    """Seed of the noise that all pictures start from."""
    content_layers: str | None = None
    """Layers whose features are reconstructed, joined by commas; chosen for the network when left out."""
    style_layers: str | None = None
    """Layers of the style, shallow to deep, joined by commas; chosen for the network when left out."""
    pooling: Literal["max", "average"] = "max"
    """Pooling of the network: its own, or the paper's average pooling."""

    def __post_init__(self) -> None:
        _at_least_one("size", self.size)
        _at_least_one("steps", self.steps)
        _choice("pooling", self.pooling, STYLE_CHOICES["pooling"])


@dataclass(frozen=True)
class TextureConfig:
    """Texture synthesis: what `texture` does besides its example."""

    size: int | tuple[int, int] | None = None
    """Side of the picture in pixels, or height and width; the example's aspect, 256 at most, when left out."""
    steps: int = 80
    """Steps of L-BFGS at each scale."""
    seed: int = 0
    """Seed of the noise that it starts from."""
    scale: float = 1.0
    """Size of the pattern: 2 is twice that of the example, which is shrunk to the result's size first if larger."""
    seamless: bool = False
    """Make a tile: its right edge continues at its left one, its lower edge at its upper one."""
    style_layers: str | None = None
    """Layers that hold the style, joined by commas; chosen for the network when left out."""

    def __post_init__(self) -> None:
        sides = (self.size,) if isinstance(self.size, int) else self.size or ()
        if any(side < TEXTURE_SIDE for side in sides):
            raise UsageError(f"size must be at least {TEXTURE_SIDE} pixels, got {self.size}")
        _at_least_one("steps", self.steps)
        if not 0 < self.scale < float("inf"):
            raise UsageError(f"scale must be positive, got {self.scale}")


@dataclass(frozen=True)
class TradeoffConfig:
    """The trade-off grid: what `tradeoff` does besides its two pictures."""

    size: int = 256
    """Longer side of each picture in pixels."""
    steps: int = 150
    """Steps of L-BFGS for each picture."""
    seed: int = 0
    """Seed of a start from noise."""
    scale: Literal["gatys2015", "quality"] = "gatys2015"
    """What the weights weigh: the paper's losses, or shares as in the quality preset."""
    ratios: str | None = None
    """Values of alpha / beta, joined by commas; 1e-5,1e-4,1e-3,1e-2 (quality: 0.01,0.1,1,10) when left out."""
    content_layer: str | None = None
    """Layer that holds the content; chosen for the network when left out."""
    style_layers: str | None = None
    """Layers that hold the style, shallow to deep, joined by commas; chosen for the network when left out."""
    start: Literal["content", "noise"] = "content"
    """Where every picture starts: at the content picture, or at noise, as in the paper."""

    def __post_init__(self) -> None:
        _at_least_one("size", self.size)
        _at_least_one("steps", self.steps)
        _choice("scale", self.scale, TRADEOFF_SCALES)
        _choice("start", self.start, TRADEOFF_STARTS)
        if not all(0 < ratio < float("inf") for ratio in self.columns):
            raise UsageError(f"ratios must be positive, got {self.ratios}")

    @property
    def columns(self) -> tuple[float, ...]:
        """Values of alpha / beta, ascending."""
        if self.ratios is None:
            return TRADEOFF_RATIOS[self.scale]
        try:
            return tuple(sorted({float(ratio) for ratio in self.ratios.split(",")}))
        except ValueError:
            raise UsageError(f"ratios is numbers joined by commas, got {self.ratios!r}") from None
