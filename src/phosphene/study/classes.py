"""Four ways to ask for a class, measured: logit, log-probability, probability, margin.

Olah et al. 2017 (Feature Visualization, Distill) ask for a class by its logit, since the easiest way to raise its
probability is often to make the others unlikely. This study measures whether it is: along each optimisation the plain
network is shown the untransformed picture, rounded to 8 bits, and what it gains is split into what came from the class
and what from the others (`split.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from phosphene.contact import MAX_PICTURES
from phosphene.errors import UsageError
from phosphene.features.batch import parts, visible
from phosphene.features.events import Done, Event, Progress
from phosphene.features.plan import kept_steps
from phosphene.features.render import Rendering
from phosphene.features.store import Store
from phosphene.models import Model
from phosphene.objectives import OUTPUT, Classes, Logit, LogProbability, Margin, Probability
from phosphene.recipe import RenderConfig, RunConfig
from phosphene.signals import Signal
from phosphene.study.finding import QUESTIONS, Asked, ClassStudy, Finding
from phosphene.study.split import Answer, read

POINTS = 32  # of each path: they crowd where the picture changes fast, early
MOST = MAX_PICTURES // len(QUESTIONS)  # classes whose pictures one sheet holds
KINDS: dict[str, type[Classes]] = {
    "logit": Logit,
    "logprob": LogProbability,
    "prob": Probability,
    "margin": Margin,
}


@dataclass(frozen=True)
class Measured:
    """What the plain network says of a picture on its way. index: the class. steps: done so far, 0 for the start."""

    question: str
    index: int
    steps: int
    answer: Answer


class StudyingClasses:
    """A study as a stream of events, those of a `Rendering` and `Measured`; iterate once.

    classes: names or numbers; each counts once. store: where the pictures go. Construction checks everything that can
    be wrong: UsageError for a network without classes, UnknownNameError for a class that it does not have.
    """

    def __init__(
        self,
        model: Model,
        classes: Sequence[str | int],
        config: RenderConfig = RenderConfig(),
        run: RunConfig = RunConfig(),
        *,
        store: Store | None = None,
    ) -> None:
        refuse_classless(model)
        if not classes:
            raise UsageError("no class to study: name one, such as 0")
        if config.signal.alpha or config.signal.transparency:
            raise UsageError(
                "a network sees no transparency, so its answers would be about another picture; "
                "leave alpha and transparency out"
            )
        self.model = model
        self.chosen = tuple(dict.fromkeys(model.find_class(name) for name in classes))
        if len(self.chosen) > MOST:
            raise UsageError(f"a study compares {MOST} classes at most, got {len(self.chosen)}")
        targets = [KINDS[question](self.chosen) for question in QUESTIONS]
        self.rendering = Rendering(model, targets, config, replace(run, checkpoint_every=0), store=store)
        self._store = store
        self.asked = [(question, index) for question in QUESTIONS for index in self.chosen]
        self.paths: list[dict[int, Answer]] = [{} for _ in self.asked]
        self._due = kept_steps((), POINTS, config.steps)

    def stop(self) -> None:
        """End after the current step."""
        self.rendering.stop()

    @property
    def complete(self) -> bool:
        """Whether every picture is there and none was interrupted."""
        return self.rendering.complete

    def __iter__(self) -> Iterator[Event | Measured]:
        yield from self._starts()
        finished = 0
        for event in self.rendering:
            if isinstance(event, Progress) and event.step.i in self._due and isinstance(event.step.signal, Signal):
                pictures, _ = visible(event.step.signal)
                for place, picture in zip(event.places, pictures, strict=False):  # padding has no place
                    yield self._measure(place, event.step.i, picture)
            elif isinstance(event, Done):
                yield self._measure(finished, event.picture.steps, event.picture.pixels)
                finished += 1
            yield event
        if self._store is not None and not self.complete:
            self._store.clear()  # a study starts anew

    def result(self) -> ClassStudy:
        """What was found; no finding before every picture is there."""
        sheet = self.rendering.sheet()
        count = len(self.chosen)
        findings = tuple(
            Finding(index, self.model.label(index), tuple(self._asked(q * count + i) for q in range(len(QUESTIONS))))
            for i, index in enumerate(self.chosen)
            if self.complete
        )
        names = tuple(map(self.model.label, range(self.model.layers[OUTPUT].channels)))
        return ClassStudy(self.model.name, names, findings, sheet)

    def _asked(self, place: int) -> Asked:
        return Asked(self.asked[place][0], self.rendering.sheet()[place], tuple(sorted(self.paths[place].items())))

    def _starts(self) -> Iterator[Measured]:
        """What the network says of the noise that each picture starts from."""
        plan, place = self.rendering.plan, 0
        for group in plan.groups:
            signal, _ = parts(plan, group, group.rows, None, torch.device("cpu"))
            for picture in visible(signal)[0]:
                yield self._measure(place, 0, picture)
                place += 1

    def _measure(self, place: int, steps: int, picture: Tensor) -> Measured:
        question, index = self.asked[place]
        answer = read(logits(self.model, picture), index)
        self.paths[place][steps] = answer
        return Measured(question, index, steps, answer)


def logits(model: Model, picture: Tensor) -> Tensor:
    """(classes,) of a picture (c, h, w), by the network as it is."""
    with torch.no_grad():
        return model.activations(picture[None].to(model.device, torch.float32), [OUTPUT])[OUTPUT][0]


def refuse_classless(model: Model) -> None:
    """Raises UsageError for a network that does not answer with one number for each of several classes."""
    output = model.layers.get(OUTPUT)
    if output is None or output.layout != "vector" or output.channels < 2:
        raise UsageError(f"{model.name} does not answer with classes: there is no probability to study")


def study_class(
    model: Model,
    classes: str | int | Sequence[str | int],
    *,
    size: int | tuple[int, int] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    config: RenderConfig | None = None,
    run: RunConfig | None = None,
    out: str | Path | None = None,
) -> ClassStudy:
    """Ask for each class by its logit, log-probability, probability and margin, and measure what each way raised.

    classes: names or numbers. size, steps, seed: in place of the config's own. out: a folder for the pictures,
    sheet.png and study.json; it also holds those that were finished before a Ctrl-C. Raises UsageError for a network
    without classes and for numbers that cannot be, UnknownNameError for a class that there is not; nothing is computed
    or written then.
    Source: Olah et al. 2017, Feature Visualization (Distill).
    """
    given = {name: value for name, value in (("size", size), ("steps", steps), ("seed", seed)) if value is not None}
    settings = replace(config or RenderConfig(), **given)  # type: ignore[arg-type]
    names = [classes] if isinstance(classes, (str, int)) else list(classes)
    store = Store(out) if out is not None else None
    work = StudyingClasses(model, names, settings, run or RunConfig(), store=store)
    for _ in work:
        pass
    study = work.result()
    return study if out is None else study.save(out)
