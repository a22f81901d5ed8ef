"""A scan finds what a full computation and a sort find, whatever the sharding, the interruption and the company."""

from __future__ import annotations

import math
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from phosphene.cli.main import run
from phosphene.errors import PhospheneError, UnknownNameError, UsageError
from phosphene.examples.config import ScanConfig
from phosphene.examples.data import open_data
from phosphene.examples.header import IndexFileError
from phosphene.examples.index import Index, merge
from phosphene.examples.scan import Scan, scan
from phosphene.models import InputSpec, Model, from_module, to_input
from phosphene.textures import Textures

LAYERS = ("features.3", "features.9", "features.12", "output")
SMALL = ScanConfig(top=5, sample=16, batch=8)
SAME = 1e-5  # of a unit's largest score: what another batch shape rounds differently (measured: 1.8e-6)
Content = Callable[[Index], dict[str, bytes]]


def plainly(model: Model, root: Path, layers: tuple[str, ...]) -> dict[str, tuple[list[str], np.ndarray, np.ndarray]]:
    """{layer: (keys, scores (n, units), flat positions)} of every picture alone, by the plain network."""
    keys = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.JPEG"))
    scores: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    places: dict[str, list[np.ndarray]] = {name: [] for name in layers}
    for key in keys:
        x = to_input(Image.open(root / key).convert("RGB"), model.spec)
        with torch.no_grad():
            for name, value in model.activations(x, layers).items():
                flat = value[0].reshape(value.shape[1], -1).numpy()
                scores[name].append(flat.max(1))
                places[name].append(flat.argmax(1))
    return {name: (keys, np.array(scores[name]), np.array(places[name])) for name in layers}


def test_examples_are_those_of_a_full_computation_and_a_sort(found: Index, photographs: Path, network: Model) -> None:
    for name, (keys, scores, places) in plainly(network, photographs, LAYERS).items():
        width = network.layers[name].spatial[-1] if network.layers[name].spatial else 0
        for unit in range(0, scores.shape[1], 7):
            mine = scores[:, unit]
            close = SAME * float(np.abs(mine).max())
            for ranked, sign in ((found.top(name, unit, k=5), 1), (found.bottom(name, unit, k=5), -1)):
                order = sorted(range(len(keys)), key=lambda i, s=sign, m=mine: (-s * m[i], keys[i]))[:5]
                for one, i in zip(ranked, order, strict=True):
                    assert one.score == pytest.approx(float(mine[i]), abs=close)
                    at = keys.index(one.key)  # the one expected, or one whose score is the same but for rounding
                    assert one.key == keys[i] or abs(mine[at] - mine[i]) <= close
                    assert one.position == (divmod(int(places[at, unit]), width) if width else None)


def test_statistics_are_those_of_all_scores(found: Index, photographs: Path, network: Model) -> None:
    keys, scores, _ = plainly(network, photographs, ("features.12",))["features.12"]
    groups = np.array([key.split("/")[0] for key in keys])
    for unit in (0, 7, 200, 511):
        mine, facts = scores[:, unit].astype(np.float64), found.statistics("features.12", unit)
        assert facts.count == 60
        assert facts.mean == pytest.approx(mine.mean(), rel=1e-4, abs=1e-5)
        assert facts.variance == pytest.approx(mine.var(), rel=1e-3, abs=1e-5)
        assert facts.zeros == pytest.approx((mine == 0).mean())
        edges, counts = found.histogram("features.12", unit)
        assert counts.sum() == 60
        positive = mine[mine > 0]
        np.testing.assert_allclose(
            np.histogram(positive, edges[edges >= 0][1:])[0], counts[-len(edges[edges > 0]) :], atol=1
        )
        means = [np.maximum(mine[groups == name], 0).mean() for name in found.header.classes]
        best, rest = max(means), (sum(means) - max(means)) / 2
        if best:
            assert facts.selectivity == pytest.approx((best - rest) / (best + rest), rel=1e-3)
            assert facts.best_class == found.header.classes[int(np.argmax(means))]


def test_seven_shards_merged_in_any_order_and_any_pairing_are_one_scan(
    found: Index, photographs: Path, network: Model, content: Content
) -> None:
    parts = [scan(network, photographs, layers=LAYERS, config=replace(SMALL, shard=f"{i}/7")) for i in range(1, 8)]
    whole = content(found)
    random.Random(3).shuffle(parts)
    assert content(merge(*parts)) == whole
    one = parts[0]
    for part in parts[1:]:
        one = merge(part, one)
    assert content(one) == whole
    assert one.complete
    assert not parts[0].complete


def test_a_score_does_not_depend_on_the_pictures_beside_it(photographs: Path, network: Model) -> None:
    few = ScanConfig(top=1, sample=60, batch=8)
    alone = [
        scan(network, photographs, layers=["features.12"], config=replace(few, shard=f"{i}/60")) for i in (5, 23, 60)
    ]
    together = scan(network, photographs, layers=["features.12"], config=few)
    drawn = together.tally.sample
    rows = {together.header.keys[n]: row for n, row in zip(drawn.numbers, drawn.scores, strict=True)}
    for one in alone:
        assert np.array_equal(one.tally.sample.scores[0], rows[one.header.keys[0]])


def test_a_stopped_scan_goes_on_to_the_same_index(
    found: Index, photographs: Path, network: Model, tmp_path: Path, content: Content
) -> None:
    for _ in range(3):
        work = Scan(network, photographs, layers=LAYERS, config=SMALL).kept_in(tmp_path / "index")
        for event in work:
            if event.done - event.found >= 16:
                work.stop()
    assert work.found == 32
    for event in Scan(network, photographs, layers=LAYERS, config=SMALL).kept_in(tmp_path / "index"):
        assert event.found == 48
    assert content(Index.load(tmp_path / "index")) == content(found)


def test_a_killed_scan_goes_on_to_the_same_index(
    found: Index, photographs: Path, tmp_path: Path, content: Content
) -> None:
    flags = ["--layers", ",".join(LAYERS), "--top", "5", "--sample", "16", "--batch", "8", "--quiet"]
    command = [sys.executable, "-m", "phosphene", "scan", "squeezenet1_1", "--data", str(photographs), *flags]
    command += ["--out", str(tmp_path / "index"), "--checkpoint-every", "0.001"]
    process = subprocess.Popen(command)
    while process.poll() is None and not (tmp_path / "index" / "index.json").is_file():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < Index.load(tmp_path / "index").images < 60
    assert run(command[3:]) == 0
    assert content(Index.load(tmp_path / "index")) == content(found)


class Echo(nn.Module):
    """A network whose first unit is the red of the picture, whose second is 0, and whose third never is a number."""

    def __init__(self, poison: float = 0.0) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 2, 1, bias=False)
        self.poison = poison
        with torch.no_grad():
            self.mix.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 0]]).view(2, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.mix(x)
        return torch.where(y > 0.995, y * self.poison / 0, y) if self.poison else y


def echo(poison: float = 0.0) -> Model:
    return from_module(Echo(poison), InputSpec(size=(8, 8), mean=(0.0,), std=(1.0,)), name="echo")


def dots(folder: Path, levels: dict[str, tuple[int, int, int]]) -> Path:
    """Black pictures of 8 x 8 with one red dot: {name: (level, y, x)}."""
    folder.mkdir(exist_ok=True)
    for name, (level, y, x) in levels.items():
        picture = Image.new("RGB", (8, 8))
        picture.putpixel((x, y), (level, 0, 0))
        picture.save(folder / name)
    return folder


def test_planted_dots_are_found_with_their_places_and_ties_go_by_key(tmp_path: Path) -> None:
    folder = dots(
        tmp_path / "d", {"c.png": (200, 1, 6), "a.png": (200, 5, 2), "b.png": (90, 7, 7), "e.png": (30, 0, 3)}
    )
    index = scan(echo(), folder, layers=["mix"], config=ScanConfig(batch=3))
    best = index.top("mix", 0, k=9)
    assert [(one.key, one.position) for one in best] == [
        ("a.png", (5, 2)), ("c.png", (1, 6)), ("b.png", (7, 7)), ("e.png", (0, 3)),
    ]  # fmt: skip
    assert best[0].score == pytest.approx(200 / 255)
    assert [one.key for one in index.bottom("mix", 0, k=2)] == ["e.png", "b.png"]
    assert [one.key for one in index.top("mix", 1, k=4)] == ["a.png", "b.png", "c.png", "e.png"]
    assert [one.position for one in index.top("mix", 1, k=2)] == [(0, 0), (0, 0)]
    assert index.statistics("mix", 1).zeros == 1
    assert index.statistics("mix", 0).zeros == 0


def test_what_lies_outside_the_center_is_seen_only_whole(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    wide = Image.new("RGB", (24, 8))
    wide.putpixel((22, 3), (255, 0, 0))
    wide.save(tmp_path / "d" / "wide.png")
    assert scan(echo(), tmp_path / "d", layers=["mix"]).top("mix", 0, k=1)[0].score == 0
    whole = scan(echo(), tmp_path / "d", layers=["mix"], config=ScanConfig(whole=True)).top("mix", 0, k=1)[0]
    assert (whole.score, whole.position) == (1, (3, 22))


def test_responses_that_are_no_numbers_are_skipped_with_their_layer(tmp_path: Path) -> None:
    folder = dots(tmp_path / "d", {"a.png": (100, 0, 0), "b.png": (255, 0, 0), "c.png": (50, 0, 0)})
    index = scan(echo(poison=1.0), folder, layers=["output"])
    assert index.images == 2
    assert index.skipped == (("b.png", "the response of output is no number, or too large to be one"),)
    assert math.isfinite(index.statistics("output", 0).variance)


def test_memory_of_a_tally_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    def size(count: int) -> int:
        index = scan(echo(), Textures(count, size=16), layers=["mix"], config=ScanConfig(top=3, sample=8))
        assert index.images == count
        return sum(value.nbytes for value in index.tally.arrays().values())

    assert size(64) == size(640)


def test_an_index_of_another_scan_is_not_overwritten(tmp_path: Path) -> None:
    folder = dots(tmp_path / "d", {f"{i}.png": (i, 0, 0) for i in range(9)})
    out = tmp_path / "index"
    scan(echo(), folder, layers=["mix"], out=out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with pytest.raises(IndexFileError, match=r"other layers or settings.*--fresh"):
        scan(echo(), folder, layers=["output"], out=out)
    with pytest.raises(IndexFileError, match="other pictures"):
        scan(echo(), dots(tmp_path / "e", {"z.png": (1, 0, 0)}), layers=["mix"], out=out)
    other = echo()
    with torch.no_grad():
        other.net.mix.weight.mul_(2)  # type: ignore[union-attr, operator]
    with pytest.raises(IndexFileError, match="other weights"):
        scan(from_module(other.net, other.spec, name="echo"), folder, layers=["mix"], out=out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert scan(echo(), folder, layers=["output"], out=out, fresh=True).layers == {"output": 2}


def test_the_network_is_left_as_it_was(photographs: Path, tiny_model: Model) -> None:
    net = tiny_model.net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    scan(tiny_model, photographs, config=ScanConfig(limit=9))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_tokens_have_the_places_of_their_grid(tiny_model: Model) -> None:
    data = open_data("textures:20", size=32)
    index = scan(tiny_model, data, layers=["tokens"], config=ScanConfig(batch=6))
    for unit in range(16):
        for one in index.top("tokens", unit, k=3):
            number = int(one.key.split("/")[1][:6])
            value = tiny_model.activations(to_input(data.load(number), tiny_model.spec), ["tokens"])["tokens"]
            flat = int(value[0, unit].argmax())
            assert one.position == (divmod(flat - 1, 8) if flat else None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"shard": "0/7"}, "shard is I/N"), ({"shard": "8/7"}, "shard"), ({"top": 0}, "top"), ({"sample": 5000}, "1000")],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ScanConfig(**settings)  # type: ignore[arg-type]


def test_unknown_layers_and_units_are_refused_with_what_there_is(found: Index, network: Model, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"features\.12"):
        scan(network, "textures:3", layers=["features.121"])
    with pytest.raises(UnknownNameError, match=r"features\.12"):
        found.top("features.122", 0)
    with pytest.raises(UsageError, match=r"no unit 512 in features.12 of the index: it has units 0..511"):
        found.top("features.12", 512)
    with pytest.raises(UsageError, match="k is 1 to 5"):
        found.top("features.12", 0, k=6)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no pictures in"):
        scan(network, tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_text("not a picture")
    with pytest.raises(PhospheneError, match=r"none of 1 pictures can be read; the first: a.png"):
        scan(network, tmp_path / "empty", layers=["output"])
