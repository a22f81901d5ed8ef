"""The page of a book: it lists many units, sorts by any column and searches, with a link to each card.

Pictures lie in the cards' folders, and a browser asks for those that come into view. Units that hear have a player
each, whose sound is asked for when it is played.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from phosphene.cards.entry import Entry
from phosphene.cards.strip import THUMB, stripped
from phosphene.files import atomic_write
from phosphene.reports.html import STYLE, url

HEADER = (("unit", "number"), ("pictures", ""), ("highest", "number"), ("mean", "number"), ("silent", "number"),
          ("most alike", "text"), ("class", "text"), ("excited by", "text"), ("doubts", "text"))  # fmt: skip
LOUD = " Turn the volume down before you listen: the clips may be shrill."

LEGEND = (
    "{What}s: an optimized one, where there is one, and the strongest examples. Highest and mean: of the scores, a "
    "score being the unit's largest response to a {what}. Silent: {what}s to which it does not respond at all. Most "
    "alike: the unit of the layer with the most similar scores. Class: the one that goes with it. Excited by: what its "
    "strongest examples cannot lose."
)
DOUBTS = " Doubts: what speaks against its optimized picture."


def write_book(cards: Sequence[Entry], folder: str | Path) -> Path:
    """Write FOLDER/index.html of cards whose folders lie in it; returns it."""
    return atomic_write(Path(folder) / "index.html", book(cards).encode())


def book(cards: Sequence[Entry]) -> str:
    """The page as text."""
    layers = ", ".join(dict.fromkeys(one.data["layer"] for one in cards))
    title = f"{layers} of {cards[0].data['network']['name']}"
    counted = f"{len(cards)} unit{'s' * (len(cards) != 1)}"
    loud = LOUD if any(one.player for one in cards) else ""
    heads = "".join(
        f'<th scope="col" data-kind="{kind}">{name}</th>' if kind else f'<th scope="col">{name}</th>'
        for name, kind in header(cards)
    )
    rows = "\n".join(row(one, doubts=judged(cards)) for one in cards)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}{BOOK_STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{counted}. The name of a unit opens its card. A heading sorts, the field below searches.{loud}</p>
<details><summary>What the columns say</summary><p>{legend(cards)}</p></details>
<p id="tools" hidden><label>Search <input id="search" type="search" autocomplete="off"></label>
<span id="count" role="status"></span></p>
</header>
<main>
<div class="table" tabindex="0"><table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


def header(cards: Sequence[Entry]) -> list[tuple[str, str]]:
    """The headings of the columns, and how each sorts."""
    shown = HEADER if judged(cards) else HEADER[:-1]
    return [("sounds" if name == "pictures" and cards[0].hears else name, kind) for name, kind in shown]


def legend(cards: Sequence[Entry]) -> str:
    """What the columns say, in words."""
    what = "sound" if cards[0].hears else "picture"
    return LEGEND.format(What=what.capitalize(), what=what) + DOUBTS * judged(cards)


def judged(cards: Sequence[Entry]) -> bool:
    """Whether it was asked of any of them if its pictures can be trusted."""
    return any(one.doubts for one in cards)


def row(entry: Entry, *, doubts: bool) -> str:
    """A unit as a row. doubts: with what speaks against its pictures."""
    facts = entry.data["statistics"]
    cells = [
        number(entry.highest),
        number(facts["mean"]),
        number(100 * facts["zeros"], "%"),
        f"<td>{escape(entry.alike)}</td>",
        f"<td>{escape(entry.likes)}</td>",
        f'<td class="says">{escape(entry.data["probe"]["verdict"])}</td>',
        *([f'<td class="doubts">{escape(entry.doubts)}</td>'] if doubts else []),
    ]
    return (
        f'<tr><th scope="row" data-value="{entry.data["unit"]}"><a href="{url(entry.page)}">'
        f"{escape(entry.data['name'])}</a></th>"
        f'<td class="thumbs">{thumbs(entry)}{player(entry)}</td>{"".join(cells)}</tr>'
    )


def number(value: float | None, unit: str = "") -> str:
    """A cell that sorts by its number."""
    if value is None or not math.isfinite(value):
        return '<td data-value="-inf"></td>'
    return f'<td data-value="{value}">{value:.4g}{unit}</td>'


def thumbs(entry: Entry) -> str:
    """The pictures of the strip, each cut from the one file: a row is one request, and none until it is seen."""
    names = stripped(entry.data)
    last = max(len(names) - 1, 1)
    return "".join(
        f'<img alt="{escape(alt)}" width="{THUMB // 2}" height="{THUMB // 2}" loading="lazy" decoding="async" '
        f'style="object-position:{100 * at / last:.4g}% 0" src="{url(entry.strip)}">'
        for at, alt in enumerate(names)
    )


def player(entry: Entry) -> str:
    """The clip of a unit that hears, to be played."""
    if not entry.player:
        return ""
    said = escape(f"what raises {entry.data['name']}")
    return f'<audio controls preload="none" aria-label="{said}" src="{url(entry.player)}"></audio>'


BOOK_STYLE = (
    """
body { max-width: 84rem; }
#tools input {
  font: inherit; padding: 0.4rem 0.6rem; border: 1px solid var(--line); border-radius: 5px; width: min(24rem, 100%);
  background: var(--raised); color: var(--ink);
}
#tools label { display: block; font-size: 0.875rem; color: var(--faint); }
#count { font-size: 0.875rem; color: var(--faint); }
td, tbody th { vertical-align: middle; }
thead th:nth-child(n + 6), td:nth-child(n + 6), thead th:nth-child(2) { text-align: left; }
.thumbs { text-align: left; min-width: 13.5rem; }
.thumbs img { display: inline-block; object-fit: cover; border-radius: 3px; margin-right: 4px; vertical-align: middle; }
.thumbs audio { display: block; width: 13rem; height: 2rem; margin-top: 4px; }
.says, .doubts { text-align: left; white-space: normal; }
.says { min-width: 13rem; }
td, th { padding-inline: 0.55rem; }
.doubts { min-width: 8rem; }
th button { all: unset; cursor: pointer; }
th button:hover { text-decoration: underline; }
th button:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
details { font-size: 0.875rem; color: var(--faint); max-width: 60rem; margin-bottom: 0.75rem; }
tbody tr { break-inside: avoid; }
@media print { #tools { display: none; } }
@media (max-width: 68rem) {
  table, tbody { display: block; }
  thead tr { display: flex; flex-wrap: wrap; gap: 0 0.9rem; }
  thead th:nth-child(2) { display: none; }
  thead th { padding: 0.5rem 0; border: 0; }
  tbody tr { display: flex; flex-wrap: wrap; gap: 0.2rem 0.9rem; padding-block: 0.8rem; }
  tbody tr { border-top: 1px solid var(--line); }
  tbody tr[hidden] { display: none; }
  tbody th, tbody td { border: 0; padding: 0; text-align: left; }
  tbody th, .thumbs, .says, .doubts { flex-basis: 100%; }
"""
    + "".join(
        f'  td:nth-child({column})::before {{ content: "{name} "; color: var(--faint); }}\n'
        for column, (name, kind) in enumerate(HEADER, 1)
        if kind
    )
    + "}\n"
)

SCRIPT = """
const body = document.querySelector("tbody"), rows = [...body.rows], search = document.getElementById("search");
document.getElementById("tools").hidden = false;
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let left = 0;
  for (const row of rows) {
    const alts = [...row.querySelectorAll("img")].map((one) => one.alt);
    const text = [row.textContent, ...alts].join(" ").toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    left += !row.hidden;
  }
  document.getElementById("count").textContent = words.length ? `${left} of ${rows.length} units` : "";
});
for (const [at, head] of [...document.querySelectorAll("thead th")].entries()) {
  if (!head.dataset.kind) continue;
  const button = document.createElement("button");
  button.textContent = head.textContent;
  head.replaceChildren(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending" && head.dataset.kind === "number";
    const up = head.getAttribute("aria-sort") === "ascending";
    const sign = head.dataset.kind === "number" ? (down ? -1 : 1) : (up ? -1 : 1);
    for (const other of document.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const value = (row) => {
      const cell = row.cells[at];
      return head.dataset.kind === "number" ? Number(cell.dataset.value) : cell.textContent;
    };
    rows.sort((a, b) => {
      const x = value(a), y = value(b);
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
    });
    body.append(...rows);
  });
}
"""
