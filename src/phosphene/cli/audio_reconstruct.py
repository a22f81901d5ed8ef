"""`phosphene audio reconstruct`: what each layer of a network that hears keeps of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.audio.config import SoundReconstructConfig
from phosphene.audio.reconstruct import SoundReconstructing
from phosphene.audio.recording import read
from phosphene.cli.audio_made import Making, MakingFlags

ReconstructFlags = Annotated[SoundReconstructConfig, Parameter(name="*"), Parameter(group="Sound")]
DEFAULTS = SoundReconstructConfig()


def reconstruct(
    recording: Path,
    /,
    *,
    config: ReconstructFlags = DEFAULTS,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio-reconstruct"),
    making: MakingFlags = Making(),
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
    network = making.open()
    work = SoundReconstructing(
        network,
        read(recording, "original", network),
        config,
        making.run,
        folder=out,
        resume=making.resume,
        metadata=making.metadata,
    )
    return making.carry_out(work, out, f"What {network.name} keeps of a sound")
