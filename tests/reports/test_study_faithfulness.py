"""The page of a study of faithfulness: every question, number and chart; as a fragment; only beside its pictures."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pytest

from phosphene.errors import UsageError
from phosphene.models import load
from phosphene.recipe import RunConfig
from phosphene.reports.study_faithfulness import fragment, write_report
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.faithfulness import study_faithfulness
from phosphene.study.trust import Trust, row
from phosphene.textures import Textures


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trust, Path]:
    folder = tmp_path_factory.mktemp("study")
    ask = FaithfulnessConfig(pictures=2, top=4, random=6)
    run, data, model = RunConfig("cpu", "float32"), Textures(24, size=128), load()
    return (
        study_faithfulness(model, "conv4_1:3", data, ask=ask, others=[model], size=48, steps=2, run=run, out=folder),
        folder,
    )


def test_the_page_holds_every_question_number_and_chart(made: tuple[Trust, Path]) -> None:
    study, folder = made
    text = write_report(study, folder).read_text()
    for check in study.checks():
        assert escape(check.answer) in text
        assert escape(check.can) in text
        assert escape(check.cannot) in text
    for one in study.path:
        cells = "".join(f"<td>{cell}</td>" for cell in row(one)[1:])
        assert f'<th scope="row">{one.layer}</th>{cells}' in text
    for picture in (study.picture, *study.family):
        assert picture.path is not None
        assert f'src="{picture.path.name}"' in text
    for name, count in (("road", 3), ("kinship", 4)):
        assert f'src="{name}.svg"' in text
        assert (folder / f"{name}.svg").read_text().count('class="line') >= count
    assert "<span>rerun</span> <span>conv4_1-3.png</span>" in text


def test_a_fragment_is_the_inside_of_the_page(made: tuple[Trust, Path]) -> None:
    study, folder = made
    inside = fragment(study, folder)
    assert inside.startswith("<section")
    assert inside in write_report(study, folder).read_text()


def test_a_page_elsewhere_than_its_pictures_is_refused(made: tuple[Trust, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="save the study"):
        write_report(made[0], tmp_path)
    assert list(tmp_path.iterdir()) == []
