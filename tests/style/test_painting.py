"""A painting from Python: saved, read back, judged, and made again from its recipe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from phosphene.errors import MediaError, RecipeError, UsageError
from phosphene.media import from_tensor, read_pixels, write_picture
from phosphene.models import Model, load
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.reports.style import write_report
from phosphene.style.api import Finished, style_transfer
from phosphene.style.heldout import judged
from phosphene.style.inputs import Inputs, Mask, read
from phosphene.style.ladder import resized
from phosphene.style.painting import Painting, summary
from phosphene.style.rerun import compare, prepare
from phosphene.style.transfer import Job, Style

CPU = RunConfig(device="cpu")
QUICK = StyleConfig(size=48, smallest=0, steps=2)


@pytest.fixture(scope="module")
def vgg() -> Model:
    """VGG-19's layers by name, with seeded random weights."""
    return load("vgg19_cd16x", weights="random")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A content, two styles and a mask as files."""
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name, size in (("content", (48, 64)), ("style", (40, 40)), ("other", (30, 50))):
        made[name] = tmp_path / f"{name}.png"
        write_picture(made[name], resized(torch.rand(1, 3, 6, 8, generator=generator), size)[0])
    made["mask"] = tmp_path / "mask.png"
    mask = torch.zeros(1, 48, 64)
    mask[:, :, :32] = 1
    write_picture(made["mask"], mask)
    return made


def painted(vgg: Model, files: dict[str, Path], **options: Any) -> Painting:
    options = {"model": vgg, "config": QUICK, "run": CPU, **options}
    return style_transfer(files["content"], files["style"], **options)


def rerun(painting: Painting, shown: list[Path]) -> Any:
    painter = prepare(json.loads(json.dumps(painting.recipe)), shown, device="cpu")
    (done,) = [event.painting for event in painter if isinstance(event, Finished)]
    return compare(painting.recipe, painter, done)


def test_files_pictures_and_tensors_are_the_same_painting(vgg: Model, files: dict[str, Path]) -> None:
    tensors = [read_pixels(files[name]).pixels for name in ("content", "style")]
    images = [from_tensor(tensor) for tensor in tensors]
    first = painted(vgg, files)
    for content, style in (tensors, images):
        other = style_transfer(content, style, model=vgg, config=QUICK, run=CPU)
        assert torch.equal(other.pixels, first.pixels)
        assert other.recipe["inputs"] == first.recipe["inputs"]


@pytest.mark.parametrize(("suffix", "bits"), [(".png", 8), (".png", 16), (".tif", 16), (".jpg", 8), (".webp", 8)])
def test_a_painting_is_saved_in_the_format_of_its_suffix(
    vgg: Model, files: dict[str, Path], tmp_path: Path, suffix: str, bits: Any
) -> None:
    painting = painted(vgg, files).save(tmp_path / f"art{suffix}", bits=bits)
    found = read_pixels(tmp_path / f"art{suffix}")
    assert found.bits == bits
    tolerance = 0.5 / (2**bits - 1) + 1e-6 if suffix in (".png", ".tif") else 0.2
    assert torch.allclose(found.pixels, painting.pixels, atol=tolerance)
    assert json.loads((tmp_path / "art.json").read_text()) == painting.recipe
    if suffix == ".png":
        with Image.open(tmp_path / "art.png") as image:
            assert json.loads(image.info["phosphene"]) == painting.recipe


def test_without_metadata_no_recipe_is_written(vgg: Model, files: dict[str, Path], tmp_path: Path) -> None:
    painting = painted(vgg, files).save(tmp_path / "art.png")
    painting.save(tmp_path / "art.png", metadata=False)
    assert not (tmp_path / "art.json").exists()
    with Image.open(tmp_path / "art.png") as image:
        assert "phosphene" not in image.info


def test_the_recipe_names_no_path(vgg: Model, files: dict[str, Path], tmp_path: Path) -> None:
    text = json.dumps(painted(vgg, files, masks={1: Mask(files["mask"])}).recipe)
    assert str(tmp_path) not in text
    assert "content.png" not in text


def test_a_painting_shows_itself_in_a_notebook(vgg: Model, files: dict[str, Path]) -> None:
    assert painted(vgg, files)._repr_png_().startswith(b"\x89PNG")


def test_the_summary_has_what_json_promises(vgg: Model, files: dict[str, Path]) -> None:
    said = summary(painted(vgg, files, judge=vgg).recipe)
    assert list(said) == ["size", "seconds", "peak_memory_mb", "evaluations", "loss", "layers", "heldout"]
    assert said["size"] == [48, 36]
    assert list(said["loss"]) == ["total", "content", "style", "tv"]
    assert said["loss"]["total"] == pytest.approx(sum(said["layers"].values()))


def test_rerun_gives_the_same_pixels_from_files_in_any_order(vgg: Model, files: dict[str, Path]) -> None:
    painting = painted(vgg, files, masks={1: Mask(files["mask"])}, config=replace(QUICK, feather=2.0))
    again = rerun(painting, [files["mask"], files["style"], files["other"], files["content"]])
    assert again.same
    assert again.differences == ()


def test_rerun_names_every_picture_that_is_missing(vgg: Model, files: dict[str, Path]) -> None:
    painting = style_transfer(files["content"], [files["style"], files["other"]], model=vgg, config=QUICK, run=CPU)
    with pytest.raises(RecipeError, match=r"content.*style 2.*--input"):
        prepare(painting.recipe, [files["style"]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "feature"}, "kind 'feature'"),
        ({"schema": 99}, "schema 99"),
        ({"method": {"size": 10**9}}, "sensible"),
        ({"method": {"style_layers": "nowhere"}}, "no layer"),
        ({"inputs": {"styles": 3}}, "inputs.styles"),
        ({"inputs": {"styles": [3]}}, "sha256"),
        ({"model": {"source": "os:system"}}, "Python code"),
    ],
)
def test_a_recipe_from_a_stranger_is_checked(vgg: Model, files: dict[str, Path], change: Any, said: str) -> None:
    recipe = painted(vgg, files).recipe
    for key, value in change.items():
        recipe[key] = {**recipe[key], **value} if isinstance(value, dict) else value
    with pytest.raises(RecipeError, match=said):
        prepare(recipe, [files["content"], files["style"]])


def test_several_styles_have_their_shares(vgg: Model, files: dict[str, Path]) -> None:
    styles = [files["style"], files["other"]]
    both = style_transfer(files["content"], styles, model=vgg, config=QUICK, run=CPU, weights=(1, 0))
    assert torch.equal(both.pixels, painted(vgg, files).pixels)


def test_style_without_a_mask_paints_what_the_masks_leave(files: dict[str, Path]) -> None:
    pictures = tuple(read(files[name], name) for name in ("style", "other"))
    job = Inputs(read(files["content"], "content"), pictures, masks={1: Mask(files["mask"])}).job(StyleConfig(size=64))
    assert [style.region for style in job.styles] == ["region1", "rest"]
    assert torch.equal(job.regions["region1"] + job.regions["rest"], torch.ones(1, 48, 64))
    assert job.leave is None


def test_what_no_mask_claims_is_left_alone(files: dict[str, Path]) -> None:
    inputs = Inputs(read(files["content"], "content"), (read(files["style"], "style"),), masks={1: Mask(files["mask"])})
    job = inputs.job(StyleConfig(size=64))
    assert job.leave is not None
    assert torch.equal(job.leave, 1 - job.regions["region1"])


def test_regions_by_color_are_told_apart(files: dict[str, Path], tmp_path: Path) -> None:
    colored = torch.zeros(3, 48, 64)
    colored[0, :, :20], colored[2, :, 20:] = 1, 1
    write_picture(tmp_path / "regions.png", colored)
    drawn = tmp_path / "regions.png"
    masks = {1: Mask(drawn, "red"), 2: Mask(drawn, "#0000ff")}
    pictures = tuple(read(files[name], name) for name in ("style", "other"))
    job = Inputs(read(files["content"], "content"), pictures, masks=masks).job(StyleConfig(size=64))
    assert float(job.regions["region1"].mean()) == pytest.approx(20 / 64)
    assert float(job.regions["region2"].mean()) == pytest.approx(44 / 64)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"masks": {2: Mask(torch.ones(1, 8, 8))}}, UsageError, "style 2"),
        ({"weights": (1, 2)}, UsageError, "2 style weights for 1 style picture"),
        ({"start": "nowhere"}, UsageError, "no start 'nowhere'"),
        ({"masks": {1: Mask(torch.zeros(1, 8, 8))}}, UsageError, "black"),
        ({"leave": Mask("nowhere.png")}, MediaError, "no such file"),
        ({"out": "art.xyz"}, UsageError, "suffix"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    vgg: Model, files: dict[str, Path], options: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        painted(vgg, files, **options)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_pictures_in_which_a_network_sees_nothing_are_refused(
    vgg: Model, files: dict[str, Path], tmp_path: Path, size: tuple[int, int]
) -> None:
    write_picture(tmp_path / "thin.png", torch.rand(3, *size))
    with pytest.raises(MediaError, match="no side may be under"):
        painted(vgg, {**files, "content": tmp_path / "thin.png"})


def relative_gram(model: Model, layer: str, x: Tensor, style: Tensor) -> float:
    """|G - A|^2 / |A|^2 in NumPy."""
    grams = []
    for picture in (x, style):
        with torch.no_grad():
            f = model.activations(picture[None], [layer])[layer][0].flatten(1).double().numpy()
        grams.append(f @ f.T / f.shape[1])
    return float(((grams[0] - grams[1]) ** 2).sum() / (grams[1] ** 2).sum())


def test_the_judge_measures_the_share_of_the_style_distance(vgg: Model) -> None:
    generator = torch.Generator().manual_seed(1)
    content, style, painting = resized(torch.rand(3, 3, 6, 6, generator=generator), (48, 48))
    found = judged(vgg, Job(content, (Style(style),)), painting)
    for layer, share in found.shares.items():
        before, after = (relative_gram(vgg, layer, x, style) for x in (content, painting))
        assert share == pytest.approx(1 - after / before, rel=1e-3, abs=1e-5)
    assert found.removed == pytest.approx(np.mean(list(found.shares.values())))


def test_the_judge_finds_the_style_in_itself_and_the_content_in_itself(vgg: Model) -> None:
    generator = torch.Generator().manual_seed(1)
    content, style = torch.rand(2, 3, 48, 48, generator=generator)
    job = Job(content, (Style(style),))
    assert judged(vgg, job, style).removed == pytest.approx(1)
    itself = judged(vgg, job, content)
    assert itself.removed == pytest.approx(0, abs=1e-9)
    assert itself.content == pytest.approx(1, abs=1e-5)


def test_the_report_has_every_step_and_every_chart(vgg: Model, files: dict[str, Path], tmp_path: Path) -> None:
    config = StyleConfig(size=48, smallest=32, steps=3)
    painting = painted(vgg, files, judge=vgg, config=config).save(tmp_path / "art.png")
    page = write_report(painting, title="art").read_text()
    data = json.loads((tmp_path / "art.report.json").read_text())
    assert [(one["scale"], one["step"]) for one in data["curve"]] == [(k, i) for k in (1, 2) for i in (1, 2, 3)]
    for one in data["curve"]:
        assert one["total"] == pytest.approx(sum(one[name] for name in painting.layers))
    for name in ("loss", "layers", "heldout"):
        assert (tmp_path / f"art.{name}.svg").read_text().startswith("<svg")
        assert f"art.{name}.svg" in page


def test_a_report_needs_a_saved_painting(vgg: Model, files: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="save the painting first"):
        write_report(painted(vgg, files), title="art")
