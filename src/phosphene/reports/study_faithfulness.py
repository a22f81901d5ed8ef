"""The page of a study of faithfulness: each question with its answer, the pictures, the road, all numbers.

    index.html        the page
    natural-1.png ..  the best natural pictures, as the network sees them
    road.svg          how alike pictures are, layer by layer
    kinship.svg       how often the picture is more like a natural picture of the unit than like a random one

It lies beside the pictures that the study was saved with. `sections` are the same for a page of something larger.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from phosphene.errors import UsageError
from phosphene.features.picture import Picture
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.reports.chart import Line, lines
from phosphene.reports.html import Figure, Page, Section, Table, section_html, write_page
from phosphene.study.doubts import verdict
from phosphene.study.path import KINSHIP
from phosphene.study.result import short
from phosphene.study.trust import HEADER, Trust, row

Draw = Callable[[str, str, str], Figure]  # file, SVG and what it shows, as a figure

WIDTH, HEIGHT = 560, 320  # pixels of a chart: two stand abreast
MARKS = {True: "speaks against it", False: "nothing against it", None: "says nothing"}


def write_report(study: Trust, folder: str | Path) -> Path:
    """Write the page of a saved study beside its pictures; returns it.

    Raises UsageError when the study's pictures do not lie there.
    """
    place = Path(folder)
    title = f"Can the picture of {study.target} be trusted? {study.model}"
    lead = (verdict(study), *(check.answer for check in study.checks()))
    return write_page(Page(title, lead, sections(study, place), facts(study)), place)


def fragment(study: Trust, folder: str | Path) -> str:
    """The sections as HTML, for a page of something larger, with the files that they show written into the folder."""
    return "\n".join(map(section_html, sections(study, folder)))


def sections(study: Trust, folder: str | Path) -> tuple[Section, ...]:
    """The study as parts of a page that lies in `folder`, with the files that they show.

    Raises UsageError when the study's pictures do not lie there.
    """
    place = Path(folder)
    pictures = (study.picture, *study.family)
    if any(picture.path is None or picture.path.parent != place for picture in pictures):
        raise UsageError("a report lies beside its pictures: save the study in that folder first")
    optimized = Section("optimized", "Optimized pictures", figures=tuple(map(figure, pictures)))
    found = [questions(study), optimized, nature(study, place)]
    if study.path:
        found.append(road(study, lambda file, svg, alt: drawn(place, file, svg, alt)))
    if study.transfers:
        found.append(elsewhere(study))
    file = study.picture.path.name if study.picture.path is not None else ""
    found.append(Section("again", "Making the picture again", commands=(shlex.join(["phosphene", "rerun", file]),)))
    return tuple(found)


def questions(study: Trust) -> Section:
    """What was asked, and what an answer can tell."""
    text = tuple(f"{check.title}, {MARKS[check.doubt]}. {check.can} {check.cannot}" for check in study.checks())
    return Section("questions", "What this can and cannot tell", text)


def nature(study: Trust, place: Path) -> Section:
    """The best natural pictures, each in a file of its own."""
    figures = []
    for number, (one, pixels) in enumerate(zip(study.shown, study.examples, strict=False), 1):
        file = atomic_write(place / f"natural-{number}.png", png_bytes(pixels))
        key, value = study.natural.data.key(one), float(study.natural.values[one])
        caption = (f"activation {short(value)}", PurePosixPath(key).name)
        alt = f"natural picture {number} of those that raise {study.target} most"
        figures.append(Figure(file.name, alt, pixels.shape[2], pixels.shape[1], caption))
    text = (f"The best of {len(study.natural)} pictures, as the network sees them.",)
    return Section("natural", "Natural pictures", text, tuple(figures))


def figure(picture: Picture) -> Figure:
    """An optimized picture with its activation."""
    assert picture.path is not None  # `sections` looked
    width, height = picture.image().size
    return Figure(picture.path.name, f"picture optimized for {picture.target}", width, height, tuple(picture.caption()))


def road(study: Trust, draw: Draw) -> Section:
    """How alike pictures are on the way to the unit. draw: makes a figure of a chart."""
    across = list(range(1, len(study.path) + 1))
    alike = [
        Line("natural, natural", across, [one.natural for one in study.path]),
        Line("picture, natural", across, [one.picture for one in study.path]),
        Line("natural, random", across, [one.random for one in study.path]),
    ]
    akin = [
        Line("natural", across, [one.natural_kinship for one in study.path]),
        Line("picture", across, [one.kinship for one in study.path]),
        Line("flag below", across, [KINSHIP] * len(across)),
        Line("chance", across, [0.5] * len(across)),
    ]
    charts = (
        chart(draw, "road.svg", "How alike pictures are at each layer", alike, "rank correlation"),
        chart(draw, "kinship.svg", "More like the unit's own than like a random picture", akin, "share of pairs"),
    )
    text = (
        "Spearman's rank correlation between the channels of two pictures, each averaged over space, layer by layer; "
        f"the unit's own layer is the last. Normalized: 1 where the picture is as like the {study.config.top} best "
        "natural pictures as they are like each other, 0 where it is no more like them than a random picture is "
        "(Geirhos et al. 2023). Kinship: how often a natural picture of the unit is more like it than a random one.",
    )
    note = "The picture takes another road than the unit's natural pictures." if study.another_road else ""
    table = Table(HEADER, tuple(map(row, study.path)))
    return Section("road", "The road through the network", text, charts, note=note, columns=2, tables=(table,))


def chart(draw: Draw, file: str, title: str, series: list[Line], y_label: str) -> Figure:
    """One chart by layer."""
    text = lines(series, x_label="layer", y_label=y_label, title=title, width=WIDTH, height=HEIGHT)
    return draw(file, text, f"{title}: {', '.join(line.name for line in series)}")


def drawn(place: Path, file: str, svg: str, alt: str) -> Figure:
    """A chart as a figure, in a file of its own."""
    atomic_write(place / file, svg.encode())
    tall = int(svg.split('height="', 1)[1].split('"', 1)[0])
    return Figure(file, alt, WIDTH, tall)


def elsewhere(study: Trust) -> Section:
    """The counterparts in other networks."""
    rows = tuple(
        (
            one.model,
            one.unit,
            f"{one.r:.2f}",
            f"{one.held_out:.2f}",
            short(one.value),
            short(one.best),
            f"{one.share:.0%}",
        )
        for one in study.transfers
    )
    header = ("network", "counterpart", "r, chosen on", "r, held out", "on the picture", "best natural", "beats")
    text = (
        "The unit of another network whose responses to the natural pictures correlate best. Beats: the share of them "
        "that it answers less than the picture.",
    )
    return Section("elsewhere", "In other networks", text, tables=(Table(header, rows),))


def facts(study: Trust) -> tuple[tuple[str, str], ...]:
    """How it was made."""
    return (
        ("network", study.model),
        ("unit", study.target),
        ("natural pictures", str(len(study.natural))),
        ("steps", str(study.picture.steps)),
        ("size", " x ".join(map(str, study.picture.size))),
        ("seed", str(study.picture.seed)),
        ("device", f"{study.device}, {study.precision}"),
        ("time", f"{study.seconds:.0f} s"),
    )
