"""A texture like that of an example, of any size, from noise (Gatys et al. 2015, arXiv 1505.07376).

    loss = mean over layers of |G - A|^2 / |A|^2      G, A: Gram matrices of the picture and of the example

Nothing in it says where anything is, so another seed gives another picture of the same texture, and a result of four
times the example's area holds four times as much of it. It goes up a ladder of scales, as style transfer does: what is
larger than the network sees is settled where it is small. `seamless` makes the picture a tile (`periodic.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from phosphene.contact import contact_sheet
from phosphene.display.notebook import embedded, figure
from phosphene.models import Model, load, style_layers
from phosphene.recipe import Edges, RunConfig, TextureConfig
from phosphene.style.api import default_model
from phosphene.style.figure import Figure, Request, Stage, Term, Work
from phosphene.style.inputs import Source, read
from phosphene.style.job import over_white
from phosphene.style.ladder import check_canvas, compared, fitted, resized, rungs
from phosphene.style.method import check_layers, names
from phosphene.style.network import evened
from phosphene.style.panel import Panel
from phosphene.style.periodic import surround
from phosphene.style.reconstruct import LOSS, mean_gram

KIND = "texture"  # of its recipes
EXAMPLE = "example"
DEFAULT_SIZE = 256  # longer side in pixels of a texture whose size nobody names, at most the example's own
SMALLEST = 128  # longer side in pixels of the coarsest scale
LEAST_EXAMPLE = 48  # pixels, its longer side at the coarsest scale: three positions of a VGG's deepest layer


@dataclass(frozen=True)
class Texture:
    """A texture that was made. panel: the picture, its loss and its recipe. example: (3, h, w) that it is like."""

    panel: Panel
    example: Tensor
    seamless: bool

    @property
    def pixels(self) -> Tensor:
        """(3, h, w) in [0, 1], rounded to 8 bits."""
        return self.panel.pixels

    @property
    def loss(self) -> float:
        """The relative distance of Gram matrices, measured on the saved picture: 0 is the example's."""
        return self.panel.losses[LOSS]

    @property
    def share(self) -> float:
        """The loss as a share of that of white noise."""
        return self.loss / self.panel.noise[LOSS]

    def tiled(self, down: int = 2, across: int = 2) -> Tensor:
        """(3, down h, across w): the picture beside itself, to look for a seam."""
        return self.pixels.repeat(1, down, across)

    def image(self) -> Image.Image:
        """The picture alone, as a PIL picture."""
        return self.panel.image()

    def sheet(self) -> Image.Image:
        """The example, the texture, and of a seamless one four tiles, labelled."""
        cells = [(self.example, ["example"]), (self.pixels, ["texture", f"{100 * self.share:.2g}% of noise's loss"])]
        if self.seamless:
            cells.append((self.tiled(), ["four tiles"]))
        pictures, labels = zip(*cells, strict=True)
        return contact_sheet(pictures, labels, columns=len(cells))

    def save(self, path: str | Path, *, metadata: bool = True) -> Texture:
        """Write a PNG with the recipe inside and NAME.json beside it."""
        return replace(self, panel=self.panel.save(path, metadata=metadata))

    def _repr_png_(self) -> bytes:
        return self.panel._repr_png_()

    def _repr_html_(self) -> str:
        line = f"loss {self.loss:.3g}, {100 * self.share:.2g}% of noise's{', a tile' if self.seamless else ''}"
        return figure(embedded(self.sheet(), "the example, and the texture like it"), [line])


class Texturing(Work):
    """The synthesis of one texture as a stream of events; iterate once.

    example: (3, h, w) in [0, 1]. folder, name: where the result is kept, and found again by a second run. notes: what
    was chosen, to be said aloud. Raises UsageError for a layer that the network lacks, or that sees too much for a
    seamless result.
    """

    def __init__(
        self,
        model: Model,
        example: Tensor,
        config: TextureConfig = TextureConfig(),
        run: RunConfig = RunConfig(),
        *,
        folder: Path | None = None,
        name: str = "texture",
        metadata: bool = True,
    ) -> None:
        self.config, self.example = config, example
        self.layers = names(config.style_layers) or style_layers(model)[1]
        check_layers("style", self.layers, model)
        own = int(example.shape[1]), int(example.shape[2])
        size = canvas(config, own)
        check_canvas(*size)
        even = config.edges == "replicated" and not config.seamless
        model, notes = evened(model) if even else (model, [])
        of = mean_gram(self.layers, of=EXAMPLE).bind(model)
        stages = tuple(self._stages(own, size))
        method = {"size": list(size), "steps": config.steps, "scale": config.scale, "seamless": config.seamless}
        around = surround(model, of.layers) if config.seamless else None
        request = Request(name, {LOSS: Term(1.0, of)}, stages, method, config.seed, around=around)
        figure = Figure(model, KIND, [request], {EXAMPLE: example}, run, folder=folder, metadata=metadata)
        super().__init__(figure, [f"style layers of {model.name}: {', '.join(self.layers)}", *notes])

    def result(self) -> Texture:
        """The texture; for use after the last event."""
        return Texture(self.figure.panels[0], self.example, self.config.seamless)

    def _stages(self, own: tuple[int, int], size: tuple[int, int]) -> Iterator[Stage]:
        """Coarse to fine. The example is as large beside the picture at each scale as it is at the last."""
        longer = max(size)
        share = min(max(own), longer) * self.config.scale / longer
        for side in rungs(longer, min(longer, max(SMALLEST, round(LEAST_EXAMPLE / share)))):
            place = compared(*own, share * side, f"scale {self.config.scale:g}", EXAMPLE)
            example = resized(self.example[None], place)[0]
            yield Stage(fitted(*size, side), self.config.steps, {EXAMPLE: example})


def canvas(config: TextureConfig, example: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the result, for an example of that size."""
    if config.size is None:
        return fitted(*example, min(DEFAULT_SIZE, max(example)))
    return (config.size, config.size) if isinstance(config.size, int) else config.size


def texture(
    style: Source,
    *,
    model: Model | None = None,
    size: int | tuple[int, int] | None = None,
    steps: int = TextureConfig.steps,
    seed: int = TextureConfig.seed,
    scale: float = TextureConfig.scale,
    seamless: bool = TextureConfig.seamless,
    edges: Edges = TextureConfig.edges,
    layers: Sequence[str] | None = None,
    run: RunConfig | None = None,
) -> Texture:
    """A texture like that of a picture, of any size, from noise.

    style: a file, a PIL picture, or (3 or 4, h, w) in [0, 1]. model: `vgg19_cd16x` where its weights are, else the
    network inside the package. size: side in pixels or (height, width). scale: how large the pattern is, 1 as in the
    example. seamless: make a tile. edges: of the network; replicated ones leave no dull frame.
    Raises UsageError for what cannot be meant, MediaError for a file that is no picture.
    """
    example = over_white(read(style, EXAMPLE).pixels)
    config = TextureConfig(size, steps, seed, scale, seamless, edges, None if layers is None else ",".join(layers))
    work = Texturing(model or load(default_model()), example, config, run or RunConfig())
    for _ in work:
        pass
    return work.result()
