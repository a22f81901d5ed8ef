"""`phosphene tradeoff`: the grid of style-layer subsets by alpha / beta."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.cli.console import Screen, relative
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device, Metadata, Named, Precision, ended, seen, show
from phosphene.cli.style import open_network
from phosphene.files import spare
from phosphene.recipe import RunConfig, TradeoffConfig
from phosphene.style.tradeoff import Cell, Tradeoff

TradeoffFlags = Annotated[TradeoffConfig, Parameter(name="*"), Parameter(group="Picture")]
DEFAULTS = TradeoffConfig()


def tradeoff(
    content: Path,
    style: Path,
    /,
    *,
    model: Named = None,
    config: TradeoffFlags = DEFAULTS,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    precision: Precision = RunConfig.precision,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/tradeoff"),
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Trade content for style: a grid of style-layer subsets by alpha / beta (Gatys et al. 2015, Fig. 3).

    Parameters
    ----------
    content
        The picture whose content is kept.
    style
        The picture whose style is taken.
    out
        Folder for the cells, their recipes and sheet.png; cells that it holds already are not made again.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    photo, painting = seen(content, "content", screen), seen(style, "style", screen)
    _, network = open_network(model, opened, screen)
    work = Tradeoff(network, photo, painting, config, RunConfig(device, precision), folder=out, metadata=metadata)
    spare([content, style], work.files(out))
    show(work, screen)
    grid = work.grid()
    sheet = grid.save(out / "sheet.png") if len(grid) else None
    if screen.as_json:
        screen.json({"sheet": relative(sheet), "model": network.name, "results": [entry(cell) for cell in grid]})
    for cell in grid:
        screen.result(f"{relative(cell.panel.path)}  {'  '.join(cell.caption())}")
    if sheet is not None:
        screen.result(f"{relative(sheet)}  the sheet of all {len(grid)}")
    return ended(work.complete, out, screen)


def entry(cell: Cell) -> dict[str, Any]:
    """One cell of `--json`."""
    return {
        "layers": list(cell.layers),
        "ratio": cell.ratio,
        "path": relative(cell.panel.path),
        "content": cell.content,
        "style": cell.style,
    }
