"""Rendering end to end: honest numbers, bits that depend on nothing but the request, and failures that say so."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from phosphene.engine import Loop
from phosphene.errors import PhospheneError, UsageError
from phosphene.features import rendering as rendering_module
from phosphene.features.render import Done, Notice, Progress, Rendering, render
from phosphene.features.store import WORK, Store
from phosphene.media import pixels_sha256, quantize
from phosphene.models import InputSpec, Model, from_module
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig, SignalConfig, TransformConfig

CPU = RunConfig(device="cpu", precision="float32")
IMAGENET = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, None, :, None, None]


def loaded(path: Path) -> Tensor:
    """A saved picture as a stranger reads it, normalised as torchvision documents: (1, 3, h, w)."""
    with Image.open(path) as image:
        levels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    return (torch.from_numpy(levels).permute(2, 0, 1)[None] - IMAGENET[0]) / IMAGENET[1]


STRANGER: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "features.7:5": lambda net, x: net.features[:8](x)[0, 5].mean(),  # type: ignore[index, operator]
    "features.7:1@2,3": lambda net, x: net.features[:8](x)[0, 1, 2, 3],  # type: ignore[index, operator]
    "logit:goldfish": lambda net, x: net(x)[0, 1],
    "prob:goldfish": lambda net, x: net(x).softmax(1)[0, 1],
}


def test_the_recorded_activation_is_what_a_stranger_measures(squeezenet: Model, shared: Path, tmp_path: Path) -> None:
    import torchvision
    from safetensors.torch import load_file

    plain = torchvision.models.squeezenet1_1(weights=None).eval()
    plain.load_state_dict(load_file(shared / "models" / "squeezenet1_1.safetensors"))
    sheet = render(squeezenet, list(STRANGER), size=64, steps=10, run=CPU, out=tmp_path)
    for picture in sheet:
        with torch.no_grad():
            found = float(STRANGER[picture.target](plain, loaded(picture.path)))  # type: ignore[arg-type]
        assert picture.activation == pytest.approx(found, rel=1e-4)
        assert picture.recipe["result"]["activation"] == picture.activation
        assert picture.status == "ok"


def test_optimising_beats_the_start(tiny_model: Model) -> None:
    first = render(tiny_model, "features.2:0..3", steps=1, run=CPU)
    last = render(tiny_model, "features.2:0..3", steps=32, run=CPU)
    assert all(b.activation > a.activation + 0.2 for a, b in zip(first, last, strict=True))


def test_the_network_is_left_as_it_is(tiny_net: nn.Module) -> None:
    tiny_net.train()
    before = copy.deepcopy(tiny_net.state_dict())
    render(from_module(tiny_net, InputSpec(size=(32, 32))), ["features.3:1", "logit:2"], steps=3, run=CPU)
    after = tiny_net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert tiny_net.training
    assert all(p.requires_grad and p.grad is None for p in tiny_net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in tiny_net.modules())


def test_a_fixed_batch_shape_makes_a_picture_independent_of_its_company(tiny_model: Model) -> None:
    shaped = replace(CPU, batch_shape=4)
    many = render(tiny_model, "features.2:0..5", steps=20, run=shaped)
    alone = render(tiny_model, "features.2:5", steps=20, run=shaped)
    other = render(tiny_model, "features.2:9,5,1", steps=20, run=shaped)
    assert torch.equal(many[5].pixels, alone[0].pixels)
    assert torch.equal(other[1].pixels, alone[0].pixels)
    assert not torch.equal(many[4].pixels, alone[0].pixels)


def test_a_fixed_batch_shape_holds_on_a_real_network(squeezenet: Model) -> None:
    shaped = replace(CPU, batch_shape=3)
    many = render(squeezenet, "features.7:1,5,9", size=64, steps=8, run=shaped)
    alone = render(squeezenet, "features.7:9", size=64, steps=8, run=shaped)
    assert torch.equal(many[2].pixels, alone[0].pixels)


def test_pictures_come_in_the_order_of_the_targets(tiny_model: Model) -> None:
    sheet = render(tiny_model, ["features.2:5", "logit:1", "features.2:0"], steps=1, run=CPU)
    assert [picture.target for picture in sheet] == ["features.2:5", "logit:1", "features.2:0"]
    assert [picture.unit for picture in sheet] == [5, 1, 0]
    assert [picture.layer for picture in sheet] == ["features.2", "output", "features.2"]


def test_another_seed_is_another_picture_and_the_same_seed_the_same(tiny_model: Model) -> None:
    first, again, other = (render(tiny_model, "logit:1", steps=4, seed=s, run=CPU)[0].pixels for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_networks_of_any_number_of_channels_are_rendered(channels: int, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU())
    model = from_module(net, InputSpec(channels=channels, size=(24, 24), mean=(0.0,), std=(1.0,)))
    picture = render(model, "0:1", steps=4, run=CPU, out=tmp_path)[0]
    assert picture.pixels.shape == (channels, 24, 24)
    assert picture.path is not None
    assert picture.path.with_suffix(".npy").exists() == (channels not in (1, 3, 4))


def test_every_signal_transform_and_optimizer_goes_through(tiny_model: Model) -> None:
    configs = [
        RenderConfig(steps=4, signal=SignalConfig(signal="pixels")),
        RenderConfig(steps=4, transform=TransformConfig(transforms="none")),
        RenderConfig(steps=4, transform=TransformConfig(crops=3, noise=0.1, fill="gray")),
        RenderConfig(steps=4, optimizer=OptimizerConfig(optimizer="lbfgs")),
    ]
    pictures = [render(tiny_model, "features.2:2,5", config=config, run=CPU)[1] for config in configs]
    assert {picture.status for picture in pictures} == {"ok"}
    assert len({pixels_sha256(picture.pixels) for picture in pictures}) == len(configs)


def test_lbfgs_takes_one_picture_at_a_time_whatever_the_batch(tiny_model: Model) -> None:
    config = RenderConfig(steps=3, optimizer=OptimizerConfig(optimizer="lbfgs"))
    shaped = render(tiny_model, "features.2:2,5", config=config, run=replace(CPU, batch_shape=4))
    plain = render(tiny_model, "features.2:2,5", config=config, run=CPU)
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(shaped, plain, strict=True))
    assert shaped[0].recipe["batch_shape"] == 1


def test_an_alpha_channel_makes_pictures_of_four_channels(tiny_model: Model, tmp_path: Path) -> None:
    config = RenderConfig(steps=4, signal=SignalConfig(alpha=True))
    picture = render(tiny_model, "features.2:3", config=config, run=CPU, out=tmp_path)[0]
    assert picture.target == "features.2:3 * (1 - opacity)"
    with Image.open(picture.path) as image:  # type: ignore[arg-type]
        assert image.mode == "RGBA"
    assert picture.layer == "features.2"


@pytest.mark.parametrize(("given", "alpha"), [(3, False), (4, False), (3, True), (4, True)])
def test_a_run_starts_from_its_start_picture(tiny_model: Model, given: int, alpha: bool) -> None:
    init = torch.rand(given, 32, 32, generator=torch.Generator().manual_seed(3))
    config = RenderConfig(steps=1, optimizer=OptimizerConfig(lr=1e-6), signal=SignalConfig(alpha=alpha))
    picture = render(tiny_model, "features.2:3", config=config, run=CPU, init=init)[0]
    assert picture.pixels.shape[0] == 3 + alpha
    assert float((picture.pixels[:3] - quantize(init[:3])).abs().max()) < 2 / 255
    assert len(picture.recipe["inputs"]["init_sha256"]) == 64


def test_snapshots_and_frames_show_the_way(tiny_model: Model, tmp_path: Path) -> None:
    sheet = render(tiny_model, "features.2:3,4", steps=9, run=CPU, snapshots=(1, 4), frames=3, out=tmp_path)
    names = sorted(file.name for file in tmp_path.glob("features.2-3.*"))
    assert names == [f"features.2-3.{end}" for end in ("json", "png", "step00001.png", "step00004.png", "webp")]
    assert [step for step, _ in sheet[0].frames] == [1, 4, 9]
    assert torch.equal(sheet[0].frames[-1][1], sheet[0].pixels)
    short = render(tiny_model, "features.2:3", config=RenderConfig(steps=9), run=CPU)[0]
    assert torch.equal(short.pixels, sheet[0].pixels) or sheet[0].recipe["batch_shape"] == 2


class Wild(nn.Module):
    """Layers that fail in their own ways. `units`: 0 works, 1 is dead. `roots` are NaN, `large` is infinite."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.units, self.roots, self.large = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv(x)
        units = self.units(torch.cat([a[:, :1], torch.relu(a[:, 1:] - 1e9)], 1))
        roots = self.roots(torch.sqrt(a - 1e9))
        return units + roots + self.large((a * 1e30) * 1e30)


@pytest.fixture
def wild() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return from_module(Wild(), InputSpec(size=(24, 24)), name="wild")


@pytest.mark.parametrize("redirect", [True, False])
def test_a_failed_picture_says_why_and_leaves_the_others_alone(wild: Model, tmp_path: Path, redirect: bool) -> None:
    config = RenderConfig(steps=10, optimizer=OptimizerConfig(redirect=redirect))
    sheet = render(wild, ["units:0,1", "roots:0", "large:0"], config=config, run=CPU, out=tmp_path)
    assert [picture.status for picture in sheet] == ["ok", "degenerate", "degenerate", "degenerate"]
    assert "silent" in sheet[1].reason
    assert "finite at step 1" in sheet[2].reason
    assert sheet[3].reason
    alone = render(wild, "units:0", config=config, run=replace(CPU, batch_shape=2))
    assert torch.equal(alone[0].pixels, sheet[0].pixels)
    assert [picture.recipe["result"]["activation"] is None for picture in sheet] == [False, False, True, True]
    assert [file.exists() for file in (tmp_path / "roots-0.png", tmp_path / "sheet.png")] == [True, True]


def test_a_step_size_beyond_numbers_is_a_failed_picture(tiny_model: Model) -> None:
    config = RenderConfig(steps=4, optimizer=OptimizerConfig(lr=3e38))
    picture = render(tiny_model, "features.2:3", config=config, run=CPU)[0]
    assert picture.status == "degenerate"


def test_a_unit_that_woke_at_the_end_is_no_failure(squeezenet: Model) -> None:
    picture = render(squeezenet, "features.12:3", size=64, steps=12, run=CPU)[0]
    assert (picture.activation > 0) == (picture.status == "ok")


class Cut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).detach()


def test_a_network_that_cuts_the_graph_is_one_clear_error() -> None:
    with pytest.raises(PhospheneError, match="no gradient can flow from output:1"):
        render(from_module(Cut(), InputSpec(size=(24, 24))), "output:1", steps=2, run=CPU)


class Memory:
    """Stands in for a device that holds so many pictures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, holds: int) -> None:
        self.shapes: list[int] = []
        whole = Loop.step

        def step(loop: Loop, i: int) -> Tensor:
            self.shapes.append(loop.signal.rows)
            if loop.signal.rows > holds:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(loop, i)

        monkeypatch.setattr(Loop, "step", step)


def test_a_batch_that_runs_out_of_memory_is_halved_once_and_says_so(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = render(tiny_model, "features.2:0..3", steps=2, run=replace(CPU, batch=2))
    memory = Memory(monkeypatch, holds=2)
    sheet = render(tiny_model, "features.2:0..3", steps=2, run=replace(CPU, batch=4))
    assert memory.shapes == [4, 2, 2, 2, 2]
    assert sheet.notices == ("out of memory at 4 pictures a batch; going on with 2",)
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(sheet, expected, strict=True))


@pytest.mark.parametrize(
    ("run", "hint"),
    [
        (replace(CPU, batch=4), "at 2 pictures of 32 x 32 a batch; use a smaller --batch or --size"),
        (replace(CPU, batch=1), "at 1 pictures of 32 x 32 a batch; use a smaller --size"),
        (replace(CPU, batch_shape=4), "at 4 pictures of 32 x 32 a batch; use a smaller --batch-shape or"),
    ],
)
def test_a_second_time_it_is_a_clear_error(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch, run: RunConfig, hint: str
) -> None:
    Memory(monkeypatch, holds=0)
    with pytest.raises(PhospheneError, match=f"out of memory {hint}"):
        render(tiny_model, "features.2:0..3", steps=2, run=run)


def test_another_error_of_the_network_is_not_taken_for_memory(tiny_model: Model, monkeypatch: Any) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Loop, "step", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        render(tiny_model, "features.2:0", steps=2, run=CPU)


def test_events_tell_what_is_done_of_how_much(tiny_model: Model) -> None:
    rendering = Rendering(tiny_model, "features.2:0..2", RenderConfig(steps=3), replace(CPU, batch=2))
    events = list(rendering)
    steps = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in steps] == [2, 4, 6, 7, 8, 9]
    assert {(event.total, event.batches) for event in steps} == {(9, 2)}
    assert [event.picture.target for event in events if isinstance(event, Done)] == [
        f"features.2:{i}" for i in range(3)
    ]
    assert rendering.complete


THREE = "features.2:0..2"
LONG = RenderConfig(steps=12)


def stored(
    model: Model, folder: Path, *, resume: bool = False, run: RunConfig | None = None, config: RenderConfig = LONG
) -> Rendering:
    run = run or replace(CPU, batch=2, checkpoint_every=4)
    return Rendering(model, THREE, config, run, store=Store(folder, resume=resume))


def stop_at(rendering: Rendering, done: int) -> Iterator[object]:
    for event in rendering:
        yield event
        if isinstance(event, Progress) and event.done >= done:
            rendering.stop()


@pytest.mark.parametrize("done", [2, 10, 24, 29])  # picture-steps: first step, mid-batch, a batch's end, second batch
def test_stopped_and_resumed_is_uninterrupted_to_the_bit(tiny_model: Model, tmp_path: Path, done: int) -> None:
    unbroken = stored(tiny_model, tmp_path / "a")
    list(unbroken)
    first = stored(tiny_model, tmp_path / "b")
    list(stop_at(first, done))
    assert not first.complete
    assert [p.status for p in first.sheet()] == (["ok", "ok", "interrupted"] if done > 24 else first_statuses(done))
    again = stored(tiny_model, tmp_path / "b", resume=True)
    notices = [event.text for event in again if isinstance(event, Notice)]
    assert again.complete
    assert bool(notices) == (done != 24)
    expected = [pixels_sha256(p.pixels) for p in unbroken.sheet()]
    assert [pixels_sha256(p.pixels) for p in again.sheet()] == expected
    assert not (tmp_path / "b" / WORK).exists()


def first_statuses(done: int) -> list[str]:
    return ["ok", "ok"] if done == 24 else ["interrupted"] * 2


def test_finished_pictures_are_not_made_again(tiny_model: Model, tmp_path: Path, monkeypatch: Any) -> None:
    list(stop_at(stored(tiny_model, tmp_path), 29))
    made: list[set[int]] = []
    whole = rendering_module.optimize

    def counted(objective: Any, *parts: Any, **options: Any) -> Any:
        made.append(set(objective.units))
        return whole(objective, *parts, **options)

    monkeypatch.setattr(rendering_module, "optimize", counted)
    again = stored(tiny_model, tmp_path, resume=True)
    list(again)
    assert made == [{2}]
    assert [picture.path is not None for picture in again.sheet()] == [True] * 3
    list(stored(tiny_model, tmp_path, resume=True))
    assert made == [{2}]


@pytest.mark.parametrize(
    ("config", "run", "part"),
    [
        (RenderConfig(steps=12, seed=1), None, "method"),
        (RenderConfig(steps=13), None, "method"),
        (RenderConfig(steps=12, size=24), None, "method"),
        (LONG, replace(CPU, batch_shape=2), "batch_shape"),
    ],
)
def test_another_rendering_is_not_resumed(
    tiny_model: Model, tmp_path: Path, config: RenderConfig, run: RunConfig | None, part: str
) -> None:
    list(stop_at(stored(tiny_model, tmp_path), 10))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(UsageError, match=f"another rendering \\(its {part} differ"):
        stored(tiny_model, tmp_path, resume=True, config=config, run=run)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_lbfgs_is_resumed_to_the_bit(tiny_model: Model, tmp_path: Path) -> None:
    config = RenderConfig(steps=8, optimizer=OptimizerConfig(optimizer="lbfgs"))
    unbroken = stored(tiny_model, tmp_path / "a", config=config)
    list(unbroken)
    list(stop_at(stored(tiny_model, tmp_path / "b", config=config), 5))
    again = stored(tiny_model, tmp_path / "b", config=config, resume=True)
    list(again)
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(again.sheet(), unbroken.sheet(), strict=True))


def test_frames_from_before_an_interruption_are_kept(tiny_model: Model, tmp_path: Path) -> None:
    def filming(resume: bool) -> Rendering:
        run = replace(CPU, batch=2)
        return Rendering(tiny_model, THREE, LONG, run, frames=3, store=Store(tmp_path, resume=resume))

    list(stop_at(filming(False), 20))
    again = filming(True)
    list(again)
    assert [step for step, _ in again.sheet()[0].frames] == [1, 5, 12]


def test_a_batch_that_was_halved_is_resumed(tiny_model: Model, tmp_path: Path, monkeypatch: Any) -> None:
    run = replace(CPU, batch=4, checkpoint_every=4)
    memory = Memory(monkeypatch, holds=2)
    first = stored(tiny_model, tmp_path, run=run)
    list(stop_at(first, 29))
    again = stored(tiny_model, tmp_path, run=run, resume=True)
    events = list(again)
    assert again.complete
    assert [event.text for event in events if isinstance(event, Notice)][-1] == "batch 2 resumes at step 5"
    assert memory.shapes.count(3) == 2


def test_a_keyboard_interrupt_gives_the_pictures_as_they_are(
    tiny_model: Model, tmp_path: Path, monkeypatch: Any
) -> None:
    whole = Loop.step

    def step(loop: Loop, i: int) -> Tensor:
        if i == 5:
            raise KeyboardInterrupt
        return whole(loop, i)

    monkeypatch.setattr(Loop, "step", step)
    sheet = render(tiny_model, THREE, steps=12, run=CPU, out=tmp_path)
    assert [(p.status, p.steps) for p in sheet] == [("interrupted", 5)] * 3
    assert (tmp_path / "sheet.png").exists()


def test_a_wrong_request_leaves_no_folder(tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        render(tiny_model, "features.2:99", out=tmp_path / "new", run=CPU)
    assert not (tmp_path / "new").exists()
