"""A picture is made again from the recipe inside it, or the reason why not is told in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from phosphene.errors import PhospheneError, RecipeError
from phosphene.features.render import render
from phosphene.features.rerun import MAX_BATCH_PIXELS, field, read_recipe, rerun, threads
from phosphene.media import to_tensor
from phosphene.models import InputSpec, Model, from_module, load, normalize_activations
from phosphene.recipe import SCHEMA, RenderConfig, RunConfig, SignalConfig

CPU = RunConfig(device="cpu", precision="float32")


@pytest.fixture
def recipe(tiny_model: Model) -> dict[str, Any]:
    made = render(tiny_model, "features.2:3", steps=3, run=CPU)[0].recipe
    return dict(json.loads(json.dumps(made)))


def test_a_saved_picture_is_made_again_to_the_bit(tiny_model: Model, tmp_path: Path) -> None:
    sheet = render(tiny_model, "features.2:3..5 - 0.1*tv", steps=12, run=CPU, out=tmp_path)
    again = rerun(sheet[1].path, model=tiny_model)  # type: ignore[arg-type]
    assert again.same
    assert again.differences == ()
    assert torch.equal(again.picture.pixels, sheet[1].pixels)
    assert again.picture.activation == sheet[1].activation


def test_a_registered_network_is_found_by_its_name(squeezenet: Model, tmp_path: Path) -> None:
    picture = render(squeezenet, "features.7:3", size=48, steps=3, run=CPU, out=tmp_path)[0]
    assert rerun(picture.path).same  # type: ignore[arg-type]


def test_random_weights_are_made_again() -> None:
    model = load("squeezenet1_1", weights="random")
    picture = render(model, "features.2:3", size=32, steps=2, run=CPU)[0]
    assert rerun(picture.recipe).same


def test_a_recipe_of_code_is_refused_and_the_model_accepted(recipe: dict[str, Any], tiny_model: Model) -> None:
    for source in ("given:tiny", "package.module:factory", "os:getcwd", "phosphene.models:load", "torchvision", ""):
        recipe["model"]["source"] = source
        with pytest.raises(RecipeError, match="may not start"):
            rerun(recipe)
    assert rerun(recipe, model=tiny_model).same


def test_other_weights_are_refused_unless_allowed(recipe: dict[str, Any], tiny_net: Any) -> None:
    with torch.no_grad():
        tiny_net.features[0].weight += 0.1
    other = from_module(tiny_net, InputSpec(size=(32, 32)), name="tiny")
    with pytest.raises(RecipeError, match="weights of tiny here"):
        rerun(recipe, model=other)
    again = rerun(recipe, model=other, allow_different_weights=True)
    assert not again.same
    assert again.differences[0] == "other weights"


def test_a_changed_network_is_asked_for_and_never_taken_for_its_weights(tiny_model: Model) -> None:
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    changed = normalize_activations(tiny_model, pictures, layers=["features.1"])
    for made, other in ((changed, tiny_model), (tiny_model, changed)):
        recipe = dict(render(made, "features.1:3", steps=2, run=CPU)[0].recipe)
        with pytest.raises(RecipeError, match=r"changed in Python.*normalized:.*give it \(model=\)"):
            rerun(recipe, model=other, allow_different_weights=True)
        assert rerun(recipe, model=made).same


def test_a_start_picture_is_asked_for_and_known_by_its_pixels(tiny_model: Model) -> None:
    init = torch.rand(4, 40, 40, generator=torch.Generator().manual_seed(0))
    config = RenderConfig(steps=2, signal=SignalConfig(alpha=True))
    picture = render(tiny_model, "features.2:3", config=config, run=CPU, init=init)[0]
    with pytest.raises(RecipeError, match="--init"):
        rerun(picture.recipe, model=tiny_model)
    with pytest.raises(RecipeError, match="pixels differ"):
        rerun(picture.recipe, model=tiny_model, init=init * 0.9)
    assert rerun(picture.recipe, model=tiny_model, init=init).same


def test_a_start_picture_that_no_recipe_names_is_refused(recipe: dict[str, Any], tiny_model: Model) -> None:
    with pytest.raises(RecipeError, match="names none"):
        rerun(recipe, model=tiny_model, init=torch.full((3, 32, 32), 0.3))


def test_what_differs_from_the_first_time_is_told(recipe: dict[str, Any], tiny_model: Model) -> None:
    recipe["environment"]["torch"] = "1.0"
    recipe["result"]["pixels_sha256"] = "0" * 64
    again = rerun(recipe, model=tiny_model)
    assert not again.same
    assert again.differences == (f"torch: 1.0 then, {torch.__version__} now",)


def test_threads_are_as_many_as_the_first_time_and_come_back(recipe: dict[str, Any]) -> None:
    before = torch.get_num_threads()
    recipe["environment"]["threads"] = before + 1
    with threads(recipe):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    recipe["environment"]["threads"] = 10**9
    with threads(recipe):
        assert torch.get_num_threads() == before


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(recipe: dict[str, Any]) -> None:
        for key in path[:-1]:
            recipe = recipe[key]
        recipe[path[-1]] = value

    change.__name__ = ".".join(path)
    return change


def nested(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"type": "Channel", "layer": "features.2", "units": [1]}
    for _ in range(depth):
        tree = {"type": "Scale", "factor": 1.0, "of": tree}
    return tree


TAMPERED = [
    put("schema", value=SCHEMA + 1),
    put("schema", value="1"),
    put("kind", value=["feature"]),
    put("method", value=[]),
    put("method", "steps", value=10**15),
    put("method", "steps", value="3"),
    put("method", "steps", value=0),
    put("method", "size", value=[10**6, 10**6]),
    put("method", "size", value=[-5, 32]),
    put("method", "size", value="32"),
    put("method", "transform", "crops", value=10**9),
    put("method", "optimizer", "history", value=10**12),
    put("method", "signal", "decay", value=float("nan")),
    put("method", "signal", "decay", value={}),
    put("batch_shape", value=MAX_BATCH_PIXELS),
    put("batch_shape", value=0),
    put("batch_shape", value=2.5),
    put("batch_shape", value=True),
    put("target", value="features.2:3"),
    put("target", "data", value={"type": "os.system"}),
    put("target", "data", value={"type": "Channel", "layer": 3, "units": [1]}),
    put("target", "data", value={"type": "Channel", "layer": "features.2", "units": ["*"]}),
    put("target", "data", value={"type": "Channel", "layer": "features.2", "units": [-1]}),
    put("target", "data", value={"type": "Channel", "layer": "nowhere", "units": [1]}),
    put("target", "data", value=nested(5000)),
    put("environment", value=None),
    put("environment", "precision", value="float8"),
    put("environment", "device", value=7),
    put("inputs", value={"init_sha256": ["x"]}),
    put("model", value=[]),
    put("model", "weights", value=None),
    put("model", "weights", "sha256", value=3),
]


@pytest.mark.parametrize("change", TAMPERED, ids=lambda change: str(change.__name__))
def test_a_tampered_recipe_is_refused_in_one_line(
    recipe: dict[str, Any], tiny_model: Model, change: Callable[[dict[str, Any]], None]
) -> None:
    change(recipe)
    with pytest.raises(RecipeError) as caught:
        rerun(recipe, model=tiny_model)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "change",
    [
        put("model", "source", value="torchvision:no_such_network"),
        put("model", "source", value=None),
        put("model", "input", "channels", value=10**12),
        put("model", "input", "channels", value="3"),
        put("model", "input", "size", value=[10**6, 10**6]),
        put("model", "input", "std", value=[0, 0, 0]),
        put("model", "input", value=3),
    ],
    ids=lambda change: str(change.__name__),
)
def test_a_tampered_network_is_refused_in_one_line(change: Callable[[dict[str, Any]], None]) -> None:
    recipe = copy.deepcopy(SQUEEZED)
    change(recipe)
    with pytest.raises(PhospheneError) as caught:
        rerun(recipe)
    assert "\n" not in str(caught.value)


SQUEEZED: dict[str, Any] = {
    "schema": SCHEMA,
    "kind": "feature",
    "method": {"size": [32, 32], "steps": 1},
    "batch_shape": 1,
    "target": {"data": {"type": "Channel", "layer": "features.2", "units": [1]}},
    "environment": {"precision": "float32", "device": "cpu"},
    "inputs": {"init_sha256": None},
    "model": {
        "source": "torchvision:squeezenet1_1",
        "weights": {"source": "random", "sha256": "0" * 64},
        "input": {"channels": 3, "size": [224, 224], "mean": [0.5], "std": [0.5]},
    },
}


def test_a_minimal_recipe_is_enough() -> None:
    assert rerun(copy.deepcopy(SQUEEZED), allow_different_weights=True).picture.target == "features.2:1"


@pytest.mark.parametrize("text", ["NaN", '{"schema": NaN}', "[" * 100_000, '{"schema": 1e999}', "{}", "\0", "3"])
def test_a_file_without_a_sound_recipe_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_a_field_is_given_in_its_type_only() -> None:
    assert field({"a": {"b": 3}}, int, "a", "b") == 3
    for wrong in ({"a": {"b": "3"}}, {"a": {"b": True}}, {"a": []}, {}):
        with pytest.raises(RecipeError, match=r"a\.b must be a whole number"):
            field(wrong, int, "a", "b")


def test_a_picture_saved_again_by_another_program_is_made_from_its_sidecar(tiny_model: Model, tmp_path: Path) -> None:
    from PIL import Image

    picture = render(tiny_model, "features.2:3", steps=2, run=CPU, out=tmp_path)[0]
    assert picture.path is not None
    with Image.open(picture.path) as image:
        bare = image.copy()
    bare.info.clear()
    bare.save(picture.path)
    again = rerun(picture.path, model=tiny_model)
    assert again.same
    assert torch.equal(again.picture.pixels, to_tensor(bare))
