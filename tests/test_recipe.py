"""Settings and records: defaults that hold, JSON that loses nothing, and strangers' data that is refused."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.audio.config import SoundReconstructConfig, SoundStyleConfig, SoundTextureConfig
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.deepdream.config import DreamConfig
from phosphene.errors import RecipeError, UsageError
from phosphene.examples.config import ScanConfig
from phosphene.features.ahead import AheadConfig
from phosphene.features.audio_config import AudioConfig
from phosphene.features.grid import GridConfig
from phosphene.features.nearness import NearConfig
from phosphene.jsondata import alternatives
from phosphene.models import AudioSpec, InputSpec
from phosphene.recipe import (
    SCHEMA,
    DiversityConfig,
    OptimizerConfig,
    ReconstructConfig,
    RenderConfig,
    RunConfig,
    Settings,
    SignalConfig,
    StyleConfig,
    TextureConfig,
    TradeoffConfig,
    TransformConfig,
    check_schema,
    from_json,
    to_json,
)
from phosphene.study.config import FaithfulnessConfig, RegularizationConfig

CONFIGS = [
    *(AheadConfig, AudioConfig, AudioSpec, CardConfig, DiversityConfig, DreamConfig, FaithfulnessConfig, GridConfig),
    *(InputSpec, NearConfig, OptimizerConfig, ProbeConfig, ReconstructConfig, RegularizationConfig, RenderConfig),
    *(RunConfig, ScanConfig, SignalConfig, SoundReconstructConfig, SoundStyleConfig, SoundTextureConfig, StyleConfig),
    *(TextureConfig, TradeoffConfig, TransformConfig),
]
NEEDED = {GridConfig: {"layer": "relu3_1"}}
NAN, INFINITY = float("nan"), float("inf")
NUMBERS = {  # of each config: the fields that are numbers, whether they are whole ones, and values that they refuse
    kind: {
        name: (int in kinds, [True, NAN, INFINITY, *([1.5] if int in kinds else [])])
        for name, hint in get_type_hints(kind).items()
        for kinds in [alternatives(hint)]
        if int in kinds or float in kinds
    }
    for kind in CONFIGS
}

shares = st.floats(0, 1)
amounts = st.floats(0, 1e6)
positive = st.floats(1e-12, 1e6)
sides = st.integers(2, 4096)

signals = st.builds(
    SignalConfig,
    signal=st.sampled_from(["fourier", "pixels"]),
    decay=amounts,
    cutoff=positive,
    noise_start=positive,
    decorrelate=st.booleans(),
    alpha=st.booleans(),
)
transforms = st.builds(
    TransformConfig,
    transforms=st.sampled_from(["standard", "strong", "none"]),
    jitter=st.none() | amounts,
    scale=st.none() | st.floats(0, 0.99),
    rotate=st.none() | amounts,
    noise=st.none() | amounts,
    crops=st.none() | st.integers(1, 64),
    crop_size=st.none() | shares,
    relax=st.none() | shares,
    fill=st.sampled_from(["reflect", "gray"]),
)
optimizers = st.builds(
    OptimizerConfig,
    optimizer=st.sampled_from(["adam", "lbfgs"]),
    lr=st.none() | positive,
    betas=st.tuples(st.floats(0, 0.9999), st.floats(0, 0.9999)),
    history=st.integers(1, 100),
    redirect=st.booleans(),
)
renders = st.builds(
    RenderConfig,
    size=st.none() | sides | st.tuples(sides, sides),
    steps=st.integers(1, 10**6),
    seed=st.integers(0, 2**63),
    signal=signals,
    transform=transforms,
    optimizer=optimizers,
)
runs = st.builds(RunConfig, batch=st.none() | st.integers(1, 99), checkpoint_every=st.integers(0, 99))


@given(renders | runs)
def test_a_config_survives_json(config: RenderConfig | RunConfig) -> None:
    text = json.dumps(to_json(config), allow_nan=False)
    assert from_json(type(config), json.loads(text)) == config


def test_an_empty_record_is_the_defaults() -> None:
    assert from_json(RenderConfig, {}) == RenderConfig()


def test_keys_of_a_later_version_are_ignored() -> None:
    data = {"steps": 5, "invented_later": [1, {"a": 2}], "signal": {"decay": 2, "hue": "blue"}}
    assert from_json(RenderConfig, data) == RenderConfig(steps=5, signal=SignalConfig(decay=2.0))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ([], "recipe"),
        ("steps", "recipe"),
        ({"steps": "256"}, "recipe.steps"),
        ({"steps": 2.5}, "recipe.steps"),
        ({"steps": True}, "recipe.steps"),
        ({"steps": None}, "recipe.steps"),
        ({"size": "big"}, "recipe.size"),
        ({"size": [224]}, "recipe.size"),
        ({"size": [224, 224, 3]}, "recipe.size"),
        ({"signal": "fourier"}, "recipe.signal"),
        ({"signal": {"signal": "wavelet"}}, "recipe.signal.signal"),
        ({"signal": {"alpha": 1}}, "recipe.signal.alpha"),
        ({"signal": {"decay": float("nan")}}, "recipe.signal.decay"),
        ({"signal": {"decay": 10**400}}, "recipe.signal.decay"),
        ({"transform": {"jitter": "lots"}}, "recipe.transform.jitter"),
        ({"optimizer": {"betas": [0.9]}}, "recipe.optimizer.betas"),
        ({"optimizer": {"betas": 0.9}}, "recipe.optimizer.betas"),
        ({"optimizer": {"lr": [1]}}, "recipe.optimizer.lr"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"optimizer": {"lr": -1}}, "lr must be positive"),
    ],
)
def test_a_wrong_value_is_refused_and_named(data: Any, field: str) -> None:
    with pytest.raises(RecipeError) as caught:
        from_json(RenderConfig, data)
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (SignalConfig, {"signal": "wavelet"}),
        (SignalConfig, {"decay": -1}),
        (SignalConfig, {"cutoff": 0}),
        (SignalConfig, {"noise_start": 0}),
        (TransformConfig, {"transforms": "wild"}),
        (TransformConfig, {"fill": "black"}),
        (TransformConfig, {"jitter": -1}),
        (TransformConfig, {"scale": 1}),
        (TransformConfig, {"crops": 0}),
        (TransformConfig, {"relax": 1.5}),
        (OptimizerConfig, {"optimizer": "sgd"}),
        (OptimizerConfig, {"lr": 0}),
        (OptimizerConfig, {"betas": (0.9, 1.0)}),
        (OptimizerConfig, {"history": 0}),
        (RunConfig, {"precision": "int8"}),
        (RunConfig, {"batch": 0}),
        (RunConfig, {"batch_shape": -2}),
        (RunConfig, {"checkpoint_every": -1}),
        (RenderConfig, {"size": 1}),
        (RenderConfig, {"size": (224, 1)}),
        (RenderConfig, {"steps": 0}),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(kind: type, values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        kind(**values)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_fraction_a_bool_and_what_is_not_finite_are_no_numbers(kind: type[Settings]) -> None:
    for name, (whole, wrong) in NUMBERS[kind].items():
        for value in wrong:
            with pytest.raises(UsageError, match=rf"^{name} must be a {'whole' if whole else 'finite'} number.*, got"):
                kind(**{**NEEDED.get(kind, {}), name: value})


def test_a_name_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"^no statistic 'grams'; choose gram, moments, sliced$"):
        StyleConfig(statistic="grams")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^diversity must be a whole number or auto, got 'some'$"):
        DiversityConfig("some")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"^--sweep\.steps: 1\.5 is not a whole number$"):
        from_json(StyleConfig, {"steps": 1.5}, where="--sweep")


def test_numpys_numbers_and_lists_become_pythons_own() -> None:
    made = RenderConfig(size=[np.int64(64), 48], steps=np.int32(8), optimizer=OptimizerConfig(lr=np.float32(0.5)))  # type: ignore[arg-type]
    assert made == RenderConfig((64, 48), 8, optimizer=OptimizerConfig(lr=0.5))
    assert json.loads(json.dumps(to_json(made)))["size"] == [64, 48]


def test_a_record_of_this_schema_or_older_is_read_and_a_newer_one_is_not() -> None:
    check_schema({"schema": SCHEMA}, "a.png")
    with pytest.raises(RecipeError, match=f"a.png has recipe schema {SCHEMA + 1}.*update phosphene"):
        check_schema({"schema": SCHEMA + 1}, "a.png")
    for data in ({}, {"schema": "1"}, [SCHEMA], None):
        with pytest.raises(RecipeError, match="holds no phosphene recipe"):
            check_schema(data, "a.png")


def test_the_canvas_is_what_was_asked_for_or_the_networks_own() -> None:
    assert RenderConfig().canvas((224, 299)) == (224, 299)
    assert RenderConfig(size=64).canvas((224, 299)) == (64, 64)
    assert RenderConfig(size=(64, 80)).canvas((224, 299)) == (64, 80)
