"""A folder holds one rendering; what is there and sound is not made again, and nothing else is taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.features.render import render
from phosphene.features.store import WORK, Store
from phosphene.files import FileError
from phosphene.models import Model
from phosphene.recipe import RunConfig

RUN = {"model": {"name": "tiny"}, "method": {"steps": 3}, "precision": "float32", "inputs": {"init_sha256": None}}
CPU = RunConfig(device="cpu", precision="float32")


def opened(folder: Path, run: dict[str, object] = RUN, *, resume: bool = False) -> Store:
    store = Store(folder, resume=resume)
    store.open(dict(run))
    return store


def test_a_store_that_was_not_opened_makes_no_folder(tmp_path: Path) -> None:
    Store(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_resumed_rendering_keeps_the_batch_sizes_it_began_with(tmp_path: Path) -> None:
    assert opened(tmp_path).batch_sizes(lambda: [4, 2]) == [4, 2]
    assert opened(tmp_path, resume=True).batch_sizes(lambda: [9, 9]) == [4, 2]
    assert opened(tmp_path).batch_sizes(lambda: [9, 9]) == [9, 9]


def test_another_rendering_is_refused_and_named(tmp_path: Path) -> None:
    opened(tmp_path).batch_sizes(lambda: [1])
    with pytest.raises(UsageError, match=r"its method, precision differ"):
        opened(tmp_path, {**RUN, "method": {"steps": 4}, "precision": "bfloat16"}, resume=True)


@pytest.mark.parametrize("text", ["", "[]", '{"run": 3, "batch": [1]}', '{"run": {}, "batch": ["a"]}', '{"batch": 1}'])
def test_a_damaged_note_is_one_clear_error(tmp_path: Path, text: str) -> None:
    opened(tmp_path).batch_sizes(lambda: [1])
    (tmp_path / WORK / "run.json").write_text(text)
    with pytest.raises(FileError, match="damaged; leave --resume out"):
        opened(tmp_path, resume=True)


def test_a_note_stays_small_however_many_targets(tmp_path: Path) -> None:
    many = {**RUN, "targets": [{"vectors": [list(range(2000))] * 100}]}
    opened(tmp_path, many).batch_sizes(lambda: [1])
    assert (tmp_path / WORK / "run.json").stat().st_size < 2000
    assert opened(tmp_path, many, resume=True).batch_sizes(lambda: [2]) == [1]


def test_a_checkpoint_comes_back_only_when_resuming(tmp_path: Path) -> None:
    state = {"done": 3, "x": torch.arange(4.0), "frames": [(1, torch.ones(2, dtype=torch.uint8))]}
    store = opened(tmp_path)
    store.batch_sizes(lambda: [1])
    store.checkpoint("0-0-1", state)
    assert store.restore("0-0-1") is None
    back = opened(tmp_path, resume=True).restore("0-0-1")
    assert back is not None
    assert back["done"] == 3
    assert torch.equal(back["x"], state["x"])  # type: ignore[arg-type]
    assert opened(tmp_path, resume=True).restore("0-0-2") is None


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    store = opened(tmp_path)
    store.batch_sizes(lambda: [1])
    store.checkpoint("0-0-1", {"done": 3, "x": torch.arange(400.0)})
    (file,) = (tmp_path / WORK).glob("batch-*")
    file.write_bytes(file.read_bytes()[:100] if damage == "cut" else b"\xff" * 200)
    with pytest.raises(RecipeError, match="delete it to start anew") as caught:
        opened(tmp_path, resume=True).restore("0-0-1")
    assert "\n" not in str(caught.value)


def test_starting_anew_removes_checkpoints_and_nothing_else(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.batch_sizes(lambda: [1])
    store.checkpoint("0-0-1", {"done": 1})
    (tmp_path / WORK / "mine.txt").write_text("kept")
    (tmp_path / "old.png").write_text("kept")
    opened(tmp_path)
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {f"{WORK}/mine.txt", "old.png"}


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="is a file"):
        opened(tmp_path / "file" / "out")


def rendered(model: Model, folder: Path, **options: int) -> Store:
    """A folder with a finished picture, opened as its own rendering would resume it."""
    picture = render(model, "features.2:3", run=CPU, out=folder, **{"steps": 3, **options})[0]  # type: ignore[arg-type]
    recipe = picture.recipe
    run = {
        "model": recipe["model"],
        "method": recipe["method"],
        "precision": recipe["environment"]["precision"],
        "inputs": {"init_sha256": None},
        "batch_shape": None,
    }
    return opened(folder, run, resume=True)


def test_a_finished_picture_is_found_to_the_bit(tmp_path: Path, tiny_model: Model) -> None:
    found = rendered(tiny_model, tmp_path).finished("features.2:3")
    assert found is not None
    pixels, recipe = found
    assert recipe["result"]["status"] == "ok"
    assert torch.equal(pixels, render(tiny_model, "features.2:3", run=CPU, steps=3)[0].pixels)


def test_a_picture_of_another_rendering_is_not_taken_for_this_one(tmp_path: Path, tiny_model: Model) -> None:
    store = rendered(tiny_model, tmp_path)
    rendered(tiny_model, tmp_path, steps=4)  # the same file name
    assert store.finished("features.2:3") is None
    assert rendered(tiny_model, tmp_path, seed=1).finished("features.2:3") is not None


def test_a_picture_with_other_pixels_than_its_recipe_says_is_made_again(tmp_path: Path, tiny_model: Model) -> None:
    store = rendered(tiny_model, tmp_path)
    file = store.path("features.2:3")
    with Image.open(file) as image:
        image.putpixel((3, 3), (1, 2, 3))
        image.save(file)
    assert store.finished("features.2:3") is None


def test_an_interrupted_or_nonsensical_recipe_is_not_finished(tmp_path: Path, tiny_model: Model) -> None:
    store = rendered(tiny_model, tmp_path)
    file = store.path("features.2:3")
    recipe = json.loads(file.with_suffix(".json").read_text())
    pixels = file.read_bytes()
    for result in ({**recipe["result"], "status": "interrupted"}, [], {"pixels_sha256": 3}):
        with Image.open(file) as image:
            bare = image.copy()
        bare.info.clear()
        bare.save(file)
        file.with_suffix(".json").write_text(json.dumps({**recipe, "result": result}))
        assert store.finished("features.2:3") is None
        file.write_bytes(pixels)
    assert store.finished("features.2:3") is not None


def test_without_metadata_no_recipe_of_an_earlier_picture_stays(tmp_path: Path, tiny_model: Model) -> None:
    picture = render(tiny_model, "features.2:3", run=CPU, steps=2, out=tmp_path)[0]
    store = Store(tmp_path, metadata=False)
    store.put(picture, picture.target)
    assert not picture.path.with_suffix(".json").exists()  # type: ignore[union-attr]


def test_a_store_error_is_a_phosphene_error() -> None:
    assert issubclass(FileError, PhospheneError)
