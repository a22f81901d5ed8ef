"""The recipe travels inside the picture or beside it, and nothing in it is believed before it is bounded."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from phosphene.errors import RecipeError
from phosphene.media import pixels_sha256, png_bytes
from phosphene.metadata import (
    KEY,
    MAX_DEPTH,
    MAX_RECIPE_BYTES,
    embed,
    parse_untrusted_json,
    read_recipe_text,
    sidecar,
)

PICTURE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))


def saved(path: Path, recipe: str) -> Path:
    path.write_bytes(embed(PICTURE, recipe))
    return path


def test_an_embedded_recipe_reads_back_and_changes_no_pixel(tmp_path: Path) -> None:
    recipe = '{"target": "features.12:7", "note": "größe ✓"}'
    path = saved(tmp_path / "x.png", recipe)
    assert read_recipe_text(path) == recipe
    with Image.open(path) as image:
        assert pixels_sha256(image) == pixels_sha256(PICTURE)
        assert image.info[KEY] == recipe


def test_a_description_is_there_for_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(embed(PICTURE, "{}", description="features.12:7 of squeezenet1_1"))
    with Image.open(path) as image:
        assert image.info["Description"] == "features.12:7 of squeezenet1_1"
        assert image.info["Software"] == "phosphene"


def test_the_recipe_is_found_in_a_picture_whose_pixels_are_damaged(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", "{}")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"IDAT") + 8])
    assert read_recipe_text(path) == "{}"


def test_the_sidecar_answers_where_the_picture_is_silent(tmp_path: Path) -> None:
    for name in ("x.png", "x.webp", "x.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    (tmp_path / "x.json").write_text('{"a": "ü"}', encoding="utf-8")
    for name in ("x.png", "x.webp", "x.jpg", "x.wav", "x.json"):
        assert read_recipe_text(tmp_path / name) == '{"a": "ü"}'
    assert sidecar("out/features.12-7.png") == Path("out/features.12-7.json")


def test_what_is_inside_comes_before_what_lies_beside(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", '{"inside": 1}')
    sidecar(path).write_text('{"beside": 1}')
    assert read_recipe_text(path) == '{"inside": 1}'


def test_no_recipe_says_where_it_looked(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    with pytest.raises(RecipeError, match=r"x\.png': there is no such file"):
        read_recipe_text(path)
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(RecipeError, match=r"no recipe for '.*x\.png': neither inside it nor in '.*x\.json'"):
        read_recipe_text(path)
    with pytest.raises(RecipeError, match=r"y\.json': there is no such file"):
        read_recipe_text(tmp_path / "y.json")
    sidecar(path).write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_recipe_text(path)


def test_a_recipe_too_large_is_refused_on_the_way_in_and_out(tmp_path: Path) -> None:
    most = '"' + "x" * (MAX_RECIPE_BYTES - 2) + '"'
    assert read_recipe_text(saved(tmp_path / "x.png", most)) == most
    with pytest.raises(RecipeError, match="256 kB"):
        embed(PICTURE, most + " ")
    with pytest.raises(RecipeError, match="256 kB"):
        parse_untrusted_json(most + " ")
    (tmp_path / "y.json").write_text(most + " ")
    with pytest.raises(RecipeError, match=r"the recipe '.*y\.json' is larger than 256 kB"):
        read_recipe_text(tmp_path / "y.json")
    (tmp_path / "z.png").write_bytes(png_bytes(PICTURE, {KEY: most + " "}))
    with pytest.raises(RecipeError, match=r"the recipe of '.*z\.png' is larger than 256 kB"):
        read_recipe_text(tmp_path / "z.png")
    with pytest.raises(RecipeError, match="256 kB"):
        embed(PICTURE, "é" * (MAX_RECIPE_BYTES // 2 + 1))  # counted in bytes, not in characters


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_every_finite_object_is_read_as_it_was_written(value: dict[str, object]) -> None:
    assert parse_untrusted_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "1",
        "null",
        '{"a": NaN}',
        '{"a": [Infinity]}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 2}}',
        '{"a": "\\ud800"}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": 1}}',
        "{'a': 1}",
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_untrusted_json(text)
    assert "\n" not in str(caught.value)


def nested(depth: int) -> str:
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


def test_nesting_is_bounded_before_it_is_parsed() -> None:
    assert parse_untrusted_json(nested(MAX_DEPTH))
    for text in (nested(MAX_DEPTH + 1), nested(40_000), "[" * 200_000):
        with pytest.raises(RecipeError, match="32 deep"):
            parse_untrusted_json(text)


@pytest.mark.parametrize("before", ["", '"', "\\", '\\"', '"\\'])
def test_brackets_inside_strings_are_no_nesting(before: str) -> None:
    value = {"a": before, before + "[" * 100: before + "{" * 100}
    assert parse_untrusted_json(json.dumps(value)) == value


def test_floats_keep_every_bit() -> None:
    assert parse_untrusted_json('{"a": 0.1, "b": 5e-324}') == {"a": 0.1, "b": math.ulp(0.0)}
