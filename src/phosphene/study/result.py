"""What a study of regularization gives: pictures with their numbers, as a sheet, as data, and in a notebook."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from phosphene.contact import contact_sheet
from phosphene.display.notebook import embedded, figure, png
from phosphene.features.picture import Picture
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.recipe import to_json
from phosphene.study.config import RegularizationConfig
from phosphene.study.figure import Bounds, bounds, lattice, with_spectrum
from phosphene.study.gradients import TOKENS, LayerGradient
from phosphene.study.methods import BASE, DEFAULT, Method
from phosphene.study.spectrum import HIGH, Spectrum

SHEET_COLUMNS = 5
LATTICE_SIDE = 224  # pixels of a spectrum's longer side in the sheet of gradients


@dataclass(frozen=True)
class Regularized:
    """A unit's picture under one method. weight: of its price, 0 without one. robust: mean activation over random
    views. excess: of power above 0.25 cycles per pixel over that of natural pictures (`spectrum.py`). spectrum: of the
    picture; natural: that of natural pictures with as much power at low frequencies.
    """

    method: Method
    weight: float
    picture: Picture
    robust: float
    excess: float
    spectrum: Spectrum = field(repr=False)
    natural: Spectrum = field(repr=False)

    def caption(self) -> list[str]:
        """Lines under the picture in a sheet."""
        lines = [
            self.method.title,
            f"activation {short(self.picture.activation)}",
            f"under transforms {short(self.robust)}",
            f"excess {short(self.excess)}",
        ]
        return lines if self.picture.status == "ok" else [*lines, self.picture.status]

    def data(self, folder: Path | None) -> dict[str, Any]:
        """As JSON data, with the picture's file relative to a folder."""
        picture = self.picture
        path = picture.path.relative_to(folder).as_posix() if picture.path and folder else None
        return {
            "method": self.method.name,
            "title": self.method.title,
            "path": path,
            "target": picture.target,
            "share": self.method.share if self.method.price is not None else None,
            "weight": self.weight if self.method.price is not None else None,
            "activation": finite(picture.activation),
            "activation_under_transforms": finite(self.robust),
            "excess": finite(self.excess),
            "status": picture.status,
            "reason": picture.reason,
            "seconds": picture.seconds,
            "spectrum": to_json(self.spectrum),
        }


@dataclass(frozen=True)
class Study:
    """One unit under several regularizations. gray: its activation on a gray picture. expected: the spectrum of natural
    pictures, relative. gradients: layer by layer, the picture first, on views of the picture of the method
    `gradients_on`; without_gradient: {layer: why it has no spectrum}. Iterates over its entries, and shows itself in a
    notebook.
    """

    model: str
    target: str
    config: RegularizationConfig
    entries: tuple[Regularized, ...]
    gray: float
    expected: Spectrum = field(repr=False)
    gradients: tuple[LayerGradient, ...] = field(repr=False)
    gradients_on: str
    without_gradient: Mapping[str, str] = field(repr=False)
    device: str
    precision: str
    seconds: float

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, method: str) -> Regularized:
        """The entry of a method by its name; KeyError for one that was not asked for."""
        return {entry.method.name: entry for entry in self.entries}[method]

    @property
    def last(self) -> Regularized:
        """What is compared with no regularization: the defaults, or the last method where they were not asked for."""
        names = [entry.method.name for entry in self.entries]
        return self.entries[names.index(DEFAULT) if DEFAULT in names else -1]

    def image(self) -> Image.Image:
        """The labelled sheet: every picture over its spectrum, with that of natural pictures as a gray line."""
        shared: Bounds = bounds([entry.spectrum for entry in self.entries])
        cells = [with_spectrum(e.picture.pixels, e.spectrum, e.natural, shared) for e in self.entries]
        title = (
            f"{self.model} · {self.target} under every regularization\n"
            "below each picture: its power by frequency, both logarithmic; gray: natural pictures\n"
            "excess: of power above 1/4 cycles per pixel (the upright line) over that of natural pictures, which is 1"
        )
        return contact_sheet(cells, [e.caption() for e in self.entries], columns=SHEET_COLUMNS, title=title)

    def gradient_image(self) -> Image.Image:
        """The spectra of the gradient's size at every layer, zero frequency in the middle: a lattice is dots."""
        labels = [gradient_caption(layer) for layer in self.gradients]
        title = (
            f"{self.model} · {self.target}: the gradient from the picture to the unit\n"
            "power of its size at each frequency, zero in the middle; bright: ten thousand times the usual"
        )
        return contact_sheet(
            [lattice(layer.lattice, LATTICE_SIDE) for layer in self.gradients],
            labels,
            columns=SHEET_COLUMNS,
            title=title,
            thumb=LATTICE_SIDE,
        )

    def sentences(self) -> tuple[str, ...]:
        """What follows from the numbers."""
        tokens = [name for name, reason in self.without_gradient.items() if reason == TOKENS]
        return (*self._compared(), *self._spikes(), *([without_spectrum(tokens, TOKENS)] if tokens else []))

    def data(self, folder: Path | None = None) -> dict[str, Any]:
        """All numbers as JSON data; files relative to a folder, where the pictures lie in one."""
        return {
            "kind": "study-regularization",
            "model": self.model,
            "target": self.target,
            "config": to_json(self.config),
            "activation_on_gray": finite(self.gray),
            "high_frequency": HIGH,
            "methods": [entry.data(folder) for entry in self.entries],
            "natural": to_json(self.expected),
            "gradients_on": self.gradients_on,
            "gradients": [gradient_data(layer) for layer in self.gradients],
            "without_gradient": dict(self.without_gradient),
            "sentences": list(self.sentences()),
            "device": self.device,
            "precision": self.precision,
            "seconds": self.seconds,
        }

    def save(self, folder: str | Path) -> Path:
        """Write sheet.png, gradients.png and study.json into a folder; the path of the sheet."""
        place = Path(folder)
        atomic_write(place / "study.json", (json.dumps(self.data(place), ensure_ascii=False, indent=1) + "\n").encode())
        if self.gradients:
            atomic_write(place / "gradients.png", png_bytes(self.gradient_image()))
        return atomic_write(place / "sheet.png", png_bytes(self.image()))

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        return figure(embedded(self.image(), f"{self.model}, {self.target}"), self.sentences())

    def _compared(self) -> tuple[str, ...]:
        first, last = self.entries[0], self.last
        if first is last:
            return ()
        excess = "falls" if last.excess < first.excess else "rises"
        robust = "rises" if last.robust > first.robust else "falls"
        return (
            f"From {BASE} to {last.method.name}, the excess of high frequencies {excess} from {short(first.excess)} to "
            f"{short(last.excess)} times that of natural pictures, and the mean activation under random transforms "
            f"{robust} from {short(first.robust)} to {short(last.robust)}; on the picture itself it is "
            f"{short(first.picture.activation)} and {short(last.picture.activation)}.",
        )

    def _spikes(self) -> tuple[str, ...]:
        layers = [layer for layer in self.gradients if layer.strongest is not None]
        top = max(layers, key=lambda layer: layer.strongest.strength if layer.strongest else 0.0, default=None)
        if top is None or top.strongest is None:
            return ()
        said = (
            f"The size of the gradient has its strongest spike at {top.layer}, at multiples of "
            f"1/{top.strongest.stride} cycles per pixel, {short(top.strongest.strength)} times its neighbors: "
            f"written by {top.strongest.layer}, the strided layer that follows."
        )
        controls = [s.strength for g in self.gradients for s in g.spikes if not s.layer and math.isfinite(s.strength)]
        if not controls:
            return (said,)
        return (said, f"Where no stride follows, the number at 1/2 is {short(max(controls))} at most.")


def gradient_caption(layer: LayerGradient) -> list[str]:
    """Lines under the spectrum of a layer's gradient."""
    strongest = layer.strongest
    spike = f"1/{strongest.stride}: {short(strongest.strength)}x" if strongest else "no stride follows"
    return [layer.layer, f"{layer.kind} {layer.size[0]} x {layer.size[1]}", spike]


def without_spectrum(layers: Sequence[str], reason: str) -> str:
    """That the gradient at some layers, in their order, has no spectrum."""
    names = " and ".join(layers) if len(layers) < 3 else f"{layers[0]} .. {layers[-1]} ({len(layers)} layers)"
    return f"The gradient has no spectrum at {names}: {reason}."


def gradient_data(layer: LayerGradient) -> dict[str, Any]:
    """The gradient at a layer as JSON data; "written_by" is null for a control, where no stride follows."""
    return {
        "layer": layer.layer,
        "kind": layer.kind,
        "size": list(layer.size),
        "spikes": [
            {"stride": s.stride, "frequency": 1 / s.stride, "written_by": s.layer or None, "spike": finite(s.strength)}
            for s in layer.spikes
        ],
        "spectrum": to_json(layer.spectrum),
    }


def finite(value: float) -> float | None:
    """A number as JSON has it: null for NaN and infinity."""
    return value if math.isfinite(value) else None


def short(value: float) -> str:
    """A number for people: three digits, or the whole number from 100 on."""
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
