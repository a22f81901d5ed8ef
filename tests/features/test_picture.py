"""A picture knows how it was made, saves itself whole, and shows itself in a notebook."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from phosphene.display.notebook import MOST
from phosphene.errors import UsageError
from phosphene.features.picture import Picture, Sheet, titled
from phosphene.media import quantize, to_tensor
from phosphene.metadata import parse_untrusted_json, read_recipe_text


def picture(channels: int = 3, **changes: object) -> Picture:
    values = torch.rand(channels, 12, 20, generator=torch.Generator().manual_seed(channels))
    made = Picture(
        pixels=quantize(values),
        target="features.2:7",
        layer="features.2",
        unit=7,
        seed=0,
        steps=5,
        activation=1.25,
        status="ok",
        reason="",
        seconds=0.1,
        recipe={"schema": 1, "model": {"name": "tiny"}},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def sheet_of(*pictures: Picture) -> Sheet:
    return Sheet(pictures, "tiny", "cpu", "float32", 1.0)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_saved_picture_reads_back_to_the_bit_with_its_recipe(tmp_path: Path, channels: int, mode: str) -> None:
    saved = picture(channels).save(tmp_path / "a.png")
    assert saved.path == tmp_path / "a.png"
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        assert torch.equal(to_tensor(image), saved.pixels)
    assert parse_untrusted_json(read_recipe_text(tmp_path / "a.png")) == saved.recipe
    assert parse_untrusted_json((tmp_path / "a.json").read_text()) == saved.recipe
    assert not (tmp_path / "a.npy").exists()


def test_five_channels_are_panels_and_an_array(tmp_path: Path) -> None:
    saved = picture(5).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
        assert image.width > 5 * 20
    assert np.array_equal(np.load(tmp_path / "a.npy"), (saved.pixels * 255).round().to(torch.uint8).numpy())


def test_without_metadata_the_file_says_nothing(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png", metadata=False)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info == {}
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"saved as \.png"):
        picture().save(tmp_path / "a.jpg")


def test_an_animation_holds_its_frames_and_rests_on_the_last() -> None:
    frames = tuple((i, quantize(torch.rand(3, 12, 20, generator=torch.Generator().manual_seed(i)))) for i in (1, 4, 9))
    film = picture(frames=frames).animation()
    with Image.open(io.BytesIO(film)) as image:
        assert image.format == "WEBP"
        assert image.n_frames >= len(frames) + 1  # an encoder may join the frames of the rest
        assert image.size == (20, 12)


def test_an_animation_without_frames_is_refused() -> None:
    with pytest.raises(UsageError, match="no frames"):
        picture().animation()


def test_a_caption_tells_a_failure() -> None:
    assert picture().caption() == ["features.2:7", "activation 1.25"]
    assert picture(status="degenerate", reason="silent").caption()[-1] == "degenerate"


def test_a_notebook_shows_every_picture_and_no_markup_of_a_target() -> None:
    shown = sheet_of(picture(), picture(target="<script>"))._repr_html_()
    encoded = re.findall(r'base64,([^"]+)"', shown)
    assert len(encoded) == 2
    with Image.open(io.BytesIO(base64.b64decode(encoded[0]))) as image:
        assert torch.equal(to_tensor(image), picture().pixels)
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_notebook_shows_so_many_and_counts_the_rest() -> None:
    shown = sheet_of(*[picture()] * (MOST + 3))._repr_html_()
    assert shown.count("<img") == MOST
    assert "and 3 more" in shown


def test_a_picture_shows_itself_as_png() -> None:
    with Image.open(io.BytesIO(picture()._repr_png_())) as image:
        assert image.size == (20, 12)


def test_a_sheet_is_a_sequence_and_saves_itself(tmp_path: Path) -> None:
    sheet = sheet_of(picture(), picture(5))
    assert len(sheet) == 2
    assert [p.target for p in sheet] == [sheet[0].target, sheet[1].target]
    with Image.open(sheet.save(tmp_path / "sheet.png")) as image:
        assert image.format == "PNG"
        assert image.width > 20


def test_the_headline_names_the_layer_when_there_is_but_one() -> None:
    assert titled("tiny", [picture(), picture()]) == "tiny · features.2"
    assert titled("tiny", [picture(), picture(layer="output")]) == "tiny"
