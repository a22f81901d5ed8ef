"""Families through rendering: a group is never cut, its pictures have names of their own, and each comes back whole."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.engine import Loop
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.features.members import label, single, subject, whole
from phosphene.features.render import Progress, Rendering, render
from phosphene.features.rerun import rerun
from phosphene.features.store import Store
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.objectives import Channel, Diversity, Objective, Opacity, Scale, from_data, interpolate, parse
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig

CPU = RunConfig(device="cpu", precision="float32")
FAMILY = "features.2:5 + 2*diversity(features.2, group=3)"
OTHER = "features.2:7 + 2*diversity(features.2, group=3)"
STRIP = interpolate(Channel("features.2", 5), Channel("features.2", 7), 4)
TIED = STRIP + parse("0.1*alignment(features.2, group=4)")


def members(target: str, count: int = 3) -> list[str]:
    return [target.replace(f"group={count}", f"group={count}, members={k}") for k in range(count)]


def hashes(rendered: Any) -> list[str]:
    return [picture.recipe["result"]["pixels_sha256"] for picture in rendered]


@pytest.mark.parametrize(
    ("run", "shapes"),
    [
        (CPU, [9]),
        (replace(CPU, batch=5), [3, 3, 3]),
        (replace(CPU, batch=8), [6, 3]),
        (replace(CPU, batch_shape=7), [7, 7]),
        (replace(CPU, memory=1e-9), [3, 3, 3]),
    ],
)
def test_a_group_is_never_cut(tiny_model: Model, run: RunConfig, shapes: list[int]) -> None:
    rendering = Rendering(
        tiny_model, [FAMILY, OTHER, FAMILY.replace(":5", ":1")], RenderConfig(steps=2), replace(run, checkpoint_every=0)
    )
    seen = [event.step.signal.rows for event in rendering if isinstance(event, Progress) and event.step.i == 1]
    assert seen == shapes
    assert len(rendering.sheet()) == 9
    assert {picture.status for picture in rendering.sheet()} == {"ok"}


@pytest.mark.parametrize(
    ("run", "option"), [(replace(CPU, batch=2), "--batch 2"), (replace(CPU, batch_shape=2), "shape 2")]
)
def test_a_batch_that_holds_no_whole_group_is_refused_before_any_work(
    tiny_model: Model, tmp_path: Path, run: RunConfig, option: str
) -> None:
    with pytest.raises(UsageError, match=f"3 pictures of .* belong together.*{option} holds fewer"):
        render(tiny_model, FAMILY, steps=1, run=run, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_lbfgs_makes_no_family(tiny_model: Model) -> None:
    config = RenderConfig(steps=1, optimizer=OptimizerConfig(optimizer="lbfgs"))
    with pytest.raises(UsageError, match="one picture at a time"):
        render(tiny_model, FAMILY, config=config, run=CPU)


def test_a_part_of_a_family_is_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="1 picture, and 3 belong together"):
        render(tiny_model, "features.2:5 + diversity(features.2, group=3, members=1)", steps=1, run=CPU)


def test_a_batch_beyond_memory_is_halved_between_groups(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, shapes, step = [FAMILY, OTHER, FAMILY.replace(":5", ":1")], [], Loop.step

    def small(loop: Loop, i: int) -> Tensor:
        shapes.append(loop.signal.rows)
        if loop.signal.rows > 6:
            raise torch.OutOfMemoryError("no")
        return step(loop, i)

    monkeypatch.setattr(Loop, "step", small)
    assert len(render(tiny_model, asked, steps=1, run=CPU)) == 9
    assert shapes == [9, 6, 3]


def test_a_single_group_beyond_memory_is_a_clear_error(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(loop: Loop, i: int) -> Tensor:
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(Loop, "step", full)
    with pytest.raises(PhospheneError, match="at 3 pictures of 32 x 32 a batch; use a smaller --size"):
        render(tiny_model, FAMILY, steps=1, run=CPU)


def test_names_of_members_differ_and_do_not_depend_on_company(tiny_model: Model, tmp_path: Path) -> None:
    alone = render(tiny_model, FAMILY, steps=1, run=CPU, out=tmp_path / "a")
    joined = render(tiny_model, [OTHER, FAMILY], steps=1, run=CPU, out=tmp_path / "b")
    assert [picture.target for picture in alone] == members(FAMILY)
    assert [picture.target for picture in joined] == [*members(OTHER), *members(FAMILY)]
    files = {file.name for file in (tmp_path / "a").glob("*.png")}
    assert len(files) == 4
    assert files <= {file.name for file in (tmp_path / "b").glob("*.png")}
    assert [picture.recipe["target"] for picture in alone] == [picture.recipe["target"] for picture in joined][3:]


def test_a_family_does_not_depend_on_its_company(tiny_model: Model) -> None:
    shaped = replace(CPU, batch_shape=6)
    alone = render(tiny_model, FAMILY, steps=12, run=shaped)
    joined = render(tiny_model, [OTHER, FAMILY], steps=12, run=shaped)
    assert hashes(joined)[3:] == hashes(alone)
    assert len(set(hashes(joined))) == 6


def test_a_family_does_not_depend_on_its_company_on_a_real_network(squeezenet: Model) -> None:
    shaped, target = replace(CPU, batch_shape=4), "features.7:9 + 50*diversity(features.7, group=2)"
    alone = render(squeezenet, target, size=64, steps=9, run=shaped)
    joined = render(squeezenet, [target.replace(":9", ":3"), target], size=64, steps=9, run=shaped)
    assert hashes(joined)[2:] == hashes(alone)


@pytest.mark.parametrize("target", [FAMILY, TIED], ids=["family", "aligned strip"])
def test_one_member_is_made_again_with_its_whole_family(
    tiny_model: Model, tmp_path: Path, target: str | Objective
) -> None:
    sheet = render(tiny_model, [OTHER, target], steps=10, run=CPU, out=tmp_path)
    for picture in sheet[4], sheet[len(sheet) - 1]:
        again = rerun(picture.path, model=tiny_model)  # type: ignore[arg-type]
        assert again.same
        assert again.picture.target == picture.target
        assert again.picture.activation == picture.activation
        assert again.picture.recipe["target"] == json.loads(json.dumps(picture.recipe["target"]))


@pytest.mark.parametrize("row", [-1, 3, 10**9, "1", True, None, 1.0])
def test_a_row_that_no_family_has_is_refused(tiny_model: Model, row: object) -> None:
    recipe = copy.deepcopy(render(tiny_model, FAMILY, steps=1, run=CPU)[1].recipe)
    recipe["target"]["row"] = row
    with pytest.raises(RecipeError):
        rerun(recipe, model=tiny_model)


def test_a_family_larger_than_its_batch_is_refused_before_it_is_bound(tiny_model: Model) -> None:
    recipe = copy.deepcopy(render(tiny_model, FAMILY, steps=1, run=CPU)[1].recipe)
    recipe["target"]["data"] = json.loads(json.dumps(recipe["target"]["data"]).replace('"group": 3', '"group": 4000'))
    with pytest.raises(RecipeError, match="4000 in a batch of 3"):
        rerun(recipe, model=tiny_model)


def stop_at(rendering: Rendering, done: int) -> Iterator[object]:
    for event in rendering:
        yield event
        if isinstance(event, Progress) and event.done >= done:
            rendering.stop()


@pytest.mark.parametrize("done", [6, 30, 45])  # picture-steps: in the first group, at its end, in the second
def test_a_stopped_family_is_resumed_to_the_bit(tiny_model: Model, tmp_path: Path, done: int) -> None:
    def work(folder: str, resume: bool = False) -> Rendering:
        run = replace(CPU, batch=3, checkpoint_every=4)
        return Rendering(
            tiny_model, [FAMILY, OTHER], RenderConfig(steps=10), run, store=Store(tmp_path / folder, resume=resume)
        )

    unbroken = work("a")
    list(unbroken)
    list(stop_at(work("b"), done))
    again = work("b", resume=True)
    list(again)
    assert again.complete
    assert hashes(again.sheet()) == hashes(unbroken.sheet())


def test_labels_tell_members_and_strips(tiny_model: Model) -> None:
    words = str
    family, strip = parse(FAMILY), STRIP
    assert [label(family, row, words) for row in range(3)] == [f"features.2:5\n{k} of 3" for k in (1, 2, 3)]
    assert [label(strip, row, words).split("\n") for row in range(4)] == [
        ["t = 0", "features.2:5"],
        ["t = 0.333", "features.2:5"],
        ["t = 0.667", "features.2:7"],
        ["t = 1", "features.2:7"],
    ]
    assert label(parse("features.2:1,2"), 1, words) == ""
    assert label(parse("0.5*features.2:1 + 0.5*features.2:2"), 0, words) == ""
    sheet = render(tiny_model, [family, strip], steps=1, run=CPU)
    assert [picture.caption()[:2] for picture in sheet][2:4] == [["features.2:5", "3 of 3"], ["t = 0", "features.2:5"]]


def test_a_strip_is_measured_by_the_unit_that_weighs_more(tiny_model: Model) -> None:
    with torch.no_grad():
        tiny_model.net.features[0].bias[2] = -20.0  # type: ignore[index, union-attr]  # unit 2 fires for no picture
    strip = interpolate(Channel("features.1", 2), Channel("features.1", 1), 3)
    sheet = render(tiny_model, strip, steps=8, run=CPU)
    assert [picture.unit for picture in sheet] == [2, 2, 1]
    assert sheet[2].status == "ok"
    assert sheet[2].activation > 0
    assert subject(parse("0.2*features.2:1 + 0.8*features.2:3")) == Channel("features.2", 3)
    assert subject(parse("features.2:1 + features.2:3")) == Channel("features.2", 1)


def test_a_family_of_transparent_pictures_is_rendered(tiny_model: Model) -> None:
    config = RenderConfig(steps=3, signal=SignalConfig(alpha=True))
    sheet = render(tiny_model, [FAMILY, TIED], config=config, run=CPU)
    assert len(sheet) == 7
    assert sheet[1].label == "features.2:5\n2 of 3"
    assert sheet[3].label.startswith("t = 0\n")


def test_the_tree_of_a_group_is_told_in_one_form() -> None:
    shared = Channel("features.2", (1, 1, 1, 4, 4, 4)) + Scale(
        (3.0,) * 3 + (5.0,) * 3, Diversity("features.2", 3, tuple(range(6)))
    )
    tree, row = whole(shared, 4)
    assert row == 1
    assert tree == Channel("features.2", 4) + 5 * Diversity("features.2", 3)
    assert str(single(shared, 4)) == "features.2:4 + 5*diversity(features.2, group=3, members=1)"
    assert single(shared * (1 - Opacity()), 1) == single(shared, 1) * (1 - Opacity())


def test_logarithms_and_margins_show_the_names_of_classes(tiny_net: torch.nn.Module) -> None:
    model = from_module(tiny_net, InputSpec(size=(32, 32)), labels=tuple("abcdefghij"))
    sheet = render(model, ["logprob:1", "margin:2"], steps=1, run=CPU)
    assert [picture.target for picture in sheet] == ["logprob:b", "margin:c"]
    assert from_data(sheet[1].recipe["target"]["data"]) == parse("margin:2")


def test_a_registered_network_makes_a_member_again_from_its_file(tmp_path: Path) -> None:
    model = load("squeezenet1_1", weights="random")
    target = "features.2:3 + diversity(features.2, group=2)"
    picture = render(model, target, size=32, steps=2, run=CPU, out=tmp_path)[1]
    assert rerun(picture.path).same  # type: ignore[arg-type]
