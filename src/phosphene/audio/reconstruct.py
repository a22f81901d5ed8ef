"""What each layer keeps of a recording: sounds from noise that have its features there, shallow to deep.

    loss at a layer = |F - P|^2 / |P|^2, position by position: 0 is the recording, 1 a sound without any features

(Mahendran and Vedaldi 2015, arXiv 1412.0035, for pictures.) How near a sound comes is told twice: by its samples
(signal to noise, after the best gain), which a layer behind a spectrogram cannot keep, and by its spectrum
(log-spectral distance), beside that of white noise.

The start is noise with the spectrum of natural sounds. White noise is mostly high frequencies, to which deep layers are
deaf: they stay, and hide what a layer keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from phosphene.audio.config import SoundReconstructConfig
from phosphene.audio.measures import copying, natural_noise, signal_to_noise, spectral_distance, white_noise
from phosphene.audio.recording import Recording, Source, read
from phosphene.audio.sound import Sound
from phosphene.audio.synthesis import START, Piece, Synthesis
from phosphene.audio.terms import ORIGINAL, content_term, layers_of
from phosphene.display.notebook import heard, row
from phosphene.files import safe_name
from phosphene.media import kept
from phosphene.media.loudness import USUAL
from phosphene.models import Model, load, style_layers
from phosphene.models.random_sound import NAME
from phosphene.recipe import RunConfig, to_json

KIND = "sound-reconstruction"  # of its recipes


class SoundReconstructing(Synthesis):
    """The reconstructions of one recording as a stream of events; iterate once. Parameters as those of `Synthesis`."""

    def __init__(
        self,
        model: Model,
        original: Recording,
        config: SoundReconstructConfig,
        run: RunConfig,
        *,
        folder: Path | None = None,
        resume: bool = False,
        metadata: bool = True,
    ) -> None:
        self.layers = layers_of(config.layers, style_layers(model)[1], model)
        start = natural_noise((model.audio_spec.channels, original.samples), config.seed, START)
        pieces = [
            Piece(
                safe_name(layer),
                {ORIGINAL: content_term([layer], ORIGINAL, 1.0, model)},
                original.samples,
                {**to_json(config), "layers": layer},
                frozenset({ORIGINAL}),
                start,
            )
            for layer in self.layers
        ]
        super().__init__(
            model,
            KIND,
            pieces,
            {ORIGINAL: original},
            config,
            run,
            folder=folder,
            resume=resume,
            metadata=metadata,
            notes=[f"layers of {model.name}: {', '.join(self.layers)}"],
        )

    def measured(self, sound: Tensor) -> dict[str, Any]:
        original = self.recordings[ORIGINAL].sound
        return {
            "signal_to_noise": signal_to_noise(sound, original),
            "spectral_distance": spectral_distance(sound, original),
            "spectral_distance_of_noise": spectral_distance(white_noise((1, original.shape[-1])), original),
            "copying": copying(sound, original, self.rate),
        }

    def result(self) -> SoundReconstructions:
        """What is there so far."""
        return SoundReconstructions(self.recordings[ORIGINAL], self.layers[: len(self.sounds)], tuple(self.sounds))


@dataclass(frozen=True)
class SoundReconstructions:
    """Sounds of one recording, shallow to deep. layers: what each was made from. Iterates, indexes and shows itself."""

    original: Recording
    layers: tuple[str, ...]
    sounds: tuple[Sound, ...]

    def __len__(self) -> int:
        return len(self.sounds)

    def __iter__(self) -> Iterator[Sound]:
        return iter(self.sounds)

    def __getitem__(self, index: int) -> Sound:
        return self.sounds[index]

    def _repr_html_(self) -> str:
        return row(self._shown(), 1 + len(self.sounds) if self.sounds else 0)

    def _shown(self) -> Iterator[str]:
        """The recording, as loud as a sound is where nobody says, and the sounds."""
        for sound in self.sounds[:1]:
            original = kept(self.original.heard, sound.rate, USUAL)
            yield heard(original, sound.rate, self.original.name, [f"recording: {self.original.name}"])
        yield from (sound._repr_html_() for sound in self.sounds)


def sound_reconstruct(
    recording: Source,
    *,
    model: Model | None = None,
    layers: Sequence[str] | None = None,
    steps: int = SoundReconstructConfig.steps,
    seed: int = SoundReconstructConfig.seed,
    run: RunConfig | None = None,
    out: str | Path | None = None,
) -> SoundReconstructions:
    """What each layer of a network keeps of a recording: a sound from noise that has the recording's features there.

    recording: a file, or (channels, samples) in [-1, 1] at the network's rate. model: `random_sound` where none is
    given. out: a folder for the sounds; those that it holds already are not made again. Interrupted (Ctrl-C), it gives
    the sounds that are done. Raises UsageError for what cannot be meant, MediaError for a file that is no sound.
    """
    network = model or load(NAME)
    config = SoundReconstructConfig(steps=steps, seed=seed, layers=None if layers is None else ",".join(layers))
    work = SoundReconstructing(
        network,
        read(recording, ORIGINAL, network),
        config,
        run or RunConfig(),
        folder=None if out is None else Path(out),
        resume=True,
    )
    with suppress(KeyboardInterrupt):
        for _ in work:
            pass
    return work.result()
