"""What a card is about: a network, an index of it, the pictures that were scanned, and units of a layer.

Without an index one is made on the way, of the layer asked for and of the output.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phosphene.cards.eye import Eye, neutral
from phosphene.engine.batching import find_device
from phosphene.errors import UsageError
from phosphene.examples.config import ScanConfig
from phosphene.examples.data import Pictures, places
from phosphene.examples.example import Example
from phosphene.examples.index import Index
from phosphene.examples.kinds import kind_of, kind_scanned
from phosphene.examples.scan import Scan, Scanned
from phosphene.examples.sheet import units_of
from phosphene.features.clip import faint_noise
from phosphene.models import AudioSpec, Layer, Model
from phosphene.models.receptive import Box, crop_box
from phosphene.models.spec import InputSpec
from phosphene.models.tap import OUTPUT

SOUND_AXES = 2  # of a sound (c, samples)


@dataclass(frozen=True)
class Unit:
    """A unit with all that is known of it: `eye` looks, `index` remembers, `data` shows."""

    eye: Eye
    index: Index
    data: Pictures
    color: Tensor

    @property
    def layer(self) -> Layer:
        """The layer of the unit."""
        return self.eye.model.find_layer(self.eye.layer)

    @property
    def target(self) -> str:
        """The unit as `render` takes it."""
        return f"logit:{self.eye.unit}" if self.eye.layer == OUTPUT else f"{self.eye.layer}:{self.eye.unit}"

    @property
    def rate(self) -> int:
        """Of the sounds of a network that hears, in Hz; 0 for pictures. Sounds are pictures (c, 1, samples) here."""
        return self.index.header.model.rate

    def pictures(self, examples: Iterable[Example]) -> dict[str, Tensor]:
        """{key: (c, h, w)} of examples as the network saw them. Raises UsageError where the data lacks one."""
        numbers = held(self.data, [one.key for one in examples])
        return {key: self.entering(self.data.load(numbers[key])) for key in numbers}

    def entering(self, picture: Any) -> Tensor:
        """A PIL picture, or a sound (c, samples), as it enters the network, (c, h, w)."""
        found = kind_scanned(self.index.header).entering(picture)[0]
        return found[:, None] if found.dim() == SOUND_AXES else found

    def field(self, picture: Tensor, place: tuple[int, int] | None) -> Box:
        """What the unit sees at a place of its map: all of the picture where that is not known, or there is no map."""
        height, width = int(picture.shape[1]), int(picture.shape[2])
        found = self.index.find_layer(self.eye.layer)
        if place is None or found.field is None:
            return 0, 0, height, width
        if self.rate:
            first, end = found.heard(place, width)
            return 0, first, 1, end
        y0, x0, y1, x1 = crop_box(
            self.layer, place, _of_size(self.eye.model.picture_spec, height, width), field=found.field
        )
        return y0, x0, max(y1, y0 + 1), max(x1, x0 + 1)


def _of_size(spec: InputSpec, height: int, width: int) -> InputSpec:
    return InputSpec(spec.channels, (height, width), spec.mean, spec.std, spec.value_range)


def units(
    model: Model,
    target: str,
    data: Any,
    *,
    index: Index | str | Path | None = None,
    examples: int,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    alone: bool = False,
) -> Generator[Scanned, None, Sequence[Unit]]:
    """The units of LAYER:7, LAYER:0..63 or logit:NAME; yields the progress of a scan where there is no index.

    data: whatever `open_data` takes. examples: how many are kept at each end. alone: one unit is asked for. Raises
    UsageError for a unit that is not there, for several where one is asked for and for data without pictures,
    IndexFileError for an index of another network.
    """
    if data is None:
        raise UsageError("no data: an index names pictures and does not hold them; add --data with those scanned")
    config = ScanConfig(top=max(examples, ScanConfig.top), limit=limit)
    found = Index.load(index, model=model) if isinstance(index, (str, Path)) else index
    if found is not None:
        opened = kind_scanned(found.header).open(data, seed=seed)
        named = _named(found, target, alone=alone)
        most = min(examples, found.header.kept.top)
        for layer, unit in named:  # now, and not after minutes of optimization
            held(opened, [one.key for row in found.spectrum(layer, unit, k=most).values() for one in row])
    else:
        opened = kind_of(model, config).open(data, seed=seed)
        layer = target.rpartition(":")[0]
        names = [model.find_layer(OUTPUT if layer == "logit" else layer).name] if layer else [OUTPUT]
        work = Scan(model, opened, layers=[*names, OUTPUT], config=config, device=device, seed=seed)
        named = _named(blank(work), target, alone=alone)
        yield from work
        found = work.index()
    if (kept := found.header.kept.top) < examples:
        raise UsageError(f"the index keeps {kept} examples of a unit, {examples} are asked for; scan with more --top")
    ready = model.prepared(find_device(device), memory_format=torch.contiguous_format)
    samples, spec = found.header.kept.samples, model.spec
    color = faint_noise(spec.channels, samples)[:, None] if isinstance(spec, AudioSpec) else neutral(spec)
    return [Unit(Eye(ready, found.find_layer(layer).name, unit), found, opened, color) for layer, unit in named]


def _named(index: Index, target: str, *, alone: bool) -> list[tuple[str, int]]:
    """(layer, unit) of a target, before anything is done with them."""
    named = list(units_of(index, target))
    if alone and len(named) != 1:
        raise UsageError(f"one unit at a time, got {len(named)} by {target!r}")
    return named


def held(data: Pictures, keys: Sequence[str]) -> dict[str, int]:
    """{key: its number in the data}, each once, in order. Raises UsageError where the data lacks one."""
    numbers = places(data, keys)
    missing = next((key for key in keys if key not in numbers), None)
    if missing is not None:
        raise UsageError(f"the data does not hold the example {missing!r}; name the data that was scanned")
    return {key: numbers[key] for key in keys}


def blank(work: Scan) -> Index:
    """The index of a scan before its first picture: its units are known, so a slip in the target ends it early."""
    return Index(work.header, work.tally)
