"""The contact sheet: many pictures in an even grid, each with its name and numbers, fit for a paper or a wall.

Optimized pictures are judged side by side, so every cell has one size, every gap one width, and the ground is a
neutral near-black (or white for print) that shifts no color. Pictures are never enlarged by blurring: one of 32
pixels is shown in whole, sharp pixels. Text is measured before it is drawn; a label too long for its column loses
its middle, because in `layer4.1.conv2:17` the two ends say which unit it is.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Literal

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.media import from_tensor, opaque

MAX_PICTURES = 1000
MAX_SIDE = 8192  # pixels; viewers and printers choke on larger sheets, so the pictures of large sheets are shrunk
TINY = 100  # pixels: pictures below this are enlarged, in whole multiples: their labels need the room
TINY_TARGET = 128  # pixels that enlarged pictures reach at least, wide enough for `layer4.1.conv2:17`
WIDER = 1.2  # columns / rows that a sheet leans to; labels add height, so this comes out near-square
EMPTY_COST = 4.0  # weight of empty cells against the outline: 8 is 4x2, 9 is 3x3, 10 is 5x2, 16 is 4x4, 20 is 5x4
ELLIPSIS = "…"

# Pillow's built-in face (Aileron) lacks these signs; other letters lose their accents, the rest becomes "?".
_SPELLED = {"×": "x", "−": "-", "–": "-", "—": "-", "→": "->", "≈": "~", "α": "alpha", "β": "beta", "’": "'"}
_DRAWN = {"…", "·", "±", "°"}


@dataclass(frozen=True)
class Theme:
    """Colors of a sheet, 8-bit RGB: the ground, the first line of each label, the lines below it."""

    ground: tuple[int, int, int]
    ink: tuple[int, int, int]
    faint: tuple[int, int, int]


THEMES = {
    "dark": Theme(ground=(17, 17, 17), ink=(236, 236, 236), faint=(150, 150, 150)),
    "light": Theme(ground=(255, 255, 255), ink=(24, 24, 24), faint=(110, 110, 110)),
}


@dataclass(frozen=True)
class _Plan:
    """Where everything goes, in pixels: pictures in squares of thumb over `lines` lines of text, `columns` in a row.

    aspect, breadth: height of the tallest and width of the widest picture as shares of thumb, so that rows of wide and
    columns of tall pictures stand close.
    """

    columns: int
    rows: int
    thumb: int
    lines: int
    aspect: float
    breadth: float

    @property
    def wide(self) -> int:
        return max(1, round(self.thumb * self.breadth))

    @property
    def tall(self) -> int:
        return max(1, round(self.thumb * self.aspect))

    @property
    def gap(self) -> int:
        return max(8, round(self.thumb * 0.07))

    @property
    def margin(self) -> int:
        return round(self.gap * 1.75)

    @property
    def text(self) -> int:
        return min(26, max(12, round(self.wide * 0.068)))

    @property
    def leading(self) -> int:
        return round(self.text * 1.36)

    @property
    def caption(self) -> int:
        return round(self.text * 0.55) + self.lines * self.leading if self.lines else 0

    @property
    def pitch(self) -> tuple[int, int]:
        """From one cell to the next, right and down."""
        breath = round(self.gap * 0.6) if self.lines else 0  # a label must be nearer to its picture than to the next
        return self.wide + self.gap, self.tall + self.caption + self.gap + breath

    @property
    def size(self) -> tuple[int, int]:
        """Of the sheet below its title."""
        across, down = self.pitch
        bottom = down - self.tall - self.caption
        return self.columns * across - self.gap + 2 * self.margin, self.rows * down - bottom + 2 * self.margin


def contact_sheet(
    pictures: Sequence[Tensor],
    labels: Sequence[Sequence[str]] | None = None,
    *,
    columns: int | None = None,
    title: str | None = None,
    thumb: int | None = None,
    theme: Literal["dark", "light"] = "dark",
) -> Image.Image:
    """A labelled grid of 1-1000 `pictures`, each (c, h, w) in [0, 1], as an RGB image.

    labels: for each picture its lines of text, the first one brighter. columns: chosen near-square when None.
    title: a headline; lines after the first are smaller. thumb: longest side of a picture in pixels; when None, their
    usual size, enlarged in whole multiples below 100 pixels and shrunk where the sheet would exceed 8192 pixels.
    Transparent pictures lie on the ground color. Raises `UsageError` for counts that cannot be meant.
    """
    labels = labels if labels is not None else [()] * len(pictures)
    _refuse_counts(len(pictures), len(labels), columns, thumb)
    images = [opaque(from_tensor(x), background=THEMES[theme].ground) for x in pictures]
    lines = max(len(label) for label in labels)
    usual = median_high(max(image.size) for image in images)
    aspect = max(image.height / max(image.size) for image in images)
    breadth = max(image.width / max(image.size) for image in images)
    plan = _plan(len(images), usual, lines, columns, thumb, (aspect, breadth))
    head = _headline(title, plan)
    width, height = plan.size
    sheet = Image.new("RGB", (width, height + head), THEMES[theme].ground)
    draw = ImageDraw.Draw(sheet)
    if title:
        _draw_title(draw, title, plan, THEMES[theme])
    across, down = plan.pitch
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        left, top = plan.margin + i % plan.columns * across, head + plan.margin + i // plan.columns * down
        fitted = _fit(image, plan.thumb)
        sheet.paste(fitted, (left, top + plan.tall - fitted.height))  # a wide picture stays next to its label
        _draw_label(draw, label, left, top + plan.tall + round(plan.text * 0.55), plan, THEMES[theme])
    return sheet


def shorten(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> str:
    """`text`, or its two ends around an ellipsis: as many characters as fit in `width` pixels of `font`."""
    if font.getlength(text) <= width:
        return text
    fits, too_many = 0, len(text)
    while too_many - fits > 1:
        keep = (fits + too_many) // 2
        fits, too_many = (keep, too_many) if font.getlength(_ends(text, keep)) <= width else (fits, keep)
    return _ends(text, fits)


def _ends(text: str, keep: int) -> str:
    head = math.ceil(keep / 2)
    return text[:head] + ELLIPSIS + text[len(text) - (keep - head) :]


def _refuse_counts(pictures: int, labels: int, columns: int | None, thumb: int | None) -> None:
    if not 1 <= pictures <= MAX_PICTURES:
        raise UsageError(f"a contact sheet holds 1-{MAX_PICTURES} pictures, got {pictures}")
    if labels != pictures:
        raise UsageError(f"{pictures} pictures need as many labels, got {labels}")
    for name, value in (("columns", columns), ("thumb", thumb)):
        if value is not None and value < 1:
            raise UsageError(f"{name} must be at least 1, got {value}")


def _plan(
    count: int, usual: int, lines: int, columns: int | None, thumb: int | None, shape: tuple[float, float]
) -> _Plan:
    side = thumb or (usual if usual >= TINY else usual * math.ceil(TINY_TARGET / usual))
    columns = min(columns, count) if columns else _near_square(count, shape[0] / shape[1])
    plan = _Plan(columns, math.ceil(count / columns), side, lines, *shape)
    while thumb is None and side > 1 and max(plan.size) > MAX_SIDE:
        side = min(side - 1, int(side * MAX_SIDE / max(plan.size)))
        plan = _Plan(columns, plan.rows, side, lines, *shape)
    return plan


def _near_square(count: int, aspect: float) -> int:
    """The number of columns that leaves the fewest cells empty and an outline nearest to a little wider than square."""

    def cost(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(columns / (rows * aspect) / WIDER)) + EMPTY_COST * (columns * rows - count) / (
            columns * rows
        )

    return min(range(1, count + 1), key=cost)


def _fit(image: Image.Image, side: int) -> Image.Image:
    """`image` inside side x side: shrunk smoothly, enlarged only by whole multiples of its pixels."""
    longest = max(image.size)
    if longest > side:
        size = (max(1, round(image.width * side / longest)), max(1, round(image.height * side / longest)))
        return image.resize(size, Image.Resampling.LANCZOS)
    times = side // longest
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def _draw_label(
    draw: ImageDraw.ImageDraw, label: Sequence[str], left: int, top: int, plan: _Plan, theme: Theme
) -> None:
    font = ImageFont.load_default(plan.text)
    for i, line in enumerate(label):
        text = shorten(_drawable(line), font, plan.wide)
        draw.text((left, top + i * plan.leading), text, fill=theme.faint if i else theme.ink, font=font)


def _headline(title: str | None, plan: _Plan) -> int:
    """Height of the title in pixels, 0 without one."""
    if not title:
        return 0
    return plan.margin + round(plan.text * 1.9) + title.count("\n") * plan.leading - round(plan.margin * 0.3)


def _draw_title(draw: ImageDraw.ImageDraw, title: str, plan: _Plan, theme: Theme) -> None:
    width = plan.size[0] - 2 * plan.margin
    first, *rest = title.split("\n")
    large, small = ImageFont.load_default(round(plan.text * 1.5)), ImageFont.load_default(plan.text)
    if large.getlength(first) > width:
        large = small
    draw.text((plan.margin, plan.margin), shorten(_drawable(first), large, width), fill=theme.ink, font=large)
    for i, line in enumerate(rest):
        top = plan.margin + round(plan.text * 1.9) + i * plan.leading
        draw.text((plan.margin, top), shorten(_drawable(line), small, width), fill=theme.faint, font=small)


def _drawable(text: str) -> str:
    """`text` in the signs that the built-in face has: accents dropped, symbols spelled out, the rest as "?"."""
    spelled = "".join(_SPELLED.get(character, character) for character in " ".join(text.split()))
    plain = (c for c in unicodedata.normalize("NFKD", spelled.replace(ELLIPSIS, "\0")) if not unicodedata.combining(c))
    return "".join(ELLIPSIS if c == "\0" else c if c.isascii() or c in _DRAWN else "?" for c in plain)
