"""A recipe holds everything that makes the picture again, as strict JSON, and nothing about its maker."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path

import pytest
import torch

from phosphene.engine.environment import environment
from phosphene.features.record import Circumstances, record
from phosphene.features.render import render
from phosphene.media import pixels_sha256
from phosphene.metadata import parse_untrusted_json
from phosphene.models import Model, normalize_activations
from phosphene.models.model import describe
from phosphene.objectives import from_data, parse
from phosphene.recipe import RenderConfig, RunConfig, from_json


@pytest.fixture
def recipe(tiny_model: Model) -> dict[str, object]:
    return dict(render(tiny_model, "features.2:3 - 0.05*tv", steps=3, run=RunConfig(device="cpu"))[0].recipe)


def test_a_recipe_is_strict_json_within_the_reader_s_limits(recipe: dict[str, object]) -> None:
    assert parse_untrusted_json(json.dumps(recipe)) == json.loads(json.dumps(recipe))


def test_target_and_method_come_back_from_a_recipe(recipe: dict[str, object]) -> None:
    read = json.loads(json.dumps(recipe))
    assert from_data(read["target"]["data"]) == parse(read["target"]["text"]) == parse("features.2:3 - 0.05*tv")
    config = from_json(RenderConfig, read["method"])
    assert (config.steps, config.size, config.seed) == (3, (32, 32), 0)
    assert config.transform.jitter == 6  # presets are written out


def test_a_recipe_names_model_weights_environment_and_result(recipe: dict[str, object], tiny_model: Model) -> None:
    read = json.loads(json.dumps(recipe))
    assert read["schema"] == 1
    assert read["kind"] == "feature"
    assert read["model"] == json.loads(json.dumps(describe(tiny_model)))
    assert len(read["model"]["weights"]["sha256"]) == 64
    assert read["environment"]["torch"] == str(torch.__version__)
    assert read["result"]["channels"] == 3
    assert read["result"]["status"] == "ok"
    assert len(read["result"]["pixels_sha256"]) == 64


def test_a_recipe_says_what_was_changed_since_the_weights_were_read(tiny_model: Model) -> None:
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    changed = normalize_activations(tiny_model, pictures, layers=["features.1"])
    made = render(changed, "features.1:3", steps=2, run=RunConfig(device="cpu"))[0].recipe["model"]
    assert made["weights"]["sha256"] == tiny_model.weights.sha256
    assert made["variant"] == list(changed.variant)
    assert made["variant"][0].startswith("normalized:")
    assert "variant" not in describe(tiny_model)


def test_a_recipe_tells_no_path_and_no_user(recipe: dict[str, object]) -> None:
    text = json.dumps(recipe)
    assert str(Path.home()) + os.sep not in text
    assert os.getcwd() not in text
    name = getpass.getuser()
    assert name == "root" or name not in text


def test_the_hash_is_that_of_the_pixels_alone(tiny_model: Model) -> None:
    from phosphene.engine import arithmetic

    pixels = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    shared = Circumstances(tiny_model, RenderConfig(), arithmetic(RunConfig(device="cpu")), None)
    made = record(shared, parse("logit:1"), target="logit:1", batch_shape=2, pixels=pixels, result={"status": "ok"})
    assert made["result"]["pixels_sha256"] == pixels_sha256(pixels)
    assert made["batch_shape"] == 2
    assert made["environment"] == environment(shared.arithmetic)
