"""One recording in the style of another: what happens when of the one, what it sounds like of the other.

    loss = content_weight * |F - P|^2 / |P|^2 + style_weight * |G - A|^2 / |A|^2      each a mean over its layers

F, P are features of the sound and of the content, position by position, G, A Gram matrices of the sound and of the
style (Gatys et al. 2015, arXiv 1508.06576, for pictures; Ulyanov and Lebedev 2016 for sounds). The sound is as long as
the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from phosphene.audio.config import SoundStyleConfig
from phosphene.audio.measures import held_out, spectral_distance
from phosphene.audio.recording import Recording, Source, read
from phosphene.audio.sound import Sound
from phosphene.audio.synthesis import Piece, Synthesis
from phosphene.audio.terms import CONTENT, STYLE, content_term, layers_of, style_term
from phosphene.audio.texture import like
from phosphene.models import Model, load, style_layers
from phosphene.models.random_sound import NAME
from phosphene.recipe import RunConfig, to_json

KIND = "sound-style"  # of its recipes


class SoundStyling(Synthesis):
    """The transfer of one style as a stream of events; iterate once. Parameters as those of `Synthesis`."""

    def __init__(
        self,
        model: Model,
        content: Recording,
        style: Recording,
        config: SoundStyleConfig,
        run: RunConfig,
        *,
        name: str = "style",
        folder: Path | None = None,
        resume: bool = False,
        metadata: bool = True,
    ) -> None:
        own_content, own_style = style_layers(model)
        contents, styles = (
            layers_of(config.content_layers, [own_content], model),
            layers_of(config.style_layers, own_style, model),
        )
        terms = {}
        if config.content_weight:
            terms[CONTENT] = content_term(contents, CONTENT, config.content_weight, model)
        if config.style_weight:
            terms[STYLE] = style_term(styles, config.statistic, config.style_weight, model)
        method = {**to_json(config), "content_layers": ",".join(contents), "style_layers": ",".join(styles)}
        start = content.heard if config.start == "content" else None
        piece = Piece(name, terms, content.samples, method, frozenset({CONTENT}), start)
        notes = [f"content of {model.name} at {', '.join(contents)}; style at {', '.join(styles)}"]
        super().__init__(
            model,
            KIND,
            [piece],
            {CONTENT: content, STYLE: style},
            config,
            run,
            folder=folder,
            resume=resume,
            metadata=metadata,
            notes=notes,
        )

    def measured(self, sound: Tensor) -> dict[str, Any]:
        content, style = self.recordings[CONTENT].sound, self.recordings[STYLE].sound
        before = held_out(content[:1], style[:1])
        return {
            **like(sound, style, self.rate),
            "held_out_of_content": None if before is None else before.data(),
            "content_spectral_distance": spectral_distance(sound, content),
        }

    def result(self) -> Sound:
        """The sound; for use after the last event."""
        return self.sounds[0]


def sound_style_transfer(
    content: Source,
    style: Source,
    *,
    model: Model | None = None,
    content_weight: float = SoundStyleConfig.content_weight,
    style_weight: float = SoundStyleConfig.style_weight,
    steps: int = SoundStyleConfig.steps,
    seed: int = SoundStyleConfig.seed,
    start: Literal["content", "noise"] = SoundStyleConfig.start,
    statistic: Literal["gram", "moments"] = SoundStyleConfig.statistic,
    content_layers: Sequence[str] | None = None,
    style_layers: Sequence[str] | None = None,
    seamless: bool = SoundStyleConfig.seamless,
    run: RunConfig | None = None,
) -> Sound:
    """One recording in the style of another, as long as the first.

    content, style: files, or (channels, samples) in [-1, 1] at the network's rate. model: `random_sound`, an ear that
    was never trained, where none is given. start: "content" or "noise".
    Raises UsageError for what cannot be meant, MediaError for a file that is no sound.
    """
    network = model or load(NAME)
    named = [None if layers is None else ",".join(layers) for layers in (content_layers, style_layers)]
    config = SoundStyleConfig(
        content_weight=content_weight,
        style_weight=style_weight,
        steps=steps,
        seed=seed,
        start=start,
        statistic=statistic,
        content_layers=named[0],
        style_layers=named[1],
        seamless=seamless,
    )
    recordings = (read(content, CONTENT, network), read(style, STYLE, network))
    work = SoundStyling(network, *recordings, config, run or RunConfig())
    for _ in work:
        pass
    return work.result()
