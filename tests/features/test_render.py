"""Rendering end to end: honest numbers, bits that depend on nothing but the request, and failures that say so."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from phosphene.features.render import Done, Progress, Rendering, render
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
