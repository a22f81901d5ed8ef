"""`phosphene study class`: a class by its logit, log-probability, probability and margin, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.default import network_and_classes
from phosphene.cli.dream import Precision
from phosphene.cli.options import (
    Json,
    Network,
    NetworkFlags,
    OptimizerFlags,
    Quiet,
    SignalFlags,
    TransformFlags,
    pixels,
)
from phosphene.cli.reconstruct import Device, Metadata
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.errors import EXIT_FAILED
from phosphene.features.events import Done, Notice, Progress
from phosphene.features.store import Store
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig, TransformConfig
from phosphene.reports.study_class import write_report
from phosphene.study.classes import StudyingClasses
from phosphene.study.finding import HEADER, ClassStudy, row
from phosphene.study.words import verdict


def study_class(
    model: str,
    classes: tuple[str, ...] = (),
    /,
    *,
    size: Annotated[str | None, Parameter(group="Picture")] = None,
    steps: Annotated[int, Parameter(group="Picture")] = RenderConfig.steps,
    seed: Annotated[int, Parameter(group="Picture")] = RenderConfig.seed,
    signal_: SignalFlags = SignalConfig(),
    transform: TransformFlags = TransformConfig(),
    optimizer: OptimizerFlags = OptimizerConfig(),
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    precision: Precision = RunConfig.precision,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/class"),
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Ask for classes by logit, log-probability, probability and margin, and measure what each of them raised.

    Examples: `phosphene study class star face`, `phosphene study class squeezenet1_1 goldfish volcano zebra`.

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    classes
        Names or numbers of classes.
    size
        Pixels, N or HEIGHTxWIDTH; the network's own input size when left out.
    steps
        Steps of gradient ascent.
    seed
        Seed of the start and of every random transform.
    out
        Folder for the page (index.html), the pictures with their recipes, sheet.png and study.json.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    config = RenderConfig(pixels(size), steps, seed, signal_, transform, optimizer)
    name, wanted = network_and_classes((model, *classes), screen)
    network = opened.open(name)
    work = StudyingClasses(network, wanted, config, RunConfig(device, precision), store=Store(out, metadata=metadata))
    plan, machine = work.rendering.plan, work.rendering.arithmetic
    screen.say(
        f"{network.name}: {plan.rows} pictures of {' x '.join(map(str, plan.canvas))}, {steps} steps, "
        f"{machine.device} {machine.precision}"
    )
    show(work, screen)
    if not work.complete:
        screen.say(f"interrupted; the pictures so far are in {relative(out)}, and there is no page of them")
        return INTERRUPTED
    made = work.result().save(out, metadata=metadata)
    page = write_report(made, out, rerun=opened.rerun_words(name))
    report(made, page, screen)
    return 0 if any(one.picture.status == "ok" for finding in made for one in finding) else EXIT_FAILED


def show(work: StudyingClasses, screen: Screen) -> None:
    """Carry out a study and show it; Ctrl-C ends it early."""
    with Meter(screen) as meter, stopping(work):
        for event in work:
            if isinstance(event, Progress):
                meter.show(event)
            elif isinstance(event, Notice):
                screen.say(event.text)
            elif isinstance(event, Done) and event.picture.status == "degenerate":
                screen.say(f"{event.picture.target}: {event.picture.reason}")


def report(made: ClassStudy, page: Path, screen: Screen) -> None:
    """The numbers and what follows from them, on stdout."""
    if screen.as_json:
        screen.json({"page": relative(page), "sheet": relative(page.with_name("sheet.png")), **made.data()})
        return
    screen.table(HEADER, [row(finding, one) for finding in made for one in finding])
    screen.result("")
    for text in verdict(made):
        screen.result(text)
    screen.result(f"{relative(page)}  open it in a browser")
