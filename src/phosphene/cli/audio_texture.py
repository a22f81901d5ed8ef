"""`phosphene audio texture`: more of a sound, of any length."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.audio.config import SoundTextureConfig
from phosphene.audio.recording import read
from phosphene.audio.texture import SoundTexturing
from phosphene.cli.audio_made import Making, MakingFlags

TextureFlags = Annotated[SoundTextureConfig, Parameter(name="*"), Parameter(group="Sound")]
DEFAULTS = SoundTextureConfig()


def texture(
    recording: Path,
    /,
    *,
    config: TextureFlags = DEFAULTS,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio-texture"),
    making: MakingFlags = Making(),
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
    network = making.open()
    work = SoundTexturing(
        network,
        read(recording, "style", network),
        config,
        making.run,
        folder=out,
        resume=making.resume,
        metadata=making.metadata,
    )
    return making.carry_out(work, out, "A texture of sound")
