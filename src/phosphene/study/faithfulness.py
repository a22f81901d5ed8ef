"""Can the optimized picture of a unit be trusted? Four questions, each answered by numbers.

    for event in StudyingFaithfulness(model, "features.12:50", "photographs"): ...        then .result()

1. Is the unit more active on it than on the best natural picture? (`responses.py`)
2. Does it take the road of natural pictures through the network? Geirhos et al. 2023, arXiv 2306.04719 (`path.py`)
3. Does even the weakest of nine pictures that differ beat the best natural one? Zimmermann et al. 2023,
   arXiv 2307.05471, whose optimization is run until it does.
4. Does the unit's counterpart in another network answer to it? (`transfer.py`)

All activations are those of the plain network on the 8-bit picture, without transforms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from phosphene.engine import arithmetic
from phosphene.errors import UsageError
from phosphene.examples.data import Subset, open_data
from phosphene.examples.header import ModelHeader
from phosphene.examples.index import Index
from phosphene.features.diversity import diversify
from phosphene.features.events import Event, Notice
from phosphene.features.picture import Picture
from phosphene.features.plan import plan
from phosphene.features.render import Rendering
from phosphene.features.store import Store
from phosphene.files import ensure_folder
from phosphene.models import Model
from phosphene.objectives import Channel, Logit, Neuron, Objective
from phosphene.objectives.units import Units
from phosphene.recipe import DiversityConfig, RenderConfig, RunConfig
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.judge import judged, unasked
from phosphene.study.regularization import one_unit
from phosphene.study.responses import Responses, candidates, respond
from phosphene.study.transfer import FEWEST
from phosphene.study.trust import Trust


@dataclass(frozen=True)
class Looked:
    """So many natural pictures were read. total: to read in all."""

    done: int
    total: int


Happened: TypeAlias = Event | Looked


class StudyingFaithfulness:
    """A study as a stream of events, those of a `Rendering` and `Looked`; iterate once, then `result()`.

    target: one channel, neuron or class. data: natural pictures, whatever `open_data` takes. index: of a scan of that
    data by this network; then only the pictures that it names for the unit are read. others: networks that the picture
    is shown to. folder: where pictures go, if anywhere. Raises UsageError for any other target and for settings that
    cannot be, IndexFileError for an index of another network; nothing is computed or written then.
    """

    def __init__(
        self,
        model: Model,
        target: str | Objective,
        data: Any,
        *,
        index: Index | None = None,
        others: Sequence[Model] = (),
        ask: FaithfulnessConfig = FaithfulnessConfig(),
        config: RenderConfig = RenderConfig(),
        run: RunConfig = RunConfig(),
        folder: str | Path | None = None,
        metadata: bool = True,
    ) -> None:
        self.arithmetic = arithmetic(run)
        self.unit = trusted_unit(model, target)
        if config.signal.alpha or config.signal.transparency:
            raise UsageError("a natural picture has no transparency to compare with; leave alpha and transparency out")
        if index is not None:
            index.header.model.check(ModelHeader.of(model), "the index")
        self.model, self.others, self.ask, self.config = model, tuple(others), ask, config
        self.run = replace(run, checkpoint_every=0)
        for other in self.others:
            _ = other.picture_spec  # raises for one that hears
        opened = open_data(data, size=max(model.picture_spec.size), seed=config.seed)
        self.data = candidates(Subset(opened, ask.limit) if ask.limit and index is None else opened, index, self.unit)
        if self.others and len(self.data) < FEWEST:
            raise UsageError(f"a counterpart is looked for in {FEWEST} pictures or more, got {len(self.data)}")
        plan(model, [self.unit], config)
        self.undefined = unasked(model, self.unit, self.ask)
        self.folder, self.metadata = None if folder is None else Path(folder), metadata
        self.natural: Responses | None = None
        self.pictures: tuple[Picture, ...] = ()
        self.complete = False
        self._rendering: Rendering | None = None
        self._stopping = False
        self._began = time.perf_counter()
        if self.folder is not None:
            ensure_folder(self.folder)

    def stop(self) -> None:
        """End after the current step; there is no result then."""
        self._stopping = True
        if self._rendering is not None:
            self._rendering.stop()

    def __iter__(self) -> Iterator[Happened]:
        yield from self._look()
        if self._stopping:
            return
        targets: list[str | Objective] = [self.unit]
        if "family" not in self.undefined:
            yield Notice(f"measuring how far the unit rises, for {self.ask.pictures} pictures that differ")
            targets += diversify(self.model, self.unit, DiversityConfig(self.ask.pictures), self.config, self._quietly)
        if self._stopping:
            return
        store = None if self.folder is None else Store(self.folder, metadata=self.metadata)
        self._rendering = Rendering(self.model, targets, self.config, self.run, store=store)
        yield from self._rendering
        self.pictures = self._rendering.sheet().pictures
        self.complete = self._rendering.complete and not self._stopping
        if store is not None and not self.complete:
            store.clear()  # a study starts anew

    def result(self) -> Trust:
        """What was found. Raises UsageError for a study that was stopped."""
        if not self.complete or self.natural is None:
            raise UsageError("the study was stopped before its pictures were done")
        return judged(
            self.model,
            self.unit,
            self.natural,
            self.pictures,
            others=self.others,
            ask=self.ask,
            seed=self.config.seed,
            undefined=self.undefined,
            arithmetic=self.arithmetic,
            seconds=round(time.perf_counter() - self._began, 3),
        )

    def _look(self) -> Iterator[Looked]:
        """Read the natural pictures."""
        work = respond(self.model, self.data, self.unit)
        for done in work:
            if isinstance(done, Responses):
                self.natural = done
            else:
                yield Looked(done, len(self.data))
            if self._stopping:
                return

    def _quietly(self, targets: Sequence[Objective], config: RenderConfig) -> Sequence[Picture]:
        self._rendering = Rendering(self.model, targets, config, self.run)
        for _ in self._rendering:
            pass
        return self._rendering.sheet().pictures


def trusted_unit(model: Model, target: str | Objective) -> Units:
    """The target bound to a network; UsageError for anything but one channel, neuron or class by its logit."""
    bound = one_unit(model, target)
    if not isinstance(bound, (Channel, Neuron, Logit)):
        raise UsageError(
            f"faithfulness is asked of a channel (features.12:50), a neuron (features.12:50@3,5) or a class "
            f"(logit:goldfish); got {target}"
        )
    return bound


def study_faithfulness(
    model: Model,
    target: str | Objective,
    data: Any,
    *,
    index: Index | str | Path | None = None,
    others: Sequence[Model] = (),
    size: int | tuple[int, int] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    ask: FaithfulnessConfig | None = None,
    config: RenderConfig | None = None,
    run: RunConfig | None = None,
    out: str | Path | None = None,
) -> Trust:
    """Whether the optimized picture of a unit can be trusted: four questions, answered by numbers.

    target: one channel, neuron or class, such as "features.12:50" or "logit:goldfish". data: natural pictures, a folder
    or whatever `open_data` takes. index: of a scan of that data; then only the pictures that it names are read. others:
    networks that the picture is shown to. size, steps, seed: in place of the config's own. ask: what is compared
    (`FaithfulnessConfig`). out: a folder for pictures, sheet.png and study.json.
    Raises UsageError for a target that is no such unit and for settings that cannot be; nothing is written then.
    Source: Geirhos et al. 2023 (arXiv 2306.04719), Zimmermann et al. 2023 (arXiv 2307.05471).
    """
    given = {name: value for name, value in (("size", size), ("steps", steps), ("seed", seed)) if value is not None}
    settings = replace(config or RenderConfig(), **given)  # type: ignore[arg-type]
    loaded = Index.load(index, model=model) if isinstance(index, (str, Path)) else index
    work = StudyingFaithfulness(
        model,
        target,
        data,
        index=loaded,
        others=others,
        ask=ask or FaithfulnessConfig(),
        config=settings,
        run=run or RunConfig(),
        folder=out,
    )
    for _ in work:
        pass
    study = work.result()
    if out is not None:
        study.save(out)
    return study
