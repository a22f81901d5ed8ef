"""`phosphene audio style`: one recording in the style of another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from phosphene.audio.config import SoundStyleConfig
from phosphene.audio.recording import read
from phosphene.audio.style import SoundStyling
from phosphene.cli.audio_made import Making, MakingFlags

StyleFlags = Annotated[SoundStyleConfig, Parameter(name="*"), Parameter(group="Sound")]
DEFAULTS = SoundStyleConfig()


def style(
    content: Path,
    style_: Annotated[Path, Parameter(name="STYLE")],
    /,
    *,
    config: StyleFlags = DEFAULTS,
    out: Annotated[Path, Parameter(group="Output")] = Path("out/audio-style"),
    making: MakingFlags = Making(),
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
    network = making.open()
    work = SoundStyling(
        network,
        read(content, "content", network),
        read(style_, "style", network),
        config,
        making.run,
        folder=out,
        resume=making.resume,
        metadata=making.metadata,
    )
    return making.carry_out(work, out, "A sound in the style of another")
