"""`phosphene reconstruct`: what each depth of a network keeps of a picture; and how every figure is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from torch import Tensor

from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.cli.style import open_network
from phosphene.features.render import Progress
from phosphene.files import spare
from phosphene.recipe import ReconstructConfig, RunConfig
from phosphene.style.figure import Made, Work, Worked
from phosphene.style.inputs import read
from phosphene.style.job import over_white
from phosphene.style.reconstruct import Reconstructing, Reconstruction

ReconstructFlags = Annotated[ReconstructConfig, Parameter(name="*"), Parameter(group="Picture")]
DEFAULTS = ReconstructConfig()
Named = Annotated[
    str | None,
    Parameter(group="Network", help="Name of a network; vgg19_cd16x where its weights are, else minivgg, if left out."),
]
Device = Annotated[str, Parameter(group="Machine", help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Parameter(group="Machine", help="Arithmetic inside the network; auto is float32, which L-BFGS needs."),
]
Metadata = Annotated[bool, Parameter(group="Output", help="Write the recipe into the pictures and beside them.")]


def reconstruct(
    image: Path,
    /,
    *,
    model: Named = None,
    config: ReconstructFlags = DEFAULTS,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    precision: Precision = RunConfig.precision,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/reconstruct"),
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Reconstruct a picture's content and style from noise, at each of five depths (Gatys et al. 2015, Fig. 1).

    Parameters
    ----------
    image
        The picture.
    out
        Folder for the pictures, their recipes and sheet.png; pictures that it holds already are not made again.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    picture = seen(image, "picture", screen)
    _, network = open_network(model, opened, screen)
    work = Reconstructing(network, picture, config, RunConfig(device, precision), folder=out, metadata=metadata)
    spare([image], work.files(out))
    show(work, screen)
    result = work.result()
    sheet = result.save(out / "sheet.png") if len(result) else None
    if screen.as_json:
        screen.json({"sheet": relative(sheet), "model": network.name, "results": [entry(item) for item in result]})
    for item in result:
        screen.result(f"{relative(item.panel.path)}  {'  '.join(item.caption())}")
    if sheet is not None:
        screen.result(f"{relative(sheet)}  the sheet of all {len(result)}")
    return ended(work.complete, out, screen)


def entry(item: Reconstruction) -> dict[str, Any]:
    """One picture of `--json`."""
    return {
        "layer": item.layer,
        "kind": item.kind,
        "path": relative(item.panel.path),
        "loss": item.loss,
        "psnr": item.panel.psnr,
    }


def seen(file: Path, name: str, screen: Screen) -> Tensor:
    """(3, h, w) of a picture file, transparent parts over white; what of it is left out is said."""
    given = read(file, name)
    for note in given.notes:
        screen.say(f"{relative(file)}: {note}")
    return over_white(given.pixels)


def show(work: Work, screen: Screen) -> None:
    """Carry out a figure and show it; the first Ctrl-C ends it after the current step."""
    for note in work.notes:
        screen.say(note)
    found = 0
    with Meter(screen) as meter, stopping(work):
        for event in work:
            if isinstance(event, Worked):
                meter.show(Progress(event.done, event.total, event.number - 1, event.of, event.step))
            elif isinstance(event, Made):
                found += event.found
    if found:
        screen.say(f"{found} of the pictures {'was' if found == 1 else 'were'} there already")


def ended(complete: bool, out: Path, screen: Screen) -> int:
    """The exit code."""
    if complete:
        return 0
    screen.say(f"interrupted; what is done is in {relative(out)}, and the same command goes on from there")
    return INTERRUPTED
