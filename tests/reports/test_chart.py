"""Charts: sound XML, nothing outside or on top of each other, honest scales, colors that everybody can tell."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html import escape
from itertools import combinations
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.errors import UsageError
from phosphene.reports import chart
from phosphene.reports.axes import COLORS, fit, room
from phosphene.reports.chart import Line, Mark, bars, heat, lines, stacked
from phosphene.reports.scale import FARTHEST, number, scale

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '<b onclick="x()">&amp; "quoted" \x00\x1b\ud800 </style></svg>'
LIGHT_GROUNDS = ("#ffffff", "#fafaf9", "#f6f8fa")  # paper, our pages, a README's box
DARK_GROUNDS = ("#0d1117", "#131314", "#22272e")  # a dark README, our pages, a dimmed README
AXES = {"x_label": "step", "y_label": "loss"}

# Machado, Oliveira, Fernandes 2009, severity 1: protanopia, deuteranopia, tritanopia, on linear RGB
DICHROMATS = (
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
)
OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000")


def tree(svg: str) -> Element:
    """The chart as XML, as a strict reader takes it."""
    return fromstring(svg.encode("utf-8"))


def all_of(svg: str, tag: str, kind: str = "") -> list[Element]:
    """Elements of a kind, in order."""
    return [one for one in tree(svg).iter(SVG + tag) if not kind or kind in one.get("class", "").split()]


def words(svg: str, kind: str = "") -> list[str]:
    return [one.text or "" for one in all_of(svg, "text", kind)]


def boxes(svg: str, part: str, size: float) -> list[tuple[float, float, float]]:
    """Left, baseline and room of every text that has a part."""
    found = [one for one in all_of(svg, "text") if part in (one.text or "")]
    return [(float(one.get("x", "")), float(one.get("y", "")), room(one.text or "", size)) for one in found]


def outlines(svg: str, kind: str) -> list[np.ndarray]:
    """The corners of every line or area, samples in legends left out."""
    paths = [one.get("d", "") for one in all_of(svg, "path", kind)]
    return [np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path), float) for path in paths if "L" in path]


def rgb(color: str) -> np.ndarray:
    """A color in linear RGB."""
    full = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    return linear(np.array([int(full[i : i + 2], 16) for i in (0, 2, 4)]) / 255)


def linear(coded: np.ndarray) -> np.ndarray:
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """WCAG 2.2, from linear RGB."""
    low, high = sorted(float(color @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(color: np.ndarray) -> np.ndarray:
    """Ottosson 2020, from linear RGB."""
    cones = [[0.412221, 0.536333, 0.051446], [0.211903, 0.680700, 0.107397], [0.088302, 0.281719, 0.629979]]
    lab = [[0.210454, 0.793618, -0.004072], [1.977998, -2.428592, 0.450594], [0.025904, 0.782772, -0.808676]]
    return np.array(lab) @ np.cbrt(np.array(cones) @ np.clip(color, 0, 1))


def closest(colors: tuple[str, ...]) -> float:
    """The least distance between two colors for any of three dichromats."""
    seen = [[oklab(np.clip(np.array(eye) @ rgb(color), 0, 1)) for color in colors] for eye in DICHROMATS]
    return min(float(np.linalg.norm(a - b)) for eye in seen for a, b in combinations(eye, 2))


def small_charts() -> dict[str, str]:
    return {
        "lines": lines([Line("a", [0, 1, 2], [0, 1, 4]), Line("b", [0, 1, 2], [0, 1, 2])], **AXES),
        "stacked": stacked([0, 1], [("a", [0.5, 1]), ("b", [0.5, 0])], **AXES),
        "bars": bars([("a", 2), ("b", -1)], x_label="activation"),
        "heat": heat([[1, 2], [0, -3]], rows=["a", "b"], columns=["c", "d"]),
    }


@pytest.mark.parametrize("kind", ["lines", "stacked", "bars", "heat"])
def test_a_chart_is_one_svg_that_scales_and_says_what_it_shows(kind: str) -> None:
    root = tree(small_charts()[kind])
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert root.get("role") == "img"
    title, text = root.find(SVG + "title"), root.find(SVG + "desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {text.get('id')}"
    assert all(part.text for part in (title, text))
    assert "prefers-color-scheme: dark" in root.find(SVG + "style").text


def test_charts_on_one_page_share_no_id() -> None:
    ids = [one.get("id") for svg in small_charts().values() for one in tree(svg).iter() if one.get("id")]
    assert len(ids) == len(set(ids)) == 8


@pytest.mark.parametrize(
    "draw",
    [
        lambda text: lines([Line(text, [0, 1], [0, 1])], x_label=text, y_label=text, title=text, marks=[Mark(0, text)]),
        lambda text: stacked([0, 1], [(text, [0, 1])], x_label=text, y_label=text, title=text),
        lambda text: bars([(text, 1)], x_label=text, title=text),
        lambda text: heat([[1]], rows=[text], columns=[text], row_label=text, column_label=text, title=text),
    ],
)
def test_any_text_stays_text(draw: Callable[[str], str]) -> None:
    assert escape("<b onclick=") in draw(NASTY)
    assert not all_of(draw(NASTY), "b")


def test_series_and_words_stand_out_on_every_ground() -> None:
    light, dark = (chart.LIGHT, chart.LIGHT_SERIES, LIGHT_GROUNDS), (chart.DARK, chart.DARK_SERIES, DARK_GROUNDS)
    for scheme, series, grounds in (light, dark):
        assert len(series) == COLORS
        assert min(contrast(rgb(color), rgb(ground)) for color in series for ground in grounds) >= 3
        assert min(contrast(rgb(scheme[ink]), rgb(ground)) for ink in ("ink", "faint") for ground in grounds) >= 4.5


def test_no_two_series_are_closer_to_the_color_blind_than_those_of_okabe_and_ito() -> None:
    assert min(closest(chart.LIGHT_SERIES), closest(chart.DARK_SERIES)) >= closest(OKABE_ITO) > 0.07


@pytest.mark.parametrize(("scheme", "ground"), [(chart.LIGHT, "#ffffff"), (chart.DARK, "#131314")])
@pytest.mark.parametrize("sign", ["more", "less"])
def test_numbers_are_read_on_cells_of_every_depth(scheme: dict[str, str], ground: str, sign: str) -> None:
    coded = [np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for color in (ground, scheme[sign])]
    low, high = ("#000", "#fff") if scheme is chart.LIGHT else ("#fff", "#000")
    for depth in np.linspace(0, 1, 101):
        cell = linear(coded[0] * (1 - depth) + coded[1] * depth)
        assert contrast(cell, rgb(high if depth > chart.DEEP else low)) >= 4.3
    assert f"--low:{low}" in chart.STYLE
    assert f"--high:{high}" in chart.STYLE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (-0.0, "0"), (7, "7"), (-4.5, "−4.5"), (0.01234, "0.0123"), (1234, "1234"), (9999.6, "10k"),
        (12345, "12.3k"), (999_999, "1M"), (-2.5e9, "−2.5G"), (1.2e-5, "1.2×10⁻⁵"), (1e-5, "10⁻⁵"), (1e20, "10²⁰"),
        (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞"),
    ],
)  # fmt: skip
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((0, 1), ("0", "0.2", "0.4", "0.6", "0.8", "1.0")),
        ((0, 19_900), ("0", "5k", "10k", "15k", "20k")),
        ((0, 2000), ("0", "500", "1000", "1500", "2000")),
        ((-3, 4), ("−4", "−2", "0", "2", "4")),
        ((1e-6, 3e-6), ("1.0×10⁻⁶", "1.5×10⁻⁶", "2.0×10⁻⁶", "2.5×10⁻⁶", "3.0×10⁻⁶")),
    ],
)
def test_ticks_are_round_numbers(values: tuple[float, ...], labels: tuple[str, ...]) -> None:
    assert scale(values, name="y", count=5, whole=True).labels == labels


def test_logarithmic_ticks_stand_at_decades_or_at_1_2_5_where_there_is_room() -> None:
    assert scale([0.02, 70], name="y", count=5, log=True, whole=True).labels == ("0.01", "0.1", "1", "10", "100")
    assert scale([2, 30], name="y", count=5, log=True).labels == ("2", "5", "10", "20")
    assert scale([1.1, 1.8], name="y", count=5, log=True).labels == ("1.2", "1.4", "1.6", "1.8")
    assert len(scale([1e-40, 1e40], name="y", count=5, log=True, whole=True).ticks) <= 7


@pytest.mark.parametrize("log", [False, True])
@given(values=st.lists(st.floats(-1e99, 1e99), max_size=5), count=st.integers(3, 12), whole=st.booleans())
def test_a_scale_shows_all_on_a_few_rising_ticks(log: bool, values: list[float], count: int, whole: bool) -> None:
    values = [abs(value) + 1e-99 for value in values] if log else values
    made = scale(values, name="y", count=count, log=log, whole=whole)
    assert all(-1e-5 <= made.at(value) <= 1 + 1e-5 for value in [*values, *made.ticks])
    assert 2 <= len(made.ticks) <= 2 * count + 4
    assert list(made.ticks) == sorted(set(made.ticks))


@given(st.text(max_size=40), st.floats(30, 300))
def test_fitted_text_needs_no_more_room_than_it_has(text: str, width: float) -> None:
    assert room(fit(text, 13, width), 13) <= width
    assert fit(text, 13, 1000) == text


def test_a_long_title_is_wrapped_and_loses_no_word() -> None:
    title = "a title that is far too long to stand in a single line of its chart"
    rows = words(bars([("a", 1)], x_label="x", title=title, width=300), "title")
    assert len(rows) > 1
    assert " ".join(rows) == title


def test_a_curve_goes_through_its_points_in_proportion() -> None:
    (curve,) = outlines(lines([Line("", [0, 1, 4], [0, 10, 5])], **AXES), "line")
    (_, _), (dx1, dy1), (dx2, dy2) = curve - curve[0]
    assert dx1 / dx2 == pytest.approx(1 / 4, abs=1e-3)
    assert dy2 / dy1 == pytest.approx(1 / 2, abs=1e-3)
    assert dy1 < 0 < dx1


def test_on_logarithmic_axes_a_power_law_is_straight() -> None:
    x = [1, 10, 1000]
    (curve,) = outlines(lines([Line("", x, [v**-2 for v in x])], log_x=True, log_y=True, **AXES), "line")
    steps = np.diff(curve, axis=0)
    assert steps[1] == pytest.approx(2 * steps[0], abs=0.2)


def test_points_that_are_not_finite_break_a_line_and_a_lone_point_is_a_dot() -> None:
    svg = lines([Line("", range(7), [1, 2, math.nan, 3, math.inf, 4, 5])], **AXES)
    assert ([len(curve) for curve in outlines(svg, "line")], len(all_of(svg, "circle"))) == ([2, 2], 1)
    assert "nan" not in svg.lower()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("y", [(), (math.nan, math.nan)])
def test_a_line_without_data_makes_an_empty_chart_that_says_so(y: tuple[float, ...], log: bool) -> None:
    svg = lines([Line("not yet", range(1, len(y) + 1), y)], log_x=log, log_y=log, **AXES)
    assert {"no data", "not yet"} <= set(words(svg))
    assert not all_of(svg, "circle")


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-9, 1e99])
def test_a_constant_line_stands_inside_its_frame(value: float) -> None:
    (curve,) = outlines(lines([Line("", [0, 1], [value, value])], height=300, **AXES), "line")
    assert curve[0, 1] == curve[1, 1]
    assert 30 < curve[0, 1] < 252


def test_names_stand_at_the_ends_of_lines_in_their_order() -> None:
    svg = lines([Line(f"line {k}", [0, 1], [0, (3 * k) % 7]) for k in range(7)], **AXES)
    for curve, (left, base, _) in zip(outlines(svg, "line"), boxes(svg, "line", 13), strict=True):
        assert left > curve[-1, 0]
        assert base - 13 < curve[-1, 1] < base


@pytest.mark.parametrize(
    "series",
    [
        [Line(f"line {k}", [0, 1], [0, 1]) for k in range(9)],
        [Line("short", [0, 1], [0, 1]), Line("long", [0, 2], [0, 2])],
        [Line("a name that is too long to stand beside", [0, 1], [0, 1])],
    ],
)
def test_names_that_cannot_stand_at_the_ends_stand_in_a_legend(series: list[Line]) -> None:
    svg = lines(series, **AXES)
    top = max(curve[:, 1].min() for curve in outlines(svg, "line"))
    named = [one for one in all_of(svg, "text") if one.text in {each.name for each in series}]
    assert len(named) == len(series)
    assert all(float(one.get("y")) < top for one in named)


def test_names_never_overlap() -> None:
    for gap in np.linspace(0, 1, 21):
        svg = lines([Line(f"line {k}", [0, 1], [0, 5 + k * gap]) for k in range(4)], **AXES)
        pairs = list(combinations(boxes(svg, "line", 13), 2))
        assert len(pairs) == 6
        assert all(abs(a[0] - b[0]) >= a[2] or abs(a[1] - b[1]) >= 13 for a, b in pairs)
    high = lines([Line("line 0", [0, 1], [0, 10]), Line("line 1", [0, 1], [0, 9.9])], **AXES)
    assert min(base for _, base, _ in boxes(high, "line", 13)) >= min(curve[1, 1] for curve in outlines(high, "line"))


def test_the_ninth_line_has_a_color_again_but_not_a_look() -> None:
    drawn = all_of(lines([Line(f"{k}", [0, 1], [0, k]) for k in range(24)], **AXES), "path", "line")
    assert len({one.get("class") for one in drawn}) == 24


def test_labels_of_marks_do_not_overlap_and_no_mark_is_drawn_through_one() -> None:
    marks = [Mark(x, f"the event at {x}") for x in (0, 1, 2, 3, 40, 98)]
    svg = lines([Line("a", [0, 100], [0, 1])], marks=marks, **AXES)
    labels = boxes(svg, "event", 12)
    assert len(labels) == len(marks)
    assert not [1 for a, b in combinations(labels, 2) if a[1] == b[1] and a[0] < b[0] + b[2] and b[0] < a[0] + a[2]]
    starts = [tuple(map(float, re.findall(r"[\d.]+", one.get("d"))[:2])) for one in all_of(svg, "path", "mark")]
    assert not [1 for x, y in starts for left, row, width in labels if y < row and left < x < left + width]
    assert max(x + width for x, _, width in labels) <= 640.1


def test_a_mark_widens_the_axis_to_where_it_stands() -> None:
    svg = lines([Line("", [0, 1], [0, 1])], marks=[Mark(4, "later")], **AXES)
    (curve,), (mark,) = outlines(svg, "line"), all_of(svg, "path", "mark")
    column = float(re.findall(r"[\d.]+", mark.get("d"))[0])
    assert column - curve[0, 0] == pytest.approx(4 * (curve[1, 0] - curve[0, 0]), abs=0.5)


def test_shares_fill_the_frame_without_gap_or_overlap() -> None:
    lower, upper = outlines(stacked([0, 1, 2], [("a", [0.2, 0.5, 1]), ("b", [0.8, 0.5, 0])], **AXES), "area")
    assert lower[:3].tolist() == upper[:2:-1].tolist()
    height = lower[3:, 1].max() - upper[:3, 1].min()
    assert (lower[5, 1] - lower[0, 1]) / height == pytest.approx(0.2, abs=1e-3)


def test_a_share_that_is_not_finite_leaves_a_gap_in_all() -> None:
    svg = stacked(range(6), [("a", [1, 1, math.nan, 1, math.inf, 1]), ("b", [1] * 6)], **AXES)
    assert [len(outline) for outline in outlines(svg, "area")] == [4] * 6
    assert all(np.ptp(outline[:, 0]) > 1 for outline in outlines(svg, "area"))
    assert "no data" in words(stacked([], [("a", [])], **AXES))


def test_bars_are_as_long_as_their_numbers_and_begin_at_zero() -> None:
    rects = all_of(bars([("a", 4), ("b", -2), ("c", 0), ("d", math.nan), ("e", math.inf)], x_label="x"), "rect")
    begins, widths = ([float(one.get(name)) for one in rects] for name in ("x", "width"))
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[2:] == [0, 0, 0]
    assert begins[1] + widths[1] == pytest.approx(begins[0], abs=0.2)
    long, short = (float(one.get("width")) for one in all_of(bars([("a", 4), ("b", 2)], x_label="x"), "rect"))
    assert 640 > long == pytest.approx(2 * short, abs=0.2)


def test_bars_say_their_name_and_number() -> None:
    assert words(bars([("up", 1.5), ("down", -12345)], x_label="x"))[1:] == ["up", "1.5", "down", "−12.3k"]
    assert words(bars([("none", 0), ("nothing", math.nan)], x_label="x"))[1:] == ["none", "0", "nothing", "NaN"]


def test_cells_are_as_deep_as_their_size_and_zero_is_the_ground() -> None:
    svg = heat([[4, -3], [0, math.nan]], rows=["a", "b"], columns=["c", "d"])
    cells = all_of(svg, "rect")
    assert [(one.get("class"), float(one.get("fill-opacity"))) for one in cells] == [("more", 1.0), ("less", 0.75)]
    assert cells[1].find(SVG + "title").text == "a, d: −3"
    assert (words(svg, "high"), words(svg, "low")) == (["4", "−3"], ["0", "NaN"])
    assert not all_of(heat([[0, 0]], rows=["a"], columns=["b", "c"]), "rect")


def test_a_large_table_names_its_rows_where_there_is_room_and_always_says_its_cells() -> None:
    size = range(64)
    table, names = [[float(i == j) for j in size] for i in size], [f"class {i}" for i in size]
    small, large = (heat(table, rows=names, columns=names, width=width) for width in (400, 900))
    assert (words(small, "end"), words(large, "end")) == ([], names)
    says = [one.find(SVG + "title").text for one in all_of(small, "rect", "more")]
    assert says[:64] == [f"{name}, {name}: 1" for name in names]


@pytest.mark.parametrize("width", [300, 640, 1000])
@pytest.mark.parametrize("name", ["a", "WWW " * 30, "漢字" * 40])
def test_nothing_stands_outside_the_picture(name: str, width: int) -> None:
    axes = {"x_label": name, "y_label": name, "title": name, "width": width}
    charts = [
        lines([Line(name, [0, 1e6], [-1e-9, 1e-5])], marks=[Mark(1e6, name)], **axes),
        stacked([0, 1], [(name, [0, 1]), (name, [1, 2])], **axes),
        bars([(name, 1.23e-5), (name, -1.23e-5)], x_label=name, title=name, width=width),
        heat([[1, -1e-5]] * 2, rows=[name] * 2, columns=[name] * 2, row_label=name, column_label=name, width=width),
    ]
    sizes = {"title": 15, "tick": 12, "cell": 11}
    for svg in charts:
        assert all(float(one.get("width")) >= 0 for one in all_of(svg, "rect"))
        for one in all_of(svg, "text"):
            kinds = one.get("class", "").split()
            space = room(one.text or "", next((sizes[kind] for kind in kinds if kind in sizes), 13))
            start = float(one.get("x")) - space * {"middle": 0.5, "end": 1.0}.get((kinds or [""])[-1], 0.0)
            assert 0 <= float(one.get("y")) <= float(tree(svg).get("height"))
            assert one.get("transform") or -0.1 <= start <= start + space <= width + 0.1


@pytest.mark.parametrize(
    ("draw", "problem"),
    [
        (lambda: Line("a", [1, 2], [1]), "2 x and 1 y"),
        (lambda: Mark(math.nan, "b"), "'b'"),
        (lambda: lines([], **AXES), "nothing to draw"),
        (lambda: lines([Line("a", [0, 1], [1, 1])], log_x=True, **AXES), "step: 0 has no place"),
        (lambda: lines([Line("a", [0, 1], [1, -2])], log_y=True, **AXES), "loss: -2 has no place"),
        (lambda: lines([Line("a", [1, 2], [1, 1])], log_x=True, marks=[Mark(-1, "b")], **AXES), "step: -1"),
        (lambda: lines([Line("a", [0, 1], [1, 10 * FARTHEST])], **AXES), "too large to draw"),
        (lambda: lines([Line("a", [0], [0])], width=100, **AXES), "100 x 360"),
        (lambda: stacked([0], [], **AXES), "nothing to draw"),
        (lambda: stacked([0], [("a", [1, 2])], **AXES), "2 values at 1 x"),
        (lambda: stacked([0], [("a", [-1])], **AXES), "'a' has -1"),
        (lambda: stacked([1, 0], [("a", [1, 1])], **AXES), "must not fall"),
        (lambda: bars([], x_label="x"), "nothing to draw"),
        (lambda: heat([], rows=[], columns=[]), "nothing to draw"),
        (lambda: heat([[1, 2], [3]], rows=["a", "b"], columns=["c", "d"]), "2 rows of 1/2"),
        (lambda: heat([[1]], rows=["a", "b"], columns=["c"]), "2 row and 1 column names"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_what_was_given(draw: Callable[[], object], problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        draw()


def test_arrays_are_drawn_as_lists_are() -> None:
    x, y = np.arange(4.0), np.array([3.0, 1, np.nan, 2])
    assert lines([Line("a", x, y)], **AXES) == lines([Line("a", list(x), list(y))], **AXES)
    assert heat(np.eye(2), rows="ab", columns="cd") == heat([[1, 0], [0, 1]], rows="ab", columns="cd")
