"""Charts as SVG text, for a file of their own (a model card) and for the inside of an HTML page.

    svg = lines([Line("loss", steps, losses)], x_label="step", y_label="loss", log_y=True)

A chart needs no script, no font and no network. It has no ground of its own and reads on light and dark ground: its
colors are CSS variables that follow the reader's scheme. It shrinks with its place and its type with it: for a narrow
place ask for a smaller `width`. The colors of series are those of Okabe and Ito, "Color Universal Design" (2008), moved
until each has a contrast of 3 with either ground (WCAG 2.2, 1.4.11) and kept as far apart as theirs for the
color-blind. Color is never alone: names stand in the order of the lines' ends, and from the ninth on lines are dashed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, groupby, pairwise, product

from phosphene.errors import UsageError
from phosphene.reports.axes import (
    COLORS,
    GAP,
    LINE,
    TEXT,
    TICK,
    TITLE,
    Frame,
    Key,
    Mark,
    Sheet,
    check_size,
    fit,
    label,
    look,
    pixels,
    plain,
    plot,
    room,
    title_lines,
)
from phosphene.reports.scale import number, scale

__all__ = ["Line", "Mark", "bars", "heat", "lines", "stacked"]

X_TICK, Y_TICK = 90, 44  # pixels from tick to tick, about
AT_THE_END = 0.02  # of the frame's width: lines that end this close to its edge are named there
BAR, BAR_GAP = 16, 8  # pixels: the thickness of a bar, and from one to the next
NAMES_OF_BARS = 0.4  # of the width, at most

LARGEST_CELL, FINEST_GAP = 44, 4  # pixels: no cell is larger; cells that are smaller than this stand without gaps
CELL_TEXT, SMALLEST_TEXT = 11, 7.5  # font sizes in pixels: of numbers in cells, and below which names are left out
NAMES_OF_CELLS = 140  # pixels that the names of rows and columns take at most
DEEP = 0.61  # opacity from which a cell's number changes its ink: a contrast of 4.3 at least, on either ground
SHADES = 5  # in the key of a table, for each sign

# Light: ink 16:1 on #fafaf9, faint 6:1. Dark: ink 15:1 on #131314, faint 7:1. more, less: a cell of the largest size.
LIGHT = {"ink": "#1b1b1a", "faint": "#5e5d5a", "rule": "#dddcd8", "seam": "#fff", "more": "#05233f", "less": "#451700"}
DARK = {"ink": "#eae9e6", "faint": "#a5a39e", "rule": "#323235", "seam": "#111", "more": "#94bfe8", "less": "#eda683"}
# Blue, vermillion, bluish green, reddish purple, orange, sky blue, yellow; their black is the ink.
LIGHT_SERIES = ("#005a94", "#a81c00", "#008965", "#c4679d", "#a96000", "#1599d5", "#9b9100", LIGHT["ink"])
DARK_SERIES = ("#1f78cb", "#cf4400", "#49b48d", "#b0688f", "#d98b00", "#5eceff", "#d6c900", DARK["ink"])


def variables(scheme: dict[str, str], series: Sequence[str], low: str, high: str) -> str:
    """A scheme as CSS variables. low, high: the ink on cells that are less and more than `DEEP`."""
    colors = scheme | {f"c{index}": color for index, color in enumerate(series)} | {"low": low, "high": high}
    return ";".join(f"--{name}:{color}" for name, color in colors.items())


STYLE = f"""
.phosphene-chart {{ {variables(LIGHT, LIGHT_SERIES, "#000", "#fff")};
  max-width: 100%; height: auto; font: {TEXT}px/1.2 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue",
  "Noto Sans", sans-serif; font-variant-numeric: tabular-nums; }}
@media screen and (prefers-color-scheme: dark) {{
  .phosphene-chart {{ {variables(DARK, DARK_SERIES, "#fff", "#000")} }}
}}
.phosphene-chart text {{ fill: var(--ink); }}
.phosphene-chart .title {{ font-size: {TITLE}px; font-weight: 600; }}
.phosphene-chart .faint, .phosphene-chart .tick {{ fill: var(--faint); }}
.phosphene-chart .tick {{ font-size: {TICK}px; }}
.phosphene-chart .middle {{ text-anchor: middle; }}
.phosphene-chart .end {{ text-anchor: end; }}
.phosphene-chart .rule {{ fill: none; stroke: var(--rule); }}
.phosphene-chart .mark {{ fill: none; stroke: var(--faint); stroke-dasharray: 2 3; }}
.phosphene-chart .line {{ fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }}
.phosphene-chart .axis {{ fill: none; stroke: var(--faint); }}
.phosphene-chart .point {{ fill: currentColor; }}
.phosphene-chart .again1 {{ stroke-dasharray: 7 3; fill-opacity: 0.6; }}
.phosphene-chart .again2 {{ stroke-dasharray: 2 2; fill-opacity: 0.3; }}
.phosphene-chart .area {{ fill: currentColor; stroke: var(--seam); stroke-dasharray: none; }}
.phosphene-chart .more {{ fill: var(--more); }}
.phosphene-chart .less {{ fill: var(--less); }}
.phosphene-chart .cell {{ font-size: {CELL_TEXT}px; text-anchor: middle; }}
.phosphene-chart text.low {{ fill: var(--low); }}
.phosphene-chart text.high {{ fill: var(--high); }}
""" + "\n".join(f".phosphene-chart .s{index} {{ color: var(--c{index}); }}" for index in range(COLORS))


@dataclass(frozen=True)
class Line:
    """A line through points (x[i], y[i]), broken where one is not finite. Raises UsageError if the lengths differ."""

    name: str
    x: Sequence[float]
    y: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise UsageError(f"line {self.name!r} has {len(self.x)} x and {len(self.y)} y")


def lines(
    series: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    title: str | None = None,
    width: int = 640,
    height: int = 360,
    marks: Sequence[Mark] = (),
) -> str:
    """Lines on two axes, named at their ends or in a legend; a point between gaps is a dot.

    width, height: in pixels; a title, a legend and labels of marks add to the height. Raises UsageError when there is
    no line, for a number that is not positive on a logarithmic axis, and for a chart too small to read.
    """
    sheet = Sheet(x_label, y_label, title, width, height, marks)
    if not len(series):
        raise UsageError("nothing to draw: a chart of lines needs a line")
    across = [x for one in series for x in one.x] + [mark.x for mark in marks]
    x = scale(across, name=x_label, count=width // X_TICK, log=log_x)
    y = scale([y for one in series for y in one.y], name=y_label, count=height // Y_TICK, log=log_y, whole=True)
    runs = [list(unbroken(list(zip(one.x, one.y, strict=True)))) for one in series]
    lasts = [run[-1][-1] if run else (math.nan, math.nan) for run in runs]
    keys = [
        Key(one.name, index, last[1] if x.at(last[0]) >= 1 - AT_THE_END else None)
        for index, (one, last) in enumerate(zip(series, lasts, strict=True))
    ]

    def curves(frame: Frame) -> list[str]:
        return [curve(frame, run, look(index)) for index, each in enumerate(runs) for run in each]

    texts = [
        f"{one.name}: from {number(each[0][0][1])} to {number(last[1])}" if each else f"{one.name}: no data"
        for one, each, last in zip(series, runs, lasts, strict=True)
    ]
    return document(*plot(sheet, x, y, keys, curves), width, title, f"{y_label} by {x_label}", texts)


def unbroken(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """The stretches of points that are finite."""
    for finite, run in groupby(points, key=lambda point: all(map(math.isfinite, point))):
        if finite:
            yield [(float(x), float(y)) for x, y in run]


def curve(frame: Frame, run: Sequence[tuple[float, float]], classes: str) -> str:
    """A stretch of a line, or a dot for a lone point."""
    places = [(pixels(frame.across(x)), pixels(frame.down(y))) for x, y in run]
    if len(places) == 1:
        return f'<circle class="point {classes}" cx="{places[0][0]}" cy="{places[0][1]}" r="3"/>'
    return f'<path class="line {classes}" d="M{"L".join(map(" ".join, places))}"/>'


def stacked(
    x: Sequence[float],
    shares: Sequence[tuple[str, Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    title: str | None = None,
    width: int = 640,
    height: int = 360,
    marks: Sequence[Mark] = (),
) -> str:
    """Areas on top of each other, the first one at the bottom, each with its name; a gap where a number is not finite.

    x never falls; the values of a share are as many as x and not negative. width, height: as for `lines`. Raises
    UsageError otherwise, when there is no share, and as `lines` does.
    """
    sheet = Sheet(x_label, y_label, title, width, height, marks)
    if not len(shares):
        raise UsageError("nothing to draw: stacked areas need a share")
    for name, values in shares:
        if len(values) != len(x):
            raise UsageError(f"share {name!r} has {len(values)} values at {len(x)} x")
        if any(value < 0 for value in values):
            raise UsageError(f"share {name!r} has {min(values):g}: a share is not negative")
    if any(after < before for before, after in pairwise(x)):
        raise UsageError("the x of stacked areas must not fall")
    edges = [
        (float(at), *accumulate(map(float, column), initial=0.0))
        for at, *column in zip(x, *(v for _, v in shares), strict=True)
    ]
    across = scale([*x, *(mark.x for mark in marks)], name=x_label, count=width // X_TICK, log=log_x)
    up = scale([0.0, *(edge[-1] for edge in edges)], name=y_label, count=height // Y_TICK, whole=True)
    runs = [list(run) for finite, run in groupby(edges, key=lambda edge: math.isfinite(edge[0] + edge[-1])) if finite]
    last = runs[-1][-1] if runs and across.at(runs[-1][-1][0]) >= 1 - AT_THE_END else None
    keys = [
        Key(name, index, (last[index + 1] + last[index + 2]) / 2 if last else None, "area")
        for index, (name, _) in enumerate(shares)
    ]

    def curves(frame: Frame) -> list[str]:
        return [area(frame, run, index) for run in runs for index in range(len(shares))]

    texts = [
        f"{name}: {number(values[-1])} at the end" if len(values) else f"{name}: no data" for name, values in shares
    ]
    return document(*plot(sheet, across, up, keys, curves), width, title, f"{y_label} by {x_label}", texts)


def area(frame: Frame, run: Sequence[tuple[float, ...]], index: int) -> str:
    """A stretch of one share, from its lower to its upper edge; two pixels wide at a lone point."""
    columns = [frame.across(x) for x, *_ in run]
    run, columns = (run, columns) if len(run) > 1 else ([*run, *run], [columns[0] - 1, columns[0] + 1])
    upper = [(column, frame.down(edge[index + 2])) for column, edge in zip(columns, run, strict=True)]
    lower = [(column, frame.down(edge[index + 1])) for column, edge in zip(columns, run, strict=True)]
    path = "L".join(f"{pixels(column)} {pixels(row)}" for column, row in upper + lower[::-1])
    return f'<path class="area {look(index)}" d="M{path}z"/>'


def bars(values: Sequence[tuple[str, float]], *, x_label: str, title: str | None = None, width: int = 640) -> str:
    """Horizontal bars from zero, with the name before and the number at the end; what is not finite has no bar.

    width: in pixels; the height follows from the number of bars. Raises UsageError when there is none.
    """
    check_size(width)
    if not len(values):
        raise UsageError("nothing to draw: a chart of bars needs a value")
    finite = [value for _, value in values if math.isfinite(value)]
    across = scale([0.0, *finite] if any(finite) else [0.0, 1.0], name=x_label, count=1)
    names = min(max(room(name, TEXT) for name, _ in values), NAMES_OF_BARS * width)
    before = max((room(number(value), TEXT) + GAP for _, value in values if value < 0), default=0.0)
    after = max((room(number(value), TEXT) + GAP for _, value in values if not value < 0), default=0.0)
    above, top = title_lines(title, width)
    top += LINE + GAP
    begin, end, bottom = names + GAP + before, width - after - 1, top + len(values) * (BAR + BAR_GAP)
    zero = begin + across.at(0.0) * (end - begin)
    body = [*above, label(0, top - GAP - 4, fit(x_label, TEXT, width), "faint")]
    for index, (name, value) in enumerate(values):
        row = top + index * (BAR + BAR_GAP) + BAR_GAP / 2
        tip = begin + across.at(value) * (end - begin) if math.isfinite(value) else zero
        box = f'x="{pixels(min(zero, tip))}" y="{pixels(row)}" width="{pixels(abs(tip - zero))}" height="{BAR}"'
        base = row + BAR / 2 + TEXT / 3
        body.append(label(names, base, fit(name, TEXT, names), "end"))
        body.append(f'<rect class="point {look(int(value < 0))}" {box}/>')
        aside, kind = (-GAP / 2, "end") if value < 0 else (GAP / 2, "")
        body.append(label(tip + aside, base, number(value), kind))
    body.append(f'<path class="axis" d="M{pixels(zero)} {pixels(top)}V{pixels(bottom)}"/>')
    texts = [f"{name}: {number(value)}" for name, value in values]
    return document("\n".join(body), bottom + GAP / 2, width, title, x_label, texts)


def heat(
    table: Sequence[Sequence[float]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    row_label: str = "",
    column_label: str = "",
    title: str | None = None,
    width: int = 640,
) -> str:
    """A table of square cells, the deeper the further from zero, in one hue above and another below it.

    table[i][j] stands in row rows[i] and column columns[j]. Names and numbers are written where they fit, and each
    cell that is not zero says its own when pointed at; a cell that is not finite is crossed out. width: in pixels.
    Raises UsageError when there is no cell, or when the names are not as many as rows and columns.
    """
    check_size(width)
    if not len(table) or not len(table[0]):
        raise UsageError("nothing to draw: a table needs a cell")
    if len(rows) != len(table) or any(len(row) != len(columns) for row in table):
        shape = f"{len(table)} rows of {'/'.join(map(str, sorted(set(map(len, table)))))}"
        raise UsageError(f"{len(rows)} row and {len(columns)} column names for a table of {shape}")
    values = [[float(value) for value in row] for row in table]
    largest = max((abs(value) for row in values for value in row if math.isfinite(value)), default=0.0)
    body, top = title_lines(title, width)
    left = LINE + GAP if row_label else 0.0
    beside = min(widest(rows, TICK), NAMES_OF_CELLS) + GAP
    size = min(TICK, (width - left - beside) / len(columns) - 1)
    named = size >= SMALLEST_TEXT
    left += min(widest(rows, size), NAMES_OF_CELLS) + GAP if named else 0.0
    cell = min(LARGEST_CELL, (width - left - 1) / len(columns))
    if column_label:
        body.append(label(left, top + TEXT, fit(column_label, TEXT, width - left), "faint"))
        top += LINE + GAP
    if named:
        turned = widest(columns, size) > cell - GAP
        top += GAP + (min(widest(columns, size), NAMES_OF_CELLS) if turned else size)
        body.append(cell_names(rows, columns, left, top, cell, size, turned))
    if row_label:
        middle = top + cell * len(rows) / 2
        body.append(label(TEXT, middle, fit(row_label, TEXT, cell * len(rows)), "faint middle", turned=True))

    written = widest([number(value) for row in values for value in row], CELL_TEXT) <= cell - 4
    for i, j in product(range(len(rows)), range(len(columns))):
        x, y, value = left + j * cell, top + i * cell, values[i][j]
        body.append(square(x, y, cell, value, largest, f"{rows[i]}, {columns[j]}: {number(value)}"))
        if written:
            ink = "high" if DEEP * largest < abs(value) <= largest else "low"
            body.append(label(x + cell / 2, y + cell / 2 + CELL_TEXT / 3, number(value), f"cell {ink}"))
    bottom = top + cell * len(rows)
    edge = f"M{pixels(left)} {pixels(top)}h{pixels(cell * len(columns))}V{pixels(bottom)}H{pixels(left)}z"
    body.append(f'<path class="rule" d="{edge}"/>')
    if largest and not written:
        signs = [sign for sign in (-1, 1) if any(0 < sign * value <= largest for row in values for value in row)]
        body.append(shade_key(left, bottom + GAP, signs, largest))
        bottom += GAP + LINE
    texts = [f"{len(rows)} rows, {len(columns)} columns, the largest size {number(largest)}"]
    subject = " by ".join(filter(None, (row_label, column_label))) or "Table"
    return document("\n".join(filter(None, body)), bottom + GAP, width, title, subject, texts)


def widest(texts: Sequence[str], size: float) -> float:
    """The pixels that the longest of several texts may need."""
    return max(room(text, size) for text in texts)


def cell_names(
    rows: Sequence[str], columns: Sequence[str], left: float, top: float, cell: float, size: float, turned: bool
) -> str:
    """The names of rows before, and of columns above, the cells that begin at left, top."""
    names = []
    for index, name in enumerate(rows):
        base = top + (index + 0.5) * cell + size / 3
        names.append(label(left - GAP / 2, base, fit(name, size, NAMES_OF_CELLS), "end"))
    for index, name in enumerate(columns):
        middle, text = left + (index + 0.5) * cell, fit(name, size, NAMES_OF_CELLS)
        names.append(label(middle + size / 3 * turned, top - GAP / 2, text, "" if turned else "middle", turned=turned))
    return f'<g style="font-size:{size:.1f}px">{"".join(names)}</g>'


def square(x: float, y: float, cell: float, value: float, largest: float, says: str) -> str:
    """A cell: nothing for zero, a cross for what is not finite."""
    if value == 0:
        return ""
    gap = 1.0 if cell > FINEST_GAP else 0.0
    side, says = pixels(cell - gap), f"<title>{plain(says)}</title>"
    if not math.isfinite(value):
        cross = f"M{pixels(x)} {pixels(y)}l{side} {side}m0-{side}l-{side} {side}"
        return f'<path class="axis" d="{cross}">{says}</path>'
    place = f'x="{pixels(x + gap / 2)}" y="{pixels(y + gap / 2)}" width="{side}" height="{side}"'
    depth = f'fill-opacity="{abs(value) / largest:.3f}"'
    return f'<rect class="{"more" if value > 0 else "less"}" {place} {depth}>{says}</rect>'


def shade_key(x: float, y: float, signs: Sequence[int], largest: float) -> str:
    """Samples of the shades between the numbers at their ends."""
    steps = [step for step in range(-SHADES, SHADES + 1) if any(step * sign > 0 for sign in signs)]
    first, last = (number(largest * step / SHADES) if abs(step) == SHADES else "0" for step in (steps[0], steps[-1]))
    begin = x + room(first, TICK) + GAP / 2
    drawn = [label(x, y + TICK, first, "tick")]
    for index, step in enumerate(steps):
        drawn.append(square(begin + index * LINE, y, LINE, float(step), SHADES, number(largest * step / SHADES)))
    return "\n".join([*drawn, label(begin + len(steps) * LINE + GAP / 2, y + TICK, last, "tick")])


def document(body: str, height: float, width: int, title: str | None, subject: str, texts: Sequence[str]) -> str:
    """The SVG element around its inside; subject: its title for those who do not see it, where it has none."""
    name, text = plain(title or subject), plain(". ".join(texts))
    mark = "chart-" + sha256(f"{name}{text}{body}".encode()).hexdigest()[:12]
    size = f'viewBox="0 0 {width} {math.ceil(height)}" width="{width}" height="{math.ceil(height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="phosphene-chart" {size} role="img" '
        f'aria-labelledby="{mark}-title {mark}-text">\n<title id="{mark}-title">{name}</title>\n'
        f'<desc id="{mark}-text">{text}</desc>\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )
