"""The page of a card: one file that holds its pictures, with plain words on what each part can and cannot tell.

index.html  the page              sheet.png   optimized pictures and examples on one sheet
card.json   the same in numbers   strip.jpg   a few of them in a row, for a book
*.png       the optimized pictures, each with its recipe
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from phosphene.cards.album import Album
from phosphene.cards.card import Card, Shown
from phosphene.cards.faith_page import sections as trust_sections
from phosphene.cards.probe_page import lead
from phosphene.cards.probe_page import sections as probe_sections
from phosphene.cards.relations import Relation
from phosphene.cards.sight import composed, cut, lit
from phosphene.cards.strip import strip
from phosphene.examples.sheet import ROWS
from phosphene.features.picture import Picture
from phosphene.files import atomic_write
from phosphene.media import png_bytes
from phosphene.reports import Figure, Page, Section, Table
from phosphene.reports.chart import Line, Mark, bars, lines
from phosphene.reports.embed import embedded
from phosphene.reports.html import html
from phosphene.study.doubts import verdict
from phosphene.version import version

PAGE_FILE, CARD_FILE, STRIP_FILE = "index.html", "card.json", "strip.jpg"
BINS = 32  # of the histogram
WIDTH, HEIGHT = 480, 240  # pixels of the histogram
BAR_WIDTH = 480  # pixels of the charts that stand two abreast
KINDS = {
    "positive": "raises the unit",
    "negative": "lowers the unit",
    "diverse": "raises it, and differs from the others",
}
FLOOR = "A rectified unit ends at 0, so the picture that lowers it is one of many: anything that leaves it silent."
MEAN = (
    " The score is the largest response, as with the examples; the mean is over the picture, and it is what was raised."
)
PLACE = (
    "The number is the score, the largest response. The two behind it say where that is: row and column on the layer's "
    "own grid, from 0."
)
WORDS = {
    "maximum": "Of all {what}s scanned, those to which the unit responds most.",
    "slightly positive": "{What}s about which three of four score lower: what excites the unit a little.",
    "slightly negative": "{What}s about which one of four scores lower: what excites it less than usual.",
    "minimum": "Those to which it responds least.",
}


def words_of(part: str, what: str) -> str:
    """What a part of the spectrum is, of examples that are called `what`."""
    return WORDS[part].format(what=what, What=what.capitalize())


def write_card(card: Card, folder: str | Path, *, more: Sequence[Section] = ()) -> Path:
    """Write the page of a card, its JSON, its sheet and its optimized pictures into a folder; returns the page.

    more: sections of other reports on the unit, such as how faithful its pictures are; they follow the probes.
    """
    place, album = Path(folder), Album()
    for kind, row in card.pictures.items():
        for number, picture in enumerate(row):
            picture.save(place / card.file(kind, number))
    text = embedded(html(page(card, album, more)), album.files)
    atomic_write(place / "sheet.png", png_bytes(card.sheet()))
    atomic_write(place / STRIP_FILE, strip(card))
    file = atomic_write(place / PAGE_FILE, text.encode())
    # the last one: where it is, the card is whole
    atomic_write(place / CARD_FILE, (json.dumps(card.data(), ensure_ascii=False, indent=1) + "\n").encode())
    return file


def page(card: Card, album: Album, more: Sequence[Section] = ()) -> Page:
    """The card as a page whose pictures are in the album."""
    unit = card.subject
    statistics, network = card.statistics, unit.eye.model.name
    sections = [
        *([pictures(card, album)] if card.pictures else []),
        *[row(card, name, word, album) for word, name in ROWS],
        *probe_sections(card.probe, album),
        *(trust_sections(card.trust, album, mapped=mapped(card)) if card.trust is not None else ()),
        *more,
        related(card, album),
        scores(card, album),
    ]
    facts = (
        ("network", network),
        ("weights", unit.eye.model.weights.sha256[:12]),
        ("layer", unit.eye.layer),
        ("unit", str(unit.eye.unit)),
        ("sees", sees(card)),
        ("pictures scanned", str(statistics.count)),
        ("made by", f"phosphene {version()}"),
    )
    footer = (
        "`card.json` holds the numbers: key, score and position of every example, as the plain network has them.",
    )
    return Page(f"{card.name} of {network}", told(card), tuple(sections), facts, footer)


def told(card: Card) -> tuple[str, ...]:
    """What stands below the title: what excites the unit, and whether its optimized pictures can be trusted."""
    return (lead(card.probe), *([verdict(card.trust)] if card.trust is not None else []))


def sees(card: Card) -> str:
    """How much of a picture the unit sees."""
    found = card.subject.index.find_layer(card.subject.eye.layer).field
    return "all of it" if found is None else f"{found.size[1]} x {found.size[0]} pixels"


def pictures(card: Card, album: Album) -> Section:
    """What optimization finds."""
    figures = tuple(optimized(card, picture, kind, album) for kind, made in card.pictures.items() for picture in made)
    return Section(
        "pictures",
        "Optimized pictures",
        text=(
            "Each began as faint noise and was changed until the unit answered as strongly as it could, or as weakly. "
            "No photograph is involved, so whatever stands in it was put there by the network: this is a cause.",
            "It shows an extreme that no camera would see, and does not say which parts of it occur in the world; the "
            "examples do." + (MEAN if mapped(card) else ""),
            *([FLOOR] if any(one.activation == 0 for one in card.pictures.get("negative", ())) else []),
        ),
        figures=figures,
        columns=6,
    )


def mapped(card: Card) -> bool:
    """Whether the unit responds at many places, so that its mean and its largest response are two numbers."""
    return math.prod(card.subject.layer.spatial) > 1


def optimized(card: Card, picture: Picture, kind: str, album: Album) -> Figure:
    """An optimized picture as a figure."""
    silenced = kind == "negative" and picture.activation == 0  # what was asked for, and no failure
    state = () if picture.status == "ok" or silenced else (f"{picture.status}: {picture.reason}",)
    mean = f", mean {picture.activation:.4g}" if mapped(card) else ""
    caption = (KINDS[kind], f"score {card.score(picture):.4g}{mean}", *state)
    return album.picture(picture.pixels, f"picture that {KINDS[kind]}", caption)


def row(card: Card, name: str, word: str, album: Album) -> Section:
    """One row of the spectrum."""
    shown = card.spectrum[name]
    parts = ["Below each picture: "]
    part, warm = any(one.part for one in shown), any(one.warm is not None for one in shown)
    parts.append(
        "what the unit sees of it at the place where it responds most, and where it responds, lit. The brightest place "
        "is that of the strongest response in this picture."
        if part and warm
        else "where the unit responds, lit; it sees the whole picture."
        if warm
        else "nothing more: the unit sees the whole picture, and responds to none of its places."
    )
    text = [words_of(name, "picture")]
    if name == "maximum":
        text += [
            "".join(parts),
            *([PLACE] if mapped(card) else []),
            "Examples show what goes with the unit in this data. What they have in common need not be what it answers "
            "to: the section on causes tells these apart.",
        ]
    return Section(
        safe_id(name),
        f"{word.capitalize()} examples",
        text=tuple(text),
        figures=tuple(example(one, album) for one in shown),
        columns=6,
    )


def safe_id(name: str) -> str:
    """The anchor of a row."""
    return name.replace(" ", "-")


def example(one: Shown, album: Album) -> Figure:
    """An example with what is seen of it and where."""
    name = PurePosixPath(one.example.key).name
    silent = one.warm is None  # it responds nowhere, so no place is its strongest
    place = None if silent else one.example.position
    at = "" if place is None else f" at {place[0]},{place[1]}"
    seen = cut(one.pixels, one.field) if one.part and not silent else None
    warm = lit(one.pixels, one.warm) if one.warm is not None else None
    return album.picture(
        composed(one.pixels, seen, warm),
        f"{name}, its part and its heat",
        (f"{one.example.score:.4g}{at}", name),
        whole=True,
    )


def related(card: Card, album: Album) -> Section:
    """Units that respond alike and classes that go with the unit."""
    found = card.relations
    charts = []
    for title, values in (
        ("units of the layer, by correlation", found.similar),
        ("classes of the data, by mean score", found.classes),
        ("classes of the network, by correlation", found.outputs),
    ):
        if values:
            named = [(one.name, one.value) for one in values]
            svg = bars(named, x_label=title, width=BAR_WIDTH)
            charts.append(album.chart(svg, f"{title}: {spoken(values)}"))
    noise, word = 1 / math.sqrt(max(found.pictures, 1)), card.subject.index.word
    text: tuple[str, ...] = (
        f"Correlations are over a sample of {found.pictures} {word}s; those of unrelated units scatter by "
        f"{noise:.2f}. They say what goes together in this data, and nothing about what causes what.",
    )
    chosen = card.statistics.selectivity
    if chosen is not None and math.isfinite(chosen):
        text += (
            f"Class selectivity {chosen:.2f}, most for {card.statistics.best_class}: 0 for a unit that answers to all "
            "classes alike, 1 for one that answers to a single class.",
        )
    note = "" if charts else f"Too few {word}s, or none that the unit answers to, for any of this."
    return Section("related", "What it goes with", text=text, figures=tuple(charts), note=note, columns=2)


def spoken(values: Sequence[Relation]) -> str:
    """A chart in words."""
    return ", ".join(f"{one.name} {one.value:.3g}" for one in values)


def scores(card: Card, album: Album) -> Section:
    """How strongly the unit responds to all pictures."""
    found, word = card.statistics, card.subject.index.word
    rows = (
        (f"{word}s", str(found.count)),
        ("mean", f"{found.mean:.4g}"),
        ("deviation", f"{math.sqrt(found.variance):.4g}"),
        ("lowest", f"{card.spectrum['minimum'][0].example.score:.4g}"),
        ("highest", f"{card.spectrum['maximum'][0].example.score:.4g}"),
        ("exactly 0", f"{100 * found.zeros:.1f}%"),
        ("faint noise" if card.subject.rate else "plain gray", f"{card.probe.blank:.4g}"),
    )
    svg = histogram(card)
    figures = (album.chart(svg, f"histogram of scores, mean {found.mean:.4g}"),) if svg else ()
    return Section(
        "scores",
        "All scores",
        text=(f"The score of a {word} is the unit's largest response to it. Here are those of all {word}s scanned.",),
        figures=figures,
        columns=2,
        tables=(Table(("scores", "value"), rows),),
    )


def histogram(card: Card) -> str:
    """The scores of all pictures in bins of one width, as SVG; "" where all are equal.

    The counts of an index, in bins of a quarter of an octave, are spread evenly inside their bins.
    """
    low, high = card.spectrum["minimum"][0].example.score, card.spectrum["maximum"][0].example.score
    if not high > low:
        return ""
    unit = card.subject
    borders, counts = unit.index.histogram(unit.eye.layer, unit.eye.unit)
    below = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    clipped = np.clip(borders, low, high)
    wanted = np.linspace(low, high, BINS + 1)
    first = np.flatnonzero(np.diff(clipped) > 0)
    share = np.diff(np.interp(wanted, clipped[[*first, first[-1] + 1]], below[[*first, first[-1] + 1]]))
    share[0] += below[first[0]]  # exact zeros at the lower end have no width
    share[-1] += 1 - below[first[-1] + 1]
    x = [float(at) for at in np.repeat(wanted, 2)]
    y = [0.0, *(float(100 * value) for value in np.repeat(share, 2)), 0.0]
    marks = (Mark(card.statistics.mean, "mean"),)
    return lines(
        [Line(f"{unit.index.word}s", x, y)],
        x_label="score",
        y_label=f"percent of {unit.index.word}s",
        marks=marks,
        width=WIDTH,
        height=HEIGHT,
    )
