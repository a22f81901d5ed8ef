"""`phosphene dream`: DeepDream on a picture or from noise, and a film that goes into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from phosphene.cli.console import Bar, Screen, relative
from phosphene.cli.default import told
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device, Metadata, seen
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.cli.watch import Film
from phosphene.deepdream.api import NOISE, Dream, checked, dreamt
from phosphene.deepdream.api import finite as number
from phosphene.deepdream.config import DreamConfig
from phosphene.deepdream.dreaming import Dreamed, Dreaming, Frame
from phosphene.errors import EXIT_FAILED, UsageError
from phosphene.files import ensure_folder, safe_name, spare
from phosphene.models import DEFAULT_MODEL, is_known
from phosphene.recipe import RunConfig

DreamFlags = Annotated[DreamConfig, Parameter(name="*"), Parameter(group="Picture")]
DEFAULTS = DreamConfig()
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Parameter(group="Machine", help="Arithmetic inside the network: auto (what is fast and safe), float32, bfloat16."),
]


def dream(
    model: str,
    picture: str | None = None,
    /,
    *,
    config: DreamFlags = DEFAULTS,
    guide: Annotated[Path | None, Parameter(group="Picture")] = None,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    precision: Precision = RunConfig.precision,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/dream"),
    zoom: Annotated[int, Parameter(group="Output")] = 0,
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """DeepDream: more in a picture of what a network sees there.

    Examples: `phosphene dream photo.jpg`, `phosphene dream squeezenet1_1 photo.jpg --layers features.9`,
    `... noise --layers features.12:50`, `... photo.jpg --guide flowers.jpg`, `... photo.jpg --zoom 48`.

    Parameters
    ----------
    model
        Name of a network (see `phosphene models`), `timm:NAME`, or `package.module:factory`; `minivgg`, the small one
        inside phosphene, when it is left out.
    picture
        A picture file, or `noise`.
    guide
        A picture whose features are dreamed of, in place of the strongest ones.
    out
        Folder for the picture and its recipe.
    zoom
        Further frames of a film, NAME.zoom.webp, that goes into the dream, 5% nearer and dreamed on with each.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    checked(zoom)
    network_name, shown = _words(model, picture, screen)
    start = None if shown == NOISE else seen(Path(shown), "picture", screen)
    led = None if guide is None else seen(guide, "guide", screen)
    work = Dreaming(
        opened.open(network_name),
        start,
        config,
        RunConfig(device, precision),
        guide=led,
        frames=1 + zoom,
    )
    file = out / f"{safe_name(Path(shown).stem)}.png"
    spare([Path(shown), *filter(None, [guide])], [file])
    ensure_folder(out)
    height, width = work.size
    octaves = f"{len(work.sizes)} octaves from {max(work.sizes[0])}" if len(work.sizes) > 1 else "one octave"
    screen.say(
        f"{work.given.name} dreams of {work.objective}: {width} x {height}, {octaves}, "
        f"{work.arithmetic.device} {work.arithmetic.precision}"
    )
    frames, stopped = show(work, screen)
    made = dreamt(work, start, led).save(file, metadata=metadata)
    film = None
    if len(frames.frames) > 1:
        assert made.path is not None  # it was just saved
        film = frames.write(made.path.with_suffix(".zoom.webp"))
    report(made, film, screen)
    if stopped:
        screen.say("interrupted; the picture is as it was by then")
        return INTERRUPTED
    return 0 if made.status == "ok" else EXIT_FAILED


class DreamMeter(Bar):
    """Progress of a dream, in steps of any octave."""

    def show(self, event: Dreamed) -> None:
        """Show that a step was done."""

        def detail(speed: float) -> str:
            frame = f"frame {event.frame}/{event.frames}  " if event.frames > 1 else ""
            score = float(event.step.scores.mean())
            return f"{frame}{event.size[1]} x {event.size[0]}  step {event.step.i}  score {score:.4g}"

        self.advance(event.done, event.total, event.done - 1, detail)


def show(work: Dreaming, screen: Screen) -> tuple[Film, bool]:
    """Carry out a dream and show it; the frames, and whether Ctrl-C ended it early."""
    film = Film()
    with DreamMeter(screen) as meter, stopping(work) as stopped:
        for event in work:
            if isinstance(event, Dreamed):
                meter.show(event)
            elif isinstance(event, Frame):
                film.add(event.picture)
    return film, bool(stopped)


def report(made: Dream, film: Path | None, screen: Screen) -> None:
    """The dream on stdout."""
    if screen.as_json:
        screen.json(entry(made) | {"film": relative(film)})
    note = "" if made.status == "ok" else f"  {made.status}: {made.reason}"
    screen.result(f"{relative(made.path)}  {made.target}  score {made.before:.4g} -> {made.after:.4g}{note}")
    if film is not None:
        screen.result(f"{relative(film)}  the film that goes into it")


def entry(made: Dream) -> dict[str, Any]:
    """A dream as `--json` tells it."""
    return {
        "path": relative(made.path),
        "target": made.target,
        "size": [made.size[1], made.size[0]],
        "score_before": number(made.before),
        "score": number(made.after),
        "status": made.status,
        "reason": made.reason,
        "seconds": made.seconds,
    }


def _words(model: str, picture: str | None, screen: Screen) -> tuple[str, str]:
    """The network and the picture; the network may be left out."""
    if picture is not None:
        return model, picture
    if is_known(model):
        raise UsageError(f"no picture for {model}: phosphene dream {model} PICTURE, or noise")
    told(screen, "phosphene dream", "PICTURE")
    return DEFAULT_MODEL, model
