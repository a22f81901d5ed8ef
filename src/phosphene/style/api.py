"""Style transfer, whole: pictures in, a painting with its recipe out.

`style_transfer` gives a Painting. `Painter` is the same work as a stream of events, those of `Transfer` and `Finished`
at the end, for whoever shows it as it happens; it keeps checkpoints, asks a judge, and writes the recipe.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch

from phosphene.errors import PhospheneError
from phosphene.media import output_format
from phosphene.models import DEFAULT_MODEL, Model, known, load
from phosphene.models.vgg19_cd16x import NAME as SMALL_VGG
from phosphene.models.weights import cached_weights
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.heldout import HeldOut, judged
from phosphene.style.inputs import Inputs, Mask, Source, pictures, read, read_start
from phosphene.style.painting import Painting
from phosphene.style.record import Circumstances, record
from phosphene.style.store import Store
from phosphene.style.terms import summed
from phosphene.style.transfer import Event as TransferEvent
from phosphene.style.transfer import Painted, StepDone, Transfer

JUDGE = "squeezenet1_1"  # 5 MB, another architecture than VGG, trained on photographs


@dataclass(frozen=True)
class Finished:
    """A painting is done, or as far as it came."""

    painting: Painting


Event: TypeAlias = TransferEvent | Finished


def style_transfer(
    content: Source,
    style: Source | Sequence[Source],
    *,
    model: Model | None = None,
    size: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    config: StyleConfig | None = None,
    run: RunConfig | None = None,
    weights: Sequence[float] = (),
    masks: Mapping[int, Mask] | None = None,
    style_masks: Mapping[int, Mask] | None = None,
    leave: Mask | None = None,
    start: Source | None = None,
    judge: Model | None = None,
    out: str | Path | None = None,
) -> Painting:
    """The content of one picture in the style of another, or of several.

    content, style: files, PIL pictures or tensors (3 or 4, h, w) in [0, 1]. model: `vgg19_cd16x` where its weights
    are, else the network inside the package. size, steps, seed: in place of the config's own. weights: of the styles.
    masks: where each style paints, by its number from 1; style_masks: which part of it counts; leave: where the content
    stays. start: content, noise, white, style, or a picture. judge: a network that measures the result. out: a file to
    write to. Interrupted (Ctrl-C), it gives the picture as it is, with status "interrupted".
    Raises UsageError or MediaError for what cannot be; nothing is computed or written then.
    """
    given = {name: value for name, value in (("size", size), ("steps", steps), ("seed", seed)) if value is not None}
    settings = replace(config or StyleConfig(), **given)  # type: ignore[arg-type]
    if out is not None:
        output_format(out)
    named, picture = read_start(settings.start if start is None else start)
    inputs = Inputs(
        read(content, "content"),
        pictures(style, "style"),
        tuple(weights),
        masks or {},
        style_masks or {},
        leave,
        picture,
    )
    network = model if model is not None else load(default_model())
    painter = Painter(network, inputs, replace(settings, start=named), run or RunConfig(), judge=judge)
    painting = finish(painter)
    return painting if out is None else painting.save(out)


def finish(painter: Painter) -> Painting:
    """Carry out a painting; the first Ctrl-C keeps it as it is."""
    events = iter(painter)
    while True:
        try:
            event = next(events)
        except KeyboardInterrupt:
            return painter.as_it_is()
        if isinstance(event, Finished):
            return event.painting


def default_model() -> str:
    """The network that serves where none is named: the compressed VGG-19 where its weights are on this machine."""
    return SMALL_VGG if cached_weights(SMALL_VGG) is not None else DEFAULT_MODEL


def default_judge(optimized: str) -> str | None:
    """A network that can judge what another one made, if there is one on this machine that needs no download."""
    here = [entry.name for entry in known(JUDGE) if entry.name == JUDGE and entry.cached is not None]
    return next((name for name in (*here, DEFAULT_MODEL, default_model()) if name != optimized), None)


class Painter:
    """One painting as a stream of events; iterate once. The last event is `Finished`.

    Construction checks everything that can be wrong. `stop()` ends it after the current step and keeps the picture.
    judge: a network that measures the result. store: where the state is kept while it works. resume: go on from there.
    """

    def __init__(
        self,
        model: Model,
        inputs: Inputs,
        config: StyleConfig,
        run: RunConfig = RunConfig(),
        *,
        judge: Model | None = None,
        store: Store | None = None,
        resume: bool = False,
    ) -> None:
        self.made = Circumstances.of(model, inputs, config, run)
        self.identity = self.made.identity()
        state = store.restore(self.identity) if store is not None and resume else None
        self.transfer = Transfer(model, inputs.job(config), config, run)
        self.run, self.judge, self.store = run, judge, store
        self.notes = list(self.transfer.notes)
        self.resumed = state is not None
        self._stopping = False
        device = self.transfer.arithmetic.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        if state is not None:
            self.transfer.resume(state)

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True
        self.transfer.stop()

    def __iter__(self) -> Iterator[Event]:
        for event in self.transfer:
            if isinstance(event, StepDone):
                yield event
                self._checkpoint()
            elif isinstance(event, Painted):
                yield event
                yield Finished(self._painting(event))
                if self.store is not None and event.status != "interrupted":
                    self.store.forget()
            else:
                yield event

    def as_it_is(self) -> Painting:
        """The painting after an interruption within a step. Raises KeyboardInterrupt when nothing was done yet."""
        if not self.transfer.history:
            raise KeyboardInterrupt
        return self._painting(self.transfer.interrupted())

    def _checkpoint(self) -> None:
        """Keep the state where it is due, or where the work stops."""
        every = self.run.checkpoint_every
        if self.store is not None and (self._stopping or (every > 0 and len(self.transfer.history) % every == 0)):
            self.store.keep(self.identity, self.transfer.state())

    def _painting(self, painted: Painted) -> Painting:
        heldout = self._judged(painted) if painted.status != "degenerate" else None
        peak = peak_memory_mb(self.transfer.arithmetic.device)
        result = {
            "losses": finite(summed(painted.losses)),
            "layers": finite(painted.losses),
            "heldout": None if heldout is None else heldout.data(),
            "evaluations": painted.evaluations,
            "steps": len(painted.history),
            "scales": self.transfer.scales(),
            "seconds": round(painted.seconds, 3),
            "peak_memory_mb": round(peak, 1),
            "status": painted.status,
            "reason": painted.reason,
        }
        return Painting(
            painted.picture,
            summed(painted.losses),
            painted.losses,
            painted.history,
            painted.traces,
            heldout,
            painted.evaluations,
            painted.seconds,
            peak,
            painted.status,
            painted.reason,
            record(self.made, painted.picture, result),
            tuple(self.notes),
        )

    def _judged(self, painted: Painted) -> HeldOut | None:
        if self.judge is None:
            return None
        try:
            scale = self.made.config.style_scale
            return judged(self.judge, self.transfer.job, painted.picture, style_scale=scale)
        except PhospheneError as error:
            self.notes.append(f"not judged: {error}")
            return None


def finite(values: Mapping[str, float]) -> dict[str, Any]:
    """Numbers as JSON has them: what is infinite or no number is null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def peak_memory_mb(device: torch.device) -> float:
    """The most memory in megabytes that was held so far: on a GPU by tensors, else by the process; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024  # bytes in what the system counts by
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
