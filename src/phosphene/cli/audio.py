"""`phosphene audio`: feature visualization for networks that hear."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from phosphene.cli.console import Bar, Screen, relative
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device
from phosphene.cli.render import INTERRUPTED, stopping
from phosphene.errors import EXIT_FAILED
from phosphene.features.audio_config import AudioConfig
from phosphene.features.clip import Clip, Clips
from phosphene.features.sounding import Sounding
from phosphene.files import ensure_folder
from phosphene.objectives import parse
from phosphene.recipe import RunConfig
from phosphene.reports.sound import write_sounds

AudioFlags = Annotated[AudioConfig, Parameter(name="*"), Parameter(group="Sound")]
DEFAULTS = AudioConfig()


def render(
    model: str,
    target: tuple[str, ...],
    /,
    *,
    config: AudioFlags = DEFAULTS,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    batch: Annotated[int | None, Parameter(group="Machine", help="Clips optimised at once.")] = None,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio"),
    metadata: Annotated[bool, Parameter(group="Output")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Optimise a sound until a unit of a network that hears responds.

    Examples: `phosphene audio render crepe_tiny logit:228`, `... yamnet logit:Whistling logit:Siren`,
    `... yamnet "logit:Bird - 0.1*tvtime"`, `... silero_vad_16k -logit:speech` (the least like speech).

    Parameters
    ----------
    model
        Name of a network that hears (crepe_tiny, crepe_full, yamnet, silero_vad_16k), or `package.module:factory`.
    target
        What to raise: LAYER:7, LAYER:0..63, LAYER:7@3,5, LAYER, logit:CLASS, joined by + - *.
    out
        Folder for the clips (WAV), their recipes and pictures, and index.html with players.
    metadata
        Write the recipe into the clips and beside them.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    for text in target:
        parse(text)  # a slip in a target is told before a network is loaded
    network = opened.open(model)
    work = Sounding(network, target, config, RunConfig(device, batch=batch))
    ensure_folder(out)
    screen.say(
        f"{network.name}: {work.rows} clip{'s' * (work.rows > 1)} of {work.samples / work.spec.rate:g} s at "
        f"{work.spec.rate} Hz, {config.steps} steps, {work.arithmetic.device}"
    )
    stopped = show(work, screen)
    clips = work.clips().save(out, metadata=metadata)
    page = write_sounds(clips, out) if len(clips) else None
    report(clips, page, screen)
    if stopped and not work.complete:
        screen.say(f"interrupted; the clips so far are in {relative(out)}")
        return INTERRUPTED
    return 0 if any(clip.status == "ok" for clip in clips) else EXIT_FAILED


def show(work: Sounding, screen: Screen) -> bool:
    """Carry out a rendering and show it; True when Ctrl-C ended it early."""
    with Bar(screen) as bar, stopping(work) as stopped:
        for event in work:
            if isinstance(event, Clip):
                if event.status == "degenerate":
                    screen.say(f"{event.target}: {event.reason}")
                continue
            step = event.step

            def detail(speed: float, step: Any = step) -> str:
                return f"step {step.i}  score {float(step.scores.mean()):.4g}  {speed:.1f} clip-steps/s"

            bar.advance(event.done, event.total, max(0, event.done - len(step.scores)), detail)
    return bool(stopped)


def report(clips: Clips, page: Path | None, screen: Screen) -> None:
    """The result of a rendering on stdout."""
    if screen.as_json:
        results = [entry(clip) for clip in clips]
        screen.json(
            {"page": relative(page), "results": results, "device": clips.device, "seconds": round(clips.seconds, 3)}
        )
        return
    for clip in clips:
        screen.result(said(clip))
    if page is not None:
        screen.result(f"{relative(page)}  a player for each of the {len(clips)}")


def said(clip: Clip) -> str:
    """One clip as a line."""
    note = "" if clip.status == "ok" else f"  {clip.status}: {clip.reason}"
    loud = f"{clip.loudness:.1f} LUFS" if math.isfinite(clip.loudness) else "silent"
    return f"{relative(clip.path)}  {clip.target}  activation {clip.activation:.4g}  {loud}{note}"


def entry(clip: Clip) -> dict[str, Any]:
    """One clip of `--json`."""
    return {
        "path": relative(clip.path),
        "target": clip.target,
        "layer": clip.layer,
        "unit": clip.unit,
        "seed": clip.seed,
        "steps": clip.steps,
        "samples": clip.sound.shape[-1],
        "rate": clip.rate,
        "loudness": clip.loudness if math.isfinite(clip.loudness) else None,
        "peak": clip.peak,
        "activation": clip.activation if math.isfinite(clip.activation) else None,
        "status": clip.status,
        "reason": clip.reason,
        "seconds": clip.seconds,
    }


audio = App(name="audio", help="Sounds for networks that hear.")
audio.command(render)
