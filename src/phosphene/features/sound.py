"""Sounds for units, whole: targets in, measured clips out, as `render.py` does for pictures.

`render_sound` gives Clips. `Sounding` (`sounding.py`) is the same work as a stream of events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from phosphene.features.ahead import AheadConfig, kept_ahead
from phosphene.features.audio_config import AudioConfig
from phosphene.features.clip import Clip, Clips
from phosphene.features.diversity import Make, diversify
from phosphene.features.nearness import NearConfig, kept_near
from phosphene.features.sounding import Sounding, clip_length
from phosphene.models import Model
from phosphene.objectives import Objective
from phosphene.recipe import DiversityConfig, RunConfig


def render_sound(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    *,
    config: AudioConfig | None = None,
    run: RunConfig | None = None,
    diversity: int | Literal["auto"] = DiversityConfig.diversity,
    diversity_weight: float | Literal["auto"] = DiversityConfig.diversity_weight,
    init: Tensor | None = None,
    near: str | None = None,
    near_weight: float = NearConfig.near_weight,
    ahead: float | None = AheadConfig.ahead,
) -> Clips:
    """Optimise one clip for every unit of the targets, as `phosphene audio render` does.

    targets: text such as "logit:Whistling" or "logit:228 - 0.1*tvtime", objectives, or several of either.
    diversity, diversity_weight: so many clips of each unit, which differ, and how much (`DiversityConfig`). init: a
    sound (channels, samples) in [-1, 1] at the network's rate to start from. near, near_weight: a layer in whose
    features the clips stay near that one, and how much (`NearConfig`). ahead: weight at which clips for logit:CLASS are
    also to be ahead of other classes (`AheadConfig`); what came out is in the `target` of each clip.
    Raises UsageError for a network that sees, and for targets, lengths or numbers that cannot be.
    """
    settings, machine = config or AudioConfig(), run or RunConfig()
    make = unheard(model, machine, init)
    _, start = clip_length(model.audio_spec, settings, init)
    asked = kept_ahead(model, targets, AheadConfig(ahead))
    asked = kept_near(model, asked, NearConfig(near, near_weight), settings, make, start)
    asked = diversify(model, asked, DiversityConfig(diversity, diversity_weight), settings, make)
    work = Sounding(model, asked, settings, machine, init=init)
    for _ in work:
        pass
    return work.clips()


def unheard(model: Model, run: RunConfig, init: Tensor | None = None) -> Make[AudioConfig]:
    """Renders targets and keeps nothing: what `diversify` and `kept_near` measure with."""

    def make(targets: Sequence[Objective], config: AudioConfig) -> Sequence[Clip]:
        work = Sounding(model, targets, config, run, init=init)
        for _ in work:
            pass
        return work.clips().clips

    return make
