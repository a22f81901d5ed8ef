"""A page of pictures: one HTML file with its style inside, and the pictures beside it.

    figure = Figure("units/7.png", "stripes", 96, 96, ("unit 7", "activation 12"))
    write_page(Page("Units", sections=(Section("all", "All of them", figures=(figure,)),)), folder)

It opens from disk and from any server: relative links only, nothing is loaded from elsewhere, and it reads the same
without its script, which only adds buttons to copy commands. Light and dark, phone to paper. All text is plain and is
escaped; `backticks` make code. Pictures are shown at up to twice their size, films stand still for readers who ask
for less motion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote

from phosphene.errors import UsageError
from phosphene.files import atomic_write

LARGEST = 2  # times its own size that a picture is shown at most: beyond that its pixels show
COLUMNS = (1, 2, 3, 4, 6)  # figures abreast that halve well on a narrow screen
ANCHOR = re.compile(r"[a-z][a-z0-9-]*")
CODE = re.compile(r"`([^`]+)`")
LONG = re.compile(r"\S{16,}")  # a word, as a file name, that may have to be broken in a caption
JOINT = re.compile(r"_(?=\w)")  # and where
NUMBER = re.compile(r"[-+~]?[\d.]")  # how a cell that is a number begins


@dataclass(frozen=True)
class Figure:
    """A picture with its caption.

    file: relative to the page, with "/". alt: what it shows, in words. width, height: of the file, in pixels.
    caption: its lines, the first one brighter. kind: "animation" for a film; then `still` is the file that stands for
    it where motion is not wanted. sound: a file to listen to, with a player below the picture. Raises UsageError for a
    file elsewhere, no size, or a film without a still.
    """

    file: str
    alt: str
    width: int
    height: int
    caption: tuple[str, ...] = ()
    kind: Literal["image", "animation"] = "image"
    still: str = ""
    sound: str = ""

    def __post_init__(self) -> None:
        for file in filter(None, (self.file, self.still, self.sound)):
            path = PurePosixPath(file)
            if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\\" in file:
                raise UsageError(f"a figure's file lies beside its page, got {file!r}")
        if self.width < 1 or self.height < 1:
            raise UsageError(f"a figure needs its size in pixels, got {self.width} x {self.height}")
        if self.kind == "animation" and not self.still:
            raise UsageError(f"{self.file}: an animation needs a still picture")


@dataclass(frozen=True)
class Table:
    """A table of texts: names of the columns, and rows whose first cell is their name. Raises UsageError for a row of
    another length."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        wrong = next((row for row in self.rows if len(row) != len(self.header)), None)
        if wrong is not None:
            raise UsageError(f"a row of {len(wrong)} cells in a table of {len(self.header)} columns: {wrong}")


@dataclass(frozen=True)
class Section:
    """A part of a page. id: its anchor, a-z 0-9 and hyphens.

    text: paragraphs above the figures. columns: figures abreast on a wide screen, one of `COLUMNS`. note: what the
    reader must know, set apart. tables, commands (lines for a shell): below the figures. Raises UsageError for another
    id or number of columns.
    """

    id: str
    title: str
    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    commands: tuple[str, ...] = ()
    note: str = ""
    columns: int = 4
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        if not ANCHOR.fullmatch(self.id):
            raise UsageError(f"a section's id is made of a-z, 0-9 and hyphens, got {self.id!r}")
        if self.columns not in COLUMNS:
            raise UsageError(f"figures stand {', '.join(map(str, COLUMNS))} abreast, got {self.columns}")


@dataclass(frozen=True)
class Page:
    """A whole page. lead: paragraphs below the title. facts: (name, value). footer: paragraphs at the end.

    Raises UsageError when two sections have the same id.
    """

    title: str
    lead: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    footer: tuple[str, ...] = ()
    language: str = "en"

    def __post_init__(self) -> None:
        ids = [section.id for section in self.sections]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise UsageError(f"two sections have the id {twice[0]!r}")


def write_page(page: Page, folder: str | Path) -> Path:
    """Write FOLDER/index.html, whole or not at all; returns its path. Raises FileError when it cannot be written."""
    return atomic_write(Path(folder) / "index.html", html(page).encode())


def html(page: Page) -> str:
    """The page as text."""
    contents = "".join(f'<li><a href="#{s.id}">{inline(s.title)}</a></li>' for s in page.sections)
    facts = "".join(f"<div><dt>{inline(name)}</dt><dd>{inline(value)}</dd></div>" for name, value in page.facts)
    parts = [
        "<!doctype html>",
        f'<html lang="{escape(page.language)}">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(page.title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        f"<header>\n<h1>{inline(page.title)}</h1>",
        *paragraphs(page.lead),
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>' if contents else "",
        "</header>",
        "<main>",
        *map(section_html, page.sections),
        "</main>",
        "<footer>",
        f"<dl>{facts}</dl>" if facts else "",
        *paragraphs(page.footer),
        "</footer>",
        f"<script>{SCRIPT}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def section_html(section: Section) -> str:
    """One section of the page."""
    figures = "\n".join(map(figure_html, section.figures))
    widest = LARGEST * max((figure.width for figure in section.figures), default=0)
    parts = [
        f'<section id="{section.id}" aria-labelledby="{section.id}-title">',
        f'<h2 id="{section.id}-title">{inline(section.title)}</h2>',
        *paragraphs(section.text),
        f'<p class="note">{inline(section.note)}</p>' if section.note else "",
        f'<div class="figures of-{section.columns}" style="--widest:{widest}px">\n{figures}\n</div>' if figures else "",
        *map(table_html, section.tables),
        *map(command_html, section.commands),
        "</section>",
    ]
    return "\n".join(filter(None, parts))


def table_html(table: Table) -> str:
    """A table, which scrolls sideways where the page is narrower."""
    kinds = ["" if numeric(column) else ' class="words"' for column in zip(*table.rows, strict=True)]
    kinds = ["", *kinds[1:]] if kinds else [""] * len(table.header)
    head = "".join(f'<th scope="col"{kind}>{inline(name)}</th>' for name, kind in zip(table.header, kinds, strict=True))
    rows = "\n".join(
        f'<tr><th scope="row">{inline(name)}</th>'
        + "".join(f"<td{kind}>{inline(cell)}</td>" for cell, kind in zip(cells, kinds[1:], strict=True))
        + "</tr>"
        for name, *cells in table.rows
    )
    inside = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    return f'<div class="table" tabindex="0"><table>\n{inside}\n</table></div>'


def numeric(column: tuple[str, ...]) -> bool:
    """Whether the cells of a column are numbers, which end below each other; words begin there."""
    return any(NUMBER.match(cell) for cell in column)


def command_html(command: str) -> str:
    """A command line whose words stay whole where it is wrapped: a browser would break `--size` behind its hyphens."""
    words = " ".join(f"<span>{escape(word)}</span>" for word in command.split(" "))
    return f'<div class="command"><pre tabindex="0"><code>{words}</code></pre></div>'


def figure_html(figure: Figure) -> str:
    """One figure, no wider than `LARGEST` times its picture."""
    size = f'width="{figure.width}" height="{figure.height}"'
    picture = f'<img src="{url(figure.file)}" alt="{escape(figure.alt)}" {size} loading="lazy" decoding="async">'
    if figure.kind == "animation":
        source = f'<source srcset="{url(figure.still)}" media="(prefers-reduced-motion: reduce), print">'
        picture = f"<picture>{source}{picture}</picture>"
    if figure.sound:
        label = escape(f"listen: {figure.alt}")
        picture += f'<audio controls preload="none" src="{url(figure.sound)}" aria-label="{label}"></audio>'
    lines = "".join(f"<span>{LONG.sub(broken, inline(line))}</span>" for line in figure.caption)
    caption = f"<figcaption>{lines}</figcaption>" if lines else ""
    return f'<figure style="max-width:{LARGEST * figure.width}px">{picture}{caption}</figure>'


def broken(word: re.Match[str]) -> str:
    """A long word that may be broken at its underscores."""
    return JOINT.sub("_<wbr>", word.group())


def paragraphs(texts: tuple[str, ...]) -> Iterator[str]:
    """Each text as a paragraph."""
    return (f"<p>{inline(text)}</p>" for text in texts)


def inline(text: str) -> str:
    """Plain text as HTML; `backticks` make code."""
    return CODE.sub(r"<code>\1</code>", escape(text))


def url(file: str) -> str:
    """A relative file as a link."""
    return quote(file, safe="/~")


# Contrast with the ground, light and dark: ink 16:1 and 15:1, faint 6:1 and 7:1, link 7:1 and 9:1 (WCAG AA asks 4.5).
STYLE = """
:root {
  --ground: #fafaf9; --raised: #f0f0ee; --ink: #1b1b1a; --faint: #5e5d5a; --line: #dddcd8; --link: #1a5599;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131314; --raised: #1e1e20; --ink: #eae9e6; --faint: #a5a39e; --line: #323235; --link: #9cc3f5;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  max-width: 66rem; margin: 0 auto; padding: clamp(2rem, 6vw, 5rem) clamp(1.25rem, 4vw, 3rem) 3rem;
  background: var(--ground); color: var(--ink);
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  overflow-wrap: break-word;
}
h1, h2 { line-height: 1.2; font-weight: 600; letter-spacing: -0.015em; text-wrap: balance; }
h1 { margin: 0 0 1rem; font-size: clamp(1.9rem, 5vw, 2.75rem); }
h2 { margin: 0 0 0.75rem; font-size: clamp(1.35rem, 3vw, 1.65rem); }
p { max-width: 42rem; margin: 0 0 1rem; text-wrap: pretty; }
header > p { font-size: 1.1875rem; color: var(--faint); }
a { color: var(--link); text-underline-offset: 0.2em; text-decoration-thickness: 1px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; border-radius: 2px; }
nav ol {
  display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; margin: 2rem 0 0; padding: 0.9rem 0; list-style: none;
  border-block: 1px solid var(--line); font-size: 0.9375rem;
}
nav a { display: inline-block; padding: 0.3rem 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { padding-top: clamp(3rem, 7vw, 5rem); }
.note { padding-left: 1rem; border-left: 3px solid var(--line); color: var(--faint); }
.figures { display: grid; gap: 2rem 1.5rem; margin: 2rem 0; }
.of-1 { grid-template-columns: minmax(0, 1fr); }
.of-2 { grid-template-columns: repeat(2, minmax(0, var(--widest))); }
.of-3 { grid-template-columns: repeat(3, minmax(0, var(--widest))); }
.of-4 { grid-template-columns: repeat(4, minmax(0, var(--widest))); }
.of-6 { grid-template-columns: repeat(6, minmax(0, var(--widest))); }
figure { width: 100%; margin: 0; }
figure img { display: block; width: 100%; height: auto; border-radius: 3px; image-rendering: auto; }
figure audio { display: block; width: 100%; margin-top: 0.6rem; }
figcaption { margin-top: 0.6rem; font-size: 0.875rem; line-height: 1.45; overflow-wrap: anywhere; }
figcaption span { display: block; color: var(--faint); font-variant-numeric: tabular-nums; }
figcaption span:first-child { color: var(--ink); font-weight: 550; }
.table { margin: 1.5rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.75rem; text-align: right; vertical-align: bottom; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th { font-weight: 550; }
tbody th { white-space: nowrap; }
.words { text-align: left; }
thead th { color: var(--faint); font-weight: 400; }
th:first-child { padding-left: 0; text-align: left; }
code { font: 0.9em/1.6 ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "Liberation Mono", monospace; }
.command { position: relative; margin: 0 0 0.75rem; }
pre {
  margin: 0; padding: 0.9rem 5.5rem 0.9rem 1.1rem; border-radius: 6px; background: var(--raised);
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.9375rem;
}
.command span { display: inline-block; max-width: 100%; }
.command button {
  position: absolute; top: 0.6rem; right: 0.6rem; padding: 0.3rem 0.75rem; border: 1px solid var(--line);
  border-radius: 5px; background: var(--ground); color: var(--ink); font: inherit; font-size: 0.8125rem;
  cursor: pointer;
}
.command button:hover { border-color: var(--faint); }
footer { margin-top: clamp(3rem, 7vw, 5rem); padding-top: 1.75rem; border-top: 1px solid var(--line); }
footer, footer p { color: var(--faint); font-size: 0.875rem; }
dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem 1.5rem; margin: 0 0 1.75rem;
}
dt { font-size: 0.8125rem; }
dd { margin: 0; color: var(--ink); overflow-wrap: anywhere; }
@media (max-width: 56rem) {
  .of-6 { grid-template-columns: repeat(3, minmax(0, var(--widest))); }
}
@media (max-width: 40rem) {
  .figures { gap: 1.5rem 1rem; }
  .of-2 { grid-template-columns: minmax(0, 1fr); }
  .of-3, .of-4 { grid-template-columns: repeat(2, minmax(0, var(--widest))); }
  .of-6 { gap: 1.25rem 0.75rem; }
  .of-6 figcaption { font-size: 0.8125rem; }
  pre { padding: 0.9rem 1rem; font-size: 0.875rem; }
  .command:has(button) pre { padding-top: 3.1rem; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  :root { --ground: #fff; --raised: #f4f4f2; --ink: #000; --faint: #444; --line: #bbb; --link: #000; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav, .command button { display: none; }
  section { padding-top: 2rem; }
  h2 { break-after: avoid; }
  .figures { gap: 1rem 0.75rem; margin: 1rem 0; }
  .of-2 { grid-template-columns: repeat(2, minmax(0, var(--widest))); }
  .of-6 { grid-template-columns: repeat(6, minmax(0, var(--widest))); }
  figcaption { font-size: 7.5pt; }
  .table { overflow: visible; }
  th, td { padding: 0.25rem 0.4rem; white-space: normal; font-size: 8pt; }
  figure, pre { break-inside: avoid; }
}
"""

SCRIPT = """
for (const block of document.querySelectorAll(".command")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const code = block.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  block.append(button);
}
"""
