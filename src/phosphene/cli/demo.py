"""`phosphene demo`: the first minute, a page of what a network sees."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.cli.audio import entry as sound_entry
from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.default import BIGGER
from phosphene.cli.dream import entry as dream_entry
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet, pixels
from phosphene.cli.render import INTERRUPTED, entry, stopping
from phosphene.deepdream.api import Dream
from phosphene.demo import Demo, PieceBegun, PieceDone
from phosphene.demo.piece import Made
from phosphene.errors import EXIT_FAILED
from phosphene.features.clip import Clip
from phosphene.features.picture import Picture
from phosphene.features.render import Notice, Progress
from phosphene.models import DEFAULT_MODEL
from phosphene.recipe import RenderConfig, RunConfig
from phosphene.style.painting import Painting, summary

LONGER_STEPS = 512  # twice the usual


def demo(
    *,
    model: Annotated[str, Parameter(group="Network")] = DEFAULT_MODEL,
    opened: NetworkFlags = Network(),
    size: Annotated[str | None, Parameter(group="Picture")] = None,
    seed: Annotated[int, Parameter(group="Picture")] = RenderConfig.seed,
    device: Annotated[str, Parameter(group="Machine")] = RunConfig.device,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """See what is inside a network: a page of pictures, each with the command that makes it.

    The first thing to run: it needs no flags, no network connection and about a minute.

    Parameters
    ----------
    model
        The network that ships with phosphene, or another: a name (see `phosphene models`), `timm:NAME`, or
        `package.module:factory`.
    size
        Pixels, N or HEIGHTxWIDTH; chosen by the network's input when left out.
    seed
        Seed of the start and of every random transform.
    device
        auto, cpu, cuda, cuda:1 or mps.
    out
        Folder for the page (index.html) and its pictures.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    side = pixels(size)
    network = (model, *opened.words())
    work = Demo(opened.open(model), out, network=network, size=side, seed=seed, run=RunConfig(device=device))
    done = show(work, screen)
    report(work, done, screen)
    if work.stopped:
        screen.say(f"interrupted; what is done is on the page {relative(work.page)}")
        return INTERRUPTED
    seen = [
        made for piece in done for made in piece.pictures if not isinstance(made, Clip)
    ]  # of the network asked about
    return 0 if any(picture.status == "ok" for picture in seen) else EXIT_FAILED


def show(work: Demo, screen: Screen) -> list[PieceDone]:
    """Carry out a demo and show it; what was finished, also when Ctrl-C ended it early."""
    done: list[PieceDone] = []
    screen.say(f"{work.model.name}: {len(work.pieces)} parts, pictures of {work.size[0]} x {work.size[1]}")
    with Meter(screen) as meter, stopping(work):
        for event in work:
            if isinstance(event, PieceBegun):
                screen.say(f"{event.number}/{event.of}  {event.piece.title}")
            elif isinstance(event, Progress):
                meter.show(event)
            elif isinstance(event, Notice):
                screen.say(event.text)
            elif isinstance(event, PieceDone):
                done.append(event)
    return done


def report(work: Demo, done: list[PieceDone], screen: Screen) -> None:
    """Where to look and what to try next, on stdout; with --json everything that was made."""
    if screen.as_json:
        screen.json(
            {
                "page": relative(work.page),
                "model": work.model.name,
                "pieces": [piece_entry(piece) for piece in done],
                "seconds": round(work.seconds, 3),
            }
        )
        return
    screen.result(f"{relative(work.page)}  open it in a browser")
    screen.result("")
    screen.result("try next:")
    for command, why in suggestions(work, done):
        screen.result(f"  {command}\n      {why}")


def piece_entry(done: PieceDone) -> dict[str, Any]:
    """One piece of `--json`."""
    return {
        "name": done.piece.name,
        "title": done.piece.title,
        "pictures": [picture_entry(picture) for picture in done.pictures],
        "commands": list(done.section.commands),
        "note": done.section.note,
        "seconds": round(done.seconds, 3),
    }


def picture_entry(picture: Made) -> dict[str, Any]:
    """One picture of a piece: as the command that makes it tells of it."""
    if isinstance(picture, Picture):
        return entry(picture)
    if isinstance(picture, Clip):
        return sound_entry(picture)
    if isinstance(picture, Dream):
        return dream_entry(picture)
    told = {"path": relative(picture.path), "status": picture.status}
    if isinstance(picture, Painting):
        return {**told, **summary(picture.recipe)}
    return {**told, "losses": dict(picture.losses), "psnr": picture.psnr, "seconds": picture.seconds}


def suggestions(work: Demo, done: list[PieceDone]) -> list[tuple[str, str]]:
    """Three commands that work with this network, and what each is for."""
    model, *options = work.network
    pictures = [picture for piece in done for picture in piece.pictures if isinstance(picture, Picture)]
    found = next((picture.target for picture in pictures if picture.status == "ok"), None)
    if found is not None:
        words = ["render", model, found, *options, "--steps", str(LONGER_STEPS), "--seed", str(work.seed + 1)]
        first = (command(*words, "--out", "out/next"), "another picture of the same, with more time")
    else:
        first = (command("layers", model, *options), "the layers whose units you can render")
    larger = (command("demo", "--model", BIGGER), "the same with a larger network; its weights are fetched once")
    others = (command("models"), "the networks that can be loaded by name, for phosphene demo --model NAME")
    last = (command("render", "--help"), "targets, flags and examples; phosphene --help lists the commands")
    return [first, larger if model == DEFAULT_MODEL else others, last]


def command(*words: str) -> str:
    """A command line of phosphene, for a POSIX shell."""
    return shlex.join(["phosphene", *words])
