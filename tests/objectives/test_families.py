"""Rows that are compared: against loops over pairs, and the laws of groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.engine import Step
from phosphene.errors import ParseError, UsageError
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import (
    INPUT,
    Alignment,
    Channel,
    Diversity,
    Family,
    Logit,
    Objective,
    Scale,
    Sum,
    WholeLayer,
    interpolate,
    parse,
    stack,
)
from phosphene.recipe import OptimizerConfig, RenderConfig, TransformConfig

Ascend = Callable[..., list[Step]]


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).relu()


def scores(leaf: Objective, values: Tensor, rows: int, layer: str = "a") -> Tensor:
    views = len(values) // rows
    return leaf({layer: values, INPUT: torch.zeros(rows, 3, 4, 4)}, torch.arange(rows).repeat_interleave(views))


def gram(f: np.ndarray) -> np.ndarray:
    flat = f.reshape(len(f), -1)
    return sum(np.outer(column, column) for column in flat.T) / flat.shape[1]


def diversity(f: np.ndarray, group: int) -> list[float]:
    """f: (rows, views, c, *space), in loops over pairs as Olah et al. write it."""
    found = []
    for i in range(len(f)):
        first = i // group * group
        grams = [np.mean([gram(view) for view in f[j]], axis=0).ravel() for j in range(first, first + group)]
        own = grams[i - first]
        cosines = [g @ own / np.linalg.norm(g) / np.linalg.norm(own) for j, g in enumerate(grams) if j != i - first]
        found.append(-float(np.mean(cosines)))
    return found


def lucid_alignment(f: np.ndarray, decay: float) -> float:
    """lucid's `alignment` of one group, f: (rows, views, ...)."""
    total = 0.0
    for apart in (1, 2, 3, 4):
        for i in range(len(f) - apart):
            total += float(np.mean((f[i] - f[i + apart]) ** 2)) / decay**apart
    return -total


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("space", [(5, 7), (6,), ()], ids=["map", "tokens", "vector"])
@pytest.mark.parametrize("group", [2, 3, 6])
def test_diversity_is_what_a_loop_over_pairs_says(group: int, space: tuple[int, ...], views: int) -> None:
    values = features(6 * views, 8, *space)
    expected = diversity(values.double().numpy().reshape(6, views, 8, *space), group)
    np.testing.assert_allclose(scores(Diversity("a", group, range(6)), values, 6), expected, rtol=1e-5)


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("group", [2, 3, 6])
def test_alignment_sums_to_the_number_of_lucid(group: int, views: int) -> None:
    values = features(6 * views, 4, 5, 3)
    found = scores(Alignment("a", group, range(6), decay=3), values, 6).view(-1, group)
    grouped = values.double().numpy().reshape(-1, group, views, 4, 5, 3)
    np.testing.assert_allclose(found.sum(1), [lucid_alignment(f, 3) for f in grouped], rtol=1e-5)


def test_a_row_pays_half_of_its_distances() -> None:
    found = scores(Alignment("a", 3, decay=2), torch.tensor([[0.0], [1.0], [3.0]]), 3)
    expected = [-(1 / 2 + 9 / 4) / 2, -(1 / 2 + 4 / 2) / 2, -(4 / 2 + 9 / 4) / 2]
    assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", [Diversity, Alignment])
@pytest.mark.parametrize("views", [1, 2])
def test_a_group_scores_the_same_alone_and_in_company_and_groups_never_mix(kind: type[Family], views: int) -> None:
    values = features(6 * views, 5, 4, 4).requires_grad_()
    whole = kind("a", 3, range(6))
    together = scores(whole, values, 6)
    second = whole.take([3, 4, 5])
    alone = scores(second, values[3 * views :], 3)
    torch.testing.assert_close(together[3:], alone, rtol=1e-6, atol=1e-7)
    (gradient,) = torch.autograd.grad(together[:3].sum(), values)
    assert float(gradient[3 * views :].abs().max()) == 0
    assert bool((gradient[: 3 * views].flatten(1).abs().amax(1) > 0).all())


@pytest.mark.parametrize("kind", [Diversity, Alignment])
def test_the_order_within_a_group_of_three_views_changes_no_total(kind: type[Family]) -> None:
    values = features(4, 5, 4, 4)
    torch.testing.assert_close(scores(kind("a", 4), values, 4), scores(kind("a", 4), values.flip(0), 4).flip(0))


def test_equal_pictures_are_the_least_diverse_and_the_best_aligned() -> None:
    same = features(1, 5, 4, 4).expand(3, -1, -1, -1)
    assert scores(Diversity("a", 3), same, 3).tolist() == pytest.approx([-1, -1, -1], rel=1e-6)
    assert scores(Alignment("a", 3), same, 3).tolist() == [0, 0, 0]


def test_a_silent_picture_is_like_none_and_has_a_finite_gradient() -> None:
    values = torch.cat([torch.zeros(1, 5, 4, 4), features(2, 5, 4, 4)]).requires_grad_()
    found = scores(Diversity("a", 3), values, 3)
    silent, *others = found.tolist()
    assert silent == 0
    assert others[0] == pytest.approx(others[1])
    found.sum().backward()
    assert bool(values.grad.isfinite().all())


def test_large_activations_do_not_overflow() -> None:
    small = features(3, 64, 4, 4)
    torch.testing.assert_close(scores(Diversity("a", 3), 1e4 * small, 3), scores(Diversity("a", 3), small, 3))
    assert scores(Diversity("a", 3), small.bfloat16(), 3).dtype == torch.float32


def test_families_read_the_pictures_themselves() -> None:
    x = features(4, 3, 6, 6)
    acts, rows = {INPUT: x}, torch.arange(4).repeat_interleave(3)
    torch.testing.assert_close(Alignment(INPUT, 4)(acts, rows), scores(Alignment("a", 4), x, 4))
    assert Alignment(INPUT, 4).layers == {INPUT}


@pytest.mark.parametrize("kind", [Diversity, Alignment])
def test_a_group_that_is_cut_in_two_is_an_error(kind: type[Family]) -> None:
    leaf = kind("a", 3, range(6))
    for rows in ([0], [0, 1], [0, 0], [0, 1, 2, 3], [1, 2, 3], [2, 1, 0], [0, 1, 5], [0, 1, 2, 4, 4]):
        with pytest.raises(UsageError, match=r"a group of .* is cut in two"):
            scores(leaf.take(rows), features(len(rows), 5, 4, 4), len(rows))
    with pytest.raises(UsageError, match="compares 6 pictures, and the batch has 3"):
        scores(leaf, features(3, 5, 4, 4), 3)


def test_rows_that_fill_up_a_batch_change_nothing() -> None:
    values = features(5, 5, 4, 4)
    padded = scores(Diversity("a", 3).take([0, 1, 2, 2, 2]), values, 5)
    torch.testing.assert_close(padded[:3], scores(Diversity("a", 3), values[:3], 3))
    assert padded[3:].tolist() == [0, 0]


def test_one_unit_and_a_group_make_a_family_of_pictures() -> None:
    tree = parse("a:50 + 5*diversity(a, group=3) - 0.1*tv")
    assert tree.rows == tree.together == 3
    assert (parse("a:1,2,3 - 0.1*tv")).together == 1
    assert Sum((Diversity("a", 2, range(6)), Alignment("a", 3, range(6)))).together == 6
    with pytest.raises(UsageError, match="2 and 3 units"):
        _ = (Channel("a", (1, 2)) + Diversity("a", 3)).rows
    assert tree.primary() == Channel("a", 50)


def test_members_of_a_diversity_draw_different_numbers_and_those_of_a_strip_the_same() -> None:
    tree = parse("a:50 + 5*diversity(a, group=3)")
    names = [tree.identity(row) for row in range(3)]
    assert names == ["a:50", "a:50 #1", "a:50 #2"]
    both = stack(tree, parse("a:51 + 5*diversity(a, group=3)"))
    assert both is not None
    assert [both.identity(row) for row in (3, 4)] == ["a:51", "a:51 #1"]
    strip = interpolate(Channel("a", 1), Channel("a", 2), 4) + Alignment("a", 4)
    assert {strip.identity(row) for row in range(4)} == {"a:1 & a:2"}


def test_families_stack_group_behind_group() -> None:
    tree = stack(parse("a:50 + diversity(a, group=3)"), parse("a:51 + diversity(a, group=3)"))
    assert tree == parse("a:50,50,50,51,51,51 + diversity(a, group=3, members=0..5)")
    assert tree.take([3, 4, 5]).rows == 3
    assert stack(parse("a:5 + diversity(a, group=3)"), parse("a:6 + diversity(a, group=2)")) is None
    assert stack(Diversity("a", 3).take([0]), Diversity("a", 3).take([1])) is None
    assert stack(Alignment("a", 2), Alignment("a", 2, decay=3)) is None


def test_every_row_of_a_strip_is_the_weighted_pair_alone(tiny_model: Model) -> None:
    strip = interpolate(Channel("features.2", 1), Logit(2), 5).bind(tiny_model)
    assert strip.rows == 5
    pictures = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    acts = {INPUT: pictures, **tiny_model.activations(pictures, strip.layers)}
    first, last = (end(acts, torch.arange(5)) for end in (Channel("features.2", 1), Logit(2)))
    for row in range(5):
        share = row / 4
        assert strip.take([row]) == (1 - share) * Channel("features.2", 1) + share * Logit(2)
        assert float(strip(acts, torch.arange(5))[row]) == pytest.approx(
            float((1 - share) * first[row] + share * last[row]), rel=1e-5
        )
    assert str(strip.take([1])) == "0.75*features.2:1 + 0.25*logit:2"


def test_a_strip_is_read_and_written() -> None:
    strip = interpolate(Channel("a", 1), Channel("b", 2), 3)
    assert str(strip) == "[1, 0.5, 0]*a:1 + [0, 0.5, 1]*b:2"
    assert parse(str(strip)) == strip
    assert strip == Sum((Scale((1, 0.5, 0), Channel("a", 1)), Scale((0, 0.5, 1), Channel("b", 2))))
    assert stack(strip, interpolate(Channel("a", 3), Channel("b", 4), 2)) == parse(
        "[1, 0.5, 0, 1, 0]*a:1,1,1,3,3 + [0, 0.5, 1, 0, 1]*b:2,2,2,4,4"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("diversity(a)", "needs group=N"),
        ("diversity(a, group=1)", "2 to 4096 pictures, got 1"),
        ("diversity(a, group=99999)", "2 to 4096"),
        ("diversity(a, group=x)", "2 to 4096"),
        ("diversity(a, group=2, members=x)", "members of diversity are numbers"),
        ("diversity(a, group=2.5)", "2 to 4096"),
        ("diversity(a, decay=2)", "expected group=... or members=..."),
        ("alignment(a, group=3, decay=0)", "above 0"),
        ("alignment(a, group=3, decay=x)", "decay of alignment is a number"),
        ("diversity", "expected '\\('"),
    ],
)
def test_a_family_that_cannot_be_is_refused(text: str, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        parse(text)


@pytest.mark.parametrize("steps", [1, True, 2.5, 10**6])
def test_a_strip_has_two_ends_and_a_reasonable_length(steps: int) -> None:
    with pytest.raises(UsageError, match="2 to 4096 steps"):
        interpolate(Channel("a", 1), Channel("a", 2), steps)
    for end in (Channel("a", (1, 2)), "a:1"):
        with pytest.raises(UsageError, match="two targets of one unit each"):
            interpolate(Channel("a", 1), end, 3)  # type: ignore[arg-type]


class Either(nn.Module):
    """Planted: `fires` has a channel for one color and one for its opposite; `either` answers both alike."""

    def __init__(self) -> None:
        super().__init__()
        color = torch.tensor([0.7, -0.5, -0.5])
        self.colors = nn.Conv2d(3, 2, 1, bias=False)
        self.colors.weight.data = torch.stack([color, -color])[:, :, None, None]
        self.fires = nn.ReLU()
        self.either = nn.Conv2d(2, 1, 1, bias=False)
        self.either.weight.data = torch.ones(1, 2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.either(self.fires(self.colors(x)))


def test_diversity_finds_both_facets_of_a_unit_that_has_two(ascend: Ascend) -> None:
    model = from_module(Either().eval(), InputSpec(size=(12, 12), mean=(0.5,), std=(0.25,)))
    config = RenderConfig(steps=150, transform=TransformConfig(transforms="none"), optimizer=OptimizerConfig(lr=0.05))

    def facets(weight: float) -> Tensor:
        target = Channel("either", (0, 0)) + weight * Diversity("fires", 2) - 0.05 * WholeLayer("colors")
        picture = ascend(model, target, config, size=(12, 12))[-1].signal().detach()
        answers = model.activations(picture, frozenset({"fires"}))["fires"].mean((2, 3))
        return answers / answers.sum(1, keepdim=True)

    mixed, parted = facets(0), facets(3)
    assert float((mixed.amax(1)).min()) < 0.9
    assert float(parted.amax(1).min()) > 0.98
    assert parted.argmax(1).tolist() in ([0, 1], [1, 0])


def test_alignment_draws_the_pictures_of_a_strip_together(tiny_model: Model, ascend: Ascend) -> None:
    config = RenderConfig(steps=24, transform=TransformConfig(transforms="none"), optimizer=OptimizerConfig(lr=0.05))
    strip = interpolate(Channel("features.2", 3), Channel("features.2", 7), 4)
    apart = {}
    for weight in (0, 10):
        picture = ascend(tiny_model, strip + weight * Alignment(INPUT, 4), config)[-1].signal().detach()
        apart[weight] = float(picture.diff(dim=0).square().mean())
    assert apart[10] < 0.5 * apart[0]
