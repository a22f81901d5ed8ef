"""A state on disk is the state in memory, a damaged file is an error, and resuming changes no bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

from phosphene.engine import Step, optimize
from phosphene.engine.checkpoint import read_state, write_state
from phosphene.engine.optimize import CHECK_EVERY
from phosphene.errors import RecipeError
from phosphene.models import Model
from phosphene.objectives import TV, Channel
from phosphene.recipe import OptimizerConfig, RenderConfig, SignalConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Pixels, Signal
from phosphene.transforms import build

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5)
dtypes = st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool])
tensors = st.builds(
    lambda shape, dtype: torch.arange(int(torch.tensor(shape).prod())).view(shape).to(dtype),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    dtypes,
)
states = st.recursive(
    scalars | tensors,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=4), states, max_size=4))
def test_a_state_reads_back_as_it_was_written(tmp_path: Path, state: dict[str, Any]) -> None:
    file = tmp_path / "run.ckpt"
    write_state(file, state)
    assert same(read_state(file), state)


def test_a_state_is_written_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    for value in (1, 2):
        write_state(file, {"a": torch.full((3,), value)})
    assert read_state(file)["a"].tolist() == [2, 2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["run.ckpt"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        save({"0": torch.zeros(2)}),
        save({"0": torch.zeros(2)}, metadata={"tree": "{"}),
        save({"0": torch.zeros(2)}, metadata={"tree": '{"__tensor__": "1"}'}),
        save({"0": torch.zeros(2)}, metadata={"tree": '{"dict": 5}'}),
        save({"0": torch.zeros(2)}, metadata={"tree": "[1, 2]"}),
        save({"0": torch.zeros(2)}, metadata={"tree": '{"list": []}'}),
    ],
)
def test_a_damaged_checkpoint_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "run.ckpt"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=r"run\.ckpt.*delete it to start anew"):
        read_state(file)
    file.unlink()
    with pytest.raises(RecipeError, match=r"run\.ckpt"):
        read_state(file)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def test_a_truncated_checkpoint_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    write_state(file, {"a": torch.zeros(100)})
    truncated(file)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_state(file)


STEPS = 24
PAUSES = [1, 8, 13]  # behind the first step, at a look for silent rows, and between two


def with_a_dead_unit(model: Model) -> Model:
    """Unit 2 of the first layer fires for no picture, so its row is silent and redirected."""
    with torch.no_grad():
        model.net.features[0].bias[2] = -3.0
    return model


Begin = Callable[[], tuple[Signal, Any]]


def setting(kind: type[Signal], optimizer: str) -> tuple[Any, RenderConfig, Begin]:
    units = (1, 2, 5) if optimizer == "adam" else (2,)
    objective = Channel("features.1", units) - 1e-4 * TV()
    config = RenderConfig(
        steps=STEPS,
        seed=3,
        signal=SignalConfig(alpha=True),
        transform=TransformConfig(noise=0.05),
        optimizer=OptimizerConfig(optimizer=optimizer),
    )

    def begin() -> tuple[Signal, Any]:
        signal = kind(len(units), size=(17, 15), alpha=True)
        signal.start(Generators(config.seed, [objective.identity(row) for row in range(len(units))]))
        return signal, build(config.transform, size=(17, 15), steps=STEPS, alpha=True)

    return objective, config, begin


def last_of(steps: list[Step]) -> tuple[list[Tensor], list[Tensor], Tensor]:
    return [p.detach().clone() for p in steps[-1].signal.parameters()], [s.scores for s in steps], steps[-1].silent


@pytest.mark.parametrize("kind", [Fourier, Pixels])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_an_interrupted_and_resumed_run_is_the_uninterrupted_one_to_the_bit(
    tiny_model: Model, tmp_path: Path, optimizer: str, kind: type[Signal]
) -> None:
    model = with_a_dead_unit(tiny_model)
    objective, config, begin = setting(kind, optimizer)
    signal, transform = begin()
    whole = list(optimize(objective, model, signal, transform, config))
    parameters, scores, silent = last_of(whole)
    assert any(bool(step.silent.any()) for step in whole)
    assert any(pause % CHECK_EVERY for pause in PAUSES)
    for pause in PAUSES:
        signal, transform = begin()
        file = tmp_path / f"{pause}.ckpt"
        for step in optimize(objective, model, signal, transform, config):
            if step.i == pause:
                write_state(file, step.state())
                break
        signal, transform = begin()
        resumed = list(optimize(objective, model, signal, transform, config, state=read_state(file)))
        assert [step.i for step in resumed] == list(range(pause + 1, STEPS + 1))
        again, later_scores, later_silent = last_of(resumed)
        assert all(torch.equal(a, b) for a, b in zip(again, parameters, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(later_scores, scores[pause:], strict=True))
        assert torch.equal(later_silent, silent)
