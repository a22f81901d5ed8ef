"""Sounds that a network which hears listens for, where the weights of one are on this machine.

Source: Kim et al. 2018, arXiv 1802.06182 (CREPE); Plakal and Ellis 2020 (YAMNet).
"""

from __future__ import annotations

from phosphene.demo.piece import Piece, Stage, Work, short
from phosphene.demo.sounded import SoundTake
from phosphene.features.audio_config import SoundSignal
from phosphene.models import load
from phosphene.models.weights import cached_weights
from phosphene.reports.sound import sound_figure

STEPS = 128  # YAMNet's birds call and its siren goes up and down by then
COST = 250  # picture-steps of a rendering at the usual size that take as long, by minivgg
CLASSES = ("Bird", "Speech", "Siren")  # of YAMNet, whose clips differ most to the eye
# networks that hear, what is asked of them (kinds of sound, an octave, a voice), and the signal that suits it
WANTED: dict[str, tuple[tuple[str, ...], SoundSignal]] = {
    "yamnet": (tuple(f"logit:{name} + margin:{name}" for name in CLASSES), "modulated"),
    "crepe_tiny": (("logit:168", "logit:228"), "stft"),
    "silero_vad_16k": (("logit:speech",), "stft"),
}


def make(stage: Stage) -> Work:
    """Clips for a few units of the first such network, each with a player."""
    name = next((name for name in WANTED if cached_weights(name) is not None), None)
    if name is None:
        return PIECE.section(
            note="No network that hears is on this machine. Put the weights of one, such as crepe_tiny.safetensors, "
            "into a folder, name it in the variable PHOSPHENE_WEIGHTS, and start the demo again; docs/sound.md says "
            "where they are published.",
        )
    model = load(name)
    targets, signal = WANTED[name]
    if name == "yamnet" and not model.labels:
        targets = ("logit:0", "logit:106")
    take = SoundTake(targets, STEPS, COST, signal)
    clips = yield from take.sound(stage, model)
    figures = [
        sound_figure(clip, stage.page, (clip.target.split(" + ")[0], f"activation {short(clip.activation)}"))
        for clip in clips
    ]
    return PIECE.section(
        text=(
            f"The same for the ear: waves that were changed until {name} responded. Above, the wave; below, its "
            "pitches over time. Turn the volume down before you listen.",
        ),
        figures=tuple(figures),
        commands=(take.command(stage, model),),
        columns=3,
    )


PIECE = Piece("sound", "What a network listens for", COST, make)
