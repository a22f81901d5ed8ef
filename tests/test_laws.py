"""The laws, over every entry of the registries: a signal or objective that is new is tested by existing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from phosphene.engine import Step
from phosphene.engine.optimizers import ADAM_LR
from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import (
    INPUT,
    L1,
    L2,
    OBJECTIVES,
    TV,
    TV2,
    Alignment,
    Blur,
    Border,
    Caricature,
    Channel,
    Constant,
    Content,
    Density,
    Direction,
    Diversity,
    Frequency,
    Gram,
    HighPass,
    Logit,
    LogProbability,
    Margin,
    Moments,
    Neuron,
    Objective,
    Opacity,
    Probability,
    Product,
    Scale,
    SlicedWasserstein,
    Slope,
    Sum,
    TVFrequency,
    TVTime,
    WholeLayer,
    aim,
    from_data,
    parse,
    to_data,
)
from phosphene.recipe import OptimizerConfig, RenderConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import SIGNALS, Signal

Ascend = Callable[..., list[Step]]

LAYER = "features.2"  # of the tiny network: 16 channels before their rectifier, so that no unit is silent
VECTORS = (tuple(float(i % 3 - 1) for i in range(16)), tuple(float((i % 5) / 2 - 1) for i in range(16)))

# One or more instances of every objective on the tiny network, for two rows (or one that serves both).
EXAMPLES: dict[type[Objective], list[Objective]] = {
    Channel: [Channel(LAYER, (3, 7)), Channel("tokens", 5), Channel("output", (0, 9))],
    Neuron: [Neuron(LAYER, (3, 7)), Neuron(LAYER, 2, (0, 7)), Neuron("tokens", (2, 5), "cls")],
    WholeLayer: [WholeLayer(LAYER), WholeLayer("tokens")],
    Direction: [
        *(Direction(LAYER, VECTORS, form, 2.0) for form in ("dot", "cosine", "dot_cosine")),
        Direction(LAYER, VECTORS, position=(3, 5)),
        Direction("tokens", VECTORS[0], position="cls"),
    ],
    Logit: [Logit((1, 8)), Logit(4)],
    Probability: [Probability((1, 8)), Probability(4)],
    LogProbability: [LogProbability((1, 8)), LogProbability(4)],
    Margin: [Margin((1, 8)), Margin(4)],
    Caricature: [Caricature(LAYER), Caricature("features", "style", power=0), Caricature("tokens", power=2)],
    Diversity: [Diversity(LAYER, 2), Diversity("fork", 2)],
    Alignment: [Alignment(INPUT, 2, decay=3), Alignment("tokens", 2)],
    Content: [Content(LAYER), Content("features", form="sum"), Content("tokens", "style", form="relative")],
    Gram: [Gram(LAYER, "content", norm=norm) for norm in ("paper", "mean", "sum", "relative")] + [Gram("tokens")],
    Moments: [Moments(LAYER), Moments("features", "content"), Moments("tokens")],
    SlicedWasserstein: [SlicedWasserstein(LAYER), SlicedWasserstein("tokens", "content", directions=5)],
    TV: [TV()],
    TV2: [TV2()],
    L1: [L1()],
    L2: [L2()],
    Border: [Border()],
    Opacity: [Opacity()],
    Blur: [Blur()],
    Frequency: [Frequency(), Frequency(0.1)],
    HighPass: [HighPass(), HighPass(0.1)],
    Slope: [Slope(), Slope(-6)],
    TVTime: [TVTime()],
    Density: [Density()],
    TVFrequency: [TVFrequency()],
    Constant: [Constant(-2.5)],
    Scale: [-Channel(LAYER, (3, 7)), 0.25 * Logit(4), -TV(), Scale((1, 0.25), Channel(LAYER, 3))],
    Sum: [
        Content(LAYER) + 10 * Gram(LAYER) - 1e-3 * TV(),
        Channel(LAYER, (3, 7)) - 1e-3 * TV() + 2,
        Sum((1e-3 * L2(), Sum((Logit((1, 8)), Constant(1))))),
    ],
    Product: [Channel(LAYER, (3, 7)) * Logit(4), Neuron(LAYER, 2) * (1 - Opacity())],
}
FLAT = {Constant}  # objectives that no picture raises

examples = pytest.mark.parametrize("objective", [tree for trees in EXAMPLES.values() for tree in trees], ids=str)
every_signal = pytest.mark.parametrize("kind", SIGNALS.values(), ids=SIGNALS.keys())


def random_pictures(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_every_objective_has_an_example_of_its_own() -> None:
    ours = {kind for kind in OBJECTIVES.values() if kind.__module__.startswith("phosphene.")}
    assert ours == set(EXAMPLES), "give the new objective an example in EXAMPLES"
    assert all(type(tree) is kind for kind, trees in EXAMPLES.items() for tree in trees)


def ready(objective: Objective, model: Model) -> Objective:
    """The objective bound to a model, its statistics aimed at two fixed pictures."""
    bound = objective.bind(model)
    content, style = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    pictures = {"content": content, "style": style.square()}
    return aim(bound, lambda name: (model.activations(pictures[name], bound.layers - {INPUT}), None))


@examples
def test_text_and_json_read_back_as_the_same_objective(objective: Objective) -> None:
    assert parse(str(objective)) == objective
    assert from_data(json.loads(json.dumps(to_data(objective)))) == objective


def measured(objective: Objective, model: Model, pictures: Tensor, views: int) -> tuple[Tensor, Tensor]:
    """Scores of pictures (b, 4, h, w), each shown in some views, and the gradient of the first score at them."""
    x = pictures.clone().requires_grad_()
    rows = torch.arange(len(x)).repeat_interleave(views)
    shown = x[:, :3][rows] * torch.linspace(0.9, 1.0, views).repeat(len(x))[:, None, None, None]
    bound, acts = ready(objective, model), {INPUT: x}
    if bound.layers - {INPUT}:
        acts.update(model.activations(shown, bound.layers - {INPUT}))
    scores = bound(acts, rows).expand(len(x))
    (gradient,) = torch.autograd.grad(scores[0], [x], materialize_grads=True) if scores.requires_grad else (x * 0,)
    return scores.detach(), gradient.detach()


@examples
@pytest.mark.parametrize("views", [1, 2])
def test_a_row_is_scored_by_its_own_pictures_and_units_alone(
    objective: Objective, tiny_model: Model, views: int
) -> None:
    pictures = random_pictures(2, 4, 32, 32)
    scores, gradient = measured(objective, tiny_model, pictures, views)
    assert scores.shape == (2,)
    assert scores.dtype == torch.float32
    if objective.together > 1:  # rows of a group are compared: tests/objectives/test_families.py has their law
        return
    assert float(gradient[1].abs().max()) == 0
    for row in (0, 1):
        alone, _ = measured(objective.take([row]), tiny_model, pictures[row : row + 1], views)
        torch.testing.assert_close(alone[0], scores[row], rtol=1e-5, atol=1e-6)
    swapped, _ = measured(objective.take([1, 0]), tiny_model, pictures.flip(0), views)
    torch.testing.assert_close(swapped.flip(0), scores, rtol=1e-5, atol=1e-6)


@examples
def test_binding_may_be_done_twice_and_keeps_the_rows(objective: Objective, tiny_model: Model) -> None:
    bound = objective.bind(tiny_model)
    assert bound.bind(tiny_model) == bound
    assert bound.rows == objective.rows
    assert bound.take([0]).layers == bound.layers


@every_signal
@examples
def test_one_step_of_ascent_raises_the_score(
    objective: Objective, kind: type[Signal], tiny_model: Model, ascend: Ascend
) -> None:
    small = OptimizerConfig(lr=0.02 * (kind.step_size or ADAM_LR))
    config = RenderConfig(steps=2, transform=TransformConfig(transforms="none"), optimizer=small)
    if type(objective) in FLAT:
        with pytest.raises(UsageError, match="no picture raises it"):
            ascend(tiny_model, objective, config, kind=kind, rows=2)
        return
    before, after = ascend(tiny_model, ready(objective, tiny_model), config, kind=kind, rows=2)
    assert bool((after.scores > before.scores).all())


@every_signal
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (9, 8), (1, 5), (16, 3)])
def test_encode_then_forward_is_the_identity(
    kind: type[Signal], size: tuple[int, int], channels: int, alpha: bool
) -> None:
    """To 1e-5 in pictures that leave half an 8-bit level to black and white; or it is refused, and nothing is moved."""
    signal = kind(2, channels=channels, size=size, alpha=alpha)
    pictures = 0.01 + 0.98 * random_pictures(*signal.shape)
    if not kind.encodes:
        before = [parameter.clone() for parameter in signal.parameters()]
        with pytest.raises(UsageError, match="cannot hold a given picture"):
            signal.encode(pictures)
        assert all(torch.equal(a, b) for a, b in zip(before, signal.parameters(), strict=True))
        return
    signal.encode(pictures)
    torch.testing.assert_close(signal().detach(), pictures, atol=1e-5, rtol=0)


@every_signal
@pytest.mark.parametrize("alpha", [False, True])
def test_a_signal_gives_pictures_in_range_and_row_by_row(kind: type[Signal], alpha: bool) -> None:
    signal = kind(3, size=(9, 11), alpha=alpha)
    with torch.no_grad():
        for parameter in signal.parameters():
            parameter.copy_(9 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    pictures = signal()
    assert pictures.shape == signal.shape == (3, 3 + alpha, 9, 11)
    assert bool(((pictures >= 0) & (pictures <= 1)).all())
    gradients = torch.autograd.grad(pictures[1].square().sum(), list(signal.parameters()))
    for gradient in gradients:
        assert (gradient.flatten(1).abs().sum(1) > 0).tolist() == [False, True, False]


@every_signal
@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_a_rows_start_and_picture_depend_on_its_unit_alone(kind: type[Signal], size: tuple[int, int]) -> None:
    def pictures(units: list[str]) -> Tensor:
        signal = kind(len(units), size=size, alpha=True)
        signal.start(Generators(7, units))
        return signal().detach()

    together, others = pictures(["a", "b", "c"]), pictures(["d", "c", "b"])
    assert torch.equal(together[1], others[2])
    assert torch.equal(together[2], others[1])
    assert not torch.equal(together[0], together[1])


@every_signal
def test_a_signals_state_makes_the_same_picture_again(kind: type[Signal]) -> None:
    first, second = (kind(2, size=(7, 9)) for _ in range(2))
    first.start(Generators(0, ["a", "b"]), 1.0)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first().detach(), second().detach())
