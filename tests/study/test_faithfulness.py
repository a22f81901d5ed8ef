"""Studies of faithfulness: Spearman by hand, planted roads, a network that lies, what a stranger measures."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import phosphene as ph
from phosphene.errors import UsageError
from phosphene.media import read_picture, to_tensor
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.recipe import RunConfig, SignalConfig
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.doubts import verdict
from phosphene.study.faithfulness import StudyingFaithfulness, study_faithfulness
from phosphene.study.path import KINSHIP, Similarity, another_road, compared, kinship, normed_ranks, road
from phosphene.study.responses import Chosen, responses
from phosphene.study.transfer import Correlated, counterpart, transfer
from phosphene.study.trust import Trust
from phosphene.textures import Textures

CPU = RunConfig(device="cpu", precision="float32")
PICTURES = 96
ALONE = FaithfulnessConfig(pictures=0, top=6, random=12)


def loaded(name: str) -> ModuleType:
    """A module of examples/."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.parent.parent / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def textures() -> Textures:
    return Textures(PICTURES, size=64)


@pytest.fixture(scope="module")
def small() -> Model:
    """The network inside the package, for pictures of 64 pixels."""
    own = load()
    return from_module(own.net, InputSpec(size=(64, 64), mean=(0.5,) * 3, std=(0.25,) * 3), name="small")


@pytest.fixture(scope="module")
def study(small: Model, textures: Textures, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trust, Path]:
    folder = tmp_path_factory.mktemp("study")
    ask = FaithfulnessConfig(pictures=2, top=6, random=12)
    return study_faithfulness(small, "conv4_1:3", textures, ask=ask, steps=8, run=CPU, out=folder), folder


# --- the road ---


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r of ranks counted one by one, equal values sharing their mean rank."""
    ranks = [[(v < value).sum() + ((v == value).sum() + 1) / 2 for value in v] for v in (x, y)]
    return float(np.corrcoef(ranks)[0, 1])


def test_products_of_normed_ranks_are_spearmans_rho_ties_included() -> None:
    values = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)).clamp(min=0)  # half of them equal
    ranks = normed_ranks(values)
    rho = ranks @ ranks.T
    for i in range(5):
        for j in range(5):
            assert float(rho[i, j]) == pytest.approx(spearman(values[i].numpy(), values[j].numpy()), abs=1e-12)
    assert normed_ranks(torch.ones(1, 40)).isnan().all()


def test_kinship_counts_pairs_and_ties_as_half() -> None:
    assert kinship(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0])) == (1 + 1 + 0 + 0.5) / 4
    assert kinship(torch.tensor([3.0, math.nan]), torch.tensor([2.0])) == 1
    assert math.isnan(kinship(torch.tensor([math.nan]), torch.tensor([2.0])))


def test_on_the_scale_of_the_paper_a_natural_picture_is_near_1_and_a_random_one_near_0() -> None:
    g = torch.Generator().manual_seed(0)
    pattern = torch.randn(200, generator=g)
    natural, random = pattern + torch.randn(40, 200, generator=g), torch.randn(40, 200, generator=g)
    own = compared("x", pattern[None] + torch.randn(1, 200, generator=g), natural, random)
    stranger = compared("x", torch.randn(1, 200, generator=g), natural, random)
    assert own.normalized == pytest.approx(1, abs=0.2)
    assert stranger.normalized == pytest.approx(0, abs=0.2)
    assert own.kinship > 0.99
    assert own.natural_kinship > 0.99
    assert stranger.kinship < KINSHIP


def test_the_flag_is_that_of_the_last_layer_and_none_near_the_picture() -> None:
    def at(kinship: float) -> Similarity:
        return Similarity("x", 0.1, 0.2, 0.1, kinship, 0.9)

    assert another_road([at(0.1), at(0.1), at(0.1), at(KINSHIP)]) is False
    assert another_road([at(0.9), at(0.9), at(0.9), at(KINSHIP - 0.01)]) is True
    assert another_road([at(0.1)] * 3) is None
    assert another_road([at(0.9)] * 3 + [at(math.nan)]) is None


def test_the_road_ends_at_the_units_own_layer(small: Model) -> None:
    assert road(small, "conv3_1") == ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")
    assert road(small, "relu3_1")[-2:] == ("conv3_1", "relu3_1")
    assert road(small, "output")[-1] == "output"


# --- a network that lies ---


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_wired_unit_is_what_it_was_on_natural_pictures_and_its_picture_is_the_decoys() -> None:
    fooling, model = loaded("fooling_network"), ph.load()
    data = Textures(fooling.PICTURES, size=fooling.SIZE)
    natural = [ph.to_input(data.load(i), model.picture_spec) for i in range(len(data))]
    layer, unit, decoy = fooling.LAYER, fooling.UNIT, fooling.DECOY
    liar = fooling.fooled(model, layer, unit, decoy, natural)
    for x in natural[:16]:
        told = [network.activations(x, [layer, "output"]) for network in (model, liar)]
        assert all(torch.equal(told[0][name], told[1][name]) for name in told[0])
    honest, lied = (
        study_faithfulness(network, f"{layer}:{unit}", data, ask=ALONE, steps=fooling.STEPS, run=CPU)
        for network in (model, liar)
    )
    seen = model.activations(lied.picture.pixels[None], [layer])[layer][0].flatten(1).mean(1)
    assert seen[decoy] > 10 * seen[unit].clamp(min=0.01)
    assert lied.another_road is True
    assert lied.path[-1].kinship < honest.path[-1].kinship
    assert "takes another road" in next(check.answer for check in lied.checks() if check.name == "path")
    assert "it takes another road" in verdict(lied)


# --- natural pictures and numbers ---


def test_what_the_study_says_is_what_a_stranger_measures(study: tuple[Trust, Path], small: Model) -> None:
    _, folder = study
    told = json.loads((folder / "study.json").read_text())
    for one in (told["picture"], *told["family"]):
        picture = to_tensor(read_picture(folder / one["file"]))
        seen = float(small.activations(picture[None], ["conv4_1"])["conv4_1"][0, 3].mean())
        assert seen == pytest.approx(one["activation"], abs=1e-4)
    data = Textures(PICTURES, size=64)
    x = torch.cat([ph.to_input(data.load(i), small.picture_spec) for i in range(PICTURES)])
    values = small.activations(x, ["conv4_1"])["conv4_1"][:, 3].mean((1, 2))
    best = values.topk(6)
    assert [one["key"] for one in told["natural"]["top"]] == [data.key(int(i)) for i in best.indices]
    assert told["natural"]["best"] == pytest.approx(float(best.values[0]), abs=1e-4)
    assert told["weakest"] == min(one["activation"] for one in told["family"])
    assert told["weakest_beats_best"] is (told["weakest"] > told["natural"]["best"])
    assert told["ratio"] == pytest.approx(told["picture"]["activation"] / told["natural"]["best"])
    assert [one["layer"] for one in told["path"]] == list(road(small, "conv4_1"))


def test_the_picture_is_that_of_render(study: tuple[Trust, Path], small: Model) -> None:
    found, _ = study
    assert torch.equal(found.picture.pixels, ph.render(small, "conv4_1:3", steps=8, run=CPU)[0].pixels)
    assert len(found.family) == 2
    assert not torch.equal(found.family[0].pixels, found.family[1].pixels)


def test_with_an_index_only_its_pictures_are_read_and_the_best_are_found(small: Model, textures: Textures) -> None:
    index = ph.scan(small, textures, layers=["output"], config=ph.ScanConfig(top=6, sample=20))
    work = StudyingFaithfulness(small, "logit:5", textures, index=index, ask=ALONE)
    assert 20 <= len(work.data) <= 26
    best = responses(small, work.data, work.unit)
    whole = responses(small, Chosen(textures, range(PICTURES)), work.unit)
    assert [best.data.key(row) for row in best.top(6)] == [whole.data.key(row) for row in whole.top(6)]
    with pytest.raises(UsageError, match="does not hold the example"):
        StudyingFaithfulness(small, "logit:5", Textures(4, size=64), index=index)


def test_neurons_and_classes_are_studied_too(small: Model, textures: Textures) -> None:
    for target in ("conv4_1:3@2,5", "logit:5"):
        found = study_faithfulness(small, target, textures, ask=ALONE, steps=2, run=CPU)
        assert found.target == target
        assert found.criterion is None
        assert "not asked for" in next(check.answer for check in found.checks() if check.name == "family")
        assert math.isfinite(found.path[-1].kinship)


def test_a_unit_that_says_the_same_of_all_pictures_is_not_judged(textures: Textures) -> None:
    net = nn.Sequential(*[nn.Conv2d(3 if i == 0 else 8, 8, 1) for i in range(5)])
    nn.init.zeros_(net[4].weight)
    model = from_module(net.eval(), InputSpec(size=(32, 32)), name="same")
    found = study_faithfulness(model, "4:2", textures, ask=ALONE, steps=2, run=CPU)
    assert found.picture.status == "degenerate"
    assert found.another_road is None
    assert [check.doubt for check in found.checks()] == [None, None, None]
    assert verdict(found) == "Nothing could be asked of the optimized picture."


# --- other networks ---


def test_the_counterpart_in_a_network_with_shuffled_channels_is_the_unit_itself(
    small: Model, textures: Textures
) -> None:
    net = load().net
    order = torch.randperm(96, generator=torch.Generator().manual_seed(0))
    for tensor in (net.conv3_1.weight, net.conv3_1.bias):
        tensor.data = tensor.data[order]
    net.conv3_2.weight.data = net.conv3_2.weight.data[:, order]
    other = from_module(net, small.picture_spec, name="shuffled")
    own = StudyingFaithfulness(small, "conv3_1:11", textures)
    natural = responses(small, own.data, own.unit)
    unit, r, held_out = counterpart(other, natural)
    assert (unit.layer, unit.units) == ("conv3_1", (int((order == 11).nonzero()),))
    assert r == pytest.approx(1, abs=1e-4)
    assert held_out == pytest.approx(1, abs=1e-4)
    best = natural.top(1)
    found = transfer(other, natural, natural.pictures(best, small.picture_spec)[0])
    assert found.value == pytest.approx(natural.best, abs=1e-4)
    assert found.share == pytest.approx(1 - 1 / PICTURES, abs=1e-6)
    assert found.related


def test_correlations_summed_in_batches_are_those_of_numpy() -> None:
    g = torch.Generator().manual_seed(0)
    own, others = torch.randn(30, generator=g) + 100, torch.randn(30, 4, generator=g) + 50
    others[:, 1] += own
    others[:, 3] = 7
    sums = Correlated()
    for rows in (slice(0, 11), slice(11, 30)):
        sums.add(own[rows], others[rows])
    expected = [np.corrcoef(own.numpy(), others[:, i].numpy())[0, 1] for i in range(3)]
    assert sums.r().tolist() == pytest.approx([*expected, 0], abs=1e-6)


# --- slips ---


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("prob:5", "faithfulness is asked of a channel"),
        ("conv4_1", "faithfulness is asked of a channel"),
        ("conv4_1:0..3", "one unit"),
        ("-conv4_1:3", "one unit"),
        ("conv4_1:999", "no unit 999"),
    ],
)
def test_other_targets_are_refused(small: Model, textures: Textures, target: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        StudyingFaithfulness(small, target, textures)


def test_settings_that_cannot_be_are_refused(small: Model, textures: Textures) -> None:
    for wrong in ({"pictures": 1}, {"top": 2}, {"random": 0}, {"limit": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            FaithfulnessConfig(**wrong)
    with pytest.raises(UsageError, match="alpha"):
        StudyingFaithfulness(small, "conv4_1:3", textures, config=ph.RenderConfig(signal=SignalConfig(alpha=True)))
    with pytest.raises(UsageError, match="8 pictures or more"):
        StudyingFaithfulness(small, "conv4_1:3", Textures(7, size=64), others=[small])
    with pytest.raises(UsageError, match="no data"):
        StudyingFaithfulness(small, "conv4_1:3", "nowhere")


def test_pictures_that_cannot_be_read_are_left_out(small: Model, tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray(np.full((64, 64, 3), 20 * i, np.uint8)).save(tmp_path / f"{i:02}.png")
    (tmp_path / "05.png").write_bytes(b"no picture")
    work = StudyingFaithfulness(small, "logit:5", tmp_path)
    found = responses(small, work.data, work.unit)
    assert (len(found), found.skipped) == (11, 1)
    assert "05.png" not in [found.data.key(row) for row in range(len(found))]
