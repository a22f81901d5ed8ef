"""The settings of a rendering, and of every optimisation: signal, transforms, optimizer, machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from phosphene.errors import UsageError
from phosphene.recipe.settings import Settings, check_least, check_positive, check_size

SHARING = ("fourier", "pixels", "laplacian")  # signals that a sum leaves what they are
MAX_FAMILY = 256  # pictures of one unit: more than any batch holds


@dataclass(frozen=True)
class SignalConfig(Settings):
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
        super().__post_init__()
        check_least(self, levels=1, decay=0)
        check_positive(self, "cutoff", "noise_start")
        if self.alpha and (self.transparency or self.signal == "maco"):
            raise UsageError("alpha does not go with maco or transparency: use transparency without alpha")
        if self.large is not None and (self.signal != "cppn" or self.transparency or self.large < 2):
            wanted = "2 pixels or more, with the signal cppn and without transparency"
            raise UsageError(f"large must be {wanted}; got {self.large} with {self.signal}")
        if self.shared and self.signal not in SHARING:
            raise UsageError(f"shared goes with {', '.join(SHARING)}, not with {self.signal}")


@dataclass(frozen=True)
class TransformConfig(Settings):
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
        super().__post_init__()
        check_least(self, jitter=0, scale=0, rotate=0, noise=0, crops=1)
        if self.scale is not None and self.scale >= 1:
            raise UsageError(f"scale must be below 1, got {self.scale}")
        for name in ("relax", "crop_size"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{name} must lie in 0 .. 1, got {value}")


@dataclass(frozen=True)
class OptimizerConfig(Settings):
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
        super().__post_init__()
        check_positive(self, "lr", "history")
        check_least(self, gradient_blur=0)
        if not all(0 <= b < 1 for b in self.betas):
            raise UsageError(f"betas must lie in 0 .. 1, got {self.betas}")


@dataclass(frozen=True)
class RunConfig(Settings):
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
        super().__post_init__()
        check_positive(self, "batch", "batch_shape", "memory")
        check_least(self, checkpoint_every=0)


@dataclass(frozen=True)
class RenderConfig(Settings):
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
        super().__post_init__()
        check_size(self.size, 2)
        check_least(self, steps=1)

    def canvas(self, default: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the picture; `default` is the network's input size."""
        if self.size is None:
            return default
        return (self.size, self.size) if isinstance(self.size, int) else self.size


@dataclass(frozen=True)
class DiversityConfig(Settings):
    """Several pictures of each unit that differ: a term is added to the target, which holds it from then on."""

    diversity: int | Literal["auto"] = 1
    """Pictures of each unit, made to differ; auto: four, with the largest weight that holds."""
    diversity_weight: float | Literal["auto"] = 0.25
    """How much they are made to differ, 1 being worth as much as all that the unit rises; auto: the largest weight that
    leaves each picture 0.7 of what the unit reaches alone, found in short runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.diversity != "auto" and not 1 <= self.diversity <= MAX_FAMILY:
            raise UsageError(f"diversity is 1 to {MAX_FAMILY} pictures, or auto; got {self.diversity}")
        if self.diversity_weight != "auto" and self.diversity_weight < 0:
            raise UsageError(f"diversity_weight must be 0 or more, or auto; got {self.diversity_weight}")
