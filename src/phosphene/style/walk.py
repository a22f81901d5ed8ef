"""A smooth walk along alpha / beta, from nearly the content to nearly the style alone (Gatys et al. 2015, figure 3).

The content weight falls in equal ratios, from `TO_CONTENT` times its own to `TO_STYLE` of it. The first painting goes
up the whole ladder; each further one starts from the one before, at full size alone and with a share of the steps, so
neighbors differ little and a film of them runs smoothly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.api import Event as PainterEvent
from phosphene.style.api import Finished, Painter
from phosphene.style.inputs import Given, Inputs
from phosphene.style.method import method
from phosphene.style.painting import Painting

# The ends of the walk, as factors of the content weight. Measured on a cat and the Starry Night: at the first hardly
# anything but colors has changed, and beyond the last nothing does.
TO_CONTENT, TO_STYLE = 1000.0, 1 / 30
STEPS_SHARE = 3  # a further frame takes the steps of a scale divided by this: it has a short way to go


@dataclass(frozen=True)
class FrameBegun:
    """A frame begins. number: from 1. weight: of the content."""

    number: int
    of: int
    weight: float
    painter: Painter


Event: TypeAlias = FrameBegun | PainterEvent


class Walk:
    """A walk as a stream of events; iterate once. `stop()` ends it after the current step.

    frames: how many, 2 or more. Raises UsageError where there is no content or no style to walk between.
    """

    def __init__(
        self, model: Model, inputs: Inputs, config: StyleConfig, run: RunConfig = RunConfig(), *, frames: int
    ) -> None:
        made, _ = method(config, model)
        if inputs.content is None or not made.content_weight or not made.style_weight:
            raise UsageError("a walk leads from the content to the style: both need a weight")
        if frames < 2:
            raise UsageError(f"a walk has 2 frames or more, got {frames}")
        self.model, self.inputs, self.config, self.run = model, inputs, config, run
        ratio = (TO_STYLE / TO_CONTENT) ** (1 / (frames - 1))
        self.weights = [made.content_weight * TO_CONTENT * ratio**k for k in range(frames)]
        self.further_steps = max(1, made.steps // STEPS_SHARE)
        self._painter: Painter | None = None
        self._stopping = False

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True
        if self._painter is not None:
            self._painter.stop()

    def __iter__(self) -> Iterator[Event]:
        before: Painting | None = None
        for number, weight in enumerate(self.weights, 1):
            if self._stopping:
                return
            self._painter = painter = self._painted(weight, before)
            yield FrameBegun(number, len(self.weights), weight, painter)
            for event in painter:
                yield event
                if isinstance(event, Finished):
                    before = event.painting

    def _painted(self, weight: float, before: Painting | None) -> Painter:
        config, inputs = replace(self.config, content_weight=weight), self.inputs
        if before is not None:
            config = replace(config, smallest=0, steps=self.further_steps, start=None)
            inputs = replace(inputs, start=Given("start", before.pixels))
        return Painter(self.model, inputs, config, self.run)
