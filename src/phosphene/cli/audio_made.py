"""How the commands that make sounds from recordings read them, show the work, and tell what came of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.audio.recording import Recording, read
from phosphene.audio.sound import Sound
from phosphene.audio.synthesis import Made, Synthesis
from phosphene.cli.console import Bar, Screen, relative
from phosphene.cli.options import Network
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.errors import EXIT_FAILED
from phosphene.models import Model
from phosphene.models.random_sound import NAME
from phosphene.recipe import RunConfig
from phosphene.reports.made_sound import told, write_made

Ear = Annotated[
    str | None,
    Parameter(
        group="Network", help="Name of a network that hears; random_sound, which was never trained, if left out."
    ),
]
CheckpointEvery = Annotated[
    int, Parameter(group="Machine", help="Steps between checkpoints for --resume; 0 writes none.")
]
Resume = Annotated[
    bool,
    Parameter(negative="", group="Output", help="Go on with sounds that were interrupted, and keep finished ones."),
]
Metadata = Annotated[bool, Parameter(group="Output", help="Write the recipe into the sounds and beside them.")]
CHECKPOINT_EVERY = RunConfig.checkpoint_every


def open_ear(name: str | None, opened: Network) -> Model:
    """The network that is asked."""
    return opened.open(name or NAME)


def listened(file: Path, role: str, network: Model) -> Recording:
    """The recording in a file, as a network hears it."""
    return read(file, role, network)


def show(work: Synthesis, screen: Screen, *, unnamed: bool = False) -> bool:
    """Carry out a synthesis and show it; True when Ctrl-C ended it early. unnamed: nobody named the network, so that
    it is said."""
    if unnamed:
        screen.say(f"{NAME}, an ear of random filters; another with --model NAME (yamnet, crepe_tiny)")
    for note in work.notes:
        screen.say(note)
    with Bar(screen) as bar, stopping(work) as stopped:
        for event in work:
            if isinstance(event, Made):
                if event.found:
                    screen.say(f"{relative(event.sound.path)} is there already")
                if event.sound.status == "degenerate":
                    screen.say(f"{event.sound.name}: {event.sound.reason}")
                continue
            step = event.step

            def detail(speed: float, step: Any = step) -> str:
                return f"step {step.i}  loss {-float(step.scores[0]):.4g}  {speed:.1f} steps/s"

            bar.advance(event.done, event.total, event.found, detail)
    return bool(stopped)


def finish(work: Synthesis, stopped: bool, out: Path, title: str, screen: Screen) -> int:
    """Write the page, tell the results on stdout; the exit code."""
    page = write_made(work.sounds, work.recordings, work.config.loudness, out, title) if work.sounds else None
    if screen.as_json:
        results = [entry(sound) for sound in work.sounds]
        screen.json({"page": relative(page), "model": work.model.name, "results": results})
    for sound in work.sounds:
        screen.result("  ".join([str(relative(sound.path)), *said(sound)]))
    if page is not None:
        screen.result(f"{relative(page)}  players, beside the recordings")
    if stopped and not work.complete:
        screen.say(f"interrupted; the sounds so far are in {relative(out)}, go on with --resume")
        return INTERRUPTED
    return 0 if any(sound.status == "ok" for sound in work.sounds) else EXIT_FAILED


def said(sound: Sound) -> list[str]:
    """One sound in words."""
    return told(sound) if sound.status == "ok" else [*told(sound), f"{sound.status}: {sound.reason}"]


def entry(sound: Sound) -> dict[str, Any]:
    """One sound of `--json`."""
    return {
        "path": relative(sound.path),
        "name": sound.name,
        "samples": sound.sound.shape[-1],
        "rate": sound.rate,
        "seamless": sound.seamless,
        "steps": sound.steps,
        "loss": sound.loss if sound.losses else None,
        "share_of_noise": sound.share if sound.losses else None,
        "losses": dict(sound.losses),
        **sound.measured,
        "loudness": sound.loudness if math.isfinite(sound.loudness) else None,
        "peak": sound.peak,
        "status": sound.status,
        "reason": sound.reason,
        "seconds": sound.seconds,
    }
