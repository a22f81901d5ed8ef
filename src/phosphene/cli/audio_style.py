"""`phosphene audio style`: one recording in the style of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.audio.config import SoundStyleConfig
from phosphene.audio.style import SoundStyling
from phosphene.cli.audio_made import (
    CHECKPOINT_EVERY,
    CheckpointEvery,
    Ear,
    Metadata,
    Resume,
    finish,
    listened,
    open_ear,
    show,
)
from phosphene.cli.console import Screen
from phosphene.cli.options import Json, Network, NetworkFlags, Quiet
from phosphene.cli.reconstruct import Device
from phosphene.recipe import RunConfig

StyleFlags = Annotated[SoundStyleConfig, Parameter(name="*"), Parameter(group="Sound")]
DEFAULTS = SoundStyleConfig()


def style(
    content: Path,
    style_: Annotated[Path, Parameter(name="STYLE")],
    /,
    *,
    model: Ear = None,
    config: StyleFlags = DEFAULTS,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    checkpoint_every: CheckpointEvery = CHECKPOINT_EVERY,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio-style"),
    resume: Resume = False,
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Style transfer of sounds: what happens when of one recording, what it sounds like of another.

    Examples: `phosphene audio style speech.wav vibraphone.wav`, `... --content-weight 1` (more of the content),
    `... --start noise`.

    Parameters
    ----------
    content
        The recording that says what happens when; the result is as long.
    style_
        The recording that says what it sounds like.
    out
        Folder for style.wav, its recipe and picture, the recordings as they were heard, and index.html with players.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    network = open_ear(model, opened)
    work = SoundStyling(
        network,
        listened(content, "content", network),
        listened(style_, "style", network),
        config,
        RunConfig(device, checkpoint_every=checkpoint_every),
        folder=out,
        resume=resume,
        metadata=metadata,
    )
    return finish(work, show(work, screen, unnamed=model is None), out, "A sound in the style of another", screen)
