"""Pages: everything escaped, nothing loaded from elsewhere, readable in both themes, whole or not written."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from phosphene.errors import UsageError
from phosphene.files import FileError
from phosphene.reports import Figure, Page, Section, Table, write_page
from phosphene.reports.html import COLUMNS, LARGEST, STYLE, html

NASTY = '<b onclick="x()">&amp; "quoted" \'single\' </title></script>'
VOID = {"meta", "img", "source", "link", "br"}


class Reader(HTMLParser):
    """Elements with their attributes, the text of each kind of element, and tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.text[tag] = self.text.get(tag, "") + data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page() -> Page:
    still = Figure("units/7 ä#1.png", "unit 7", 64, 48, ("unit 7", "activation 3"))
    film = Figure("units/7.webp", "film of unit 7", 64, 64, ("the film",), "animation", "units/7.png")
    units = Section("units", "Units", ("Of `conv4_1`.",), (still, film), ("a --b 'c d'", "e"), "Mind this.")
    return Page("Title", ("Lead.",), (units, Section("more", "More")), (("seed", "0"),), ("End.",))


def test_a_page_is_well_formed_and_says_what_it_was_given() -> None:
    read = Reader(html(page()))
    assert read.open == []
    assert read.all("html")[0]["lang"] == "en"
    assert read.text["title"] == "Title"
    assert [a["href"] for a in read.all("a")] == ["#units", "#more"]
    assert {"units", "more"} <= {section["id"] for section in read.all("section")}
    assert [img["alt"] for img in read.all("img")] == ["unit 7", "film of unit 7"]
    assert [(img["width"], img["height"], img["loading"]) for img in read.all("img")] == [
        ("64", "48", "lazy"),
        ("64", "64", "lazy"),
    ]
    assert read.text["figcaption"] == "unit 7activation 3the film"
    assert "Mind this." in read.text["p"]


def test_commands_are_copied_to_the_letter() -> None:
    commands = re.findall(r'<div class="command">(.*?)</div>', html(page()), re.DOTALL)
    assert [Reader(command).text["code"] for command in commands] == ["a --b 'c d'", "e"]


def test_everything_is_escaped() -> None:
    figure = Figure("a.png", NASTY, 8, 8, (NASTY,))
    section = Section("s", NASTY, (NASTY,), (figure,), (NASTY,), NASTY)
    nasty = Page(NASTY, (NASTY,), (section,), ((NASTY, NASTY),), (NASTY,))
    read = Reader(html(nasty))
    assert read.all("b") == []
    assert read.text["title"] == read.text["h1"] == NASTY
    assert read.all("img")[0]["alt"] == read.text["figcaption"] == NASTY
    assert read.text["code"] == NASTY
    assert len(read.all("script")) == 1


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = html(page())
    assert "//" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"@import|url\(|fetch|import\(", text)
    links = [
        v for _, attributes in Reader(text).elements for k, v in attributes.items() if k in ("src", "srcset", "href")
    ]
    assert links == ["#units", "#more", "units/7%20%C3%A4%231.png", "units/7.png", "units/7.webp"]


def test_a_film_stands_still_for_who_wants_less_motion() -> None:
    (source,) = Reader(html(page())).all("source")
    assert source["srcset"] == "units/7.png"
    assert "prefers-reduced-motion: reduce" in source["media"]


def test_no_picture_is_enlarged_beyond_its_limit() -> None:
    styles = [figure["style"] for figure in Reader(html(page())).all("figure")]
    assert styles == [f"max-width:{LARGEST * 64}px"] * 2


@pytest.mark.parametrize("file", ["/etc/a.png", "../a.png", "a/../../b.png", "http://x/a.png", "C:/a.png", "a\\b.png"])
def test_a_figure_elsewhere_is_refused(file: str) -> None:
    with pytest.raises(UsageError, match="beside its page"):
        Figure(file, "x", 8, 8)
    with pytest.raises(UsageError, match="beside its page"):
        Figure("a.webp", "x", 8, 8, kind="animation", still=file)


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(UsageError, match="still"):
        Figure("a.webp", "x", 8, 8, kind="animation")
    with pytest.raises(UsageError, match="size"):
        Figure("a.png", "x", 0, 8)
    with pytest.raises(UsageError, match="id"):
        Section("a b", "x")
    with pytest.raises(UsageError, match="abreast"):
        Section("a", "x", columns=5)
    with pytest.raises(UsageError, match="'a'"):
        Page("x", sections=(Section("a", "x"), Section("a", "y")))


def test_every_number_of_columns_has_its_style() -> None:
    assert all(f".of-{columns} {{" in STYLE for columns in COLUMNS)


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.1)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_has_the_contrast_of_wcag_aa_in_both_themes() -> None:
    themes = [
        dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    ]
    light, dark = themes[:2]
    assert luminance(light["ground"]) > 0.5 > luminance(dark["ground"])
    for theme in (light, dark):
        for ink in ("ink", "faint", "link"):
            for ground in ("ground", "raised"):
                high, low = sorted((luminance(theme[ink]), luminance(theme[ground])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_a_page_is_written_whole_and_again(tmp_path: Path) -> None:
    path = write_page(page(), tmp_path / "new")
    assert path == tmp_path / "new" / "index.html"
    assert path.read_text(encoding="utf-8") == html(page())
    write_page(replace(page(), title="ß"), tmp_path / "new")
    assert "<title>ß</title>" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file"):
        write_page(page(), tmp_path / "file")


def test_a_table_has_its_names_and_cells_escaped_and_no_row_of_another_length() -> None:
    table = Table(("unit", "activation"), (("7", "3.5"), (NASTY, "`code`")))
    read = Reader(html(Page("Numbers", sections=(Section("all", "All", tables=(table,)),))))
    assert read.open == []
    assert [cell["scope"] for cell in read.all("th")] == ["col", "col", "row", "row"]
    assert read.text["td"] == "3.5code"
    assert NASTY in read.text["th"]
    assert read.all("b") == []
    with pytest.raises(UsageError, match="a row of 1 cells in a table of 2 columns"):
        Table(("unit", "activation"), (("7",),))
