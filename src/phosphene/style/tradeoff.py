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

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image
from torch import Tensor

from phosphene.contact import contact_sheet
from phosphene.errors import UsageError
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.models import Model, average_pooling, normalize_activations, style_layers
from phosphene.objectives import Content, Gram, Sum
from phosphene.recipe import RunConfig
from phosphene.style.figure import Event, Figure, Request, Stage, Term
from phosphene.style.ladder import fitted, resized
from phosphene.style.method import names, numbers
from phosphene.style.panel import Panel

Scale = Literal["gatys2015", "quality"]

CONTENT, STYLE = "content", "style"
RATIOS: dict[Scale, tuple[float, ...]] = {
    "gatys2015": (1e-5, 1e-4, 1e-3, 1e-2),  # the paper's columns
    "quality": (1e-2, 1e-1, 1.0, 10.0),  # from about the preset's own 0.005 to hardly any style
}


@dataclass(frozen=True)
class TradeoffConfig:
    """The trade-off grid: what `tradeoff` does besides its two pictures."""

    size: int = 256
    """Longer side of each picture in pixels."""
    steps: int = 150
    """Steps of L-BFGS for each picture."""
    seed: int = 0
    """Seed of a start from noise."""
    scale: Scale = "gatys2015"
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
        for name in ("size", "steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, choices in (("scale", tuple(RATIOS)), ("start", ("content", "noise"))):
            if getattr(self, name) not in choices:
                raise UsageError(f"no {name} {getattr(self, name)!r}; choose {' or '.join(choices)}")
        if not all(0 < ratio < float("inf") for ratio in self.columns):
            raise UsageError(f"ratios must be positive, got {self.ratios}")

    @property
    def columns(self) -> tuple[float, ...]:
        """Values of alpha / beta, ascending."""
        return tuple(sorted(set(numbers(self.ratios, "ratios") or RATIOS[self.scale])))


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
        return png_bytes(self.image())


class Tradeoff:
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
        self.references = {CONTENT: at(content, config.size), STYLE: at(style, config.size)}
        self.notes = [f"content of {model.name} at {self.layer}; style at {', '.join(self.layers)}"]
        self.model = self._paper(model) if config.scale == "gatys2015" else model
        subsets = [self.layers[:k] for k in range(1, len(self.layers) + 1)]
        self.asked = [(subset, ratio) for subset in subsets for ratio in config.columns]
        requests = [self._request(subset, ratio) for subset, ratio in self.asked]
        inputs = {CONTENT: content, STYLE: style}
        self.figure = Figure(self.model, "tradeoff", requests, inputs, run, folder=folder, metadata=metadata)

    def stop(self) -> None:
        """End after the current step."""
        self.figure.stop()

    @property
    def complete(self) -> bool:
        """Whether every picture is there and none was interrupted."""
        return self.figure.complete

    def __iter__(self) -> Iterator[Event]:
        return iter(self.figure)

    def grid(self) -> Grid:
        """What is there so far."""
        panels = zip(self.asked, self.figure.panels, strict=False)
        cells = tuple(Cell(subset, ratio, panel) for (subset, ratio), panel in panels)
        title = f"alpha / beta by style layers · {self.model.name}\n{self.config.scale} scale, content {self.layer}"
        return Grid(cells, self.config.columns, title)

    def _paper(self, model: Model) -> Model:
        """The network as the paper's weights presume it; what cannot be had stays as it is, which is said."""
        try:
            model = average_pooling(model)
            self.notes.append("max pooling exchanged for average pooling, as in the paper")
        except UsageError as error:
            self.notes.append(f"its own pooling stays: {error}")
        try:
            shown = [picture[None] for picture in self.references.values()]
            model = normalize_activations(model, shown, layers={self.layer, *self.layers})
            self.notes.append("activations normalized by the content and the style picture")
        except UsageError as error:
            self.notes.append(f"activations stay as they are: {error}")
        return model

    def _request(self, layers: tuple[str, ...], ratio: float) -> Request:
        config, content = self.config, self.references[CONTENT]
        size = int(content.shape[1]), int(content.shape[2])
        paper = config.scale == "gatys2015"
        of_content = Content(self.layer, form="sum" if paper else "relative")
        grams = tuple(Gram(layer, norm="paper" if paper else "relative") for layer in layers)
        of_style = Sum(grams) * (1 / len(grams)) if len(grams) > 1 else grams[0]
        return Request(
            name=f"style-{len(layers)}-ratio-{ratio:g}",
            terms={
                CONTENT: Term(ratio, of_content.bind(self.model)),
                STYLE: Term(1.0, of_style.bind(self.model)),
            },
            stages=(Stage(size, config.steps, self.references),),
            method={"size": list(size), "steps": config.steps, "start": config.start},
            seed=config.seed,
            start=content if config.start == "content" else None,
            original=content,
        )


def plainly(value: float) -> str:
    """Three digits, or all before the point: 2480 and not 2.48e+03."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def at(picture: Tensor, side: int) -> Tensor:
    """(3, h, w) with a longer side of so many pixels."""
    return resized(picture[None], fitted(int(picture.shape[1]), int(picture.shape[2]), side))[0]
