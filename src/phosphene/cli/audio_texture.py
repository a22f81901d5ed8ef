"""`phosphene audio texture`: more of a sound, of any length."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.audio.config import SoundTextureConfig
from phosphene.audio.texture import SoundTexturing
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

TextureFlags = Annotated[SoundTextureConfig, Parameter(name="*"), Parameter(group="Sound")]
DEFAULTS = SoundTextureConfig()


def texture(
    recording: Path,
    /,
    *,
    model: Ear = None,
    config: TextureFlags = DEFAULTS,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    checkpoint_every: CheckpointEvery = CHECKPOINT_EVERY,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio-texture"),
    resume: Resume = False,
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Synthesize a sound of the same texture as a recording, of any length, from noise.

    Examples: `phosphene audio texture rain.wav --seconds 20`, `... --seamless` (a loop), `... --seed 1` (another of the
    same), `... --model yamnet`.

    Parameters
    ----------
    recording
        The sound whose texture is wanted: WAV, or FLAC, OGG, MP3, AIFF with the extra "audio"; a minute at most.
    out
        Folder for texture.wav, its recipe and picture, the recording as it was heard, and index.html with players.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    network = open_ear(model, opened)
    work = SoundTexturing(
        network,
        listened(recording, "style", network),
        config,
        RunConfig(device, checkpoint_every=checkpoint_every),
        folder=out,
        resume=resume,
        metadata=metadata,
    )
    return finish(work, show(work, screen, unnamed=model is None), out, "A texture of sound", screen)
