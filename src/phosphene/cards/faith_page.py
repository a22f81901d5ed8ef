"""The sections that tell whether the pictures of a card can be trusted: the answers, and the road in charts."""

from __future__ import annotations

from pathlib import PurePosixPath

from phosphene.cards.album import Album
from phosphene.reports import Figure, Section
from phosphene.reports.study_faithfulness import MARKS, road
from phosphene.study.doubts import Check, verdict
from phosphene.study.result import short
from phosphene.study.trust import Trust

MEAN = (
    ", by the mean over the picture, which is what was raised. The examples above are ranked by the largest response, "
    "so they may be others."
)
MOST_NATURAL = 5  # natural pictures beside the optimized one


def sections(study: Trust, album: Album, *, mapped: bool) -> tuple[Section, ...]:
    """What the study says, for the page whose pictures are in the album. mapped: whether the unit responds at many
    places, so that a mean was raised."""
    found = [answers(study, album, mapped=mapped)]
    if study.path:
        found.append(road(study, lambda file, svg, alt: album.chart(svg, alt)))
    return tuple(found)


def answers(study: Trust, album: Album, *, mapped: bool) -> Section:
    """The verdict, each answer with its limits, and the picture beside the best natural ones."""
    word = "mean" if mapped else "score"
    value = short(study.picture.activation)
    own = album.picture(study.picture.pixels, "the optimized picture", ("optimized", f"{word} {value}"))
    return Section(
        "trust",
        "Can the optimized picture be trusted?",
        text=(
            verdict(study),
            *map(told, study.checks()),
            f"Here is the picture beside the best of {len(study.natural)} natural ones: those that the index names for "
            f"the unit{MEAN if mapped else '.'}",
        ),
        figures=(own, *natural(study, album, word)),
        columns=6,
    )


def told(check: Check) -> str:
    """An answer with what it cannot tell, and what it can where it is a doubt."""
    means = {True: f" {check.can} {check.cannot}", False: f" {check.cannot}", None: ""}
    return f"{check.title}: {MARKS[check.doubt]}. {check.answer}{means[check.doubt]}"


def natural(study: Trust, album: Album, word: str) -> tuple[Figure, ...]:
    """The best natural pictures."""
    rows = zip(study.shown[:MOST_NATURAL], study.examples, strict=False)
    return tuple(
        album.picture(
            pixels,
            f"natural picture {number} of those that raise the unit most",
            (f"{word} {short(float(study.natural.values[row]))}", PurePosixPath(study.natural.data.key(row)).name),
        )
        for number, (row, pixels) in enumerate(rows, 1)
    )
