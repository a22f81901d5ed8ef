"""The loop: rows alone, silence, rows that break, and a network that stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phosphene.engine import Loop, Step, optimize
from phosphene.engine.optimize import CHECK_EVERY, parted
from phosphene.errors import RecipeError, UsageError
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import L2, OUTPUT, TV, Channel, Constant, Logit, Objective, WholeLayer, aim, parse
from phosphene.recipe import OptimizerConfig, RenderConfig, TransformConfig
from phosphene.seeds import Generators
from phosphene.signals import Fourier, Pixels, Signal
from phosphene.transforms import build

Ascend = Callable[..., list[Step]]

PLAIN = TransformConfig(transforms="none")
BUSY = TransformConfig(noise=0.05, crops=2)


def kill(model: Model, unit: int) -> None:
    """Unit of the first layer fires for no picture."""
    with torch.no_grad():
        model.net.features[0].bias[unit] = -20.0


def rows_by_unit(steps: list[Step], units: Iterable[int]) -> dict[int, tuple[list[Tensor], list[Tensor]]]:
    """Unit -> its row of every parameter at the end, and its score at every step."""
    parameters = [p.detach() for p in steps[-1].signal.parameters()]
    return {
        unit: ([p[row] for p in parameters], [step.scores[row] for step in steps]) for row, unit in enumerate(units)
    }


def assert_same_rows(a: list[Step], units_a: list[int], b: list[Step], units_b: list[int]) -> None:
    first, second = rows_by_unit(a, units_a), rows_by_unit(b, units_b)
    shared = set(units_a) & set(units_b)
    assert shared
    for unit in shared:
        for part in (0, 1):
            assert all(torch.equal(x, y) for x, y in zip(first[unit][part], second[unit][part], strict=True)), unit


@pytest.mark.parametrize("kind", [Fourier, Pixels])
@pytest.mark.parametrize(
    ("size", "alpha", "transform"),
    [((32, 32), False, TransformConfig()), ((33, 31), False, TransformConfig()), ((19, 27), True, BUSY)],
)
def test_position_mates_and_order_change_no_bit(
    tiny_model: Model,
    ascend: Ascend,
    kind: type[Signal],
    size: tuple[int, int],
    alpha: bool,
    transform: TransformConfig,
) -> None:
    kill(tiny_model, 2)
    model = tiny_model.prepared(memory_format=torch.channels_last)
    config = RenderConfig(steps=12, transform=transform)
    units, others = [0, 2, 4, 6, 7], [5, 7, 2, 1, 0]

    def run(units: list[int]) -> list[Step]:
        objective = Channel("features.1", units) - 1e-3 * TV()
        return ascend(model, objective, config, size=size, kind=kind, alpha=alpha)

    first, second = run(units), run(others)
    assert bool(first[-1].silent[units.index(2)])
    assert not bool(first[-1].silent.all())
    assert_same_rows(first, units, second, others)


@pytest.mark.parametrize("kind", [Fourier, Pixels])
@pytest.mark.parametrize("size", [(64, 64), (65, 71)])
def test_position_mates_and_order_change_no_bit_on_a_trained_network(
    squeezenet: Model, ascend: Ascend, kind: type[Signal], size: tuple[int, int]
) -> None:
    config = RenderConfig(steps=12)
    units, others = [3, 17, 40, 5, 60, 9], [9, 100, 3, 200, 40, 301]
    first = ascend(squeezenet, Channel("features.12", units), config, size=size, kind=kind)
    second = ascend(squeezenet, Channel("features.12", others), config, size=size, kind=kind)
    assert any(bool(step.silent.any()) for step in first)  # a dead unit is among them
    assert_same_rows(first, units, second, others)


def pictures_of(model: Model, units: list[int], unit: int, count: int) -> tuple[list[Tensor], list[float]]:
    """The picture of one unit after each step, and its scores."""
    objective, size = Channel("features.7", units), (96, 96)
    config = RenderConfig(steps=count)
    signal = Fourier(len(units), size=size)
    signal.start(Generators(0, [objective.identity(row) for row in range(len(units))]))
    row, found, scores = units.index(unit), [], []
    for step in optimize(objective, model, signal, build(config.transform, size=size, steps=count), config):
        found.append(signal()[row].detach())
        scores.append(float(step.scores[row]))
    return found, scores


def test_across_batch_shapes_early_steps_agree_and_the_score_is_within_five_percent(squeezenet: Model) -> None:
    alone, alone_scores = pictures_of(squeezenet, [9], 9, 48)
    batched, batched_scores = pictures_of(squeezenet, [3, 9, 40], 9, 48)
    early = [float((a - b).abs().max()) for a, b in zip(alone[:4], batched[:4], strict=True)]
    assert max(early) < 1e-5
    last, last_batched = (sum(scores[-8:]) / 8 for scores in (alone_scores, batched_scores))
    assert last == pytest.approx(last_batched, rel=0.05)


def test_an_objective_of_one_row_serves_many_and_gives_equal_pictures(tiny_model: Model, ascend: Ascend) -> None:
    steps = ascend(tiny_model, Channel("features.1", 3), RenderConfig(steps=6), rows=3)
    pictures = steps[-1].signal().detach()
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])
    assert steps[-1].scores.shape == (3,)


def test_targets_of_another_number_of_rows_are_refused(tiny_model: Model, ascend: Ascend) -> None:
    with pytest.raises(UsageError, match="has 2 rows, the signal 1"):
        ascend(tiny_model, Channel("features.1", (0, 1)), RenderConfig(steps=1), rows=1)


def test_steps_count_from_one_and_scores_are_those_before_the_update(tiny_model: Model, ascend: Ascend) -> None:
    objective = Channel("features.2", (0, 1))
    config = RenderConfig(steps=5, transform=PLAIN)
    signal = Fourier(2, size=(32, 32))
    signal.start(Generators(0, ["features.2:0", "features.2:1"]))
    transform = build(PLAIN, size=(32, 32), steps=5)
    seen = []
    expected = objective(tiny_model.activations(signal().detach(), ["features.2"]), torch.arange(2))
    for step in optimize(objective, tiny_model, signal, transform, config):
        torch.testing.assert_close(step.scores, expected)
        assert step.signal is signal
        assert not step.scores.requires_grad
        expected = objective(tiny_model.activations(signal().detach(), ["features.2"]), torch.arange(2))
        seen.append(step.i)
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("objective", [-TV(), 1 - L2(), Constant(2) - 0.5 * TV()], ids=str)
def test_a_target_on_the_picture_alone_runs_no_network(ascend: Ascend, objective: Objective) -> None:
    class Unused(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("nobody asked")

    model = Model(Unused(), InputSpec(size=(8, 8)), name="unused", source="", weights=None, table={})
    steps = ascend(model, objective, RenderConfig(steps=9, optimizer=OptimizerConfig(lr=1e-3)), size=(8, 8))
    assert float(steps[-1].scores[0]) > float(steps[0].scores[0])


@pytest.mark.parametrize("redirect", [True, False])
def test_a_silent_unit_is_found_and_woken_only_by_redirection(
    tiny_model: Model, ascend: Ascend, redirect: bool
) -> None:
    with torch.no_grad():  # silent on noise, not for ever
        tiny_model.net.features[0].bias[2] = -1.0
    config = RenderConfig(steps=4 * CHECK_EVERY, transform=PLAIN, optimizer=OptimizerConfig(redirect=redirect))
    steps = ascend(tiny_model, Channel("features.1", (1, 2)), config)
    assert float(steps[0].scores[1]) == 0
    assert steps[0].silent.tolist() == [False, redirect]
    assert not bool(steps[-1].silent.any())
    assert (float(steps[-1].scores[1]) > 0) == redirect
    assert float(steps[-1].scores[0]) > 0


def test_a_row_that_is_awake_does_not_notice_its_silent_mate(tiny_model: Model, ascend: Ascend) -> None:
    kill(tiny_model, 2)
    with_silent = ascend(tiny_model, Channel("features.1", (1, 2)), RenderConfig(steps=12))
    without = ascend(tiny_model, Channel("features.1", (1, 5)), RenderConfig(steps=12))
    assert with_silent[-1].silent.tolist() == [False, True]
    assert_same_rows(with_silent, [1, 2], without, [1, 5])


def aimed(model: Model, text: str) -> Objective:
    """A target whose references are one picture of noise."""
    target = parse(text).bind(model)
    seen = model.activations(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)), ["features.2"])
    return aim(target, lambda name: (seen, None))


COMPANY = [
    "features.1:2 + 5*diversity(features.1, group=2)",
    "features.1:2 + 5*diversity(features.2, group=2)",
    "2*(features.1:2 + diversity(features.2, group=2)) - 0.00001*tv",
    "features.1:2,2 + 0.1*content(features.2)",
    "features.1:2,2 - 0.00001*tv",
]


@pytest.mark.parametrize("text", COMPANY)
def test_a_silent_unit_is_woken_whatever_keeps_it_company(tiny_model: Model, ascend: Ascend, text: str) -> None:
    with torch.no_grad():  # silent on noise, not for ever
        tiny_model.net.features[0].bias[2] = -1.0
    steps = ascend(tiny_model, aimed(tiny_model, text), RenderConfig(steps=4 * CHECK_EVERY, transform=PLAIN))
    assert steps[0].silent.tolist() == [True, True]
    assert not bool(steps[-1].silent.any())
    acts = tiny_model.activations(steps[-1].signal().detach(), ["features.1"])["features.1"]
    assert bool((acts[:, 2].amax((1, 2)) > 0).all())


def test_company_moves_a_row_that_is_awake_and_none_that_is_silent(tiny_model: Model) -> None:
    kill(tiny_model, 2)
    target = parse("features.1:1,2 + 50*diversity(features.2, group=2)").bind(tiny_model)
    for redirect, moved in ((True, [True, False]), (False, [True, True])):
        config = RenderConfig(steps=1, transform=PLAIN, optimizer=OptimizerConfig(redirect=redirect))
        signal = Pixels(2, size=(32, 32))
        signal.start(Generators(0, ["a", "b"]))
        loop = Loop(target, tiny_model, signal, build(PLAIN, size=(32, 32), steps=1), config)
        dead = torch.tensor([False, True]) if redirect else None
        alone, _ = Loop(target.parts[0], tiny_model, signal, loop.transform, config).scores(0, dead)  # type: ignore[attr-defined]
        whole, unit = loop.scores(0, dead)
        assert torch.equal(unit, alone)
        (by_company,) = torch.autograd.grad((whole - unit).sum(), loop.parameters)
        assert [bool(row.any()) for row in by_company] == moved


def test_a_silent_mate_of_another_family_changes_no_bit(tiny_model: Model, ascend: Ascend) -> None:
    kill(tiny_model, 2)
    diversity = "5*diversity(features.2, group=2, members=0..3)"
    config = RenderConfig(steps=12, transform=PLAIN)
    with_silent = ascend(tiny_model, parse(f"features.1:1,1,2,2 + {diversity}"), config)
    without = ascend(tiny_model, parse(f"features.1:1,1,5,5 + {diversity}"), config)
    assert with_silent[-1].silent.tolist() == [False, False, True, True]
    for a, b in zip(with_silent[-1].signal.parameters(), without[-1].signal.parameters(), strict=True):
        assert torch.equal(a[:2], b[:2])
        assert not torch.equal(a[2:], b[2:])


@pytest.mark.parametrize(
    ("text", "unit", "company"),
    [
        ("a:1 + 2*diversity(a, group=2) - 3*tv", "a:1 - 3*tv", "2*diversity(a, group=2)"),
        ("a:1 - 3*tv", "a:1 - 3*tv", None),
        ("a:1 + alignment(input, group=2)", "a:1 + alignment(input, group=2)", None),
        ("content(a) + gram(b) - tv", "content(a) + gram(b) - tv", None),
        ("content(a) + diversity(b, group=2)", "content(a)", "diversity(b, group=2)"),
        ("a:1 + content(b) + b:2", "a:1 + b:2", "content(b)"),
        ("2*(a:1 + diversity(b, group=2))", "2*a:1", "2*diversity(b, group=2)"),
        ("a:1 * (1 + diversity(b, group=2))", "a:1 * (1 + diversity(b, group=2))", None),
        ("diversity(b, group=2)", "diversity(b, group=2)", None),
    ],
)
def test_the_unit_of_a_target_is_told_from_its_company(text: str, unit: str, company: str | None) -> None:
    found, beside = parted(parse(text))
    assert str(found) == unit
    assert (None if beside is None else str(beside)) == company


class Breaking(nn.Module):
    """Three units; the blue one, -sqrt(limit - mean blue), rises up to the limit, and behind it is NaN."""

    def forward(self, x: Tensor) -> Tensor:
        red, green, blue = x.mean((2, 3)).unbind(1)
        return torch.stack([red - blue, -torch.sqrt(BLUE_LIMIT - blue), green - blue], 1)


BLUE_LIMIT = 0.53  # above gray, so that the row breaks some steps into the run


def test_a_row_that_breaks_stays_alone_and_says_when(ascend: Ascend) -> None:
    model = from_module(Breaking(), InputSpec(size=(8, 8), mean=(0.0,), std=(1.0,)))
    config = RenderConfig(steps=40, transform=PLAIN)
    steps = ascend(model, Channel(OUTPUT, (0, 1, 2)), config, size=(8, 8), kind=Pixels)
    sound = ascend(model, Channel(OUTPUT, (0, 0, 2)), config, size=(8, 8), kind=Pixels)
    assert_same_rows(steps, [0, 1, 2], sound, [0, -1, 2])
    first_nan = next(step.i for step in steps if bool(step.scores.isnan().any()))
    assert first_nan > 1
    assert steps[-1].broken.tolist() == [0, first_nan, 0]
    assert sound[-1].broken.tolist() == [0, 0, 0]
    assert bool(steps[-1].signal().isfinite().all())


def snapshot(net: nn.Module) -> list[Any]:
    flags = [(n, m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in net.named_modules()]
    tensors = [(n, t.requires_grad, t.grad, t._version) for n, t in [*net.named_parameters(), *net.named_buffers()]]
    return [flags, tensors]


class Fuse(nn.Module):
    """Raises at its n-th call."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, x: Tensor) -> Tensor:
        self.calls -= 1
        if self.calls == 0:
            raise RuntimeError("the fuse blew")
        return x


@pytest.mark.parametrize("ending", ["done", "left early", "exception"])
def test_the_network_is_as_it_was_after_a_run(tiny_net: nn.Module, ascend: Ascend, ending: str) -> None:
    model = from_module(tiny_net, InputSpec(size=(32, 32)))
    assert model.layers
    tiny_net.head = nn.Sequential(nn.BatchNorm1d(16), tiny_net.head, Fuse(5 if ending == "exception" else -1))
    tiny_net.train()
    tiny_net.fork.eval()
    tiny_net.features[0].requires_grad_(False)
    before, values = snapshot(tiny_net), {name: t.clone() for name, t in tiny_net.state_dict().items()}
    objective, config = Logit((1, 2)) + 0.1 * WholeLayer("features.1"), RenderConfig(steps=6)
    if ending == "done":
        ascend(model, objective, config)
    elif ending == "exception":
        with pytest.raises(RuntimeError, match="the fuse blew"):
            ascend(model, objective, config)
    else:
        signal = Fourier(2, size=(32, 32))
        for step in optimize(objective, model, signal, build(PLAIN, size=(32, 32), steps=6), config):
            assert snapshot(tiny_net) == before  # and nothing is open while the consumer holds a step
            if step.i == 3:
                break
    assert snapshot(tiny_net) == before
    assert all(torch.equal(t, values[name]) for name, t in tiny_net.state_dict().items())


def test_the_loop_works_without_the_callers_gradient_mode_and_leaves_it(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=10)
    normal = ascend(tiny_model, Channel("features.1", 1), config)
    with torch.no_grad():
        signal = Fourier(1, size=(32, 32))
        signal.start(Generators(0, ["features.1:1"]))
        transform = build(config.transform, size=(32, 32), steps=10)
        scores = []
        for step in optimize(Channel("features.1", 1), tiny_model, signal, transform, config):
            assert not torch.is_grad_enabled()
            scores.append(step.scores)
    assert torch.equal(scores[-1], normal[-1].scores)
    assert torch.equal(signal.coefficients, normal[-1].signal.coefficients)


def test_a_run_is_the_same_every_time_and_another_with_another_seed(tiny_model: Model, ascend: Ascend) -> None:
    objective = Channel("features.1", (1, 3))
    first, again, other = (ascend(tiny_model, objective, RenderConfig(steps=9, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(first[-1].signal(), again[-1].signal())
    assert not torch.equal(first[-1].signal(), other[-1].signal())


def test_the_views_of_a_row_share_its_picture(tiny_model: Model) -> None:
    config = RenderConfig(steps=2, transform=TransformConfig(crops=3))
    signal = Pixels(2, size=(32, 32))
    transform = build(config.transform, size=(32, 32), steps=2)
    loop = Loop(Channel("features.2", (0, 1)), tiny_model, signal, transform, config)
    assert loop.step(0).shape == (2,)
    assert loop.silent.shape == loop.broken.shape == (2,)


def test_a_state_of_another_run_is_refused(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=2)
    (*_, last) = ascend(tiny_model, Channel("features.0", 0).bind(tiny_model), config)
    with pytest.raises(RecipeError, match="not of this run"):
        last.loop.restore({**last.state(), "signal": {}})
    with pytest.raises(RecipeError, match="not of this run"):
        last.loop.restore({"done": 3})
