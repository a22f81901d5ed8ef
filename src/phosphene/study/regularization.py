"""One unit under every regularization, each picture measured alike (Olah et al., Distill 2017, "The Enemy of Feature
Visualization" and "The Spectrum of Regularization").

    for event in Regularizing(model, "features.12:50", config): ...        then .result()

A picture is the rendering that `render` makes with the settings of its method (`methods.py`), recipe included. Each is
judged by the plain network, from the pixels as they are saved: by the activation on the picture itself, by the mean
activation under random transforms, the same draws for all, and by its spectrum (`spectrum.py`). Last, the gradient is
followed from the unit back to the picture (`gradients.py`), on the views of the picture that does best under them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from phosphene.engine import arithmetic
from phosphene.errors import UsageError
from phosphene.features.events import Notice, Progress
from phosphene.features.measure import BEHIND, measure
from phosphene.features.picture import Picture
from phosphene.features.plan import named
from phosphene.features.render import Rendering
from phosphene.features.store import Store
from phosphene.files import ensure_folder
from phosphene.models import Model
from phosphene.natural import natural
from phosphene.objectives import INPUT, Objective, parse
from phosphene.recipe import RunConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.study.config import RegularizationConfig
from phosphene.study.gradients import gradient_spectra
from phosphene.study.methods import Method, chosen
from phosphene.study.result import Regularized, Study
from phosphene.study.spectrum import excess, matched, natural_power, power, radial
from phosphene.transforms import build

VIEWS = "views"  # whose random numbers the views are: none that any picture was made with
FULL = TransformConfig(relax=1.0)  # the default transforms, at full strength throughout
AT_ONCE = 8  # views in one pass through the network


@dataclass(frozen=True)
class Begun:
    """A method is started. number: from 1; of: how many there are."""

    method: Method
    number: int
    of: int


@dataclass(frozen=True)
class Found:
    """A method's picture is made and measured."""

    entry: Regularized


Event: TypeAlias = Begun | Progress | Notice | Found


def study_regularization(
    model: Model,
    target: str | Objective,
    *,
    size: int | tuple[int, int] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    methods: str | None = None,
    config: RegularizationConfig | None = None,
    run: RunConfig | None = None,
    out: str | Path | None = None,
) -> Study:
    """One unit under no regularization, under each kind, and under the defaults, with the numbers that tell them apart.

    target: one unit, such as "features.12:50" or "logit:goldfish".
    size, steps, seed, methods: in place of the config's own. out: a folder for pictures, sheet and study.json.
    Raises UsageError for a target that is not one unit, and for settings that cannot be; nothing is written then.
    """
    given = (("size", size), ("steps", steps), ("seed", seed), ("methods", methods))
    settings = replace(config or RegularizationConfig(), **{k: v for k, v in given if v is not None})  # type: ignore[arg-type]
    folder = None if out is None else Path(out)
    work = Regularizing(model, target, settings, run or RunConfig(), folder=folder)
    for _ in work:
        pass
    study = work.result()
    if folder is not None:
        study.save(folder)
    return study


class Regularizing:
    """A study as a stream of events; iterate once.

    folder: where pictures are kept, FOLDER/METHOD/NAME.png, if anywhere. resume: go on with what is there. metadata:
    write recipes. `stop()` ends it after the current step; the picture in work is left out of the result.
    Raises UsageError as `study_regularization` does, FileError for a folder that cannot be written.
    """

    def __init__(
        self,
        model: Model,
        target: str | Objective,
        config: RegularizationConfig = RegularizationConfig(),
        run: RunConfig = RunConfig(),
        *,
        folder: Path | None = None,
        resume: bool = False,
        metadata: bool = True,
    ) -> None:
        self.arithmetic = arithmetic(run)
        self.model, self.config, self.run = model, config, run
        self.unit = one_unit(model, target)
        self.methods = chosen(config.methods)
        self.canvas = (
            (config.size, config.size) if isinstance(config.size, int) else config.size or model.picture_spec.size
        )
        measured = None if config.natural is None else natural(config.natural)
        if measured is not None:
            self.config = replace(config, natural=measured.to_text())  # a result outlives its files
        self.expected = natural_power(self.canvas, measured)
        self.folder, self.resume, self.metadata = folder, resume, metadata
        self.entries: list[Regularized] = []
        self._rendering: Rendering | None = None
        self._stopping = False
        self._began = time.perf_counter()
        self._renderings(self.methods[0], self.unit, kept=False)  # raises what is wrong before anything is made
        if folder is not None:
            ensure_folder(folder)

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True
        if self._rendering is not None:
            self._rendering.stop()

    @property
    def complete(self) -> bool:
        """Whether every method has its picture."""
        return len(self.entries) == len(self.methods)

    def __iter__(self) -> Iterator[Event]:
        total = len(self.methods) * self.config.steps
        for number, method in enumerate(self.methods):
            if self._stopping:
                return
            yield Begun(method, number + 1, len(self.methods))
            weight = self._weight(method)
            self._rendering = rendering = self._renderings(method, method.target(self.unit, weight), kept=True)
            for event in rendering:
                if isinstance(event, Progress):
                    yield replace(event, done=number * self.config.steps + event.done, total=total)
                elif isinstance(event, Notice):
                    yield event
            if not rendering.complete:
                return
            self.entries.append(self._measured(method, weight, rendering.sheet()[0]))
            yield Found(self.entries[-1])

    def result(self) -> Study:
        """What was found so far. Raises UsageError when no picture is finished."""
        if not self.entries:
            raise UsageError("the study was stopped before its first picture was done")
        best = max(self.entries, key=lambda entry: entry.robust if math.isfinite(entry.robust) else -math.inf)
        way = gradient_spectra(self.model, self.views(best.picture.pixels), self.unit)
        return Study(
            model=self.model.name,
            target=str(named(self.unit, self.model)),
            config=replace(self.config, size=self.canvas),
            entries=tuple(self.entries),
            gray=self._gray(),
            expected=radial(self.expected),
            gradients=way.layers,
            gradients_on=best.method.name,
            without_gradient=way.left_out,
            device=self.arithmetic.device.type,
            precision=self.arithmetic.precision,
            seconds=round(time.perf_counter() - self._began, 3),
        )

    def views(self, pixels: Tensor) -> Tensor:
        """(v, c, h, w) random views of a picture (c, h, w): the same draws for every picture of the study."""
        transform = build(FULL, size=self.canvas, steps=self.config.views, channels=len(pixels))
        drawn = Generators(self.config.seed, [VIEWS])
        return torch.cat([transform(pixels[None], transform.draw(drawn, i))[0] for i in range(self.config.views)])

    def _renderings(self, method: Method, target: Objective, *, kept: bool) -> Rendering:
        settings = method.config(self.canvas, self.config.steps, self.config.seed)
        store = None
        if kept and self.folder is not None:
            store = Store(self.folder / method.name, resume=self.resume, metadata=self.metadata)
        return Rendering(self.model, [target], settings, self.run, store=store)

    def _weight(self, method: Method) -> float:
        """The weight of a method's price, from the picture without regularization; 0 where there is no price."""
        if method.price is None:
            return 0.0
        first = self.entries[0].picture
        price = float(method.price({INPUT: first.pixels[None]}, torch.zeros(1, dtype=torch.int64)))
        return method.weight(first.activation - self._gray(), price)

    def _gray(self) -> float:
        pixels = torch.full((self.model.picture_spec.channels, *self.canvas), BEHIND)
        return measure(self.model, pixels, self.unit).value

    def _measured(self, method: Method, weight: float, picture: Picture) -> Regularized:
        found = power(picture.pixels)
        return Regularized(
            method=method,
            weight=weight,
            picture=picture,
            robust=self._robust(picture.pixels),
            excess=excess(found, self.expected),
            spectrum=radial(found),
            natural=radial(matched(found, self.expected)),
        )

    def _robust(self, pixels: Tensor) -> float:
        """The mean activation over the views of a picture (c, h, w), by the plain network."""
        total = 0.0
        with torch.no_grad():
            for some in torch.split(self.views(pixels), AT_ONCE):
                acts = self.model.activations(some.to(self.model.device), self.unit.layers)
                total += float(self.unit(acts, torch.arange(len(some), device=self.model.device)).sum())
        return total / self.config.views


def one_unit(model: Model, target: str | Objective) -> Objective:
    """The target bound to a network; raises UsageError for anything but one unit of it."""
    bound = (parse(target) if isinstance(target, str) else target).bind(model)
    if bound.children or bound.regularizes or bound.rows != 1 or not bound.layers - {INPUT}:
        raise UsageError(f"this study is of one unit, such as features.12:50 or logit:goldfish; got {target}")
    return bound
