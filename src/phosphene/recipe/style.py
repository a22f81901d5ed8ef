"""The settings of pictures made from pictures: style transfer, reconstructions, textures, the trade-off grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from phosphene.errors import UsageError
from phosphene.recipe.settings import Settings, check_least, check_positive, check_size

TEXTURE_SIDE = 8  # pixels: half of what reaches a VGG's fifth block
TRADEOFF_RATIOS = {  # of alpha to beta
    "gatys2015": (1e-5, 1e-4, 1e-3, 1e-2),  # the paper's columns
    "quality": (1e-2, 1e-1, 1.0, 10.0),  # from about the preset's own 0.005 to hardly any style
}

Edges: TypeAlias = Literal["own", "replicated"]


@dataclass(frozen=True)
class StyleConfig(Settings):
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
    edges: Edges | None = None
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
        super().__post_init__()
        check_positive(self, "size", "steps", "style_scale", "lr", "history")
        check_least(self, content_weight=0, style_weight=0, tv_weight=0, smallest=0, feather=0)
        if self.average is not None and not 0 <= self.average < 1:
            raise UsageError(f"average must lie in 0 .. 1 and below 1, got {self.average}")


@dataclass(frozen=True)
class ReconstructConfig(Settings):
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
        super().__post_init__()
        check_least(self, size=1, steps=1)


@dataclass(frozen=True)
class TextureConfig(Settings):
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
    edges: Edges = "replicated"
    """Edges of the network's convolutions: its own, or with the outermost units repeated; a tile has none."""
    style_layers: str | None = None
    """Layers that hold the style, joined by commas; chosen for the network when left out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size, TEXTURE_SIDE)
        check_least(self, steps=1)
        check_positive(self, "scale")


@dataclass(frozen=True)
class TradeoffConfig(Settings):
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
        super().__post_init__()
        check_least(self, size=1, steps=1)
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
