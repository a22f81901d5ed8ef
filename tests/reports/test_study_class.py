"""The page of a study of classes: every picture, every number, a chart for each part; only beside its pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from phosphene.errors import UsageError
from phosphene.models import load
from phosphene.recipe import RunConfig
from phosphene.reports.study_class import write_report
from phosphene.study.classes import study_class
from phosphene.study.finding import HEADER, ClassStudy, row
from phosphene.study.words import sentence, verdict


@pytest.fixture(scope="module")
def study() -> ClassStudy:
    return study_class(load(), ["star", "face"], size=48, steps=3, run=RunConfig("cpu", "float32"))


def test_the_page_holds_every_picture_number_and_chart(study: ClassStudy, tmp_path: Path) -> None:
    saved = study.save(tmp_path)
    page = write_report(saved, tmp_path)
    text = page.read_text()
    for finding in saved:
        for one in finding:
            assert f'src="{one.picture.path.name}"' in text  # type: ignore[union-attr]
            cells = "".join(f"<td>{cell}</td>" for cell in row(finding, one)[1:])
            assert f'<th scope="row">{row(finding, one)[0]}</th>{cells}' in text
        for part in ("own", "others"):
            name = f"class-{finding.index}.{part}.svg"
            assert f'src="{name}"' in text
            assert (tmp_path / name).read_text().count('class="line') >= 4
        assert sentence(finding).replace("'", "&#x27;") in text
    assert all(said.replace("'", "&#x27;") in text for said in verdict(saved))
    assert text.count("<tr>") == 1 + 8
    assert text.count('<th scope="col">') == len(HEADER)
    assert "<span>rerun</span> <span>prob-star.png</span>" in text


def test_a_page_elsewhere_than_its_pictures_is_refused(study: ClassStudy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="save the study"):
        write_report(study, tmp_path)
    saved = study.save(tmp_path / "here")
    with pytest.raises(UsageError, match="save the study"):
        write_report(saved, tmp_path)
    assert not (tmp_path / "index.html").exists()
