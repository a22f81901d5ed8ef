"""The activation grid: what a layer sees in a picture, place by place, as a grid of small pictures (Olah et al. 2018).

    cell (i, j)  ->  the mean of the layer's activations there, as a direction  ->  a picture of that direction

Olah et al., "The building blocks of interpretability" (Distill 2018). All cells are rows of one rendering. A layer has
up to thousands of positions, of which neighbors say much the same, so the positions of a cell are averaged first. How
strongly a cell fires is its length, and can be shown as the size of its picture.

Departures: the article factorises the activations to color its grids; here each cell is its own direction. A direction
may be taken apart from what merely goes with it by `whitened` first (Carter et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from phosphene.contact import THEMES, contact_sheet
from phosphene.display.notebook import embedded, figure, png
from phosphene.errors import UsageError
from phosphene.features.picture import Picture, Sheet
from phosphene.features.references import fitted
from phosphene.features.rendering import Rendering
from phosphene.files import atomic_write, ensure_folder
from phosphene.media import png_bytes, to_tensor
from phosphene.models import Model
from phosphene.objectives import Direction, directions_of, whitened
from phosphene.recipe import RenderConfig, RunConfig, Settings, check_least

POWER = 2.0  # of the cosine: purity beside strength, as in activation atlases (Carter et al. 2019)
MAX_CELLS = 1024  # a contact sheet's worth
SMALLEST = 0.15  # side of the weakest cell's picture, as a share, where pictures are as large as their cells are strong


@dataclass(frozen=True)
class GridConfig(Settings):
    """An activation grid: what `grid` does besides its picture."""

    layer: str
    """Layer whose activations are shown."""
    cells: int = 10
    """Cells along the longer side, at most as many as the layer has positions; 1 shows the whole picture as one."""
    size: int = 64
    """Side of each cell's picture in pixels."""
    steps: int = 96
    """Steps of gradient ascent."""
    seed: int = 0
    """Seed of the starts and of every random transform."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, cells=1, size=1, steps=1)


@dataclass(frozen=True)
class Grid:
    """An activation grid. picture: (c, h, w), as the network saw it. sheet: the cells' pictures, row by row. cells:
    (rows, columns). strengths: (rows * columns,) length of each cell's activations over the largest, in 0 .. 1."""

    picture: Tensor
    layer: str
    sheet: Sheet
    cells: tuple[int, int]
    strengths: tuple[float, ...]

    def __getitem__(self, place: tuple[int, int]) -> Picture:
        """The picture of a cell (row, column)."""
        return self.sheet[place[0] * self.cells[1] + place[1]]

    def image(self, *, scaled: bool = False) -> Image.Image:
        """The grid without gaps. scaled: each picture as large as its cell is strong."""
        side = self.sheet[0].size[0]
        rows, columns = self.cells
        made = Image.new("RGB", (columns * side, rows * side), THEMES["dark"].ground)
        for i, (picture, strength) in enumerate(zip(self.sheet, self.strengths, strict=True)):
            image = picture.image().convert("RGB")
            if scaled:
                inner = max(1, round(side * max(SMALLEST, strength)))
                image = image.resize((inner, inner), Image.Resampling.LANCZOS)
            margin = (side - image.width) // 2
            made.paste(image, (i % columns * side + margin, i // columns * side + margin))
        return made

    def beside(self, *, scaled: bool = False) -> Image.Image:
        """The picture and its grid side by side."""
        grid = to_tensor(self.image(scaled=scaled))
        shown = F.interpolate(self.picture[None], grid.shape[1:], mode="bilinear", antialias=True)[0]
        shown = shown if len(shown) == 3 else shown[:1].expand(3, -1, -1)
        rows, columns = self.cells
        labels = [("the picture",), (self.layer, f"{columns} x {rows} cells")]
        return contact_sheet([shown, grid], labels, columns=2)

    def save(self, folder: str | Path, *, scaled: bool = False, metadata: bool = True) -> Path:
        """Write FOLDER/grid.png, FOLDER/beside.png, and each cell as FOLDER/cells/ROW-COLUMN.png with its recipe."""
        inside = ensure_folder(Path(folder) / "cells")
        for i, picture in enumerate(self.sheet):
            picture.save(inside / f"{i // self.cells[1]}-{i % self.cells[1]}.png", metadata=metadata)
        atomic_write(Path(folder) / "beside.png", png_bytes(self.beside(scaled=scaled)))
        return atomic_write(Path(folder) / "grid.png", png_bytes(self.image(scaled=scaled)))

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        rows, columns = self.cells
        words = f"{self.layer}, {columns} x {rows} cells"
        return figure(embedded(self.image(), words), [words])


class Gridding:
    """An activation grid in the making: `rendering` does the work, `result` is what came of it.

    picture: (c, h, w) in [0, 1], any size. pictures: (n, c, h, w) of the network's size to whiten directions by; ()
    leaves them as they are. Raises UsageError for a layer without places, or one that is silent in a cell.
    """

    def __init__(
        self,
        model: Model,
        picture: Tensor,
        config: GridConfig,
        run: RunConfig = RunConfig(),
        *,
        pictures: Tensor | Sequence[Tensor] = (),
    ) -> None:
        self.layer = model.find_layer(config.layer)
        self.picture = looked_at(model, picture)
        with torch.no_grad():
            values = model.activations(self.picture[None].to(model.device), [self.layer.name])[self.layer.name]
        positions = self.layer.tokens[1:] if self.layer.tokens else tuple(values.shape[2:])
        if len(positions) != 2:
            raise UsageError(f"a grid needs a layer with places, and {self.layer.name} has none")
        self.cells = shape(config.cells, (positions[0], positions[1]))
        found = directions_of(model, self.layer.name, self.picture.to(model.device), cells=self.cells, power=POWER)
        lengths = torch.tensor(found.vectors).norm(dim=1)
        self.strengths = tuple((lengths / lengths.max()).tolist())
        self.target: Direction = found
        if len(pictures):
            seen = torch.stack(list(pictures)).to(model.device)
            self.target = replace(whitened(model, self.layer.name, found.vectors, seen, form="dot_cosine"), power=POWER)
        settings = RenderConfig(config.size, config.steps, config.seed)
        self.rendering = Rendering(model, self.target, settings, run)

    def result(self) -> Grid:
        """The grid; for use after all events of `rendering`. Raises UsageError when that was stopped early."""
        sheet = self.rendering.sheet()
        if len(sheet) != self.cells[0] * self.cells[1]:
            raise UsageError(f"{len(sheet)} of {self.cells[0] * self.cells[1]} cells are done: no grid yet")
        return Grid(self.picture.cpu(), self.layer.name, sheet, self.cells, self.strengths)


def activation_grid(
    model: Model,
    picture: Tensor,
    layer: str,
    *,
    cells: int | None = None,
    size: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    whiten: Tensor | Sequence[Tensor] = (),
    run: RunConfig | None = None,
) -> Grid:
    """What a layer sees in a picture, as a grid of small pictures of directions (Olah et al. 2018).

    picture: (c, h, w) in [0, 1]; its shorter side is brought to the network's own size. cells, size, steps, seed: as in
    `GridConfig`. whiten: (n, c, h, w), pictures of the network's size that tell which channels go together. Raises
    UsageError for a layer without places, or one that is silent in a cell.
    """
    given = (("cells", cells), ("size", size), ("steps", steps), ("seed", seed))
    config = replace(GridConfig(layer), **{name: value for name, value in given if value is not None})  # type: ignore[arg-type]
    work = Gridding(model, picture, config, run or RunConfig(), pictures=whiten)
    for _ in work.rendering:
        pass
    return work.result()


def looked_at(model: Model, picture: Tensor) -> Tensor:
    """A picture (c, h, w) at the size at which the network looks: its shorter side is that of the network's input."""
    if picture.dim() != 3:
        raise UsageError(f"a picture is (channels, height, width), got {tuple(picture.shape)}")
    height, width = picture.shape[1:]
    factor = min(model.picture_spec.size) / min(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    channels = model.picture_spec.channels
    return fitted(picture, size, channels, "the picture of a grid")[:channels]


def shape(cells: int, positions: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) with so many cells along the longer side, in the proportions of a layer's positions."""
    longer = min(cells, max(positions))
    rows, columns = (max(1, round(longer * side / max(positions))) for side in positions)
    if rows * columns > MAX_CELLS:
        raise UsageError(f"a grid holds {MAX_CELLS} cells, and {cells} along the longer side make {rows} x {columns}")
    return rows, columns
