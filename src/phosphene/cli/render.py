"""`phosphene render`: feature visualization from the shell."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

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
from phosphene.cli.options import (
    steps as step_list,
)
from phosphene.errors import EXIT_FAILED, UsageError
from phosphene.features.clip import Clip
from phosphene.features.diversity import diversify
from phosphene.features.nearness import NearConfig, kept_near
from phosphene.features.picture import Picture, Sheet
from phosphene.features.render import Done, Notice, Progress, Rendering, quietly
from phosphene.features.store import Store
from phosphene.media import opaque, read_picture, to_tensor
from phosphene.objectives import parse
from phosphene.recipe import DiversityConfig, OptimizerConfig, RenderConfig, RunConfig, SignalConfig, TransformConfig

INTERRUPTED = 130  # the shell's exit code for Ctrl-C
ANIMATION_FRAMES = 32
ONE_EACH = DiversityConfig()
FREE = NearConfig()

NearFlags = Annotated[NearConfig, Flat, Parameter(group="Picture")]
DiversityFlags = Annotated[DiversityConfig, Flat, Parameter(group="Picture")]


def render(
    model: str,
    target: tuple[str, ...] = (),
    /,
    *,
    size: Annotated[str | None, Parameter(group="Picture")] = None,
    steps: Annotated[int, Parameter(group="Picture")] = RenderConfig.steps,
    seed: Annotated[int, Parameter(group="Picture")] = RenderConfig.seed,
    init: Annotated[Path | None, Parameter(group="Picture")] = None,
    beside: NearFlags = FREE,
    reference: Annotated[tuple[str, ...], Parameter(group="Picture")] = (),
    several: DiversityFlags = ONE_EACH,
    signal_: SignalFlags = SignalConfig(),
    transform: TransformFlags = TransformConfig(),
    optimizer: OptimizerFlags = OptimizerConfig(),
    opened: NetworkFlags = Network(),
    run: RunFlags = RunConfig(),
    out: Annotated[Path, Parameter(group="Output")] = Path("out"),
    resume: Annotated[bool, Parameter(negative="", group="Output")] = False,
    snapshots: Annotated[str | None, Parameter(group="Output")] = None,
    animate: Annotated[bool, Parameter(negative="", group="Output")] = False,
    metadata: Annotated[bool, Parameter(group="Output")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Feature visualization: optimise a picture until a unit of a network responds.

    Examples: `phosphene render logit:star`, `phosphene render squeezenet1_1 features.12:0..15`, `... logit:goldfish`,
    `... "features.12:3 - 0.05*tv"`, `... features.7` (a whole layer: DeepDream), `... layer4:7@3,5` (one neuron),
    `... features.12:50 --diversity 9` (nine pictures of one unit, which differ),
    `... "caricature(features.7)" --reference photo.jpg` (more of what a layer sees in a photograph),
    `... features.12:50 --init photo.jpg --near features.7` (a unit, raised in a photograph).

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    target
        What to raise: LAYER:7, LAYER:0..63, LAYER:*, LAYER:7@3,5, LAYER, logit:CLASS, prob:CLASS, joined by + - *.
    size
        Pixels, N or HEIGHTxWIDTH; the network's own input size when left out.
    steps
        Steps of gradient ascent.
    seed
        Seed of the start and of every random transform.
    init
        A picture to start from, instead of noise.
    reference
        A picture that content(LAYER), caricature(LAYER) or another statistic in the target looks at: FILE, or NAME=FILE
        for the one that the target calls so (`of=NAME`).
    out
        Folder for the pictures, their recipes and sheet.png.
    resume
        Go on with a rendering that was interrupted in --out.
    snapshots
        Steps at which each picture is also saved, such as 1,32,128.
    animate
        Also save the optimisation of each picture as an animation (.webp).
    metadata
        Write the recipe into the pictures and beside them.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    config = RenderConfig(pixels(size), steps, seed, signal_, transform, optimizer)
    name, targets = network_and_targets((model, *target), screen)
    for text in targets:
        parse(text)  # a slip in a target is told before a large network is loaded
    network = opened.open(name)
    start = start_picture(init, network.spec.channels, alpha=signal_.alpha) if init is not None else None
    store = Store(out, resume=resume, metadata=metadata)
    seen = references(reference, network.spec.channels)
    make = quietly(network, run, start, seen)
    asked = diversify(
        network, kept_near(network, targets, beside, config, make, start), several, config, make, say=screen.say
    )
    rendering = Rendering(
        network,
        asked,
        config,
        run,
        init=start,
        references=seen,
        snapshots=step_list(snapshots, "--snapshots"),
        frames=ANIMATION_FRAMES if animate else 0,
        store=store,
    )
    screen.say(
        f"{network.name}: {rendering.plan.rows} picture{'s' * (rendering.plan.rows > 1)} of "
        f"{' x '.join(map(str, rendering.plan.canvas))}, "
        f"{steps} steps, {rendering.arithmetic.device} {rendering.arithmetic.precision}"
    )
    stopped = show(rendering, screen)
    sheet = rendering.sheet()
    path = sheet.save(out / "sheet.png") if len(sheet) else None
    report(sheet, path, screen)
    if stopped and not rendering.complete:
        screen.say(f"interrupted; the pictures so far are in {relative(out)}; go on with --resume")
        return INTERRUPTED
    return 0 if any(picture.status == "ok" for picture in sheet) else EXIT_FAILED


def show(rendering: Rendering, screen: Screen) -> bool:
    """Carry out a rendering and show it; True when Ctrl-C ended it early."""
    with Meter(screen) as meter, stopping(rendering) as stopped:
        for event in rendering:
            if isinstance(event, Progress):
                meter.show(event)
            elif isinstance(event, Notice):
                screen.say(event.text)
            elif isinstance(event, Done) and event.picture.status == "degenerate":
                screen.say(f"{event.picture.target}: {event.picture.reason}")
    return bool(stopped)


class Stoppable(Protocol):
    """Work that can be asked to end after its current step."""

    def stop(self) -> None: ...


@contextmanager
def stopping(work: Stoppable) -> Iterator[list[bool]]:
    """The first Ctrl-C ends the work after its current step, the second one at once."""
    stopped: list[bool] = []

    def handler(number: int, frame: object) -> None:
        if stopped:
            raise KeyboardInterrupt
        stopped.append(True)
        work.stop()

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def report(sheet: Sheet, path: Path | None, screen: Screen) -> None:
    """The result of a rendering on stdout."""
    if screen.as_json:
        screen.json(
            {
                "sheet": relative(path),
                "results": [entry(picture) for picture in sheet],
                "device": sheet.device,
                "precision": sheet.precision,
                "seconds": round(sheet.seconds, 3),
            }
        )
        return
    for picture in sheet:
        note = "" if picture.status == "ok" else f"  {picture.status}: {picture.reason}"
        screen.result(f"{relative(picture.path)}  {picture.target}  activation {picture.activation:.4g}{note}")
    if path is not None:
        screen.result(f"{relative(path)}  the sheet of all {len(sheet)}")


def entry(picture: Picture) -> dict[str, Any]:
    """One picture of `--json`."""
    return outcome(picture) | {"size": list(picture.size)}


def outcome(made: Picture | Clip) -> dict[str, Any]:
    """What `--json` tells of a picture and of a clip."""
    return {
        "path": relative(made.path),
        "target": made.target,
        "layer": made.layer,
        "unit": made.unit,
        "seed": made.seed,
        "steps": made.steps,
        "activation": made.activation if math.isfinite(made.activation) else None,
        "status": made.status,
        "reason": made.reason,
        "seconds": made.seconds,
    }


def start_picture(path: Path, channels: int, *, alpha: bool, option: str = "--init") -> Any:
    """The picture of an option as (c, h, w) for a network of so many channels; over white where it is transparent."""
    if channels not in (1, 3):
        raise UsageError(f"{option} needs a network of 1 or 3 channels, this one takes {channels}")
    image = read_picture(path)
    if channels == 1:
        return to_tensor(opaque(image).convert("L"))
    return to_tensor(image if alpha else opaque(image))


def references(texts: Sequence[str], channels: int) -> dict[str, Any]:
    """`photo.jpg` or `sketch=lines.png`, several of them, as pictures (c, h, w) by name."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not equals or Path(text).exists():
            name, file = "", text
        if name in found:
            raise UsageError(f"two pictures under one name: name each, --reference NAME=FILE; got {text!r}")
        found[name] = start_picture(Path(file), channels, alpha=False, option="--reference")
    return found
