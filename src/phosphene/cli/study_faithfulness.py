"""`phosphene study faithfulness`: whether the optimized picture of a unit can be trusted, from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.default import network_and_targets
from phosphene.cli.options import (
    Flat,
    Json,
    Network,
    NetworkFlags,
    OptimizerFlags,
    Quiet,
    RunFlags,
    SignalFlags,
    TransformFlags,
    pixels,
)
from phosphene.cli.reconstruct import Metadata
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.errors import EXIT_FAILED, UsageError
from phosphene.examples.index import Index
from phosphene.features.events import Done, Notice, Progress
from phosphene.files import safe_name
from phosphene.models import load
from phosphene.objectives import parse
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig, TransformConfig
from phosphene.reports.study_faithfulness import write_report
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.faithfulness import Looked, StudyingFaithfulness
from phosphene.study.result import short
from phosphene.study.trust import Trust

AskFlags = Annotated[FaithfulnessConfig, Flat, Parameter(group="Comparison")]
ASKED = FaithfulnessConfig()
HEADER = ("UNIT", "ACTIVATION", "BEST NATURAL", "WEAKEST", "NORMALIZED", "KINSHIP", "ANOTHER ROAD")


def study_faithfulness(
    model: str,
    target: tuple[str, ...] = (),
    /,
    *,
    data: Annotated[str, Parameter(group="Comparison")],
    index: Annotated[Path | None, Parameter(group="Comparison")] = None,
    other: Annotated[tuple[str, ...], Parameter(group="Comparison")] = (),
    ask: AskFlags = ASKED,
    size: Annotated[str | None, Parameter(group="Picture")] = None,
    steps: Annotated[int, Parameter(group="Picture")] = RenderConfig.steps,
    seed: Annotated[int, Parameter(group="Picture")] = RenderConfig.seed,
    signal_: SignalFlags = SignalConfig(),
    transform: TransformFlags = TransformConfig(),
    optimizer: OptimizerFlags = OptimizerConfig(),
    opened: NetworkFlags = Network(),
    run: RunFlags = RunConfig(),
    out: Annotated[Path, Parameter(group="Output")] = Path("out/faithfulness"),
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Can the optimized picture of a unit be trusted? Measured against natural pictures and other networks.

    Examples: `phosphene study faithfulness conv4_1:3 --data textures:640`,
    `... squeezenet1_1 features.12:50 logit:goldfish --data photographs --other vgg19_cd16x`,
    `... squeezenet1_1 features.12:50 --data photographs --index out/scan`.

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    target
        Units: LAYER:7, LAYER:7@3,5 or logit:CLASS.
    data
        Natural pictures: a folder of pictures or of .tar files, a .tar file, `textures:COUNT`, or `hf:NAME[:SPLIT]`.
    index
        Folder of an index that `phosphene scan` made of this data: only the pictures that it names for a unit are read.
    other
        A network that the picture is shown to as well, at its counterpart of the unit; may be given several times.
    size
        Pixels, N or HEIGHTxWIDTH; the network's own input size when left out.
    steps
        Steps of gradient ascent.
    seed
        Seed of the starts, of the transforms, and of the random pictures.
    out
        Folder; each unit has a folder in it with its page (index.html), pictures, sheet.png and study.json.
    metadata
        Write the recipe into the pictures and beside them.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    config = RenderConfig(pixels(size), steps, seed, signal_, transform, optimizer)
    name, targets = network_and_targets((model, *target), screen, "phosphene study faithfulness", "LAYER:UNIT --data D")
    for text in targets:
        parse(text)  # a slip in a target is told before a large network is loaded
    network = opened.open(name)
    scanned = None if index is None else Index.load(index, model=network)
    others = [load(one) for one in other]
    units = list(dict.fromkeys(targets))
    if len({safe_name(text) for text in units}) < len(units):
        raise UsageError(f"two of these units would share a folder: {', '.join(units)}")

    def study(text: str, folder: Path | None) -> StudyingFaithfulness:
        return StudyingFaithfulness(
            network,
            text,
            data,
            index=scanned,
            others=others,
            ask=ask,
            config=config,
            run=run,
            folder=folder,
            metadata=metadata,
        )

    for text in units:
        study(text, None)  # a slip in the last is told before the first is made
    made = []
    for text in units:
        work = study(text, out / safe_name(text))
        screen.say(f"{network.name} {text}: {len(work.data)} natural pictures, {steps} steps")
        show(work, screen)
        if not work.complete:
            screen.say(f"interrupted; the pictures so far are in {relative(work.folder)}, and there is no page of them")
            return INTERRUPTED
        found = work.result()
        assert work.folder is not None
        found.save(work.folder)
        made.append((found, write_report(found, work.folder)))
    report(made, screen)
    return 0 if any(found.picture.status == "ok" for found, _ in made) else EXIT_FAILED


def show(work: StudyingFaithfulness, screen: Screen) -> None:
    """Carry out a study and show it; the first Ctrl-C ends it after the current step."""
    with Meter(screen) as meter, stopping(work):
        meter.begin("natural pictures")
        rendering = False
        for event in work:
            if isinstance(event, Looked):
                meter.advance(event.done, event.total, 0, lambda speed: f"{speed:.1f} natural pictures/s")
            elif isinstance(event, Progress):
                if not rendering:
                    meter.begin("rendering")
                    rendering = True
                meter.show(event)
            elif isinstance(event, Notice):
                screen.say(event.text)
            elif isinstance(event, Done) and event.picture.status == "degenerate":
                screen.say(f"{event.picture.target}: {event.picture.reason}")


def report(made: list[tuple[Trust, Path]], screen: Screen) -> None:
    """The numbers and what follows from them, on stdout."""
    if screen.as_json:
        screen.json({"results": [{"page": relative(page), **found.data()} for found, page in made]})
        return
    screen.table(HEADER, [line(found) for found, _ in made])
    for found, page in made:
        screen.result("")
        screen.result(found.target)
        for check in found.checks():
            screen.result(f"  {check.answer}")
        screen.result(f"  {relative(page)}  open it in a browser")


def line(found: Trust) -> tuple[str, ...]:
    """A unit in numbers, in the order of `HEADER`."""
    last = found.path[-1] if found.path else None
    flag = {True: "yes", False: "no", None: "not judged"}[found.another_road]
    return (
        found.target,
        short(found.picture.activation),
        short(found.natural.best),
        short(found.weakest) if found.weakest is not None else "-",
        f"{last.normalized:.2f}" if last else "-",
        f"{last.kinship:.0%}" if last else "-",
        flag,
    )
