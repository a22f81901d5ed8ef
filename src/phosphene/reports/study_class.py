"""The page of a study of classes: the pictures, what the network says of them, and how it came to say so.

    index.html                                     the page
    class-NUMBER.own.svg, class-NUMBER.others.svg  the two parts of the gain of log-odds along the way, by question

It lies beside the pictures that the study was saved with.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from phosphene.errors import UsageError
from phosphene.files import atomic_write
from phosphene.reports.chart import Line, lines
from phosphene.reports.html import Figure, Page, Section, Table, write_page
from phosphene.study.finding import HEADER, QUESTIONS, WORDS, Asked, ClassStudy, Finding, row
from phosphene.study.split import Split, split
from phosphene.study.words import sentence, verdict

WIDTH, HEIGHT = 480, 320  # pixels of a chart: two stand abreast
PARTS: dict[str, tuple[str, Callable[[Split], float]]] = {
    "own": ("by a higher logit of its own", lambda gain: gain.own),
    "others": ("by lower logits of the others", lambda gain: gain.others),
}


def write_report(study: ClassStudy, folder: str | Path, *, rerun: Sequence[str] = ()) -> Path:
    """Write the page of a saved study beside its pictures; returns it.

    rerun: flags that `phosphene rerun` needs for this network, such as --weights FILE.
    Raises UsageError when the study was not saved there or holds no class.
    """
    place = Path(folder)
    paths = [one.picture.path for finding in study for one in finding]
    if not paths or any(path is None or path.parent != place for path in paths):
        raise UsageError("a report lies beside its pictures: save the study in that folder first")
    for finding in study:
        for name in PARTS:
            atomic_write(place / chart_name(finding, name), chart(finding, name).encode())
    return write_page(page(study, rerun), place)


def page(study: ClassStudy, rerun: Sequence[str] = ()) -> Page:
    """The study as a page."""
    names = ", ".join(finding.label for finding in study)
    count = len(study)
    sections = [section(finding) for finding in study]
    sections.append(ways(study))
    sections.append(Section("numbers", "All numbers", text=(HOW,), tables=(table(study.findings),)))
    files = [one.picture.path.name for one in study[0] if one.picture.path is not None]
    sections.append(Section("again", "Making a picture again", commands=tuple(again(file, rerun) for file in files)))
    facts = (
        ("network", study.model),
        ("classes", f"{count} of {len(study.classes)}"),
        ("steps", str(study[0]["logit"].picture.steps)),
        ("size", " x ".join(map(str, study[0]["logit"].picture.size))),
        ("seed", str(study[0]["logit"].picture.seed)),
        ("device", f"{study.rendered.device}, {study.rendered.precision}"),
        ("time", f"{study.rendered.seconds:.0f} s"),
    )
    lead = f"{names}: four ways to ask {study.model} for a class, and what each of them raised."
    footer = ("Every number is that of the plain network for the 8-bit picture, without transforms.",)
    return Page(f"Four ways to ask for a class: {study.model}", (lead, *verdict(study)), tuple(sections), facts, footer)


HOW = (
    "The gain is that of log-odds, log p / (1 - p), from the noise at the start to the picture. It is the rise of the "
    "class's logit, plus the fall of the mean of the others, plus the fall of the largest of them towards that mean. "
    "The last two together are what came from the others. Their share in log p is counted along the way, step by step."
)


def again(file: str, flags: Sequence[str] = ()) -> str:
    """The command that makes a picture again, for a POSIX shell."""
    return shlex.join(["phosphene", "rerun", file, *flags])


def section(finding: Finding) -> Section:
    """The four pictures of a class."""
    figures = tuple(figure(finding, one) for one in finding)
    return Section(f"class-{finding.index}", finding.label, text=(sentence(finding),), figures=figures)


def figure(finding: Finding, one: Asked) -> Figure:
    """A picture with its numbers."""
    assert one.picture.path is not None  # `write_report` looked
    width, height = one.picture.image().size
    alt = f"picture of {finding.label}, optimized for its {WORDS[one.question]}"
    return Figure(one.picture.path.name, alt, width, height, one.caption())


def ways(study: ClassStudy) -> Section:
    """How the log-odds of each class rose, part by part."""
    figures = tuple(
        Figure(chart_name(finding, name), title(finding, name), WIDTH, chart_height(chart(finding, name)))
        for finding in study
        for name in PARTS
    )
    text = "The two parts of the gain of log-odds along the way; their sum is the gain. A line below 0 is a loss."
    return Section("way", "Along the way", text=(text,), figures=figures, columns=2)


def chart(finding: Finding, name: str) -> str:
    """One part of the gain over the steps, for each question, as SVG."""
    read = PARTS[name][1]
    series = []
    for question in QUESTIONS:
        path = finding[question].path
        gains = [read(split(path[0][1], answer)) for _, answer in path]
        series.append(Line(WORDS[question], [step for step, _ in path], gains))
    return lines(
        series, x_label="step", y_label="gain of log-odds", title=title(finding, name), width=WIDTH, height=HEIGHT
    )


def title(finding: Finding, name: str) -> str:
    """Of a chart."""
    return f"{finding.label}, {PARTS[name][0]}"


def chart_name(finding: Finding, name: str) -> str:
    """The file of a chart. By number: two classes may have one name."""
    return f"class-{finding.index}.{name}.svg"


def chart_height(svg: str) -> int:
    """Pixels of a chart, which grows by its title and its legend."""
    return int(svg.split('height="', 1)[1].split('"', 1)[0])


def table(findings: Sequence[Finding]) -> Table:
    """Every picture in numbers."""
    return Table(HEADER, tuple(row(finding, one) for finding in findings for one in finding))
