"""The page of a study of regularization: sheet, spectra, the gradient layer by layer, and the numbers as tables.

write_report(study, folder)        after study.save(folder), whose sheets it shows
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from phosphene.files import atomic_write
from phosphene.reports.chart import Line, Mark, lines
from phosphene.reports.html import Figure, Page, Section, Table, write_page
from phosphene.study.gradients import LayerGradient
from phosphene.study.methods import BASE, DEFAULT
from phosphene.study.result import Regularized, Study, short, without_spectrum
from phosphene.study.spectrum import HIGH, Spectrum, radial
from phosphene.version import version

CHART = (640, 400)  # pixels
PRICES = ("l1", "l2", "tv", "blur", "frequency")
BASES = ("gradient-blur", "robust", "tv+robust", "fourier", "maco")
MOST_LINES = 8  # of different color in a chart
FAINTEST = 1e-9  # of power, on a logarithmic axis


def write_report(study: Study, folder: str | Path, *, network: Sequence[str] = (), machine: Sequence[str] = ()) -> Path:
    """Write FOLDER/index.html and its charts; the path of the page. Raises FileError when it cannot be written.

    network: how the command line opens it: its name and the flags that belong to it; the study's name when left out.
    machine: flags that say where and how exactly it was computed.
    """
    place = Path(folder)
    return write_page(
        Page(
            f"{study.target} of {study.model} under every regularization",
            (
                "Pictures that make one unit fire, from no regularization at all to the defaults, and what each is "
                "worth: how the unit responds when the picture is moved a little, and how much of it is noise.",
                *study.sentences(),
            ),
            (
                _pictures(study, place),
                _spectra(study, place),
                *([_gradients(study, place)] if study.gradients else []),
                _method(study, network or (study.model,), machine),
            ),
            _facts(study),
            (
                "Each picture holds the recipe it was made by: `phosphene info FILE` shows it, `phosphene rerun FILE` "
                "makes it again. All numbers are in `study.json`.",
            ),
        ),
        place,
    )


def _pictures(study: Study, place: Path) -> Section:
    figures = [_picture(entry, place) for entry in study.entries]
    rows = tuple(
        (
            entry.method.name,
            entry.method.title,
            f"{entry.weight:.3g}" if entry.method.price is not None else "",
            short(entry.picture.activation),
            short(entry.robust),
            f"{100 * entry.robust / entry.picture.activation:.0f}%" if entry.picture.activation > 0 else "",
            short(entry.excess),
        )
        for entry in study.entries
    )
    header = ("method", "what", "weight", "activation", "under transforms", "kept", "excess")
    text = (
        "Activation: on the saved picture, by the plain network. Under transforms: its mean over "
        f"{study.config.views} random views, the same shifts, turns and changes of size for all. Excess: power above "
        f"{HIGH} cycles per pixel over that of natural pictures with as much below; 1 is a spectrum of 1/f², and "
        "photographs, softened by resizing, mostly have less.",
    )
    return Section(
        "pictures", "The pictures", text, tuple(filter(None, figures)), columns=4, tables=(Table(header, rows),)
    )


def _picture(entry: Regularized, place: Path) -> Figure | None:
    path = entry.picture.path
    if path is None:
        return None
    width, height = entry.picture.image().size
    caption = (*entry.caption(), entry.picture.reason) if entry.picture.reason else tuple(entry.caption())
    alt = f"picture optimized for {entry.picture.target} with {entry.method.title}"
    return Figure(path.relative_to(place).as_posix(), alt, width, height, caption)


def _spectra(study: Study, place: Path) -> Section:
    groups = (
        ("prices.svg", "A price on the picture", (BASE, *PRICES)),
        ("bases.svg", "Blurred gradient, transforms, other bases", (BASE, *BASES, DEFAULT)),
    )
    charts = []
    for file, title, names in groups:
        shown = [entry for entry in study.entries if entry.method.name in names]
        charts.append(_chart(place, file, title, [_natural(study), *map(_line, shown)], "power"))
    sheet = study.image()
    figures = (
        Figure(
            "sheet.png", "All pictures, each over its spectrum", sheet.width, sheet.height, ("All of it in one sheet",)
        ),
    )
    text = (
        "The power of each picture by spatial frequency, scaled so that natural pictures with the same power below 1/4 "
        "cycles per pixel have the straight line. What rises above it on the right is noise and grain.",
    )
    return Section("spectra", "Their spectra", text, (*charts, *figures), columns=1)


def _line(entry: Regularized) -> Line:
    """A spectrum, relative to that of natural pictures at the lowest frequency."""
    scale = entry.natural.power[0] * entry.natural.frequency[0] ** 2 or 1.0
    power = [max(p / scale, FAINTEST) for p in entry.spectrum.power]
    return Line(entry.method.name, entry.spectrum.frequency, power)


def _natural(study: Study) -> Line:
    scale = study.expected.power[0] * study.expected.frequency[0] ** 2
    return Line("natural", study.expected.frequency, [p / scale for p in study.expected.power])


def _gradients(study: Study, place: Path) -> Section:
    shown = chosen_layers(study.gradients)
    sizes = [Line(layer.layer, *_points(radial(layer.lattice))) for layer in shown]
    whole = [Line(layer.layer, *_points(layer.spectrum)) for layer in shown]
    charts = (
        _chart(place, "gradient-size.svg", "Size of the gradient", sizes, "power", marks=True),
        _chart(place, "gradient.svg", "The gradient itself", whole, "power over its mean", marks=True),
    )
    sheet = study.gradient_image()
    picture = Figure(
        "gradients.png", "Spectra of the gradient's size at each layer", sheet.width, sheet.height, ("Layer by layer",)
    )
    rows = tuple(
        (
            layer.layer,
            layer.kind,
            f"{layer.size[0]} x {layer.size[1]}",
            f"1/{spike.stride}",
            spike.layer or "none follows",
            short(spike.strength) if math.isfinite(spike.strength) else "",
        )
        for layer in study.gradients
        for spike in layer.spikes
    )
    text = (
        "A layer that looks at every second place hands more gradient to some places than to others: a lattice, "
        "which is a spike in the spectrum of the gradient's size. The gradient is followed from the unit back to the "
        f"picture, on the views of the picture of `{study.gradients_on}`; frequencies are in cycles per pixel of each "
        "layer.",
        "The number is the power of the gradient's size at multiples of 1/stride over that of the frequencies around "
        "them: about 1 where there is no lattice. Strides multiply: a picture carries the lattices of several layers.",
        *_without(study),
    )
    table = Table(("gradient at", "kind", "maps", "frequency", "strided layer", "spike"), rows)
    return Section("gradient", "Where the noise comes from", text, (*charts, picture), columns=1, tables=(table,))


def _without(study: Study) -> list[str]:
    """What is missing in the table, reason by reason."""
    reasons = dict.fromkeys(study.without_gradient.values())
    return [
        without_spectrum([n for n, of in study.without_gradient.items() if of == reason], reason) for reason in reasons
    ]


def chosen_layers(layers: Sequence[LayerGradient]) -> list[LayerGradient]:
    """The layers of a chart: the picture, and those right before a strided layer, nearest the picture first."""
    feeding = [
        layer
        for layer, after in zip(layers, [*layers[1:], None], strict=True)
        if after is not None and layer.spikes[0].layer == after.layer
    ]
    picture = [layer for layer in layers[:1] if layer not in feeding]
    return [*picture, *feeding][:MOST_LINES] or list(layers[:MOST_LINES])


def _points(spectrum: Spectrum) -> tuple[tuple[float, ...], list[float]]:
    return spectrum.frequency, [max(p, FAINTEST) for p in spectrum.power]


def _chart(place: Path, file: str, title: str, series: Sequence[Line], y_label: str, *, marks: bool = False) -> Figure:
    width, height = CHART
    found = [Mark(0.25, "1/4"), Mark(0.5, "1/2")] if marks else [Mark(HIGH, "1/4")]
    text = lines(
        series,
        x_label="cycles per pixel",
        y_label=y_label,
        log_x=not marks,
        log_y=True,
        width=width,
        height=height,
        marks=found,
    )
    atomic_write(place / file, text.encode())
    tall = int(text.split('height="', 1)[1].split('"', 1)[0])
    names = ", ".join(line.name for line in series)
    return Figure(file, f"{title}: spectra of {names}", width, tall, (title,))


def _method(study: Study, network: Sequence[str], machine: Sequence[str]) -> Section:
    size = study.config.size
    side = "x".join(map(str, size)) if isinstance(size, tuple) else str(size)
    words = ["phosphene", "study", "regularization", network[0], study.target, *network[1:], "--size", side]
    words += ["--steps", str(study.config.steps), "--seed", str(study.config.seed), "--views", str(study.config.views)]
    words += ["--methods", study.config.methods] if study.config.methods else []
    words += ["--natural", "FILE"] if study.config.natural else []
    text = (
        "Every price has the weight at which the picture without regularization would cost a given share of what the "
        "unit gains by it, so that it means the same for every unit: see `docs/study-regularization.md`.",
    )
    return Section("again", "Again", text, commands=(shlex.join([*words, *machine]),))


def _facts(study: Study) -> tuple[tuple[str, str], ...]:
    return (
        ("network", study.model),
        ("unit", study.target),
        ("activation on gray", short(study.gray)),
        ("steps", str(study.config.steps)),
        ("seed", str(study.config.seed)),
        ("device", f"{study.device}, {study.precision}"),
        ("time", f"{study.seconds:.0f} s"),
        ("made by", f"phosphene {version()}"),
    )
