"""What a dream raises, and what its guide changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.deepdream.octaves import fitted
from phosphene.deepdream.target import Guided, chosen, nearest, target
from phosphene.errors import UsageError
from phosphene.models import Model, load
from phosphene.objectives import Channel, Neuron, WholeLayer


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("layers", "leaves"),
    [
        ("fork", [WholeLayer("fork")]),
        ("fork:3", [Channel("fork", 3)]),
        ("features.0, fork:3", [WholeLayer("features.0"), Channel("fork", 3)]),
        ("fork:3@1,2,features.2", [Neuron("fork", 3, (1, 2)), WholeLayer("features.2")]),
        ("features.0 + 2*fork", [WholeLayer("features.0"), WholeLayer("fork")]),
    ],
)
def test_layers_and_units_joined_by_commas_are_a_sum(layers: str, leaves: list[object], tiny_model: Model) -> None:
    assert target(tiny_model, layers).leaves() == leaves


def test_a_dream_of_several_pictures_is_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match=r"a dream is one picture, and fork:0\.\.3 asks for 4"):
        target(tiny_model, "fork:0..3")
    with pytest.raises(UsageError, match="no layer 'forks'"):
        target(tiny_model, "forks")


@pytest.mark.parametrize("name", ["minivgg", "squeezenet1_1"])
def test_a_layer_is_chosen_where_nobody_names_one(name: str) -> None:
    model = load(name, weights="random")
    assert chosen(model) == {"minivgg": "relu4_1", "squeezenet1_1": "features.9"}[name]
    assert target(model, None).layers == {model.find_layer(chosen(model)).name}


def test_the_guide_matches_each_position_with_its_best_feature() -> None:
    features, guide = noise(2, 5, 4, 6), noise(5, 9, seed=1)
    score = Guided("layer", guide)({"input": features, "layer": features}, torch.arange(2))
    f, g = features.flatten(2).numpy(), guide.numpy()
    expected = [np.mean([max(column @ other for other in g.T) for column in row.T]) for row in f]
    np.testing.assert_allclose(score, expected, rtol=1e-5)


def test_the_gradient_at_a_position_is_the_guides_best_feature() -> None:
    features, guide = noise(1, 5, 3, 4).requires_grad_(), noise(5, 9, seed=1)
    score = Guided("layer", guide)({"input": features, "layer": features}, torch.zeros(1, dtype=torch.int64))
    (found,) = torch.autograd.grad(score.sum(), features)
    best = nearest(features.detach().flatten(2), guide)[0]
    torch.testing.assert_close(found.flatten(2)[0] * 12, guide[:, best])


def test_matching_in_parts_is_matching_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features, guide = noise(2, 5, 31), noise(5, 9, seed=1)
    whole = nearest(features, guide)
    monkeypatch.setattr("phosphene.deepdream.target.CHUNK", 9 * 2 * 4)
    assert torch.equal(nearest(features, guide), whole)


def test_a_guide_is_for_layers_and_is_seen_at_the_networks_own_size(tiny_model: Model) -> None:
    picture = torch.rand(3, 50, 100)
    (guided,) = target(tiny_model, "features.0", picture).leaves()
    assert isinstance(guided, Guided)
    height, width = (side // 2 for side in fitted(50, 100, 32))
    assert guided.guide.shape == (8, height * width)
    with pytest.raises(UsageError, match="name layers without units"):
        target(tiny_model, "features.0:1", picture)
