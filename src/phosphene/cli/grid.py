"""`phosphene grid`: what a layer sees in a picture, place by place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from torch import Tensor

from phosphene.cli.console import Screen, relative
from phosphene.cli.default import told
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet, RunFlags
from phosphene.cli.reconstruct import Metadata
from phosphene.cli.render import INTERRUPTED, show, start_picture
from phosphene.errors import EXIT_FAILED, MediaError, UsageError
from phosphene.features.grid import GridConfig, Gridding
from phosphene.files import ensure_folder
from phosphene.media import opaque, read_picture
from phosphene.models import DEFAULT_MODEL, Model, to_input
from phosphene.recipe import RunConfig

GridFlags = Annotated[GridConfig, Parameter(name="*"), Parameter(group="Picture")]
NetworkName = Annotated[
    str | None, Parameter(group="Network", help="Name of a network (see `phosphene models`); minivgg when left out.")
]


def grid(
    image: Path,
    /,
    *,
    config: GridFlags,
    scaled: Annotated[bool, Parameter(negative="", group="Picture")] = False,
    whiten: Annotated[Path | None, Parameter(group="Picture")] = None,
    model: NetworkName = None,
    opened: NetworkFlags = Network(),
    run: RunFlags = RunConfig(),
    out: Annotated[Path, Parameter(group="Output")] = Path("out/grid"),
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Activation grid: what a layer sees in a picture, place by place, as small pictures (Olah et al. 2018).

    Examples: `phosphene grid photo.jpg --model squeezenet1_1 --layer features.9`, `... --cells 1` (the whole picture as
    one direction), `... --scaled` (strong cells large), `... --whiten photographs` (without what merely goes with it).

    Parameters
    ----------
    image
        The picture that the network looks at.
    scaled
        Draw each cell's picture as large as the cell is strong.
    whiten
        A folder of pictures that tell which channels go together; a cell's direction is taken apart from that.
    out
        Folder for grid.png, beside.png (the picture and its grid), and the cells with their recipes.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    if model is None:
        told(screen, "phosphene grid IMAGE --layer LAYER --model")
    network = opened.open(model or DEFAULT_MODEL)
    seen = start_picture(image, network.picture_spec.channels, alpha=False, option="grid")
    pictures = whitening(whiten, network) if whiten is not None else []
    work = Gridding(network, seen, config, run, pictures=pictures)
    ensure_folder(out)
    rows, columns = work.cells
    cells = f"{columns} x {rows} cells of {config.size} pixels"
    screen.say(f"{network.name}: {work.layer.name} as {cells}, {config.steps} steps")
    if show(work.rendering, screen) and not work.rendering.complete:
        screen.say("interrupted; nothing was written")
        return INTERRUPTED
    made = work.result()
    path = made.save(out, scaled=scaled, metadata=metadata)
    silent = [i for i, picture in enumerate(made.sheet) if picture.status != "ok"]
    if screen.as_json:
        screen.json(
            {
                "path": relative(path),
                "beside": relative(out / "beside.png"),
                "layer": made.layer,
                "cells": [rows, columns],
                "results": [
                    {
                        "row": i // columns,
                        "column": i % columns,
                        "strength": round(strength, 4),
                        "activation": picture.activation if math.isfinite(picture.activation) else None,
                        "status": picture.status,
                    }
                    for i, (picture, strength) in enumerate(zip(made.sheet, made.strengths, strict=True))
                ],
                "seconds": round(made.sheet.seconds, 3),
            }
        )
    note = f", {len(silent)} of them degenerate" if silent else ""
    screen.result(f"{relative(path)}  {made.layer}, {columns} x {rows} cells{note}")
    screen.result(f"{relative(out / 'beside.png')}  the picture and its grid")
    return 0 if len(silent) < len(made.sheet) else EXIT_FAILED


def whitening(folder: Path, model: Model) -> list[Tensor]:
    """The pictures of a folder as the network takes them; what is none is passed over. UsageError without any."""
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is no folder of pictures")
    found = []
    for file in sorted(folder.rglob("*")):
        try:
            found += [to_input(opaque(read_picture(file)), model.picture_spec)[0]] if file.is_file() else []
        except MediaError:
            continue
    if not found:
        raise UsageError(f"there is no picture in '{folder}'")
    return found
