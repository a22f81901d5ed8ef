"""Tiles are exact: score and gradient of the whole picture, whatever its size; and what cannot be exact is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import interpolate

from phosphene.engine import optimize
from phosphene.engine.batching import kept_bytes
from phosphene.errors import UsageError
from phosphene.models import InputSpec, Model, from_module, load, style_layers
from phosphene.objectives import (
    INPUT,
    MASK,
    TV2,
    Channel,
    Content,
    Gram,
    Moments,
    Objective,
    SlicedWasserstein,
    Sum,
    aim,
)
from phosphene.recipe import OptimizerConfig, RenderConfig, TransformConfig
from phosphene.signals import Pixels
from phosphene.style.terms import Ledger
from phosphene.style.tiles import Assembled, Reach, Tiled, measure_reach, spans, tiled
from phosphene.transforms import build

ROW = torch.arange(1)
SIZE = (301, 107)  # two primes' worth of remainders; high enough for a window with a cut above and a cut below
SKY = {MASK + "sky": torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(9))}
KINDS = {
    "content": lambda content, style, mask: Content(content, mask=mask),
    "gram": lambda content, style, mask: Sum(tuple(Gram(layer, mask=mask, norm="relative") for layer in style)),
    "moments": lambda content, style, mask: Sum(tuple(Moments(layer, mask=mask) for layer in style)),
}


@cache
def network(name: str, dtype: torch.dtype = torch.float32) -> Model:
    """A network as the engine prepares it. minivgg stands for its architecture: its weights may change."""
    found = load(name, weights="random") if name == "minivgg" else load(name)
    return found.prepared(dtype=dtype, memory_format=torch.channels_last)


@cache
def reach_of(name: str) -> Reach:
    content, style = style_layers(network(name))
    return measure_reach(network(name), [content, *style])


def noise(size: tuple[int, int], seed: int) -> Tensor:
    """Coarse and fine noise (1, 3, h, w) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, size[0] // 8 + 2, size[1] // 8 + 2, generator=generator)
    return 0.7 * interpolate(coarse, size, mode="bilinear") + 0.3 * torch.rand(1, 3, *size, generator=generator)


def aimed(objective: Objective, model: Model, size: tuple[int, int], dtype: torch.dtype = torch.float32) -> Objective:
    """The objective with a content of `size` and a style of another."""
    bound = objective.bind(model)
    pictures = {"content": noise(size, 1), "style": noise((90, 131), 2)}
    with torch.no_grad():
        acts = {name: model.activations(x.to(dtype), bound.layers - {INPUT}) for name, x in pictures.items()}
    return aim(bound, lambda name: (acts[name], None))


def evaluate(objective: Objective, model: Model, x: Tensor, masks: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Score and gradient, as the engine takes them."""
    x = x.clone().requires_grad_()
    layers = objective.layers - {INPUT}
    acts = model.activations(x, layers) if layers else {}
    score = objective({INPUT: x, **acts, **masks}, ROW).sum()
    return score.detach(), torch.autograd.grad(score, x)[0]


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["vgg19_cd16x", "squeezenet1_1", "minivgg"])
def test_tiles_give_the_score_and_the_gradient_of_the_whole_picture(name: str, kind: str, shared: object) -> None:
    model, x = network(name), noise(SIZE, 0)
    masks = [""] if kind == "moments" else ["", "sky"]  # see the test in float64
    for mask in masks:
        objective = aimed(KINDS[kind](*style_layers(model), mask), model, SIZE)
        score, gradient = evaluate(objective, model, x, SKY)
        for side in (48, 112):
            cut = tiled(objective, model, reach_of(name), SIZE, side, masks=SKY)
            assert len(cut.sums.cut.tiles) > 2
            found, slope = evaluate(cut, model, x, {})
            assert float(found) == pytest.approx(float(score), rel=1e-5)
            assert difference(slope, gradient) < 1e-4


@pytest.mark.parametrize("name", ["vgg19_cd16x", "squeezenet1_1", "minivgg"])
def test_in_float64_nothing_but_rounding_is_left(name: str, shared: object) -> None:
    """Masks, which count in float32, leave 1e-7. Masked moments of fewer positions than channels are only tried here:
    in float32 they are uncertain by 1e-3 without any tiles."""
    model = network(name, torch.float64)
    content, style = style_layers(model)
    terms = Sum(tuple(build(content, style, "sky") for build in KINDS.values()))
    objective = aimed(terms, model, SIZE, torch.float64)
    score, gradient = evaluate(objective, model, noise(SIZE, 0).double(), SKY)
    cut = tiled(objective, model, reach_of(name), SIZE, 80, masks=SKY)
    found, slope = evaluate(cut, model, noise(SIZE, 0).double(), {})
    assert float(found) == pytest.approx(float(score), rel=1e-6)
    assert difference(slope, gradient) < 1e-5


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_margin_that_is_too_small_would_show(lost: str) -> None:
    model = network("minivgg")
    objective = aimed(Gram("relu4_1"), model, SIZE)
    _, gradient = evaluate(objective, model, noise(SIZE, 0), {})
    short = replace(measure_reach(model, ["relu4_1"]), **{lost: (16, 16)}, extent=(16, 16))
    _, slope = evaluate(tiled(objective, model, short, SIZE, 48), model, noise(SIZE, 0), {})
    assert difference(slope, gradient) > 1e-3


def small(*layers: nn.Module) -> Model:
    """A network of float64, three channels in, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(*layers).double()
        for parameter in net.parameters():
            nn.init.normal_(parameter, std=0.3)
    return from_module(net, InputSpec(size=(64, 64)), name="small").prepared(dtype=torch.float64)


@cache
def awkward() -> tuple[Model, Reach]:
    """Stride 8 in three ways, windows of 2 to 5, no padding, ceil mode, dilation, zeros and mirrors around."""
    model = small(
        nn.Conv2d(3, 5, (5, 3), stride=2),
        nn.Tanh(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(5, 6, 3, padding=2, dilation=2, padding_mode="reflect"),
        nn.Tanh(),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(6, 4, 4, padding=1),
    )
    return model, measure_reach(model, ["1", "4", "6"])


@settings(max_examples=25)
@given(height=st.integers(70, 190), width=st.integers(70, 190), side=st.integers(1, 120))
def test_any_size_in_any_tiles_is_exact(height: int, width: int, side: int) -> None:
    model, reach = awkward()
    size = height, width
    objective = aimed(Sum((Content("1"), Gram("4"), Gram("6"))), model, size, torch.float64)
    score, gradient = evaluate(objective, model, noise(size, 0).double(), {})
    found, slope = evaluate(tiled(objective, model, reach, size, side), model, noise(size, 0).double(), {})
    assert float(found) == pytest.approx(float(score), rel=1e-9)
    assert difference(slope, gradient) < 1e-9


def test_a_tile_smaller_than_a_unit_gets_a_window_that_holds_one() -> None:
    """Without padding nothing is needed above a tile, and the last one is a single row."""
    model, size = awkward()[0], (33, 19)
    reach = measure_reach(model, ["1"])
    assert (reach.step, reach.before) == (2, (0, 0))
    objective = aimed(Gram("1"), model, size, torch.float64)
    _, gradient = evaluate(objective, model, noise(size, 0).double(), {})
    _, slope = evaluate(tiled(objective, model, reach, size, 2), model, noise(size, 0).double(), {})
    assert difference(slope, gradient) < 1e-9


@settings(max_examples=200)
@given(
    length=st.integers(1, 500),
    side=st.integers(1, 200),
    step=st.sampled_from([1, 2, 6, 16]),
    margins=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    extent=st.integers(1, 100),
)
def test_every_unit_is_of_one_tile(length: int, side: int, step: int, margins: tuple[int, int], extent: int) -> None:
    before, after = ((margin * step,) * 2 for margin in margins)
    tiles = spans(length, side, Reach({}, step, before, after, (extent, extent)), 0)
    assert [tile.first for tile in tiles] == [0, *(tile.end for tile in tiles[:-1])]
    assert tiles[-1].end == length
    for tile in tiles:
        assert 0 <= tile.start <= tile.first < tile.end <= tile.stop <= length
        assert tile.start % step == 0
        assert tile.end - tile.first <= max(side, step)
    for stride in {1, step}:
        for count in (-(-length // stride), max(0, length // stride - 3)):  # padded, and lost at the border
            units = [unit for tile in tiles for unit in range(count)[tile.units(stride, count)[0]]]
            assert units == list(range(count))


def test_the_reach_of_vgg_is_that_of_the_literature(shared: object) -> None:
    deep, shallow = reach_of("vgg19_cd16x"), measure_reach(network("vgg19_cd16x"), ["relu1_1", "relu2_1"])
    assert (deep.step, deep.extent, deep.before, deep.after) == (16, (156, 156), (80, 80), (80, 80))
    assert (shallow.step, shallow.extent, shallow.before, shallow.after) == (2, (10, 10), (4, 4), (4, 4))


def test_nothing_but_the_picture_is_kept_for_the_gradient() -> None:
    model = network("minivgg")
    objective = aimed(Gram("relu4_1"), model, SIZE)
    cut = tiled(objective, model, measure_reach(model, ["relu4_1"]), SIZE, 48)
    x = noise(SIZE, 0).requires_grad_()
    kept = kept_bytes(lambda: cut({INPUT: x}, ROW))
    grams = 2 * 192**2 * 4
    assert kept <= x.nbytes + 2 * grams


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_engine_takes_the_same_steps_with_tiles(optimizer: str) -> None:
    """With a term on the picture, a product and a constant, and a batch of one."""
    model, reach = awkward()
    model32, size = model.prepared(), (83, 97)
    terms = aimed(-1e-3 * TV2() + 2.0 * Gram("6") * (Content("1") + 1.0) - 0.5, model32, size)
    still = TransformConfig(transforms="none")
    config = RenderConfig(size, 4, transform=still, optimizer=OptimizerConfig(optimizer, redirect=False))
    paths = []
    for objective in (terms, tiled(terms, model32, reach, size, 40)):
        signal = Pixels(1, size=size, decorrelate=False)
        signal.encode(noise(size, 0))
        steps = optimize(objective, model32, signal, build(still, size=size, steps=4), config)
        paths.append([float(step.scores) for step in steps])
    assert paths[0][-1] > paths[0][0]
    assert paths[1] == pytest.approx(paths[0], rel=1e-2)  # L-BFGS enlarges what rounding leaves, step by step
    assert terms.identity(0) == tiled(terms, model32, reach, size, 40).identity(0)  # so seeds are the same


def test_a_transfer_keeps_its_ledger_of_terms() -> None:
    model, reach = awkward()
    size, masks = (90, 80), {MASK + "sky": SKY[MASK + "sky"][:, :, :90, :80]}
    terms = (Content("1"), 0.5 * Gram("6", mask="sky"), -1e-3 * TV2())
    ledger = Ledger(tuple(aimed(term, model, size, torch.float64) for term in terms), masks)
    evaluate(ledger, model, noise(size, 0).double(), {})
    evaluate(tiled(ledger, model, reach, size, 40, masks=ledger.regions), model, noise(size, 0).double(), {})
    whole, parts = ledger.entries
    assert parts.tolist() == pytest.approx(whole.tolist(), rel=1e-6)


def test_a_batch_of_pictures_is_scored_row_by_row() -> None:
    model, reach = awkward()
    objective = aimed(Gram("6"), model, (90, 80), torch.float64)
    cut = tiled(objective, model, reach, (90, 80), 40)
    both = torch.cat([noise((90, 80), seed).double() for seed in (3, 4)])
    scores = cut({INPUT: both}, torch.arange(2))
    assert scores.tolist() == pytest.approx([float(cut({INPUT: x[None]}, ROW)) for x in both])


def test_assembled_activations_are_those_of_the_whole() -> None:
    model, reach = awkward()
    x = noise((131, 94), 0).double()
    with torch.no_grad():
        whole = model.activations(x, ["1", "4", "6"])
    parts = Assembled(model, reach, x, 33)
    assert set(parts) == set(whole)
    assert len(parts) == len(whole)
    assert "0" not in parts
    for name, values in whole.items():
        torch.testing.assert_close(parts[name], values)


# --- what cannot be exact is refused ---


class Squeeze(nn.Module):
    """Squeeze-and-excitation in one line: a gate from the mean over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean((2, 3), keepdim=True).sigmoid()


class Coordinates(nn.Module):
    """Adds the position in the picture, -1 to 1 from top to bottom: local, and yet no tile is like the whole."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.linspace(-1, 1, x.shape[2]).to(x)[:, None]


class Shuffled(nn.Module):
    """Swaps halves, and hides it from NaN."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.nan_to_num().roll(x.shape[2] // 2, 2)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Squeeze(), "sees the whole picture"),
        (nn.InstanceNorm2d(4), "sees the whole picture"),
        (nn.AdaptiveAvgPool2d(4), "sees the whole picture|gives other units"),
        (Coordinates(), "gives other units"),
        (Shuffled(), "gives other units"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_network_that_is_not_local_is_refused(part: nn.Module, reason: str) -> None:
    model = small(nn.Conv2d(3, 4, 3, padding=1), part, nn.Conv2d(4, 4, 3, padding=1))
    with pytest.raises(UsageError, match=reason):
        measure_reach(model, ["2"])
    assert measure_reach(model, ["0"]).extent == (3, 3)  # what comes before may be cut


def test_a_stride_that_the_layer_table_rounds_is_refused() -> None:
    model = small(nn.Conv2d(3, 4, 3, stride=3), nn.Conv2d(4, 4, 2, stride=2), nn.Conv2d(4, 4, 2, stride=2))
    assert model.layers["2"].stride != 12
    with pytest.raises(UsageError, match="gives other units"):
        measure_reach(model, ["2"])


def test_vectors_and_tokens_are_refused(tiny_model: Model) -> None:
    for layer in ("tokens", "head"):
        with pytest.raises(UsageError, match="no grid"):
            measure_reach(tiny_model, [layer])


def test_terms_that_are_no_sums_are_refused() -> None:
    model, reach = awkward()
    for term in (aimed(SlicedWasserstein("6"), model, (90, 80), torch.float64), Channel("6", (0,))):
        with pytest.raises(UsageError, match="tile by tile"):
            tiled(Sum((term, TV2())), model, reach, (90, 80), 40)


def test_what_does_not_fit_the_picture_is_refused() -> None:
    model, reach = awkward()
    content = aimed(Content("1"), model, (90, 80), torch.float64)
    with pytest.raises(UsageError, match="another size than 80x96"):
        tiled(content, model, reach, (96, 80), 40)
    with pytest.raises(UsageError, match="mask 'sky'"):
        tiled(aimed(Gram("6", mask="sky"), model, (90, 80), torch.float64), model, reach, (90, 80), 40)
    cut: Tiled = tiled(content, model, reach, (90, 80), 40)
    views = noise((90, 80), 0).double()
    with pytest.raises(UsageError, match="not from transformed views"):
        cut({INPUT: views}, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(UsageError, match="80x90"):
        cut({INPUT: views[:, :, 1:]}, ROW)
