"""Feature visualization, whole: targets in, measured pictures out.

`render` gives a Sheet. `Rendering` (`rendering.py`) is the same work as a stream of events, for whoever shows it as it
happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from torch import Tensor

from phosphene.features.diversity import Make, diversify
from phosphene.features.events import Done as Done
from phosphene.features.events import Event as Event
from phosphene.features.events import Notice as Notice
from phosphene.features.events import Progress as Progress
from phosphene.features.nearness import NearConfig, kept_near
from phosphene.features.picture import Picture, Sheet
from phosphene.features.references import used
from phosphene.features.rendering import Rendering as Rendering
from phosphene.features.store import Store
from phosphene.models import Model
from phosphene.objectives import Objective
from phosphene.recipe import DiversityConfig, RenderConfig, RunConfig


def render(
    model: Model,
    targets: str | Objective | Sequence[str | Objective],
    *,
    size: int | tuple[int, int] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    diversity: int | Literal["auto"] | None = None,
    diversity_weight: float | Literal["auto"] | None = None,
    near: str | None = None,
    near_weight: float | None = None,
    config: RenderConfig | None = None,
    run: RunConfig | None = None,
    init: Tensor | None = None,
    references: Mapping[str, Tensor] | None = None,
    snapshots: Sequence[int] = (),
    frames: int = 0,
    out: str | Path | None = None,
) -> Sheet:
    """Optimise one picture for every unit of the targets.

    targets: text such as "features.12:0..15 - 0.05*tv", objectives, or several of either. size, steps, seed: in
    place of the config's own. diversity, diversity_weight: so many pictures of each unit, which differ, and how much
    (`DiversityConfig`). init: a picture (c, h, w) in [0, 1] to start from. near, near_weight: a layer in whose features
    the pictures stay near that one, and how much (`NearConfig`). references: pictures (c, h, w) that statistics in the
    targets look at, by name; "" serves under every other name. snapshots: steps whose pictures are kept;
    frames: how many evenly spaced ones. out: a folder to write to.
    Interrupted (Ctrl-C), it gives the pictures as they are, with status "interrupted".
    Raises UsageError for targets, sizes or numbers that cannot be; nothing is computed or written then.
    """
    given = {name: value for name, value in (("size", size), ("steps", steps), ("seed", seed)) if value is not None}
    settings = replace(config or RenderConfig(), **given)  # type: ignore[arg-type]
    usual = DiversityConfig()
    wanted = DiversityConfig(
        usual.diversity if diversity is None else diversity,
        usual.diversity_weight if diversity_weight is None else diversity_weight,
    )
    machine = run or RunConfig()
    make = quietly(model, machine, init, references)
    beside = NearConfig(near, NearConfig.near_weight if near_weight is None else near_weight)
    asked = kept_near(model, targets, beside, settings, make, init)
    asked = diversify(model, asked, wanted, settings, make)
    store = Store(out) if out is not None else None
    rendering = Rendering(
        model,
        asked,
        settings,
        machine,
        init=init,
        references=references,
        snapshots=snapshots,
        frames=frames,
        store=store,
    )
    try:
        for _ in rendering:
            pass
    except KeyboardInterrupt:
        rendering.keep_unfinished()
    sheet = rendering.sheet()
    if store is not None and len(sheet):
        sheet.save(store.folder / "sheet.png")
    return sheet


def quietly(
    model: Model, run: RunConfig, init: Tensor | None, references: Mapping[str, Tensor] | None = None
) -> Make[RenderConfig]:
    """Renders targets and keeps nothing: what `diversify` and `kept_near` measure with."""

    def make(targets: Sequence[Objective], config: RenderConfig) -> Sequence[Picture]:
        seen = used(targets, references)
        rendering = Rendering(model, targets, config, replace(run, checkpoint_every=0), init=init, references=seen)
        for _ in rendering:
            pass
        return rendering.sheet().pictures

    return make
