"""What a study of classes gives: four pictures of each class, what the network says of them, and on the way to them."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from phosphene.contact import contact_sheet
from phosphene.features.picture import Picture, Sheet
from phosphene.files import atomic_write, ensure_folder, safe_name
from phosphene.media import png_bytes
from phosphene.study.split import Answer, Split, along, split

QUESTIONS = ("logit", "logprob", "prob", "margin")  # the words of the targets
CAPTION_SIDE = 192  # pixels of a picture in a sheet, at least: its captions need the room
WORDS = {"logit": "logit", "logprob": "log-probability", "prob": "probability", "margin": "margin"}


@dataclass(frozen=True)
class Asked:
    """A class asked for in one way. path: (steps done, what the network says), from the start to the end."""

    question: str
    picture: Picture
    path: tuple[tuple[int, Answer], ...]

    @property
    def start(self) -> Answer:
        """Of the picture before the first step."""
        return self.path[0][1]

    @property
    def answer(self) -> Answer:
        """Of the finished picture."""
        return self.path[-1][1]

    @property
    def gain(self) -> Split:
        """Of log-odds, by what it came from."""
        return split(self.start, self.answer)

    @property
    def log_gain(self) -> Split:
        """Of log p, by what it came from along the path."""
        return along([answer for _, answer in self.path])

    def caption(self) -> tuple[str, ...]:
        """Lines for the picture: the question, and what the network answers."""
        answer, gain = self.answer, self.gain
        lines = (
            f"by {WORDS[self.question]}",
            f"logit {short(answer.logit)}, p = {percent(answer)}",
            f"others {short(answer.mean)}, largest {short(answer.largest)}",
            f"gain {signed(gain.own)} own, {signed(gain.others)} others",
        )
        picture = self.picture
        return lines if picture.status == "ok" else (*lines, " ".join([picture.status, picture.reason]))


@dataclass(frozen=True)
class Finding:
    """A class and its pictures, in the order of `QUESTIONS`; finding["prob"] is one of them."""

    index: int
    label: str
    asked: tuple[Asked, ...]

    def __iter__(self) -> Iterator[Asked]:
        return iter(self.asked)

    def __getitem__(self, question: str) -> Asked:
        return self.asked[QUESTIONS.index(question)]

    @property
    def against(self) -> Split:
        """By what the log-odds of the picture by probability differ from those of the picture by logit."""
        return split(self["logit"].answer, self["prob"].answer)


@dataclass(frozen=True)
class ClassStudy:
    """The findings of a study. classes: names of all classes of the network. rendered: the pictures as a rendering.

    Iterates over its findings and shows itself in a notebook.
    """

    model: str
    classes: tuple[str, ...]
    findings: tuple[Finding, ...]
    rendered: Sheet

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, place: int) -> Finding:
        return self.findings[place]

    def image(self) -> Image.Image:
        """The sheet: a row for each class, a column for each question."""
        asked = [(finding, one) for finding in self.findings for one in finding]
        labels = [(f"{finding.label}, {one.caption()[0]}", *one.caption()[1:]) for finding, one in asked]
        pictures = [one.picture.pixels for _, one in asked]
        side = max(pictures[0].shape[1:])
        thumb = side * math.ceil(CAPTION_SIDE / side) if side < CAPTION_SIDE else None
        return contact_sheet(pictures, labels, columns=len(QUESTIONS), title=self.model, thumb=thumb)

    def save(self, folder: str | Path, *, metadata: bool = True) -> ClassStudy:
        """Write the pictures that have no file yet, sheet.png and study.json; gives the study with its paths."""
        place = ensure_folder(folder)
        placed = tuple(replace(f, asked=tuple(_saved(one, place, metadata) for one in f)) for f in self.findings)
        written = replace(self, findings=placed)
        atomic_write(place / "sheet.png", png_bytes(written.image()))
        atomic_write(place / "study.json", (json.dumps(written.data(), ensure_ascii=False, indent=1) + "\n").encode())
        return written

    def data(self) -> dict[str, Any]:
        """Everything as JSON; files by their names."""
        return {
            "model": self.model,
            "classes": len(self.classes),
            "results": [self._entry(finding) for finding in self.findings],
            "device": self.rendered.device,
            "precision": self.rendered.precision,
            "seconds": round(self.rendered.seconds, 3),
        }

    def _entry(self, finding: Finding) -> dict[str, Any]:
        pictures = {one.question: self._told(one) for one in finding}
        against = parts(finding.against)
        return {"class": finding.index, "label": finding.label, "pictures": pictures, "prob_against_logit": against}

    def _told(self, one: Asked) -> dict[str, Any]:
        picture = one.picture
        return {
            "file": picture.path.name if picture.path is not None else None,
            "target": picture.target,
            "status": picture.status,
            "reason": picture.reason,
            "steps": picture.steps,
            "start": self._answer(one.start),
            "end": self._answer(one.answer),
            "gain": parts(one.gain),
            "log_probability_gain": parts(one.log_gain),
            "path": [{"step": step, **self._answer(answer)} for step, answer in one.path],
        }

    def _answer(self, answer: Answer) -> dict[str, Any]:
        return {
            "logit": number(answer.logit),
            "others_mean": number(answer.mean),
            "others_largest": number(answer.largest),
            "rival": self.classes[answer.rival],
            "others_log_sum_exp": number(answer.others),
            "log_odds": number(answer.log_odds),
            "probability": number(answer.probability),
            "log_probability": number(answer.log_probability),
        }

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
            for name, *cells in (row(finding, one) for finding in self.findings for one in finding)
        )
        head = "".join(f"<th>{html.escape(name)}</th>" for name in HEADER)
        return f"{self.rendered._repr_html_()}<table><tr>{head}</tr>{rows}</table>"


HEADER = (
    "class, asked for by",
    "logit",
    "mean of the others",
    "largest other",
    "p",
    "gain of log-odds",
    "by its logit",
    "by the others' mean",
    "by the largest others",
    "share of the others",
    "their share in log p",
)


def row(finding: Finding, one: Asked) -> tuple[str, ...]:
    """One picture in numbers, in the order of `HEADER`."""
    answer, gain = one.answer, one.gain
    numbers = (answer.logit, answer.mean, answer.largest)
    parted = (gain.gain, gain.own, gain.mean, gain.rivals)
    return (
        f"{finding.label}, {WORDS[one.question]}",
        *map(short, numbers),
        percent(answer),
        *map(signed, parted),
        shared(gain),
        shared(one.log_gain),
    )


def shared(gain: Split) -> str:
    """The share of the others in a gain, for a reader."""
    return f"{gain.share:.0%}" if math.isfinite(gain.share) else "-"


def parts(gain: Split) -> dict[str, Any]:
    """A gain and its parts as JSON."""
    told = {**asdict(gain), "others": gain.others, "lead": gain.lead, "gain": gain.gain, "share_of_others": gain.share}
    return {name: number(value) for name, value in told.items()}


def number(value: float) -> float | None:
    """A number as JSON has it."""
    return value if math.isfinite(value) else None


def short(value: float) -> str:
    """A logit for a reader."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def signed(value: float) -> str:
    """A gain for a reader."""
    return f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.1f}"


def percent(answer: Answer) -> str:
    """A probability that is never said to be 0 or 100% where it is not."""
    p = answer.probability
    if 1e-3 <= p <= 0.999:
        return f"{p:.1%}"
    rest = math.exp(-abs(answer.log_odds))
    return f"{rest:.0e}" if p < 0.5 else f"1 - {rest:.0e}" if rest else "1"


def _saved(one: Asked, folder: Path, metadata: bool) -> Asked:
    picture = one.picture
    if picture.path is not None and picture.path.parent == folder:
        return one
    return replace(one, picture=picture.save(folder / f"{safe_name(picture.target)}.png", metadata=metadata))
