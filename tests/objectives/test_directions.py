"""Directions at a place, directions from pictures, and whitened ones."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import INPUT, Direction, directions_of, from_data, parse, to_data, whitened
from phosphene.objectives.directions import RIDGE

FORMS = ("dot", "cosine", "dot_cosine")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def mixer(matrix: Tensor) -> Model:
    """A network whose `mixed` layer is a = A s, with s the picture itself, from -1 to 1."""
    conv = nn.Conv2d(3, len(matrix), 1, bias=False)
    conv.weight.data = matrix[:, :, None, None].contiguous()
    net = nn.Sequential()
    net.add_module("mixed", conv)
    net.add_module("fires", nn.ReLU())
    return from_module(net.eval(), InputSpec(size=(8, 8), mean=(0.5,), std=(0.5,)), name="mixer")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("position", "place"), [((2, 4), (2, 4)), ("center", (2, 3))])
def test_a_direction_at_a_place_is_that_of_a_map_of_one_position(
    form: Any, position: Any, place: tuple[int, int]
) -> None:
    values, vectors = drawn(4, 5, 5, 7), drawn(2, 5, seed=1)
    acts, rows = {"a": values, INPUT: torch.zeros(2, 3, 4, 4)}, torch.arange(2).repeat_interleave(2)
    cut = {**acts, "a": values[:, :, place[0], place[1]]}
    whole = Direction("a", vectors, form, 2.0)
    torch.testing.assert_close(Direction("a", vectors, form, 2.0, position)(acts, rows), whole(cut, rows))


def test_a_place_of_a_direction_is_text_data_and_bound_as_a_neurons_is(tiny_model: Model) -> None:
    tree = Direction("features.0", drawn(2, 8).tolist(), "cosine", 1.0, (3, 5))
    assert str(tree).endswith("form=cosine)@3,5")
    assert parse(str(tree)) == from_data(json.loads(json.dumps(to_data(tree)))) == tree
    assert parse("direction(a, [1, 2])@center") == Direction("a", (1, 2), position="center")
    assert parse("direction(a, [1, 2])") == Direction("a", (1, 2))
    token = parse(f"direction(tokens, {[1.0] * 16})@cls").bind(tiny_model)
    assert isinstance(token, Direction)
    assert token.position == (0,)
    at = Direction("features.0", [1.0] * 8, position=(99, 0)).bind(tiny_model)
    with pytest.raises(UsageError, match="outside features"):
        at({"features.0": drawn(1, 8, 4, 4)}, torch.arange(1))
    with pytest.raises(UsageError, match="a position is"):
        Direction("a", (1, 2), position=(-1, 0))


def test_the_mean_of_a_picture_is_its_direction(tiny_model: Model) -> None:
    picture = pictures(3, 32, 32)
    acts = tiny_model.activations(picture[None], frozenset({"features.2", "tokens", "output"}))
    for layer in ("features.2", "output"):
        expected = acts[layer][0].flatten(1).mean(1) if acts[layer].dim() > 2 else acts[layer][0]
        (found,) = directions_of(tiny_model, layer, picture).vectors
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    (patches,) = directions_of(tiny_model, "tokens", picture).vectors
    np.testing.assert_allclose(patches, acts["tokens"][0, :, 1:].mean(1), rtol=1e-4, atol=1e-6)
    made = directions_of(tiny_model, "features.2", picture[None])
    assert (made.form, made.power, made.rows) == ("dot_cosine", 2.0, 1)
    assert made.bind(tiny_model) == made


def test_a_grid_has_one_direction_per_cell_row_by_row(tiny_model: Model) -> None:
    picture = pictures(3, 32, 32)
    maps = tiny_model.activations(picture[None], frozenset({"features.2"}))["features.2"][0]
    assert maps.shape[1:] == (8, 8)
    grid = directions_of(tiny_model, "features.2", picture, cells=(2, 4), form="cosine")
    assert grid.rows == 8
    for i, vector in enumerate(grid.vectors):
        y, x = divmod(i, 4)
        part = maps[:, 4 * y : 4 * y + 4, 2 * x : 2 * x + 2]
        np.testing.assert_allclose(vector, part.mean((1, 2)), rtol=1e-4, atol=1e-6)
    every = directions_of(tiny_model, "features.2", picture, cells=(8, 8))
    np.testing.assert_allclose(every.vectors[8 * 2 + 5], maps[:, 2, 5], rtol=1e-4, atol=1e-6)


def test_a_picture_goes_further_in_its_own_direction_than_others_do(tiny_model: Model) -> None:
    several = 0.3 * pictures(5, 3, 32, 32) + 0.7 * pictures(5, 3, 1, 1, seed=1)
    own = directions_of(tiny_model, "features.2", several[3], form="cosine")
    acts = {INPUT: several, **tiny_model.activations(several, own.layers)}
    assert int(own(acts, torch.arange(5)).argmax()) == 3


def test_what_gives_no_direction_is_refused(tiny_model: Model) -> None:
    picture = pictures(3, 32, 32)
    with pytest.raises(UsageError, match=re.escape("(8, 8) positions here, too few for a grid of (9, 2)")):
        directions_of(tiny_model, "features.2", picture, cells=(9, 2))
    with pytest.raises(UsageError, match="too few"):
        directions_of(tiny_model, "output", picture, cells=(1, 2))
    with pytest.raises(UsageError, match="one picture, got 2"):
        directions_of(tiny_model, "features.2", pictures(2, 3, 32, 32))
    silent = mixer(-torch.eye(3))
    bright = torch.cat([torch.zeros(3, 8, 4), torch.ones(3, 8, 4)], 2)
    with pytest.raises(UsageError, match="silent in cell 1"):
        directions_of(silent, "fires", bright, cells=(1, 2))
    with pytest.raises(UsageError, match="no layer"):
        directions_of(tiny_model, "features.99", picture)


def test_a_whitened_direction_is_what_numpy_says(tiny_model: Model) -> None:
    seen, vectors = pictures(19, 3, 32, 32), drawn(2, 16, seed=1)
    maps = tiny_model.activations(seen, frozenset({"features.2"}))["features.2"].double().numpy()
    flat = maps.transpose(1, 0, 2, 3).reshape(16, -1)
    square = sum(np.outer(a, a) for a in flat.T) / flat.shape[1]
    inverse = np.linalg.inv(square + RIDGE * np.trace(square) / 16 * np.eye(16))
    found = whitened(tiny_model, "features.2", vectors, seen, form="cosine")
    assert found.form == "cosine"
    for ours, given in zip(found.vectors, vectors.double().numpy(), strict=True):
        expected = inverse @ given
        expected *= np.linalg.norm(given) / np.linalg.norm(expected)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-5)


def test_whitening_takes_apart_what_a_layer_mixes() -> None:
    """Planted: a = A s with independent sources. The column of A that source k writes, whitened, answers s_k alone."""
    matrix = torch.tensor([[1.0, 0.9, 0.2], [0.8, 1.0, 0.5], [0.6, 0.7, 1.0], [0.3, -0.2, 0.4]])[:3]
    model = mixer(matrix)
    seen = pictures(64, 3, 8, 8)
    sources = 2 * seen - 1
    acts = model.activations(seen, frozenset({"mixed"}))["mixed"]

    def answers(vector: Tensor) -> list[float]:
        values = torch.einsum("bchw,c->bhw", acts, vector).flatten()
        return [abs(float(torch.corrcoef(torch.stack([values, sources[:, k].flatten()]))[0, 1])) for k in range(3)]

    for k in range(3):
        plain = answers(matrix[:, k])
        clean = answers(torch.tensor(whitened(model, "mixed", matrix[:, k], seen).vectors[0]))
        assert clean[k] > 0.99
        assert max(c for j, c in enumerate(clean) if j != k) < 0.1
        assert max(c for j, c in enumerate(plain) if j != k) > 0.3


def test_channels_that_never_fire_stay_finite() -> None:
    matrix = torch.cat([torch.eye(3), torch.zeros(1, 3)])
    (found,) = whitened(mixer(matrix), "mixed", [1.0, 0.0, 0.0, 1.0], pictures(4, 3, 8, 8)).vectors
    assert np.isfinite(found).all()


def test_what_cannot_be_whitened_is_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match=r"3 values in features\.2, which has 16"):
        whitened(tiny_model, "features.2", [1.0, 2.0, 3.0], pictures(1, 3, 32, 32))
    with pytest.raises(UsageError, match="not zero"):
        whitened(tiny_model, "features.2", [0.0] * 16, pictures(1, 3, 32, 32))
    with pytest.raises(UsageError, match="silent or not finite"):
        whitened(mixer(torch.zeros(3, 3)), "mixed", [1.0, 0.0, 0.0], pictures(1, 3, 8, 8))
    with pytest.raises(UsageError, match="silent or not finite"):
        whitened(tiny_model, "features.2", [1.0] * 16, torch.full((1, 3, 32, 32), float("nan")))
