"""Content and style, reconstructed from noise at each of five depths: Fig. 1 of Gatys et al. 2015 (arXiv 1508.06576).

    content at a depth   the picture whose features there are those of the original
    style up to a depth  the picture whose Gram matrices at all depths so far are those of the original

Shallow layers give the content back pixel by pixel, deep ones what is where; styles grow from colors and grain to whole
strokes. Losses are relative: 0 for the original, 1 for a picture without any features, on every layer and network.

Departures: rectified layers, as the paper's public implementations read them. The paper shows conv1_2 .. conv5_2 of a
VGG-19; a network that ends at conv5_1 shows that. Content starts at the same noise as style.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from torch import Tensor

from phosphene.contact import THEMES, contact_sheet
from phosphene.display.notebook import embedded, figure, png
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.models import Model, average_pooling, load, style_layers
from phosphene.objectives import Content, Gram, Objective, Sum
from phosphene.recipe import ReconstructConfig, RunConfig
from phosphene.style.api import default_model
from phosphene.style.figure import Figure, Request, Stage, Term, Work
from phosphene.style.inputs import Source, read
from phosphene.style.job import over_white
from phosphene.style.ladder import check_canvas, fitted, resized
from phosphene.style.method import check_layers, names
from phosphene.style.panel import Panel

KIND = "reconstruction"  # of its recipes
BLOCKS = range(1, 6)  # of VGG
LOSS = "loss"  # the one term of a reconstruction
ORIGINAL = "original"


@dataclass(frozen=True)
class Reconstruction:
    """One picture of the figure. layer: what it was made from, style layers joined by commas."""

    layer: str
    kind: Literal["content", "style"]
    panel: Panel

    @property
    def loss(self) -> float:
        """The relative loss of the saved picture: 0 is the original."""
        return self.panel.losses[LOSS]

    @property
    def share(self) -> float:
        """The loss as a share of that of white noise."""
        return self.loss / self.panel.noise[LOSS]

    def caption(self) -> list[str]:
        """Lines under the picture in a sheet."""
        first, _, rest = self.layer.partition(",")
        of = f"{first} .. {rest.rpartition(',')[2]}" if rest else first
        decibels = "exact" if self.panel.psnr is None else f"{self.panel.psnr:.1f} dB"
        lines = [f"{self.kind} {of}", f"loss {self.loss:.2g}", f"{100 * self.share:.2g}% of noise's · {decibels}"]
        return lines if self.panel.status == "ok" else [*lines, self.panel.status]


@dataclass(frozen=True)
class Reconstructions:
    """The pictures of the figure, content before style, shallow to deep. Iterates, indexes, saves and shows itself."""

    original: Tensor
    items: tuple[Reconstruction, ...]
    title: str

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Reconstruction]:
        return iter(self.items)

    def __getitem__(self, index: int) -> Reconstruction:
        return self.items[index]

    def image(self) -> Image.Image:
        """The labelled sheet: the original, below it a row of contents and a row of styles."""
        rows = [[item for item in self.items if item.kind == kind] for kind in ("content", "style")]
        columns = max(map(len, rows))
        ground = THEMES["dark"].ground
        empty = self.original.new_tensor(ground)[:, None, None].expand_as(self.original) / 255
        cells: list[tuple[Tensor, list[str]]] = [(self.original, [ORIGINAL]), *[(empty, [])] * (columns - 1)]
        for row in rows:
            cells += [(item.panel.pixels, item.caption()) for item in row]
            cells += [(empty, [])] * (columns - len(row) if row else 0)
        pictures, labels = zip(*cells, strict=True)
        return contact_sheet(pictures, labels, columns=columns, title=self.title)

    def save(self, path: str | Path) -> Path:
        """Write the labelled sheet as PNG."""
        return atomic_write(Path(path), png_bytes(self.image()))

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        shares = {
            kind: [f"{100 * one.share:.2g}%" for one in self if one.kind == kind] for kind in ("content", "style")
        }
        words = "; ".join(f"{kind} {', '.join(found)}" for kind, found in shares.items() if found)
        return figure(embedded(self.image(), self.title), [f"loss, of noise's, shallow to deep: {words}"])


class Reconstructing(Work):
    """The reconstructions of one picture as a stream of events; iterate once.

    picture: (3, h, w) in [0, 1]. folder: where the pictures are kept, and found again by a second run. notes: what was
    chosen, to be said aloud. Raises UsageError for a layer that the network lacks.
    """

    def __init__(
        self,
        model: Model,
        picture: Tensor,
        config: ReconstructConfig = ReconstructConfig(),
        run: RunConfig = RunConfig(),
        *,
        folder: Path | None = None,
        metadata: bool = True,
    ) -> None:
        self.model = average_pooling(model) if config.pooling == "average" else model
        self.config = config
        chosen_content, chosen_style = depths(model)
        self.content = names(config.content_layers) or chosen_content
        self.style = names(config.style_layers) or chosen_style
        check_layers("content", self.content, model)
        check_layers("style", self.style, model)
        size = fitted(int(picture.shape[1]), int(picture.shape[2]), config.size)
        check_canvas(*size)
        self.original = resized(picture[None], size)[0]
        self.asked = [*self._contents(size), *self._styles(size)]
        figure = Figure(
            self.model,
            KIND,
            [request for _, _, request in self.asked],
            {ORIGINAL: picture},
            run,
            folder=folder,
            metadata=metadata,
        )
        chosen = f"content of {model.name} at {', '.join(self.content)}; style at {', '.join(self.style)}"
        super().__init__(figure, [chosen])

    def result(self) -> Reconstructions:
        """What is there so far."""
        items = [
            Reconstruction(layer, kind, panel)
            for (layer, kind, _), panel in zip(self.asked, self.figure.panels, strict=False)
        ]
        return Reconstructions(self.original, tuple(items), f"reconstructed from noise · {self.model.name}")

    def _contents(self, size: tuple[int, int]) -> Iterator[tuple[str, Literal["content", "style"], Request]]:
        for k, layer in enumerate(self.content, 1):
            of = Content(layer, of=ORIGINAL, form="relative").bind(self.model)
            yield layer, "content", self._request(f"content-{k}", of, size)

    def _styles(self, size: tuple[int, int]) -> Iterator[tuple[str, Literal["content", "style"], Request]]:
        for k in range(1, len(self.style) + 1):
            of = mean_gram(self.style[:k], of=ORIGINAL).bind(self.model)
            yield ",".join(self.style[:k]), "style", self._request(f"style-{k}", of, size)

    def _request(self, name: str, of: Objective, size: tuple[int, int]) -> Request:
        stage = Stage(size, self.config.steps, {ORIGINAL: self.original})
        method = {"size": list(size), "steps": self.config.steps}
        return Request(name, {LOSS: Term(1.0, of)}, (stage,), method, self.config.seed, original=self.original)


def reconstruct(
    picture: Source,
    *,
    model: Model | None = None,
    size: int = ReconstructConfig.size,
    steps: int = ReconstructConfig.steps,
    seed: int = ReconstructConfig.seed,
    content_layers: Sequence[str] | None = None,
    style_layers: Sequence[str] | None = None,
    run: RunConfig | None = None,
    out: str | Path | None = None,
) -> Reconstructions:
    """What each depth of a network keeps of a picture: its content and its style, reconstructed from noise.

    picture: a file, a PIL picture, or (3 or 4, h, w) in [0, 1]. model: `vgg19_cd16x` where its weights are, else the
    network inside the package. size: longer side in pixels. out: a folder for the pictures and sheet.png; pictures that
    it holds already are not made again. Interrupted (Ctrl-C), it gives the pictures that are done.
    Raises UsageError for what cannot be meant, MediaError for a file that is no picture.
    """
    original = over_white(read(picture, ORIGINAL).pixels)
    contents, styles = (None if layers is None else ",".join(layers) for layers in (content_layers, style_layers))
    config = ReconstructConfig(size, steps, seed, contents, styles)
    folder = None if out is None else Path(out)
    work = Reconstructing(model or load(default_model()), original, config, run or RunConfig(), folder=folder)
    with suppress(KeyboardInterrupt):
        for _ in work:
            pass
    result = work.result()
    if folder is not None and len(result):
        result.save(folder / "sheet.png")
    return result


def depths(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(content layers, style layers) of the figure, shallow to deep, for any network.

    By VGG's names content is the second layer of each block, as in the paper, or the only one; elsewhere it is the
    style layers.
    """
    _, style = style_layers(model)
    known = {name for layer in model.layers.values() for name in (layer.name, *layer.aliases)}
    if not known.issuperset(f"relu{block}_1" for block in BLOCKS):
        return style, style
    content = (next(name for name in (f"relu{b}_2", f"relu{b}_1") if name in known) for b in BLOCKS)
    return tuple(content), style


def mean_gram(layers: Sequence[str], *, of: str) -> Objective:
    """The mean over some layers of the relative squared distance of Gram matrices."""
    grams = tuple(Gram(layer, of=of, norm="relative") for layer in layers)
    return grams[0] if len(grams) == 1 else Sum(grams) * (1 / len(grams))
