"""Where things go in a chart: words as room, and a frame with words around it.

A `Frame` is the rectangle in which two scales (`scale.py`) meet; `plot` puts words around it: names beside the ends of
lines, or in a legend where they would collide. Without font metrics, a text's room is estimated from above: by DejaVu
Sans, the widest of the usual system fonts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from unicodedata import combining, east_asian_width

from phosphene.errors import UsageError
from phosphene.reports.scale import Scale

TEXT, TICK, TITLE = 13, 12, 15  # font sizes in pixels, at the chart's own width
LINE, TITLE_LINE = 17, 22  # pixels from one line of text, of a title, to the next
GAP = 8  # pixels between things that are read apart
SAMPLE = 14  # pixels: the width of a sample of a series' color
BELOW = 48  # pixels below a frame, for the numbers and the label of x
SHARE_OF_NAMES = 0.3  # of the width: names beside the lines take no more
DRIFT = 20  # pixels that a name may stand above or below the end of its line
SMALLEST = (300, 160)  # width and height in pixels that leave some room for data beside names and numbers
COLORS, AGAIN = 8, 3  # series of different color, and times that the colors come again, looking different
NARROW, WIDE = frozenset(" .,:;'|!()[]/-ijlftrI"), frozenset("mwMW@%&#+=<>~^×−∞—…")
ADVANCES = {"narrow": 0.41, "wide": 1.0, "upper": 0.79, "other": 0.64}  # em: the widest of each kind in DejaVu Sans
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


@dataclass(frozen=True)
class Mark:
    """A vertical line of reference, with a label above it. Raises UsageError for an x that is not finite."""

    x: float
    label: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.x):
            raise UsageError(f"mark {self.label!r} cannot stand at {self.x}")


@dataclass(frozen=True)
class Sheet:
    """What a chart on two axes says, and its size in pixels; the title, the legend and labels of marks come on top."""

    x_label: str
    y_label: str
    title: str | None
    width: int
    height: int
    marks: Sequence[Mark]

    def __post_init__(self) -> None:
        check_size(self.width, self.height)


def check_size(width: int, height: int = SMALLEST[1]) -> None:
    """Raises UsageError for a chart too small to read."""
    if width < SMALLEST[0] or height < SMALLEST[1]:
        raise UsageError(f"a chart has {SMALLEST[0]} x {SMALLEST[1]} pixels at least, got {width} x {height}")


@dataclass(frozen=True)
class Key:
    """The name of a series.

    index: its place among the series, which decides how it looks. end: the y at which it meets the right edge of the
    frame, None where it does not. kind: "line" or "area", as it is drawn.
    """

    name: str
    index: int
    end: float | None
    kind: str = "line"

    @property
    def width(self) -> float:
        """Its room in pixels."""
        return SAMPLE + GAP + room(self.name, TEXT)

    def drawn(self, x: float, y: float, width: float) -> str:
        """A sample of the series and its name, in at most `width` pixels, on a baseline."""
        half = TEXT / 3 if self.kind == "area" else 0
        outline = f"v{pixels(2 * half)}h-{SAMPLE}z" if half else ""
        path = f"M{pixels(x)} {pixels(y - TEXT / 3 - half)}h{SAMPLE}{outline}"
        sample = f'<path class="{self.kind} {look(self.index)}" d="{path}"/>'
        return sample + label(x + SAMPLE + GAP, y, fit(self.name, TEXT, width - SAMPLE - GAP))


def look(index: int) -> str:
    """The classes of the chart's style that tell one series from the others."""
    return f"s{index % COLORS} again{index // COLORS % AGAIN}"


@dataclass(frozen=True)
class Frame:
    """Two scales on a rectangle; its edges in pixels, from the top left of the chart."""

    x: Scale
    y: Scale
    left: float
    right: float
    top: float
    bottom: float

    def across(self, x: float) -> float:
        """The pixel column of a finite x."""
        return self.left + self.x.at(x) * (self.right - self.left)

    def down(self, y: float) -> float:
        """The pixel row of a finite y."""
        return self.bottom - self.y.at(y) * (self.bottom - self.top)

    def grid(self, x_label: str) -> list[str]:
        """Horizontal rules with the numbers of y on their left; the numbers of x, and its label, below."""
        below, rules, texts = self.bottom + GAP + TICK, "", []
        for tick, text in zip(self.y.ticks, self.y.labels, strict=True):
            rules += f"M{pixels(self.left)} {pixels(self.down(tick))}H{pixels(self.right)}"
            texts.append(label(self.left - GAP, self.down(tick) + TICK / 3, text, "tick end"))
        for tick, text in zip(self.x.ticks, self.x.labels, strict=True):
            rules += f"M{pixels(self.across(tick))} {pixels(self.bottom)}v4"
            texts.append(label(self.across(tick), below, text, "tick middle"))
        middle, name = (self.left + self.right) / 2, fit(x_label, TEXT, self.right - self.left)
        return [f'<path class="rule" d="{rules}"/>', *texts, label(middle, below + LINE + 2, name, "faint middle")]


def plot(
    sheet: Sheet, x: Scale, y: Scale, keys: Sequence[Key], curves: Callable[[Frame], list[str]]
) -> tuple[str, float]:
    """SVG elements, and their height in pixels: a frame with what `curves` draws in it, and the words around it.

    `curves` gives the elements for a frame; where it has none, the frame says so.
    """
    keys = [key for key in keys if key.name]
    size = sheet.height - LINE - GAP - BELOW
    names = max((key.width for key in keys), default=0.0)
    heights = beside(keys, y, size) if names <= SHARE_OF_NAMES * sheet.width else None
    left = GAP + max(*(room(text, TICK) for text in y.labels), room(x.labels[0], TICK) / 2)
    right = sheet.width - max(GAP, room(x.labels[-1], TICK) / 2, names + GAP if heights else 0)

    above, top = title_lines(sheet.title, sheet.width)
    if heights is None:
        legend, top = legend_lines(keys, sheet.width, top)
        above += legend
    above.append(label(0, top + TEXT, fit(sheet.y_label, TEXT, sheet.width), "faint"))
    top += LINE + GAP
    flags = flag_places({mark: left + x.at(mark.x) * (right - left) for mark in sheet.marks}, sheet.width)
    top += LINE * (1 + max((row for *_, row in flags), default=-1))

    frame = Frame(x, y, left, right, top, top + size)
    nothing = label((left + right) / 2, top + size / 2, "no data", "faint middle")
    body = [*above, *frame.grid(sheet.x_label), *(curves(frame) or [nothing])]
    for column, begin, text, row in flags:
        base = top - GAP / 2 - row * LINE
        body.append(f'<path class="mark" d="M{pixels(column)} {pixels(base + 3)}V{pixels(frame.bottom)}"/>')
        body.append(label(begin, base, text, "tick"))
    for key, height in zip(keys, heights or (), strict=False):
        body.append(key.drawn(right + GAP, top + height + TEXT / 3, sheet.width))
    return "\n".join(body), frame.bottom + BELOW


def beside(keys: Sequence[Key], y: Scale, size: float) -> list[float] | None:
    """Where names stand beside a frame `size` pixels high, in pixels from its top; None if too far from their lines."""
    wanted = [size * (1 - y.at(key.end)) for key in keys if key.end is not None]
    if len(wanted) < len(keys):
        return None
    order, places, free = sorted(range(len(keys)), key=wanted.__getitem__), list(wanted), 0.0
    for index in order:
        places[index] = max(wanted[index], free)
        free = places[index] + LINE
    free = size
    for index in reversed(order):
        places[index] = min(places[index], free)
        free = places[index] - LINE
    drift = max((abs(place - want) for place, want in zip(places, wanted, strict=True)), default=0.0)
    return places if drift <= DRIFT else None


def legend_lines(keys: Sequence[Key], width: float, top: float) -> tuple[list[str], float]:
    """The names in rows below `top`, and where the rows end."""
    drawn, x = [], 0.0
    for key in keys:
        if x and x + key.width > width:
            x, top = 0.0, top + LINE
        drawn.append(key.drawn(x, top + TEXT, width))
        x += key.width + 2 * GAP
    return drawn, top + (LINE + GAP if keys else 0)


def title_lines(title: str | None, width: float) -> tuple[list[str], float]:
    """The title in lines, and where they end."""
    rows = wrap(title or "", TITLE, width)
    drawn = [label(0, TITLE + row * TITLE_LINE, text, "title") for row, text in enumerate(rows)]
    return drawn, len(rows) * TITLE_LINE + (GAP if rows else 0)


def flag_places(columns: dict[Mark, float], width: float) -> list[tuple[float, float, str, int]]:
    """The labels of marks at pixel columns: column, where the label begins, its text, its row from below.

    From right to left, so that a mark's line rises past labels that begin further right, and never through one.
    """
    flags, begins = [], [float("inf")] * len(columns)
    for mark, column in sorted(columns.items(), key=lambda item: -item[1]):
        text = fit(mark.label, TICK, width)
        begin = min(column, width - room(text, TICK))
        row = next(row for row, taken in enumerate(begins) if begin + room(text, TICK) + GAP <= taken)
        begins[row] = begin
        flags.append((column, begin, text, row))
    return flags


def pixels(value: float) -> str:
    """A coordinate to a tenth of a pixel, without idle zeros."""
    return f"{value:.1f}".removesuffix(".0")


def label(x: float, y: float, text: str, kind: str = "", *, turned: bool = False) -> str:
    """A line of text whose baseline starts at x, y (kind "middle", "end": has its middle, its end there).

    kind: classes of the chart's style. turned: it runs upwards.
    """
    classes = f' class="{kind}"' if kind else ""
    place = f'x="{pixels(x)}" y="{pixels(y)}"'
    turn = f' transform="rotate(-90 {pixels(x)} {pixels(y)})"' if turned else ""
    return f"<text{classes} {place}{turn}>{plain(text)}</text>"


def plain(text: str) -> str:
    """Any text as the content of an SVG element; a character that XML forbids becomes U+FFFD."""
    return escape(NOT_XML.sub("\ufffd", text))


def advance(character: str) -> float:
    """The room of a character, in em."""
    if combining(character):
        return 0.0
    if character in NARROW:
        return ADVANCES["narrow"]
    if character in WIDE or east_asian_width(character) in "WF":
        return ADVANCES["wide"]
    return ADVANCES["upper" if character.isupper() else "other"]


def room(text: str, size: float) -> float:
    """The pixels that a line of text may need at a font size in pixels."""
    return size * sum(map(advance, text))


def fit(text: str, size: float, width: float) -> str:
    """The text, or its beginning and "…" where it needs more than `width` pixels."""
    if room(text, size) <= width:
        return text
    ends = accumulate(map(advance, text))
    kept = sum(size * (end + advance("…")) <= width for end in ends)
    return text[:kept].rstrip() + "…"


def wrap(text: str, size: float, width: float) -> list[str]:
    """The text in lines of at most `width` pixels, broken at spaces."""
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and room(longer, size) <= width:
            rows[-1] = longer
        else:
            rows.append(fit(word, size, width))
    return rows
