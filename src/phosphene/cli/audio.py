"""`phosphene audio`: feature visualization for networks that hear."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from torch import Tensor

from phosphene.cli.console import Meter, Screen, relative
from phosphene.cli.options import Flat, Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device
from phosphene.cli.render import FREE, INTERRUPTED, ONE_EACH, DiversityFlags, NearFlags, outcome, stopping
from phosphene.errors import EXIT_FAILED, UsageError
from phosphene.features.ahead import AheadConfig, advice, kept_ahead
from phosphene.features.audio_config import AudioConfig
from phosphene.features.clip import Clip, Clips
from phosphene.features.diversity import diversify
from phosphene.features.events import Notice
from phosphene.features.nearness import kept_near
from phosphene.features.sound import unheard
from phosphene.features.sounding import Sounding, clip_length
from phosphene.features.store import SoundStore
from phosphene.media import read_sound
from phosphene.models import AudioSpec
from phosphene.objectives import parse
from phosphene.recipe import RunConfig
from phosphene.reports.sound import write_sounds

AudioFlags = Annotated[AudioConfig, Parameter(name="*"), Parameter(group="Sound")]
AheadFlags = Annotated[AheadConfig, Flat, Parameter(group="Sound")]
DEFAULTS = AudioConfig()
AS_NEEDED = AheadConfig()
LONGEST_RECORDING = 600.0  # seconds that are read to start from; a clip is their beginning


def render(
    model: str,
    target: tuple[str, ...],
    /,
    *,
    config: AudioFlags = DEFAULTS,
    init: Annotated[Path | None, Parameter(group="Sound")] = None,
    led: AheadFlags = AS_NEEDED,
    beside: NearFlags = FREE,
    several: DiversityFlags = ONE_EACH,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    batch: Annotated[int | None, Parameter(group="Machine", help="Clips optimised at once.")] = None,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio"),
    resume: Annotated[bool, Parameter(negative="", group="Output")] = False,
    metadata: Annotated[bool, Parameter(group="Output")] = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Optimise a sound until a unit of a network that hears responds.

    Examples: `phosphene audio render crepe_tiny logit:228`, `... yamnet logit:Whistling logit:Siren`,
    `... yamnet logit:Bird --ahead 0` (the logit alone), `... yamnet logit:Bird --diversity 4`,
    `... silero_vad_16k -logit:speech` (the least like speech),
    `... yamnet logit:Bird --init robin.wav --near layer10.relu` (a class, raised in a recording).

    Parameters
    ----------
    model
        Name of a network that hears (crepe_tiny, crepe_full, yamnet, silero_vad_16k), `hf:OWNER/NAME` or `hf:FOLDER`
        for one of Hugging Face, or `package.module:factory`.
    target
        What to raise: LAYER:7, LAYER:0..63, LAYER:7@3,5, LAYER, logit:CLASS, margin:CLASS, joined by + - *.
    init
        A recording to start from, instead of noise; the clip is as long, unless --seconds takes its beginning.
    out
        Folder for the clips (WAV), their recipes and pictures, and index.html with players.
    resume
        Go on with a rendering that was interrupted in --out.
    metadata
        Write the recipe into the clips and beside them.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    for text in target:
        parse(text)  # a slip in a target is told before a network is loaded
    network = opened.open(model)
    run = RunConfig(device, batch=batch)
    start = start_sound(init, network.audio_spec, screen) if init is not None else None
    make = unheard(network, run, start)
    _, held = clip_length(network.audio_spec, config, start)
    first = kept_ahead(network, target, led, say=screen.say)
    near = kept_near(network, first, beside, config, make, held)
    asked = diversify(network, near, several, config, make, say=screen.say)
    store = SoundStore(out, resume=resume, metadata=metadata)
    work = Sounding(network, asked, config, run, init=start, store=store)
    screen.say(
        f"{network.name}: {work.rows} clip{'s' * (work.rows > 1)} of {work.samples / work.spec.rate:g} s at "
        f"{work.spec.rate} Hz, {config.steps} steps, {work.arithmetic.device}"
    )
    stopped = show(work, screen)
    clips = work.clips()
    page = write_sounds(clips, out) if len(clips) else None
    report(clips, page, screen)
    if stopped and not work.complete:
        screen.say(f"interrupted; the clips so far are in {relative(out)}; go on with --resume")
        return INTERRUPTED
    return 0 if any(clip.status == "ok" for clip in clips) else EXIT_FAILED


def show(work: Sounding, screen: Screen) -> bool:
    """Carry out a rendering and show it; True when Ctrl-C ended it early."""
    with Meter(screen, "clip") as meter, stopping(work) as stopped:
        for event in work:
            if isinstance(event, Notice):
                screen.say(event.text)
            elif not isinstance(event, Clip):
                meter.show(event)
            elif event.status == "degenerate":
                screen.say(f"{event.target}: {event.reason}")
            elif event.status == "ok" and event.standing is not None:
                told = advice(event.recipe["target"]["text"], event.standing)
                if told:
                    screen.say(told)
    return bool(stopped)


def start_sound(file: Path, spec: AudioSpec, screen: Screen) -> Tensor:
    """The recording of --init as (c, samples) for a network; says what had to be changed.

    Raises MediaError for what cannot be heard, UsageError for one that is shorter than the network hears at once.
    """
    sound, notes = read_sound(file, rate=spec.rate, channels=spec.channels, longest=LONGEST_RECORDING)
    for note in notes:
        screen.say(note)
    if sound.shape[1] < spec.least:
        raise UsageError(
            f"--init '{file.name}' lasts {sound.shape[1] / spec.rate:g} s, shorter than the "
            f"{spec.least / spec.rate:g} s ({spec.least} samples) that the network hears at once"
        )
    return sound


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
    stands = f"{clip.standing.words()}  " if clip.standing is not None else ""
    return f"{relative(clip.path)}  {clip.target}  activation {clip.activation:.4g}  {stands}{loud}{note}"


def entry(clip: Clip) -> dict[str, Any]:
    """One clip of `--json`."""
    return outcome(clip) | {
        "samples": clip.sound.shape[-1],
        "rate": clip.rate,
        "loudness": clip.loudness if math.isfinite(clip.loudness) else None,
        "peak": clip.peak,
        "standing": asdict(clip.standing) if clip.standing is not None else None,
    }


audio = App(name="audio", help="Sounds for networks that hear.")
audio.command(render)
