"""How the commands that make sounds from recordings read them, show the work, and tell what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from phosphene.audio.sound import Sound
from phosphene.audio.synthesis import Made, Synthesis
from phosphene.cli.console import Bar, Screen, relative
from phosphene.cli.options import Flat, Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.errors import EXIT_FAILED
from phosphene.models import Model
from phosphene.models.random_sound import NAME
from phosphene.recipe import RunConfig
from phosphene.reports.made_sound import write_made


@dataclass(frozen=True)
class Making:
    """How a sound is made from recordings, whatever sound it is: the flags of all three commands."""

    model: Annotated[str | None, Parameter(group="Network")] = None
    """Name of a network that hears; random_sound, which was never trained, if left out."""
    opened: NetworkFlags = Network()
    device: Device = RunConfig.device
    checkpoint_every: Annotated[int, Parameter(group="Machine")] = RunConfig.checkpoint_every
    """Steps between checkpoints for --resume; 0 writes none."""
    resume: Annotated[bool, Parameter(negative="", group="Output")] = False
    """Go on with sounds that were interrupted, and keep finished ones."""
    metadata: Annotated[bool, Parameter(group="Output")] = True
    """Write the recipe into the sounds and beside them."""
    as_json: Json = False
    quiet: Quiet = False

    def open(self) -> Model:
        """The network that is asked."""
        return self.opened.open(self.model or NAME)

    @property
    def run(self) -> RunConfig:
        """How the work is carried out."""
        return RunConfig(self.device, checkpoint_every=self.checkpoint_every)

    def carry_out(self, work: Synthesis, out: Path, title: str) -> int:
        """Carry out a synthesis and show it, write the page; the exit code."""
        screen = Screen(quiet=self.quiet, as_json=self.as_json)
        if self.model is None:
            screen.say(f"{NAME}, an ear of random filters; another with --model NAME (yamnet, crepe_tiny)")
        return finish(work, show(work, screen), out, title, screen)


MakingFlags = Annotated[Making, Flat]


def show(work: Synthesis, screen: Screen) -> bool:
    """Carry out a synthesis and show it; True when Ctrl-C ended it early."""
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
    return sound.told() if sound.status == "ok" else [*sound.told(), f"{sound.status}: {sound.reason}"]


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
