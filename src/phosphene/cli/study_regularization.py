"""`phosphene study regularization`: one unit under every regularization, from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.default import network_and_targets
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet, RunFlags, machine_words, pixels
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.errors import EXIT_FAILED, UsageError
from phosphene.features.render import Notice, Progress
from phosphene.objectives import parse
from phosphene.recipe import RunConfig
from phosphene.reports.study_regularization import write_report
from phosphene.study.config import RegularizationConfig
from phosphene.study.regularization import Begun, Found, Regularizing
from phosphene.study.result import Study, short

Picture = Parameter(group="Picture")


def study_regularization(
    model: str,
    target: tuple[str, ...] = (),
    /,
    *,
    size: Annotated[str | None, Picture] = None,
    steps: Annotated[int, Picture] = RegularizationConfig.steps,
    seed: Annotated[int, Picture] = RegularizationConfig.seed,
    methods: Annotated[str | None, Picture] = RegularizationConfig.methods,
    views: Annotated[int, Picture] = RegularizationConfig.views,
    natural: Annotated[str | None, Picture] = RegularizationConfig.natural,
    opened: NetworkFlags = Network(),
    run: RunFlags = RunConfig(),
    out: Annotated[Path, Parameter(group="Output")] = Path("out/regularization"),
    resume: Annotated[bool, Parameter(negative="", group="Output")] = False,
    metadata: Annotated[bool, Parameter(group="Output")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """One unit under no regularization, under each kind of it, and under the defaults, measured alike.

    Examples: `phosphene study regularization logit:spiral`, `... squeezenet1_1 features.12:50`,
    `... squeezenet1_1 logit:goldfish --methods tv,robust,default`.

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    target
        One unit: LAYER:7, LAYER:7@3,5, LAYER, logit:CLASS or prob:CLASS.
    size
        Pixels, N or HEIGHTxWIDTH, 32 or more; the network's own input size when left out.
    steps
        Steps of gradient ascent for each picture.
    seed
        Seed of the starts, of the transforms, and of the views that pictures are judged by.
    methods
        Methods joined by commas, all when left out: none, l1, l2, tv, blur, frequency, gradient-blur, robust,
        tv+robust, fourier, maco, maco+robust, default, default+pooling, default+blur. `none` is made always.
    views
        Random views, of the default transforms, over which the activation of each picture is averaged.
    natural
        File of `phosphene natural`: the spectrum of pictures of your own to compare with, in place of 1/f^2.
    out
        Folder for the pictures, their recipes, sheet.png, gradients.png, study.json and the page, index.html.
    resume
        Go on with a study that was interrupted in --out.
    metadata
        Write the recipe into the pictures and beside them.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    config = RegularizationConfig(pixels(size), steps, seed, methods, views, natural)
    name, targets = network_and_targets((model, *target), screen, "phosphene study regularization", "TARGET")
    if len(targets) != 1:
        raise UsageError(f"this study is of one unit, got {len(targets)} targets: {', '.join(targets)}")
    parse(targets[0])  # a slip in a target is told before a large network is loaded
    network = opened.open(name)
    work = Regularizing(network, targets[0], config, run, folder=out, resume=resume, metadata=metadata)
    screen.say(
        f"{network.name}: {len(work.methods)} pictures of {' x '.join(map(str, work.canvas))}, {steps} steps each, "
        f"{work.arithmetic.device} {work.arithmetic.precision}"
    )
    show(work, screen)
    if not work.complete:
        screen.say(f"interrupted; the pictures so far are in {relative(out)}; go on with --resume")
        return INTERRUPTED
    study = work.result()
    study.save(out)
    page = write_report(study, out, network=(name, *opened.words()), machine=machine_words(run))
    report(study, out, page, screen)
    return 0 if any(entry.picture.status == "ok" for entry in study.entries) else EXIT_FAILED


def show(work: Regularizing, screen: Screen) -> None:
    """Carry out a study and show it; the first Ctrl-C ends it after the current step."""
    with Meter(screen) as meter, stopping(work):
        for event in work:
            if isinstance(event, Begun):
                screen.say(f"{event.number}/{event.of}  {event.method.name}: {event.method.title}")
            elif isinstance(event, Progress):
                meter.show(event)
            elif isinstance(event, Notice):
                screen.say(event.text)
            elif isinstance(event, Found) and event.entry.picture.status == "degenerate":
                screen.say(f"{event.entry.method.name}: {event.entry.picture.reason}")


def report(study: Study, out: Path, page: Path, screen: Screen) -> None:
    """The numbers on stdout, and where the page is."""
    if screen.as_json:
        screen.json({"page": relative(page), "folder": relative(out), **study.data(out)})
        return
    rows = [
        (e.method.name, short(e.picture.activation), short(e.robust), short(e.excess), e.picture.status)
        for e in study.entries
    ]
    screen.table(("METHOD", "ACTIVATION", "UNDER TRANSFORMS", "EXCESS", "STATUS"), rows)
    for sentence in study.sentences():
        screen.result(sentence)
    screen.result(f"{relative(page)}  open it in a browser")
