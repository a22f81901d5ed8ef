"""The report of a painting: how the loss fell, by term and by layer, what it cost, and what an independent judge says.

    NAME.report.json    everything, for programs
    NAME.report.html    the same for readers, with NAME.loss.svg, NAME.layers.svg and NAME.heldout.svg beside it

The numbers are those of the recipe; the curves are what the recipe leaves out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phosphene.errors import UsageError
from phosphene.files import atomic_write
from phosphene.reports.chart import Line, Mark, bars, lines
from phosphene.reports.html import Figure, Page, Section, html
from phosphene.style.painting import Painting, summary
from phosphene.style.terms import KINDS

WIDTH, HEIGHT = 640, 360  # pixels of a chart


def write_report(painting: Painting, *, title: str) -> Path:
    """Write the report of a saved painting beside it; returns the page. Raises UsageError when it was not saved."""
    if painting.path is None:
        raise UsageError("a report lies beside its picture: save the painting first")
    file = painting.path
    atomic_write(beside(file, "report.json"), (json.dumps(report(painting), indent=1) + "\n").encode())
    charts = {"loss": loss_chart(painting), "layers": layer_chart(painting), "heldout": heldout_chart(painting)}
    for name, svg in charts.items():
        place = beside(file, f"{name}.svg")
        if svg:
            atomic_write(place, svg.encode())
        else:
            place.unlink(missing_ok=True)
    return atomic_write(beside(file, "report.html"), html(page(painting, title, charts)).encode())


def beside(file: Path, ending: str) -> Path:
    """A file of the report: art.png has art.report.html."""
    return file.with_name(f"{file.stem}.{ending}")


def report(painting: Painting) -> dict[str, Any]:
    """The report as data: the summary, the network and the method, and the losses of every step."""
    recipe = painting.recipe
    names = list(painting.layers)
    return {
        **summary(recipe),
        "status": painting.status,
        "reason": painting.reason,
        "model": recipe["model"]["name"],
        "method": recipe["resolved"],
        "environment": recipe["environment"],
        "curve": [
            {"scale": scale, "step": step, "total": number(total), **dict(zip(names, map(number, trace), strict=True))}
            for (scale, step, total), trace in zip(painting.history, painting.traces, strict=True)
        ],
    }


def number(value: float) -> float | None:
    """A number as JSON has it."""
    return value if math.isfinite(value) else None


def loss_chart(painting: Painting) -> str:
    """The loss and its kinds over all steps; "" where nothing was done."""
    names = list(painting.layers)
    curves = {"total": [total for _, _, total in painting.history]}
    for kind in KINDS:
        places = [k for k, name in enumerate(names) if name.startswith(kind)]
        if places:
            curves[kind] = [sum(trace[k] for k in places) for trace in painting.traces]
    return drawn(curves, painting, "Loss")


def layer_chart(painting: Painting) -> str:
    """Each term over all steps; "" where there is but one."""
    curves = {name: [trace[k] for trace in painting.traces] for k, name in enumerate(painting.layers)}
    return drawn(curves, painting, "Loss by term and layer") if len(curves) > 1 else ""


def drawn(curves: Mapping[str, Sequence[float]], painting: Painting, title: str) -> str:
    """Lines over steps on a logarithmic axis, with a mark where a scale begins."""
    series = [Line(name, range(1, len(ys) + 1), [y if y > 0 else math.nan for y in ys]) for name, ys in curves.items()]
    series = [line for line in series if any(map(math.isfinite, line.y))]
    if not series:
        return ""
    begins = [k for k, (_, step, _) in enumerate(painting.history, 1) if step == 1 and k > 1]
    marks = [Mark(k, "") for k in begins]
    return lines(
        series, x_label="step", y_label="loss", log_y=True, title=title, width=WIDTH, height=HEIGHT, marks=marks
    )


def heldout_chart(painting: Painting) -> str:
    """The share of the style distance that is removed, by the judge's layers; "" without a judge."""
    if painting.heldout is None or not painting.heldout.shares:
        return ""
    shares = list(painting.heldout.shares.items())
    return bars(shares, x_label="share of the style distance removed", title=painting.heldout.network, width=WIDTH)


def page(painting: Painting, title: str, charts: Mapping[str, str]) -> Page:
    """The report as a page."""
    assert painting.path is not None
    file, recipe = painting.path, painting.recipe
    height, width = painting.size
    shown = (Figure(file.name, f"{title}: the painting", width, height, (title,)),)
    sections = [Section("painting", "The painting", figures=shown if is_shown(file) else (), columns=1)]
    drawn_curves = tuple(chart(file, name, charts[name]) for name in ("loss", "layers") if charts[name])
    if drawn_curves:
        text = ("The losses are weighted, on a logarithmic axis. A dotted line marks where a larger scale begins.",)
        sections.append(Section("loss", "How the loss fell", text, drawn_curves, columns=1))
    if painting.heldout is not None:
        figures = (chart(file, "heldout", charts["heldout"]),) if charts["heldout"] else ()
        sections.append(
            Section("heldout", "By a network that was not optimized", judgment(painting), figures, columns=1)
        )
    again = f"phosphene rerun {file.name} --input CONTENT --input STYLE"
    sections.append(Section("again", "Making it again", commands=(again, f"phosphene info {file.name}")))
    facts = (
        ("network", str(recipe["model"]["name"])),
        ("size", f"{width} x {height}"),
        ("time", f"{painting.seconds:.1f} s"),
        ("evaluations", str(painting.evaluations)),
        ("peak memory", f"{painting.peak_memory_mb:.0f} MB"),
        ("preset", str(recipe["method"]["preset"])),
        ("device", f"{recipe['environment']['device']} {recipe['environment']['precision']}"),
        ("status", painting.status),
    )
    return Page(title, (painting.reason,) if painting.reason else (), tuple(sections), facts)


def is_shown(file: Path) -> bool:
    """Whether browsers show the format: all but TIFF."""
    return file.suffix.lower() not in (".tif", ".tiff")


def chart(file: Path, name: str, svg: str) -> Figure:
    """A chart of the report as a figure."""
    height = int(svg.split('height="', 1)[1].split('"', 1)[0])
    return Figure(beside(file, f"{name}.svg").name, svg.split("</title>", 1)[0].rsplit(">", 1)[1], WIDTH, height)


def judgment(painting: Painting) -> tuple[str, ...]:
    """What the judge says, in words."""
    heldout = painting.heldout
    assert heldout is not None
    said = []
    if heldout.removed is not None:
        said.append(
            f"{heldout.network} finds {heldout.removed:.0%} of the style distance removed on the mean over its layers: "
            "the relative distance of Gram matrices to the style, before and after."
        )
    if heldout.content is not None:
        said.append(f"The content is kept to a correlation of {heldout.content:.2f} of its features.")
    return tuple(said)
