"""Sounds from recordings, one after another: a wave is optimised until its features are what was asked for.

    for event in Synthesis(model, "sound-texture", pieces, recordings): ...

A piece is a weighted sum of statistics (`objectives/statistics.py`, those that pictures use) and the recordings that
they are compared with. The samples themselves are optimised, through the spectrogram, so that no phase has to be
guessed (Caracalla and Roebel 2019, arXiv 1905.03637), and as a loop, which has no ends (`loop.py`). What comes out is
measured as the file holds it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from phosphene.audio.config import MakingConfig
from phosphene.audio.loop import Around, Inside, Wrap, inside, surround
from phosphene.audio.measures import white_noise
from phosphene.audio.recording import Recording, at_level, check_length
from phosphene.audio.sound import SAME, Place, Sound, sound_of
from phosphene.engine import Step, arithmetic, optimize
from phosphene.engine.batching import is_out_of_memory
from phosphene.engine.environment import environment
from phosphene.errors import PhospheneError, UsageError
from phosphene.files import ensure_folder
from phosphene.media import kept, loudness, samples_sha256, true_peak
from phosphene.media.kept import ENDS
from phosphene.models import Model
from phosphene.models.model import describe
from phosphene.objectives import INPUT, Objective, Scale, Sum, aim
from phosphene.recipe import SCHEMA, OptimizerConfig, RenderConfig, RunConfig
from phosphene.seeds import Generators
from phosphene.signals.waveform import LEVEL, Samples
from phosphene.version import version

START = "sound"  # whose random numbers the start is: all sounds of a seed begin at the same noise


@dataclass(frozen=True)
class Term:
    """One part of a loss: `weight` times the loss of `of`, a bound statistic or a sum of some."""

    weight: float
    of: Objective


@dataclass(frozen=True)
class Piece:
    """One sound that is asked for.

    name: of its file. terms: the loss, by name. samples: its length. method: what of the settings decides about it, as
    JSON data. looped: the recordings that are heard as loops, position by position. start: (c, samples), noise if None.
    """

    name: str
    terms: Mapping[str, Term]
    samples: int
    method: Mapping[str, Any]
    looped: frozenset[str] = frozenset()
    start: Tensor | None = field(default=None, repr=False)

    @property
    def layers(self) -> frozenset[str]:
        """All layers that are read."""
        return frozenset().union(*(term.of.layers for term in self.terms.values())) - {INPUT}


@dataclass(frozen=True)
class Worked:
    """A step was done. done, total: steps of all sounds; found: of them, what an earlier run had done."""

    done: int
    total: int
    found: int
    step: Step


@dataclass(frozen=True)
class Made:
    """A sound is there. found: it was there already."""

    sound: Sound
    found: bool


Event: TypeAlias = Worked | Made


class Synthesis:
    """Sounds as a stream of events; iterate once. Subclasses say what is asked for, and what is measured.

    kind: what recipes call it. recordings: by the name that statistics call them. notes: what was chosen, to be said
    aloud. folder: where sounds and their state are kept, if anywhere; resume: and found again. `stop()` ends it after
    the current step; the sound in work comes with status "interrupted".
    """

    def __init__(
        self,
        model: Model,
        kind: str,
        pieces: Sequence[Piece],
        recordings: Mapping[str, Recording],
        config: MakingConfig,
        run: RunConfig,
        *,
        folder: Path | None,
        resume: bool,
        metadata: bool,
        notes: Sequence[str] = (),
    ) -> None:
        self.kind, self.pieces, self.recordings, self.config = kind, list(pieces), dict(recordings), config
        self.run, self.folder, self.resume, self.metadata = run, folder, resume, metadata
        self.arithmetic = a = arithmetic(replace(run, precision="float32"))
        self.rate = model.audio_spec.rate
        for piece in pieces:
            check_length(model, piece.samples, f"the sound {piece.name!r}")
        self.model = model.prepared(a.device)
        self.notes = [note for recording in recordings.values() for note in recording.notes] + list(notes)
        self.sounds: list[Sound] = []
        self._stopping = False
        self._around: dict[frozenset[str], Around] = {}

    @property
    def total(self) -> int:
        """Steps of all sounds."""
        return self.config.steps * len(self.pieces)

    @property
    def complete(self) -> bool:
        """Whether every sound is there and none was interrupted."""
        return len(self.sounds) == len(self.pieces) and all(one.status != "interrupted" for one in self.sounds)

    def stop(self) -> None:
        """End after the current step."""
        self._stopping = True

    def narrow(self, recipe: Mapping[str, Any]) -> bool:
        """Ask for nothing but the sound that a recipe describes, by whichever weights; False if it is not there."""
        parts = [part for part in SAME if part != "model"]
        wanted = [(piece, self.wanted(piece)) for piece in self.pieces]
        self.pieces = [piece for piece, mine in wanted if all(mine[part] == recipe.get(part) for part in parts)]
        return bool(self.pieces)

    def wanted(self, piece: Piece) -> dict[str, Any]:
        """The parts of a recipe that decide which sound it makes, as JSON gives them back."""
        parts = {
            "kind": self.kind,
            "name": piece.name,
            "model": describe(self.model),
            "target": {name: {"weight": term.weight, "text": str(term.of)} for name, term in piece.terms.items()},
            "method": piece.method,
            "inputs": {name: recording.sha256 for name, recording in self.recordings.items()},
        }
        return dict(json.loads(json.dumps(parts)))

    def __iter__(self) -> Iterator[Event]:
        if self.folder is not None:
            ensure_folder(self.folder)
        for number, piece in enumerate(self.pieces):
            place = None if self.folder is None else Place(self.folder / f"{piece.name}.wav")
            wanted = self.wanted(piece)
            sound = place.find(piece.name, wanted) if place is not None and self.resume else None
            found = sound is not None
            if sound is None:
                sound = yield from self._make(piece, wanted, place, number * self.config.steps)
            self.sounds.append(sound)
            yield Made(sound, found)
            if self._stopping:
                return

    def measured(self, sound: Tensor) -> dict[str, Any]:
        """What is told of a saved sound (c, samples) besides its losses."""
        raise NotImplementedError

    def _make(
        self, piece: Piece, wanted: dict[str, Any], place: Place | None, before: int
    ) -> Generator[Event, None, Sound]:
        began = time.perf_counter()
        around = self._margins(piece)
        terms = self._aimed(piece, around)
        wave = self._wave(piece)
        state = place.restore(wanted) if place is not None and self.resume else None
        done = found = int(state["done"]) if state is not None else 0
        broken = 0
        for step in self._optimized(piece, terms, wave, around, state):
            done, broken = step.i, int(step.broken[0])
            if place is not None and self.run.checkpoint_every and done % self.run.checkpoint_every == 0:
                place.keep(wanted, step.state())
            yield Worked(before + done, self.total, before + found, step)
            if self._stopping and done < self.config.steps:
                if place is not None and self.run.checkpoint_every:
                    place.keep(wanted, step.state())
                break
        with torch.no_grad():
            made = kept(wave()[0], self.rate, self.config.loudness, ends=0 if piece.method.get("seamless") else ENDS)
        result = self._result(piece, terms, around, made, done, broken)
        result["seconds"] = round(time.perf_counter() - began, 3)
        sound = sound_of(piece.name, made, {**wanted, **self._circumstances(), "result": result})
        if place is None:
            return sound
        if sound.status != "interrupted":
            place.forget()
        return sound.save(place.file, metadata=self.metadata)

    def _margins(self, piece: Piece) -> Around:
        if piece.layers not in self._around:
            self._around[piece.layers] = surround(self.model, piece.layers)
        return self._around[piece.layers]

    def _aimed(self, piece: Piece, around: Around) -> dict[str, Objective]:
        """The terms without their weights, each with the targets that the recordings give."""

        def reference(name: str) -> tuple[Mapping[str, Tensor], None]:
            heard = self.recordings[name].heard
            if name in piece.looped:
                return inside(
                    self._activations(Wrap(around)(heard[None])[0], piece.layers), piece.samples, around
                ), None
            return self._activations(heard[None], piece.layers), None

        return {name: aim(term.of, reference) for name, term in piece.terms.items()}

    def _wave(self, piece: Piece) -> Samples:
        wave = Samples(1, channels=self.model.audio_spec.channels, samples=piece.samples, level=LEVEL, fade=0)
        if piece.start is None:
            wave.start(Generators(self.config.seed, [START]))
        else:
            wave.encode(piece.start[None])
        return wave.to(self.arithmetic.device)

    def _optimized(
        self,
        piece: Piece,
        terms: Mapping[str, Objective],
        wave: Samples,
        around: Around,
        state: dict[str, Any] | None,
    ) -> Iterator[Step]:
        c = self.config
        weighted = [Scale(piece.terms[name].weight, of) for name, of in terms.items()]
        loss = Inside(Sum(tuple(weighted)) if len(weighted) > 1 else weighted[0], piece.samples, around)
        optimizer = OptimizerConfig(c.optimizer, lr=c.lr, history=c.history, redirect=False)
        config = RenderConfig(steps=c.steps, seed=c.seed, optimizer=optimizer)
        try:
            yield from optimize(loss, self.model, wave, Wrap(around), config, state=state)
        except RuntimeError as error:
            if is_out_of_memory(error):
                seconds = piece.samples / self.rate
                raise PhospheneError(f"out of memory for {seconds:.3g} s of sound; make less of it") from error
            raise

    def _result(
        self, piece: Piece, terms: Mapping[str, Objective], around: Around, made: Tensor, done: int, broken: int
    ) -> dict[str, Any]:
        """What is measured on a sound (c, samples) as its file holds it."""
        loud = loudness(made, self.rate)
        silent = not bool(made.any())
        reason = "" if done == self.config.steps else f"stopped after {done} of {self.config.steps} steps"
        status = "interrupted" if reason else "ok"
        if broken or silent:
            status = "degenerate"
            reason = f"the gradient stopped being finite at step {broken}" if broken else "the sound is silent"
        return {
            "losses": {} if silent else self._losses(terms, at_level(made), around),
            "noise": self._losses(terms, white_noise((len(made), piece.samples)), around),
            "measured": {} if silent else self.measured(made),
            "loudness": loud if math.isfinite(loud) else None,
            "peak": true_peak(made),
            "steps": done,
            "status": status,
            "reason": reason,
            "samples_sha256": samples_sha256(made),
        }

    def _losses(self, terms: Mapping[str, Objective], sound: Tensor, around: Around) -> dict[str, float]:
        """The loss of each term, without its weight, of a sound (c, samples) that is heard as a loop."""
        x = sound[None].to(self.arithmetic.device)
        view, rows = Wrap(around)(x)
        acts = inside({INPUT: x, **self._activations(view, frozenset(around.layers))}, sound.shape[-1], around)
        return {name: -float(of(acts, rows)) for name, of in terms.items()}

    def _activations(self, sounds: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
        try:
            with torch.no_grad():
                return self.model.activations(sounds.to(self.arithmetic.device), layers)
        except RuntimeError as error:  # torch's own: a kernel longer than what is left of the sound
            if is_out_of_memory(error):
                raise PhospheneError("out of memory; take a shorter recording") from error
            raise UsageError(f"{self.model.name} cannot hear {sounds.shape[-1]} samples: {error}") from error

    def _circumstances(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "app": {"name": "phosphene", "version": version()},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "environment": environment(self.arithmetic),
        }
