"""More of a sound, of any length, from noise: one whose statistics are those of a recording.

    loss = mean over layers of |G - A|^2 / |A|^2      G, A: Gram matrices of the sound and of the recording

Nothing in it says when anything is, so another seed gives another sound of the same texture (Ulyanov and Lebedev 2016;
Antognini et al. 2018, arXiv 1806.08002; for pictures Gatys et al. 2015, arXiv 1505.07376). With `moments` it is the
Wasserstein-2 distance of Gaussians. How much of the recording is simply repeated is measured, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from phosphene.audio.config import SoundTextureConfig
from phosphene.audio.measures import copying, held_out, white_noise, with_spectrum
from phosphene.audio.recording import Recording, Source, read
from phosphene.audio.sound import Sound
from phosphene.audio.synthesis import START, Piece, Synthesis
from phosphene.audio.terms import STYLE, layers_of, style_term
from phosphene.models import Model, load, style_layers
from phosphene.models.random_sound import NAME
from phosphene.recipe import RunConfig, to_json

KIND = "sound-texture"  # of its recipes


class SoundTexturing(Synthesis):
    """The synthesis of one texture as a stream of events; iterate once. Parameters as those of `Synthesis`."""

    def __init__(
        self,
        model: Model,
        recording: Recording,
        config: SoundTextureConfig,
        run: RunConfig,
        *,
        name: str = "texture",
        folder: Path | None = None,
        resume: bool = False,
        metadata: bool = True,
    ) -> None:
        layers = layers_of(config.style_layers, style_layers(model)[1], model)
        rate = model.audio_spec.rate
        samples = recording.samples if config.seconds is None else round(config.seconds * rate)
        method = {**to_json(config), "seconds": samples / rate, "style_layers": ",".join(layers)}
        start = None
        if config.start == "spectrum":
            noise = white_noise((model.audio_spec.channels, samples), config.seed, START)
            start = with_spectrum(noise, recording.heard)
        piece = Piece(name, {STYLE: style_term(layers, config.statistic, 1.0, model)}, samples, method, start=start)
        notes = [f"style layers of {model.name}: {', '.join(layers)}"]
        super().__init__(
            model,
            KIND,
            [piece],
            {STYLE: recording},
            config,
            run,
            folder=folder,
            resume=resume,
            metadata=metadata,
            notes=notes,
        )

    def measured(self, sound: Tensor) -> dict[str, Any]:
        return like(sound, self.recordings[STYLE].sound, self.rate)

    def result(self) -> Sound:
        """The texture; for use after the last event."""
        return self.sounds[0]


def like(sound: Tensor, recording: Tensor, rate: int) -> dict[str, Any]:
    """How like a recording (c, m) a sound (c, n) is to an ear with other filters, and how much of it was copied."""
    judged = held_out(sound[:1], recording[:1])
    chance = with_spectrum(white_noise((1, sound.shape[-1])), recording)
    return {
        "held_out": None if judged is None else judged.data(),
        "copying": copying(sound, recording, rate),
        "copying_of_noise": copying(chance, recording, rate),
    }


def sound_texture(
    recording: Source,
    *,
    model: Model | None = None,
    seconds: float | None = None,
    steps: int = SoundTextureConfig.steps,
    seed: int = SoundTextureConfig.seed,
    start: Literal["spectrum", "white"] = SoundTextureConfig.start,
    statistic: Literal["gram", "moments"] = SoundTextureConfig.statistic,
    layers: Sequence[str] | None = None,
    seamless: bool = SoundTextureConfig.seamless,
    run: RunConfig | None = None,
) -> Sound:
    """A sound of the same texture as a recording, of any length, from noise.

    recording: a file, or (channels, samples) in [-1, 1] at the network's rate. model: `random_sound`, an ear that was
    never trained, where none is given. seconds: length, that of the recording if None. start: noise with
    its "spectrum", or "white". seamless: make a loop.
    Raises UsageError for what cannot be meant, MediaError for a file that is no sound.
    """
    network = model or load(NAME)
    config = SoundTextureConfig(
        seconds=seconds,
        steps=steps,
        seed=seed,
        start=start,
        statistic=statistic,
        style_layers=None if layers is None else ",".join(layers),
        seamless=seamless,
    )
    work = SoundTexturing(network, read(recording, STYLE, network), config, run or RunConfig())
    for _ in work:
        pass
    return work.result()
