"""`phosphene probe`: what a unit needs of the pictures that excite it most, and what it says of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.cards.config import ProbeConfig
from phosphene.cards.probe import Probe, probing
from phosphene.cli.console import Screen, relative
from phosphene.cli.default import network_and_targets
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device
from phosphene.cli.scan import ScanMeter, Seed
from phosphene.errors import UsageError
from phosphene.examples.scan import Scanned
from phosphene.files import safe_name
from phosphene.recipe import RunConfig

ProbeFlags = Annotated[ProbeConfig, Parameter(name="*"), Parameter(group="Probes")]
Data = Annotated[str | None, Parameter(group="Data", help="The pictures or recordings, named as for `phosphene scan`.")]
IndexFolder = Annotated[
    Path | None,
    Parameter(group="Data", help="Folder of an index of these pictures; without it they are scanned on the way."),
]
Ask = Annotated[
    tuple[Path, ...],
    Parameter(group="Data", consume_multiple=True, help="Your own hypotheses: pictures or folders of them."),
]


def probe(
    model: str,
    target: tuple[str, ...] = (),
    /,
    *,
    data: Data = None,
    index: IndexFolder = None,
    ask: Ask = (),
    config: ProbeFlags = ProbeConfig(),
    seed: Seed = 0,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/probe"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Cause or correlate: change the pictures or sounds that excite a unit most, and measure what it answers to then.

    Examples: `phosphene probe conv4_2:9 --data textures:1000`,
    `phosphene probe squeezenet1_1 features.12:7 --index out/scan --data photographs --ask stripes.png balls`.

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    target
        A unit: LAYER:7 or logit:goldfish; LAYER:0..7 for several.
    out
        Folder for the page (index.html) and probe.json; several units have a folder each in it.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    name, text = one_target((model, *target), screen, "phosphene probe")
    network = opened.open(name)
    work = probing(network, text, data, index=index, ask=ask, config=config, seed=seed, device=device)
    results = []
    with ScanMeter(screen) as meter:
        for event in work:
            if isinstance(event, Scanned):
                meter.show(event)
                continue
            page = event.save(place(out, event, text))
            results.append({"path": relative(page), **event.data()})
            told(event, screen)
            screen.result(f"{relative(page)}  open it in a browser")
    if as_json:
        screen.json({"results": results})
    return 0


def one_target(words: tuple[str, ...], screen: Screen, command: str) -> tuple[str, str]:
    """MODEL TARGET, where MODEL may have been left out. Raises UsageError for more than one target."""
    name, targets = network_and_targets(words, screen, command, "TARGET")
    if len(targets) > 1:
        raise UsageError(f"one target at a time, such as LAYER:7 or LAYER:0..63; got {' '.join(targets)}")
    return name, targets[0]


def place(out: Path, made: Probe, text: str) -> Path:
    """The folder of a unit: `out` itself where it is the only one."""
    return out / safe_name(made.subject.target) if ".." in text else out


def told(made: Probe, screen: Screen) -> None:
    """A probe on stdout."""
    screen.result(f"{made.subject.target}  {made.sentence}")
    for one in made.asked:
        screen.result(f"{one.name}  score {one.score:.4g}, above {one.percentile:.1f}% of the data")
