"""An index on disk and in a notebook: it is read back as it was written, and what is none is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from phosphene.errors import UsageError
from phosphene.examples.header import IndexFileError
from phosphene.examples.index import Index, merge
from phosphene.examples.scan import scan
from phosphene.examples.sheet import examples_sheet, units_of
from phosphene.examples.store import SCHEMA
from phosphene.models import Model, load, to_input

Content = Callable[[Index], dict[str, bytes]]


def test_an_index_is_read_back_as_it_was_written(
    found: Index, network: Model, tmp_path: Path, content: Content
) -> None:
    read = Index.load(found.save(tmp_path / "index"), model=network)
    assert read.header == found.header
    assert read.top("features.12", 7, k=5).examples == found.top("features.12", 7, k=5).examples
    assert content(read) == content(found)


def test_a_recorded_score_is_that_of_the_plain_network(found: Index, photographs: Path, network: Model) -> None:
    for unit in (7, 100, 400):
        for one in found.top("features.12", unit, k=3):
            x = to_input(Image.open(photographs / one.key).convert("RGB"), network.spec)
            value = network.activations(x, ["features.12"])["features.12"][0, unit].detach()
            assert one.score == pytest.approx(float(value.max()), rel=1e-3)
            assert one.score == pytest.approx(float(value[one.position]), rel=1e-3)


def test_quarters_lie_between_the_extremes_in_order(found: Index) -> None:
    row = found.spectrum("features.9", 3, k=3)
    means = [np.mean([one.score for one in row[name]]) for name in row]
    assert list(row) == ["minimum", "slightly negative", "slightly positive", "maximum"]
    assert means == sorted(means)
    assert found.near("features.9", 3, 0.0, k=1)[0].score <= found.near("features.9", 3, 1.0, k=1)[0].score
    with pytest.raises(UsageError, match="between 0 and 1"):
        found.near("features.9", 3, 25)


def test_other_weights_and_other_networks_are_refused(found: Index, tmp_path: Path) -> None:
    folder = found.save(tmp_path / "index")
    with pytest.raises(IndexFileError, match="other weights: squeezenet1_1"):
        Index.load(folder, model=load("squeezenet1_1", weights="random"))
    other = scan(load("squeezenet1_1", weights="random"), "textures:4", layers=list(found.layers))
    with pytest.raises(IndexFileError, match="other weights"):
        merge(found, other)
    with pytest.raises(UsageError, match="both indexes hold pictures 0 to 59"):
        merge(found, found)


def edited(folder: Path, **changes: Any) -> None:
    file = folder / "index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": SCHEMA + 1}, "has version 2, this phosphene reads up to 1; update phosphene"),
        ({"format": "other"}, "is no index of phosphene"),
        ({"numbers": "../../secret.safetensors"}, "is damaged"),
        ({"keys": []}, "refers to pictures without keys"),
        ({"layers": []}, "does not fit"),
        ({"classes": ["one"]}, "is damaged"),
        ({"images": "many"}, "is not a whole number"),
    ],
)
def test_an_index_that_is_none_is_refused_in_one_line(
    found: Index, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = found.save(tmp_path / "index")
    edited(folder, **changes)
    with pytest.raises(IndexFileError, match=message) as error:
        Index.load(folder)
    assert "\n" not in str(error.value)


def test_damaged_numbers_and_missing_files_are_refused(found: Index, tmp_path: Path) -> None:
    folder = found.save(tmp_path / "index")
    numbers = next(folder.glob("*.safetensors"))
    numbers.write_bytes(numbers.read_bytes()[:-9] + b"\0" * 9)
    with pytest.raises(IndexFileError, match="was changed"):
        Index.load(folder)
    numbers.unlink()
    with pytest.raises(IndexFileError, match=r"numbers-|no such file"):
        Index.load(folder)
    (folder / "index.json").write_text("{")
    with pytest.raises(IndexFileError, match="no JSON"):
        Index.load(folder)
    with pytest.raises(IndexFileError, match="no index in"):
        Index.load(tmp_path / "nowhere")


def test_saving_again_leaves_one_index(found: Index, photographs: Path, network: Model, tmp_path: Path) -> None:
    found.save(tmp_path / "index")
    scan(network, "textures:3", layers=["output"]).save(tmp_path / "index")
    assert len(list((tmp_path / "index").iterdir())) == 2
    assert Index.load(tmp_path / "index").images == 3


def test_a_notebook_shows_pictures_where_the_data_is_known(found: Index, photographs: Path, tmp_path: Path) -> None:
    read = Index.load(found.save(tmp_path / "index"))
    row = read.top("features.12", 7, k=3)
    assert "<img" not in row._repr_html_()
    assert all(one.key in row._repr_html_() for one in row)
    assert read.with_data(photographs).top("features.12", 7, k=3)._repr_html_().count("<img") == 3
    assert "60 pictures" in repr(read)


def test_a_sheet_shows_what_the_unit_sees(found: Index, photographs: Path) -> None:
    near, far = (examples_sheet(found, layer, 3, photographs) for layer in ("features.3", "output"))
    assert near.height > far.height  # a logit sees the whole picture: no row of crops
    assert near.width == far.width
    with pytest.raises(UsageError, match="does not hold the example"):
        examples_sheet(found, "features.3", 3, "textures:60")


def test_units_are_named_by_number_range_and_class(found: Index) -> None:
    assert units_of(found, "features.12:7") == [("features.12", 7)]
    assert units_of(found, "features.12:7..9") == [("features.12", unit) for unit in (7, 8, 9)]
    assert units_of(found, "logit:goldfish") == [("output", 1)]
    for target, message in (
        ("features.12", "LAYER:UNIT"), ("features.12:x", "a number or a range"), ("features.12:999", "no unit 999"),
        ("features.12:0..999", "no unit 999"), ("logit:goldfisch", "goldfish"), ("features.122:1", "features.12"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            units_of(found, target)
