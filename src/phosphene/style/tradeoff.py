"""The trade-off between content and style: Fig. 3 of Gatys et al. 2015 (arXiv 1508.06576) as a grid.

    loss = alpha * content + beta * style      rows: style up to conv1_1, conv2_1, .. conv5_1; columns: alpha / beta

Scale "gatys2015": content 1/2 sum (F - P)^2 at relu4_2, style the mean of |G - A|^2 / (4 C^2) over the row's layers, on
the network with average pooling and activations normalized by the two pictures; ratios as in the paper. Scale
"quality": content and style as shares of their references', on the network as it is.

At exact minima content error rises and style error falls as alpha / beta falls, along every row. Cells are given the
same start, the content picture, and nothing from their neighbors: each is a function of its own settings. From there a
larger alpha holds the picture back from the first step on, so that the order is there long before the minima are.

Departures: the paper starts from white noise, as `start=noise` does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from torch import Tensor

from phosphene.contact import contact_sheet
from phosphene.display.notebook import embedded, figure, png
from phosphene.errors import UsageError
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.models import Model, average_pooling, normalize_activations, style_layers
from phosphene.objectives import Content, Gram, Sum
from phosphene.recipe import RunConfig, TradeoffConfig
from phosphene.style.figure import Figure, Request, Stage, Term, Work, cannot_look
from phosphene.style.ladder import check_canvas, fitted, resized
from phosphene.style.method import check_layers, names
from phosphene.style.panel import Panel

KIND = "tradeoff"  # of its recipes
CONTENT, STYLE = "content", "style"
PAPER = "gatys2015"  # the scale for which the network is changed, too


@dataclass(frozen=True)
class Cell:
    """One picture of the grid. layers: the style layers of its row. ratio: alpha / beta."""

    layers: tuple[str, ...]
    ratio: float
    panel: Panel

    @property
    def content(self) -> float:
        """The content error of the saved picture, before alpha."""
        return self.panel.losses[CONTENT]

    @property
    def style(self) -> float:
        """The style error of the saved picture, before beta."""
        return self.panel.losses[STYLE]

    def caption(self) -> list[str]:
        """Lines under the picture in a sheet."""
        row = self.layers[0] if len(self.layers) == 1 else f"{self.layers[0]} .. {self.layers[-1]}"
        lines = [f"{self.ratio:g}  {row}", f"content {plainly(self.content)}", f"style {plainly(self.style)}"]
        return lines if self.panel.status == "ok" else [*lines, self.panel.status]


@dataclass(frozen=True)
class Grid:
    """The trade-off: cells row by row, shallow to deep; within a row alpha / beta ascends. Saves and shows itself."""

    cells: tuple[Cell, ...]
    columns: tuple[float, ...]
    title: str = field(repr=False)

    @property
    def rows(self) -> list[list[Cell]]:
        """The cells that are there, by row."""
        width = len(self.columns)
        return [list(self.cells[first : first + width]) for first in range(0, len(self.cells), width)]

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells)

    def __getitem__(self, index: int) -> Cell:
        return self.cells[index]

    def image(self) -> Image.Image:
        """The labelled sheet."""
        pictures, labels = [cell.panel.pixels for cell in self.cells], [cell.caption() for cell in self.cells]
        return contact_sheet(pictures, labels, columns=len(self.columns), title=self.title)

    def save(self, path: str | Path) -> Path:
        """Write the labelled sheet as PNG."""
        return atomic_write(Path(path), png_bytes(self.image()))

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        line = f"{len(self)} pictures, alpha / beta from {self.columns[0]:g} to {self.columns[-1]:g}"
        return figure(embedded(self.image(), self.title), [line])


class Tradeoff(Work):
    """The grid of one content and one style as a stream of events; iterate once.

    content, style: (3, h, w) in [0, 1]; neither is stretched. folder: where the cells are kept; those that it holds
    already, by their recipes, are not made again. notes: what was chosen, to be said aloud. Raises UsageError for a
    layer that the network lacks.
    """

    def __init__(
        self,
        model: Model,
        content: Tensor,
        style: Tensor,
        config: TradeoffConfig = TradeoffConfig(),
        run: RunConfig = RunConfig(),
        *,
        folder: Path | None = None,
        metadata: bool = True,
    ) -> None:
        own_content, own_style = style_layers(model)
        self.config = config
        self.layer = config.content_layer or own_content
        self.layers = names(config.style_layers) or own_style
        check_layers("content", [self.layer], model)
        check_layers("style", self.layers, model)
        self.references = {CONTENT: at(content, config.size), STYLE: at(style, config.size)}
        self.model, notes = model, [f"content of {model.name} at {self.layer}; style at {', '.join(self.layers)}"]
        if config.scale == PAPER:
            self.model, changes = as_in_the_paper(model, list(self.references.values()), {self.layer, *self.layers})
            notes += changes
        subsets = [self.layers[:k] for k in range(1, len(self.layers) + 1)]
        self.asked = [(subset, ratio) for subset in subsets for ratio in config.columns]
        requests = [self._request(subset, ratio) for subset, ratio in self.asked]
        inputs = {CONTENT: content, STYLE: style}
        figure = Figure(self.model, KIND, requests, inputs, run, folder=folder, metadata=metadata)
        super().__init__(figure, notes)

    def grid(self) -> Grid:
        """What is there so far."""
        panels = zip(self.asked, self.figure.panels, strict=False)
        cells = tuple(Cell(subset, ratio, panel) for (subset, ratio), panel in panels)
        title = f"alpha / beta by style layers · {self.model.name}\n{self.config.scale} scale, content {self.layer}"
        return Grid(cells, self.config.columns, title)

    def _request(self, layers: tuple[str, ...], ratio: float) -> Request:
        config, content = self.config, self.references[CONTENT]
        size = int(content.shape[1]), int(content.shape[2])
        paper = config.scale == PAPER
        of_content = Content(self.layer, form="sum" if paper else "relative")
        grams = tuple(Gram(layer, norm="paper" if paper else "relative") for layer in layers)
        of_style = Sum(grams) * (1 / len(grams)) if len(grams) > 1 else grams[0]
        return Request(
            name=f"style-{len(layers)}-ratio-{ratio:.15g}",
            terms={
                CONTENT: Term(ratio, of_content.bind(self.model)),
                STYLE: Term(1.0, of_style.bind(self.model)),
            },
            stages=(Stage(size, config.steps, self.references),),
            method={
                "size": list(size),
                "steps": config.steps,
                "start": config.start,
                "scale": config.scale,
                "normalized": list(self.layers) if paper else [],  # with the content layer: they make the network
            },
            seed=config.seed,
            start=content if config.start == "content" else None,
            original=content,
        )


def as_in_the_paper(model: Model, pictures: Sequence[Tensor], layers: Collection[str]) -> tuple[Model, list[str]]:
    """The network that the paper's weights presume, and what to say of it; what cannot be had stays as it is.

    pictures: (3, h, w) that channels are measured on. layers: those that are normalized.
    """
    notes = []
    try:
        model = average_pooling(model)
        notes.append("max pooling exchanged for average pooling, as in the paper")
    except UsageError as error:
        notes.append(f"its own pooling stays: {error}")
    try:
        model = normalize_activations(model, [picture[None] for picture in pictures], layers=layers)
        notes.append("activations normalized by the content and the style picture")
    except UsageError as error:
        notes.append(f"activations stay as they are: {error}")
    except RuntimeError as error:  # torch's own, from deep inside: a kernel larger than what is left of the picture
        height, width = pictures[0].shape[1:]
        raise UsageError(cannot_look(model, height, width, error)) from error
    return model, notes


def plainly(value: float) -> str:
    """Three digits, or all before the point: 2480 and not 2.48e+03."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def at(picture: Tensor, side: int) -> Tensor:
    """(3, h, w) with a longer side of so many pixels. Raises UsageError for too many."""
    size = fitted(int(picture.shape[1]), int(picture.shape[2]), side)
    check_canvas(*size)
    return resized(picture[None], size)[0]
