"""`phosphene scan`, `merge` and `examples`: dataset examples of every unit, found once and looked at afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.cli.console import Bar, Screen, relative
from phosphene.cli.default import told
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.deepdream.api import finite
from phosphene.errors import UsageError
from phosphene.examples import index as indexes
from phosphene.examples.config import ScanConfig
from phosphene.examples.example import Examples
from phosphene.examples.index import Index
from phosphene.examples.scan import Scan, Scanned
from phosphene.examples.sheet import described, examples_sheet, units_of
from phosphene.examples.sheet import told as facts
from phosphene.files import atomic_write, ensure_folder, safe_name
from phosphene.media import png_bytes
from phosphene.models import DEFAULT_MODEL
from phosphene.recipe import RunConfig
from phosphene.reports.heard import write_heard

ScanFlags = Annotated[ScanConfig, Parameter(name="*"), Parameter(group="Data")]
Data = Annotated[str, Parameter(group="Data")]
Seed = Annotated[int, Parameter(group="Data", help="Seed of textures; a scan draws nothing else at random.")]
DEFAULTS = ScanConfig()
REASONS = 5  # skipped pictures that are named on stderr


def scan(
    model: str | None = None,
    /,
    *,
    data: Data,
    layers: Annotated[str | None, Parameter(group="Data")] = None,
    config: ScanFlags = DEFAULTS,
    seed: Seed = 0,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/scan"),
    fresh: Annotated[bool, Parameter(group="Output", negative="")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the dataset examples of every unit of a network, in one pass over a data set.

    Examples: `phosphene scan squeezenet1_1 --data photographs`, `phosphene scan --data textures:1000`,
    then `phosphene examples out/scan features.12:7 --data photographs`. `phosphene scan yamnet --data recordings`.

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    data
        A folder of pictures or of .tar files, a .tar file, `textures`, `textures:COUNT`, or `hf:NAME[:SPLIT]`. For a
        network that hears, a folder of recordings (WAV, FLAC, OGG, MP3).
    layers
        Layers joined by commas; all convolutional blocks and the output when left out.
    out
        Folder of the index. A scan that was interrupted goes on where its index ends.
    fresh
        Start over, whatever index the folder holds.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    if model is None:
        told(screen, "phosphene scan", "--data DIR")
    network = opened.open(model or DEFAULT_MODEL)
    names = [name.strip() for name in layers.split(",")] if layers else None
    work = Scan(network, data, layers=names, config=config, device=device, seed=seed).kept_in(out, fresh=fresh)
    ensure_folder(out)
    total = work.end - work.first
    again = f", {work.found} of them done" if work.found else ""
    screen.say(f"{network.name}: {len(work.names)} layers, {work.tally.units} units, {total} {work.kind.word}s{again}")
    began = time.monotonic()
    with ScanMeter(screen) as meter, stopping(work) as stopped:
        for event in work:
            meter.show(event)
    report(work, time.monotonic() - began, screen)
    if stopped and work.done < work.end:
        screen.say(
            f"interrupted after {work.done - work.first} of {total} {work.kind.word}s; the same command goes on from "
            "there"
        )
        return INTERRUPTED
    return 0


class ScanMeter(Bar):
    """Progress of a scan, in pictures or sounds."""

    def show(self, event: Scanned) -> None:
        """Show that a batch was done."""

        def detail(speed: float) -> str:
            skipped = f"  {event.skipped} skipped" if event.skipped else ""
            return f"{event.done}/{event.total} {event.word}s  {speed:.1f} {event.word}s/s{skipped}"

        self.advance(event.done, event.total, event.found, detail)


def report(work: Scan, seconds: float, screen: Screen) -> None:
    """What a scan found, on stdout."""
    index = work.index()
    seen = work.done - work.first - work.found
    if screen.as_json:
        screen.json(
            {
                "index": relative(work.out),
                "images": index.images,
                "skipped": [{"key": key, "reason": why} for key, why in index.skipped],
                "layers": index.layers,
                "seconds": round(seconds, 3),
                "images_per_second": round(seen / seconds, 3) if seen else None,
            }
        )
    skipped = index.header.skipped.count
    for key, why in index.skipped[:REASONS]:
        screen.say(f"skipped {key}: {why}")
    if skipped > REASONS:
        screen.say(f"and {skipped - REASONS} more; index.json lists them")
    screen.result(
        f"{relative(work.out)}  {index.images} {index.word}s, {skipped} skipped, {len(index.layers)} layers, "
        f"{index.tally.units} units"
    )


def merge(
    index: tuple[Path, ...] = (),
    /,
    *,
    out: Annotated[Path, Parameter(group="Output")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Join indexes of parts of a data set into one; their order does not matter.

    Example: `phosphene merge out/part1 out/part2 out/part3 --out out/scan`, of parts made with `--shard 1/3` and so on.

    Parameters
    ----------
    index
        Folders of indexes: of the same network, layers and settings, and of different pictures.
    out
        Folder of the joined index.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    if not index:
        raise UsageError("no index to merge: phosphene merge INDEX INDEX... --out INDEX")
    joined = indexes.merge(*(Index.load(path) for path in index))
    joined.save(out)
    skipped = joined.header.skipped.count
    if screen.as_json:
        screen.json(
            {
                "index": relative(out),
                "images": joined.images,
                "skipped": [{"key": key, "reason": why} for key, why in joined.skipped],
                "layers": joined.layers,
                "complete": joined.complete,
            }
        )
    if not joined.complete:
        screen.say("parts of the data are still missing")
    screen.result(f"{relative(out)}  {joined.images} {joined.word}s, {skipped} skipped, from {len(index)} indexes")
    return 0


def examples(
    index: Path,
    target: tuple[str, ...] = (),
    /,
    *,
    data: Data,
    seed: Seed = 0,
    model: Annotated[str | None, Parameter(group="Network")] = None,
    opened: NetworkFlags = Network(),
    out: Annotated[Path, Parameter(group="Output")] = Path("out/examples"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show the dataset examples of units on one sheet each: highest, upper quarter, lower quarter, lowest.

    Those of a network that hears have a page each, with players.

    Example: `phosphene examples out/scan features.12:7 logit:goldfish --data photographs`.

    Parameters
    ----------
    index
        Folder of an index that `phosphene scan` made.
    target
        Units: LAYER:7, LAYER:0..15 or logit:goldfish.
    data
        The pictures or recordings that were scanned, named as for `phosphene scan`.
    model
        A network: the index must be of it and of its weights, or the command fails.
    out
        Folder for the sheets, or for a folder of each unit that hears.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    found = Index.load(index, model=opened.open(model) if model is not None else None)
    if not target:
        raise UsageError(f"no unit: phosphene examples {index} LAYER:UNIT; its layers are {', '.join(found.layers)}")
    units = list(dict.fromkeys(one for text in target for one in units_of(found, text)))
    results = []
    for layer, unit in units:
        name = safe_name(f"{layer}:{unit}")
        if found.header.model.rate:
            path = write_heard(found, layer, unit, data, out / name)
        else:
            sheet = examples_sheet(found, layer, unit, data, seed=seed)
            path = atomic_write(out / f"{name}.png", png_bytes(sheet))
        results.append(entry(found, layer, unit, path))
        screen.result(f"{relative(path)}  {described(found, layer, unit)}  {facts(found, layer, unit)}")
    if screen.as_json:
        screen.json({"index": relative(index), "results": results})
    return 0


def entry(index: Index, layer: str, unit: int, path: Path) -> dict[str, Any]:
    """The examples of a unit as `--json` tells them."""
    k = index.header.kept.top
    statistics = {
        name: finite(value) if isinstance(value, float) else value
        for name, value in asdict(index.statistics(layer, unit)).items()
    }
    spectrum = {name: _listed(row) for name, row in index.spectrum(layer, unit, k=k).items()}
    return {"target": f"{layer}:{unit}", "path": relative(path), "statistics": statistics, "examples": spectrum}


def _listed(row: Examples) -> Sequence[dict[str, Any]]:
    return [one.data() for one in row]
