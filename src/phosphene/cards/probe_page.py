"""The sections that tell a probe: the smallest patches, the changes, and the answers to the user's own pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from phosphene.cards import sound_page
from phosphene.cards.album import Album
from phosphene.cards.patch import half_seen
from phosphene.cards.probe import Probe, Probed, changes_of, share
from phosphene.cards.sight import enlarged, outlined
from phosphene.files import atomic_write
from phosphene.reports import Page, Section, Table
from phosphene.reports.chart import bars
from phosphene.reports.html import html

CHART = 480  # pixels
MOST_ASKED = 48  # pictures of --ask that are shown; the table has all
CANNOT = (
    "A change leaves the {} unnatural, and a unit may fail on that alone. Above 100% the change helps, below 0% less "
    "is left than where there is nothing. What a unit needs is told for these examples: it may answer to others for "
    "other reasons."
)


def patches(probe: Probe, album: Album) -> Section:
    """The smallest patch of each example, marked and alone."""
    figures = []
    for one in probe.examples:
        name = PurePosixPath(one.example.key).name
        y0, x0, y1, x1 = box = half_seen(one.pixels, one.patch.box, one.field)
        height, width = y1 - y0, x1 - x0
        area = height * width / (one.pixels.shape[1] * one.pixels.shape[2])
        marked = outlined(one.pixels, box)
        figures.append(album.picture(marked, f"{name} with its patch outlined", (f"score {one.score:.4g}", name)))
        words = (f"{share(one.patch.kept)} kept", f"{width} x {height} pixels, {100 * area:.2g}% of the picture")
        near = enlarged(one.pixels, one.patch.box, probe.subject.color)
        figures.append(album.picture(near, f"the patch of {name}, enlarged", words))
    return Section(
        "patch",
        "What is enough",
        text=(
            f"The smallest patch of each picture that still keeps {share(probe.keep)} of the activation at its place, "
            "found by cutting off whatever the unit misses least. All else is painted in the color that the network "
            "holds to be nothing, with a soft border. The outline and the size in pixels go to the middle of it.",
            "It shows what is enough. It cannot show what else would be: a unit may answer to several things in a "
            "picture, and this is one of them.",
        ),
        figures=tuple(figures),
        columns=6,
    )


def cause(probe: Probe, album: Album) -> Section:
    """What remains of the activation under each change, in numbers."""
    kept = [(name, 100 * probe.kept(name)) for name in probe.changes]
    ranks = [(name, probe.percentiles[name]) for name in probe.changes]
    word, nothing = ("sound", "faint noise") if probe.subject.rate else ("picture", "plain gray")
    charts = (
        (kept, "activation kept, percent, median of the examples"),
        (ranks, f"{word}s of the data with a lower score, percent"),
    )
    means = {change.name: change for change in changes_of(probe.subject)}
    rows = tuple(
        (
            name,
            means[name].keeps,
            means[name].destroys,
            share(probe.kept(name)),
            *span(probe.examples, name),
            f"{probe.percentiles[name]:.1f}%",
        )
        for name in probe.changes
    )
    return Section(
        "cause",
        "Cause or correlate?",
        text=(
            probe.sentence,
            f"The {len(probe.examples)} strongest examples were changed so that one thing stays and another goes. If "
            "most of the response is kept, the unit did not need what went, even where all examples have it. If little "
            "is kept, it did.",
            f"Kept is `(r - b) / (s - b)`: r the score with the change, s as it is, b that of {nothing} "
            f"({probe.blank:.4g}). It is the median of the examples; least and most are of single ones. The second "
            f"chart and the last column say how many {word}s of the data score lower than the changed ones.",
        ),
        note=CANNOT.format(word),
        figures=tuple(
            album.chart(bars(values, x_label=label, width=CHART), spoken(values)) for values, label in charts
        ),
        columns=2,
        tables=(Table(("change", "keeps", "destroys", "kept", "least", "most", "data below"), rows),),
    )


def spoken(values: Sequence[tuple[str, float]]) -> str:
    """A chart in words."""
    return ", ".join(f"{name} {value:.0f}" for name, value in values)


def changed(probe: Probe, album: Album) -> Section:
    """The strongest example under each change."""
    first, rate = probe.examples[0], probe.subject.rate
    figures = [album.example(first.pixels, rate, "the strongest example", ("as it is", "100%"))]
    for name, pixels in first.changed.items():
        caption = (name, share(first.kept[name]))
        figures.append(album.example(pixels, rate, f"the strongest example, {name}", caption))
    text = "The strongest example under each change, and what it keeps."
    text += (
        " A spectrogram reaches 70 dB below its own loudest place, so faint noise alone looks bright." if rate else ""
    )
    return Section("changes", "The changes", text=(text,), figures=tuple(figures), columns=2 if rate else 6)


def lead(probe: Probe) -> str:
    """What stands below the title: the verdict."""
    return f"In its strongest examples it answers to {probe.verdict}."


def span(examples: Sequence[Probed], name: str) -> tuple[str, str]:
    """The least and the most that an example keeps."""
    shares = [one.kept[name] for one in examples if math.isfinite(one.kept[name])]
    return (share(min(shares)), share(max(shares))) if shares else ("-", "-")


def asked(probe: Probe, album: Album) -> Section:
    """The user's own pictures, strongest first."""
    ordered, rate = sorted(probe.asked, key=lambda one: -one.score), probe.subject.rate
    word = probe.subject.index.word
    figures = tuple(
        album.example(one.pixels, rate, one.name, (f"{one.percentile:.1f}% below", f"score {one.score:.4g}", one.name))
        for one in ordered[:MOST_ASKED]
    )
    rows = tuple((one.name, f"{one.score:.4g}", f"{one.percentile:.1f}%") for one in ordered)
    return Section(
        "asked",
        f"Your own {word}s",
        text=(f"Where each {word} stands among those of the data: the percentage of them with a lower score.",),
        figures=figures,
        columns=2 if rate else 6,
        tables=(Table((word, "score", "data below"), rows),),
    )


def sections(probe: Probe, album: Album) -> tuple[Section, ...]:
    """All that a probe tells."""
    own = (asked(probe, album),) if probe.asked else ()
    enough = sound_page.parts(probe, album) if probe.subject.rate else patches(probe, album)
    return (cause(probe, album), enough, changed(probe, album), *own)


def write_probe(probe: Probe, folder: str | Path) -> Path:
    """Write FOLDER/index.html and FOLDER/probe.json; returns the page."""
    album, place, unit = Album(), Path(folder), probe.subject
    told = sections(probe, album)
    network = unit.eye.model.name
    facts = (("network", network), ("unit", unit.target), (f"{unit.index.word}s scanned", str(unit.index.images)))
    page = Page(f"{unit.target} of {network}", (lead(probe),), told, facts)
    atomic_write(place / "probe.json", (json.dumps(probe.data(), ensure_ascii=False, indent=1) + "\n").encode())
    return atomic_write(place / "index.html", album.bound(html(page), place, unit.rate).encode())
