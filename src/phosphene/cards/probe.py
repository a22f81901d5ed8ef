"""Cause or correlate? The strongest examples of a unit, changed so that one thing stays and another goes.

    probe = ph.probe(model, "features.12:7", "photographs")
    print(probe.sentence)

A change keeps (r - blank) / (score - blank) of the activation: r with the change, blank on the neutral color. 1 is all
of it, 0 as much as nothing. The number of a change is the median over the examples. Examples show what correlates with
a unit (Olah et al. 2017); what survives a change was not needed, whatever all examples have in common.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from phosphene.cards import sound_words
from phosphene.cards.ask import Answer, answers, files
from phosphene.cards.changes import CHANGES, PATCH_ALONE, PIECES_SHUFFLED, Change, Scene
from phosphene.cards.config import ProbeConfig
from phosphene.cards.patch import Patch, half_seen, smallest_patch
from phosphene.cards.percentile import share_below
from phosphene.cards.sound_changes import FADE, SHORTEST, SOUND_CHANGES, Band, SoundScene, smallest_band
from phosphene.cards.subject import Unit, units
from phosphene.cards.words import percent, sentence, verdict
from phosphene.contact import contact_sheet
from phosphene.display.notebook import embedded, figure, heard
from phosphene.errors import UsageError
from phosphene.examples.example import Example
from phosphene.examples.index import Index
from phosphene.examples.scan import Scanned
from phosphene.models import Model
from phosphene.models.receptive import Box


@dataclass(frozen=True)
class Probed:
    """An example under all changes. pixels: (c, h, w) as the network saw it. score: measured again. field: what the
    unit sees at the place. changed: {change: (c, h, w)}; scores: {change: score}; kept: {change: share}. band: of a
    sound, the smallest one that is enough, in Hz. Sounds are (c, 1, samples)."""

    example: Example
    pixels: Tensor
    score: float
    field: Box
    patch: Patch
    changed: dict[str, Tensor]
    scores: dict[str, float]
    kept: dict[str, float]
    band: Band = (0.0, 0.0)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.example.data(),
            "size": list(self.pixels.shape[1:]),
            "field": list(self.field),
            "patch": list(self.patch.box),
            "patch_kept": finite(self.patch.kept),
            **({"band": [round(hertz, 1) for hertz in self.band]} if self.band[1] else {}),
            "changes": {name: {"score": self.scores[name], "kept": finite(self.kept[name])} for name in self.scores},
        }


@dataclass(frozen=True)
class Probe:
    """What the changes say of a unit. blank: its score on the neutral color. percentiles: {change: percent of the
    data's pictures with a lower score than the changed ones have in the median}.

    `kept(change)`, `sentence` and `data()` tell it; `save(folder)` writes a page; in a notebook it shows itself.
    """

    subject: Unit = field(repr=False, compare=False)
    blank: float
    keep: float
    examples: tuple[Probed, ...]
    percentiles: dict[str, float]
    asked: tuple[Answer, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """The names of the changes."""
        return tuple(self.examples[0].kept)

    def kept(self, change: str) -> float:
        """The median share of the activation that the examples keep under a change; NaN where none has any."""
        shares = [one.kept[change] for one in self.examples if math.isfinite(one.kept[change])]
        return median(shares) if shares else math.nan

    @property
    def shares(self) -> dict[str, float]:
        """{change: `kept(change)`}."""
        return {name: self.kept(name) for name in self.changes}

    @property
    def sentence(self) -> str:
        """The numbers and what follows from them."""
        if self.subject.rate:
            return sound_words.sentence(self.shares, self.band, self.subject.rate)
        return sentence(self.shares)

    @property
    def verdict(self) -> str:
        """What follows from the numbers: what the unit answers to."""
        if self.subject.rate:
            return sound_words.verdict(self.shares, self.band, self.subject.rate)
        return verdict(self.shares)

    @property
    def band(self) -> Band:
        """Of sounds: the band in the middle of those of the examples that excite the unit at all, in Hz."""
        found = [one.band for one in self.examples if math.isfinite(one.patch.kept)]
        found = found or [one.band for one in self.examples]
        return median(low for low, _ in found), median(high for _, high in found)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "network": self.subject.eye.model.name,
            "layer": self.subject.eye.layer,
            "unit": self.subject.eye.unit,
            "sentence": self.sentence,
            "verdict": self.verdict,
            "blank": self.blank,
            "keep": self.keep,
            **({"band": [round(hertz, 1) for hertz in self.band]} if self.subject.rate else {}),
            "changes": {
                name: {"kept": finite(self.kept(name)), "percentile": round(self.percentiles[name], 3)}
                for name in self.changes
            },
            "examples": [one.data() for one in self.examples],
            "asked": [one.data() for one in self.asked],
        }

    def save(self, folder: str | Path) -> Path:
        """Write FOLDER/index.html, a page that holds its pictures, and FOLDER/probe.json; returns the page."""
        from phosphene.cards.probe_page import write_probe

        return write_probe(self, folder)

    def _repr_html_(self) -> str:
        text, one = f"{self.subject.eye.model.name} {self.subject.target}. {self.sentence}", self.examples[0]
        if self.subject.rate:
            return heard(one.pixels[:, 0], self.subject.rate, one.example.key, [text])
        labels = [("as it is", "100%"), *((name, share(one.kept[name])) for name in one.kept)]
        sheet = contact_sheet([one.pixels, *one.changed.values()], labels, columns=5)
        return figure(embedded(sheet, text), [text])


def share(value: float) -> str:
    """A share of the activation to read, or that there is none."""
    return percent(value) if math.isfinite(value) else "-"


def finite(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return round(value, 6) if math.isfinite(value) else None


def probed(unit: Unit, example: Example, picture: Tensor, blank: float, *, keep: float, seed: int) -> Probed:
    """One example under all changes."""
    place, eye = example.position, unit.eye
    sees = unit.field(picture, place)
    scene, patch = at_work(unit, picture, place, sees, keep, (seed, example.key))
    serving = [change for change in changes_of(unit) if change.serves(picture.shape[0])]
    changed = {change.name: change.make(picture, scene) for change in serving}
    score = float(eye.look(picture[None])[0][0])
    found = eye.look(torch.stack(list(changed.values())))[0].tolist()
    scores = dict(zip(changed, found, strict=True))
    gains = dict.fromkeys(scores, score - blank)
    for change in serving:
        if change.of_patch:
            gains[change.name] = scores[PATCH_ALONE] - blank
    kept = {name: (scores[name] - blank) / gain if gain > 0 else math.nan for name, gain in gains.items()}
    if not unit.rate and not scene.cuts(half_seen(picture, patch.box, sees)):
        kept[PIECES_SHUFFLED] = math.nan
    band = scene.band if isinstance(scene, SoundScene) else (0.0, 0.0)
    return Probed(example, picture, score, sees, patch, changed, scores, kept, band)


def changes_of(unit: Unit) -> tuple[Change, ...]:
    """What may be changed of the examples of a unit."""
    return SOUND_CHANGES if unit.rate else CHANGES


def at_work(
    unit: Unit, picture: Tensor, place: tuple[int, int] | None, sees: Box, keep: float, drawn: tuple[int, str]
) -> tuple[Scene, Patch]:
    """What changes know of an example, and its smallest patch. drawn: what their draws depend on, seed and key."""
    eye, color, rate = unit.eye, unit.color, unit.rate
    if not rate:
        patch = smallest_patch(eye, picture, place, sees, color, keep=keep)
        return Scene(patch.box, color, *drawn), patch
    soft, least = FADE * rate, max(1, round(SHORTEST * rate))
    patch = smallest_patch(eye, picture, place, sees, color, keep=keep, least=least, soft=soft)
    band = smallest_band(eye, picture, place, color, rate, keep=keep)
    return SoundScene(patch.box, color, *drawn, soft, rate, band), patch


def probe_unit(unit: Unit, config: ProbeConfig, *, asked: Sequence[tuple[str, Path]] = (), seed: int = 0) -> Probe:
    """The probe of a unit whose examples are known. asked: (name, file) of hypotheses."""
    layer, number = unit.eye.layer, unit.eye.unit
    top = unit.index.top(layer, number, k=config.probed)
    if not top:
        raise UsageError(f"no examples of {unit.target} in the index")
    pictures = unit.pictures(top)
    first = pictures[top[0].key]
    blank = float(unit.eye.look(unit.color.expand_as(first)[None])[0][0])
    found = tuple(probed(unit, one, pictures[one.key], blank, keep=config.keep, seed=seed) for one in top)
    ranks = {
        name: 100 * share_below(unit.index, layer, number, median(one.scores[name] for one in found))
        for name in found[0].scores
    }
    return Probe(unit, blank, config.keep, found, ranks, tuple(answers(unit, asked)))


def probing(
    model: Model,
    target: str,
    data: Any,
    *,
    index: Index | str | Path | None = None,
    ask: Sequence[str | Path] = (),
    config: ProbeConfig = ProbeConfig(),
    seed: int = 0,
    device: str = "auto",
    alone: bool = False,
) -> Generator[Scanned | Probe, None, None]:
    """The probes of one unit or several, each as soon as it is made; the progress of a scan comes before.

    alone: UsageError for several.
    """
    asked = files(model, ask)
    found = yield from units(
        model, target, data, index=index, examples=config.probed, limit=config.limit, seed=seed, device=device,
        alone=alone,
    )  # fmt: skip
    for unit in found:
        yield probe_unit(unit, config, asked=asked, seed=seed)


def probe(
    model: Model,
    target: str,
    data: Any,
    *,
    index: Index | str | Path | None = None,
    ask: Sequence[str | Path] = (),
    config: ProbeConfig = ProbeConfig(),
    seed: int = 0,
    device: str = "auto",
) -> Probe:
    """What a unit needs of its strongest examples.

    target: LAYER:7 or logit:NAME, one unit. data: the pictures, whatever `ph.scan` takes. index: an `Index` of them or
    its folder; made when left out. ask: files or folders of pictures, your own hypotheses. seed: of the order of
    shuffled pieces, and of `textures`. Raises UsageError for units, data and files that are not there,
    IndexFileError for an index of another network.
    """
    steps = probing(model, target, data, index=index, ask=ask, config=config, seed=seed, device=device, alone=True)
    (found,) = [step for step in steps if isinstance(step, Probe)]
    return found
