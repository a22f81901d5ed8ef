"""A unit's examples on one labelled sheet: the spectrum of Olah et al. 2017, and what the unit sees of the best ones.

Rows from above: the highest examples, in each of them the part that the unit at its strongest position can see (its
receptive field, left out where that is the whole picture), ones at the upper and lower quarter of the scores, and the
lowest.
Pictures are shown as the network saw them, resized and cropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from phosphene.contact import contact_sheet
from phosphene.errors import UsageError
from phosphene.examples.data import Pictures, places
from phosphene.examples.example import Example
from phosphene.examples.header import LayerHeader, ModelHeader
from phosphene.examples.index import Index
from phosphene.examples.kinds import Kind, kind_scanned, picture_spec
from phosphene.models import Layer
from phosphene.models.receptive import crop_box
from phosphene.models.tap import OUTPUT

COLUMNS = 6
ROWS = (  # of a sheet from above: the word in its labels, and the name in the spectrum
    ("highest", "maximum"),
    ("upper quarter", "slightly positive"),
    ("lower quarter", "slightly negative"),
    ("lowest", "minimum"),
)


def examples_sheet(index: Index, layer: str, unit: int, data: Any, *, seed: int = 0) -> Image.Image:
    """The sheet of a unit. data: the pictures that were scanned, whatever `open_data` takes; seed: of `textures`.

    Raises UsageError for a unit that is not in the index, and where the data does not hold the examples.
    """
    header = index.header
    kind = kind_scanned(header)
    if header.model.rate:
        raise UsageError(f"{header.model.name} hears sounds: no sheet of pictures can show them; use write_heard")
    opened = kind.open(data, seed=seed)
    spectrum = index.spectrum(layer, unit, k=min(COLUMNS, header.kept.top))
    numbers = places(opened, [one.key for row in spectrum.values() for one in row])
    pictures: list[Tensor] = []
    labels: list[tuple[str, str]] = []
    columns = max(len(row) for row in spectrum.values())
    found = index.find_layer(layer)
    for word, name in ROWS:
        row = spectrum[name]
        seen = [_seen(opened, one, numbers, kind) for one in row]
        pictures += seen
        labels += [(f"{word}  {one.score:.4g}", PurePosixPath(one.key).name) for one in row]
        if name == "maximum" and found.field is not None:
            crops = [_crop(picture, one, found, header.model) for picture, one in zip(seen, row, strict=True)]
            pictures += _enlarged(crops, max(max(picture.shape[1:]) for picture in seen))
            labels += [_where(one, crop) for one, crop in zip(row, crops, strict=True)]
    title = f"{header.model.name} · {described(index, layer, unit)}\n{told(index, layer, unit)}"
    return contact_sheet(pictures, labels, columns=columns, title=title)


def described(index: Index, layer: str, unit: int) -> str:
    """A unit by layer, number and, for a class, its name."""
    labels = index.header.model.labels
    found = index.find_layer(layer).name
    name = f" {labels[unit]}" if found == OUTPUT and unit < len(labels) else ""
    return f"{found}:{unit}{name}"


def told(index: Index, layer: str, unit: int) -> str:
    """The statistics of a unit in one line."""
    facts = index.statistics(layer, unit)
    words = [
        f"{facts.count} {index.word}s",
        f"score {facts.mean:.4g} ± {math.sqrt(facts.variance):.3g}",
        f"exactly 0 in {100 * facts.zeros:.0f}%",
    ]
    if facts.selectivity is not None and math.isfinite(facts.selectivity):
        words.append(f"class selectivity {facts.selectivity:.2f}, most for {facts.best_class}")
    return ", ".join(words)


def _seen(data: Pictures, one: Example, numbers: dict[str, int], kind: Kind) -> Tensor:
    """A picture (c, h, w) as the network saw it."""
    if one.key not in numbers:
        raise UsageError(f"the data does not hold the example {one.key!r}; name the data that was scanned")
    return kind.entering(data.load(numbers[one.key]))[0]


def _crop(picture: Tensor, one: Example, layer: LayerHeader, model: ModelHeader) -> Tensor:
    """What the unit at the strongest position sees of a picture (c, h, w)."""
    height, width = picture.shape[1:]
    as_layer = Layer(layer.name, "", layer.units, layer.spatial, "channels_first", stride=layer.stride)
    spec = replace(picture_spec(model), size=(height, width))
    y0, x0, y1, x1 = crop_box(as_layer, one.position or (0, 0), spec, field=layer.field)
    return picture[:, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def _enlarged(crops: Sequence[Tensor], side: int) -> list[Tensor]:
    """The crops at one scale, the largest as large as the pictures above them."""
    scale = side / max(max(crop.shape[1:]) for crop in crops)
    sizes = [[max(1, round(length * scale)) for length in crop.shape[1:]] for crop in crops]
    return [
        interpolate(crop[None], size, mode="bicubic").clamp(0, 1)[0] for crop, size in zip(crops, sizes, strict=True)
    ]


def _where(one: Example, crop: Tensor) -> tuple[str, str]:
    position = "" if one.position is None else f" at {one.position[0]},{one.position[1]}"
    return f"seen{position}", f"{crop.shape[2]} x {crop.shape[1]} pixels"


def units_of(index: Index, target: str) -> list[tuple[str, int]]:
    """The (layer, unit) of `LAYER:7`, `LAYER:0..15` or `logit:goldfish`. Raises UsageError for what is none."""
    from phosphene.models.labels import find_label

    layer, colon, text = target.rpartition(":")
    if not colon:
        raise UsageError(f"name a unit as LAYER:UNIT, such as {next(iter(index.layers))}:7; got {target!r}")
    if layer == "logit":
        labels = index.header.model.labels or None
        return [(OUTPUT, find_label(labels, text, classes=index.find_layer(OUTPUT).units))]
    first, dots, last = text.partition("..")
    if not first.isdecimal() or (dots and not last.isdecimal()):
        raise UsageError(f"a unit is a number or a range such as 0..15, got {text!r} in {target!r}")
    units = range(int(first), int(last or first) + 1)
    for unit in (units.start, units.stop - 1):
        index.top(layer, unit, k=1)
    return [(layer, unit) for unit in units]


__all__ = ["described", "examples_sheet", "told", "units_of"]
