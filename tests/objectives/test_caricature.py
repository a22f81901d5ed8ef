"""Caricatures, and what content does besides: inversion, and accentuation from a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from phosphene.engine import Loop, Step
from phosphene.errors import ParseError, UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, MASK, Caricature, Channel, Content, Direction, Objective, aim, parse, unaimed
from phosphene.recipe import OptimizerConfig, RenderConfig, TransformConfig
from phosphene.signals import Fourier
from phosphene.transforms import build

Ascend = Callable[..., list[Step]]
PLAIN = TransformConfig(transforms="none")


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def caricature(f: np.ndarray, r: np.ndarray, power: float, weight: np.ndarray) -> float:
    total = 0.0
    for y in range(f.shape[1]):
        for x in range(f.shape[2]):
            dot = f[:, y, x] @ r[:, y, x]
            cosine = dot / np.linalg.norm(f[:, y, x]) / np.linalg.norm(r[:, y, x])
            total += weight[y, x] * dot * (max(0.1, cosine) ** power if power else 1)
    return total / weight.sum()


@pytest.mark.parametrize("power", [0, 1, 2.5])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("views", [1, 2])
def test_a_caricature_is_what_numpy_says(power: float, masked: bool, views: int) -> None:
    ours, theirs = features(2 * views, 6, 5, 7), features(1, 6, 5, 7, seed=1)
    mask = torch.rand(1, 1, 5, 7, generator=torch.Generator().manual_seed(2))
    leaf = Caricature("a", mask="sky" if masked else "", power=power).aimed(theirs)
    acts = {"a": ours, INPUT: torch.zeros(2, 3, 4, 4), MASK + "sky": mask}
    weight = mask[0, 0].double().numpy() if masked else np.ones((5, 7))
    each = [caricature(f, theirs[0].double().numpy(), power, weight) for f in ours.double().numpy()]
    found = leaf(acts, torch.arange(2).repeat_interleave(views))
    np.testing.assert_allclose(found, np.reshape(each, (2, -1)).mean(1), rtol=1e-4, atol=1e-5)


def test_a_map_of_one_vector_everywhere_is_a_direction() -> None:
    vector, values = features(6), features(2, 6, 5, 7, seed=1)
    drawn = Caricature("a", power=2).aimed(vector.view(1, 6, 1, 1).expand(1, 6, 5, 7))
    plain = Direction("a", vector, "dot_cosine", 2.0)
    torch.testing.assert_close(drawn({"a": values}, torch.arange(2)), plain({"a": values}, torch.arange(2)))


def test_a_stronger_copy_is_a_better_caricature_and_another_picture_a_worse_one() -> None:
    own = features(1, 6, 5, 7)
    leaf = Caricature("a").aimed(own)
    rows = torch.cat([own, 2 * own, -own, features(1, 6, 5, 7, seed=1)])
    same, twice, against, other = leaf({"a": rows}, torch.arange(4)).tolist()
    assert twice == pytest.approx(2 * same, rel=1e-5)
    assert same > other > against


def test_a_silent_position_has_a_finite_gradient() -> None:
    own, values = features(1, 6, 5, 7), features(1, 6, 5, 7, seed=1)
    own[:, :, 2], values[:, :, 3] = 0, 0
    values.requires_grad_()
    Caricature("a", power=2).aimed(own)({"a": values}, torch.arange(1)).sum().backward()
    assert bool(values.grad.isfinite().all())


def test_a_caricature_takes_its_reference_as_a_statistic_does() -> None:
    tree = parse("caricature(a, of=photo, power=2) - 0.1*tv")
    assert str(tree) == "caricature(a, of=photo, power=2) - 0.1*tv"
    assert len(unaimed(tree)) == 1
    aimed = aim(tree, lambda name: ({"a": features(1, 6, 5, 7)}, None))
    assert unaimed(aimed) == []
    assert aimed == tree


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda f: Caricature("a")({"a": f}, torch.arange(1)), "no target yet"),
        (lambda f: Caricature("a").aimed(f)({"a": f[..., 1:]}, torch.arange(1)), "must have the same size"),
        (lambda f: Caricature("a").aimed(0 * f), "nothing to exaggerate"),
        (lambda f: Caricature("a").aimed(f, torch.ones(1, 1, 5, 7)), "mask the picture"),
        (lambda f: Caricature("a", power=float("nan")), "power of a caricature is a number"),
    ],
)
def test_what_cannot_be_exaggerated_is_refused(act: Callable[[Tensor], Objective], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        act(features(1, 6, 5, 7))


def test_a_power_that_is_no_number_is_shown_where_it_stands() -> None:
    with pytest.raises(ParseError, match="power of a caricature is a number, got 'high'"):
        parse("caricature(a, power=high)")


def photo(contrast: float = 0.35) -> Tensor:
    """A picture with large shapes, that a network of a few layers keeps."""
    y, x = torch.meshgrid(torch.linspace(0, 6.28, 32), torch.linspace(0, 6.28, 32), indexing="ij")
    return 0.5 + contrast * torch.stack([torch.sin(x), torch.cos(y), torch.sin(x + y)])[None]


def aimed_at(tree: Objective, model: Model, picture: Tensor) -> Objective:
    bound = tree.bind(model)
    return aim(bound, lambda name: (model.activations(picture, bound.layers - {INPUT}), None))


def test_inversion_is_content_alone(tiny_model: Model, ascend: Ascend) -> None:
    """Planted: the first layer of the tiny network keeps most of a picture, so that its features give it back."""
    config = RenderConfig(steps=200, transform=PLAIN, optimizer=OptimizerConfig(lr=0.05))
    steps = ascend(tiny_model, aimed_at(Content("features.0", form="relative"), tiny_model, photo()), config)
    found = steps[-1].signal().detach()
    assert float(steps[-1].scores[0]) > -0.05 > -0.3 > float(steps[0].scores[0])
    assert float(torch.corrcoef(torch.stack([found.flatten(), photo().flatten()]))[0, 1]) > 0.8


def test_a_caricature_exaggerates_what_the_layer_saw(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=60, transform=PLAIN, optimizer=OptimizerConfig(lr=0.05))
    pale = photo(0.05)
    found = ascend(tiny_model, aimed_at(Caricature("features.2"), tiny_model, pale), config)[-1].signal().detach()
    theirs, ours = (tiny_model.activations(x, frozenset({"features.2"}))["features.2"] for x in (pale, found))
    assert float((ours * theirs).sum() / theirs.norm()) > 1.2 * float(theirs.norm())
    assert float(torch.cosine_similarity(ours.flatten(), theirs.flatten(), 0)) > 0.7


def accentuated(model: Model, weight: float) -> tuple[float, float]:
    """How much a unit rose and how far the features moved, from a photograph on, at this weight of its content."""
    unit = Channel("features.2", 3)
    tree = aimed_at(unit + weight * Content("features.2", form="relative"), model, photo())
    signal = Fourier(1, channels=3, size=(32, 32))
    signal.encode(photo())
    config = RenderConfig(steps=80, transform=PLAIN, optimizer=OptimizerConfig(lr=0.02))
    loop = Loop(tree, model, signal, build(PLAIN, size=(32, 32), steps=80, channels=3, alpha=False), config)
    for i in range(80):
        loop.step(i)
    before, after = (model.activations(x, frozenset({"features.2"})) for x in (photo(), signal().detach()))
    rose = float(unit(after, torch.arange(1)) - unit(before, torch.arange(1)))
    return rose, float((after["features.2"] - before["features.2"]).norm())


def test_accentuation_is_a_unit_and_the_content_of_the_picture_it_starts_from(tiny_model: Model) -> None:
    rises, distances = zip(*(accentuated(tiny_model, weight) for weight in (0, 10, 100)), strict=True)
    assert rises[0] > rises[1] > rises[2] > 0
    assert distances[0] > 1.5 * distances[1] > 1.5**2 * distances[2]
