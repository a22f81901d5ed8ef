"""`phosphene audio reconstruct`: what each layer of a network that hears keeps of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.audio.config import SoundReconstructConfig
from phosphene.audio.reconstruct import SoundReconstructing
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

ReconstructFlags = Annotated[SoundReconstructConfig, Parameter(name="*"), Parameter(group="Sound")]
DEFAULTS = SoundReconstructConfig()


def reconstruct(
    recording: Path,
    /,
    *,
    model: Ear = None,
    config: ReconstructFlags = DEFAULTS,
    opened: NetworkFlags = Network(),
    device: Device = RunConfig.device,
    checkpoint_every: CheckpointEvery = CHECKPOINT_EVERY,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio-reconstruct"),
    resume: Resume = False,
    metadata: Metadata = True,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Reconstruct a recording from noise by what each layer keeps of it, shallow to deep.

    Examples: `phosphene audio reconstruct trumpet.wav --model crepe_tiny --layers relu1,relu2,relu4,relu6`.

    Parameters
    ----------
    recording
        The recording.
    out
        Folder for LAYER.wav, recipes and pictures, the recording as it was heard, and index.html with players.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    network = open_ear(model, opened)
    work = SoundReconstructing(
        network,
        listened(recording, "original", network),
        config,
        RunConfig(device, checkpoint_every=checkpoint_every),
        folder=out,
        resume=resume,
        metadata=metadata,
    )
    return finish(work, show(work, screen, unnamed=model is None), out, f"What {network.name} keeps of a sound", screen)
