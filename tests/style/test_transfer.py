"""The transfer itself: identity, resumption, regions, sizes, and what it says of pictures that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.engine.checkpoint import read_state, write_state
from phosphene.errors import PhospheneError, UsageError
from phosphene.media import read_pixels
from phosphene.models import Model, load
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.heldout import judged
from phosphene.style.ladder import resized
from phosphene.style.transfer import Job, Painted, ScaleBegun, StepDone, Style, Transfer, paint

CPU = RunConfig(device="cpu")


@pytest.fixture(scope="module")
def vgg() -> Model:
    """VGG-19's layers by name, with seeded random weights."""
    return load("vgg19_cd16x", weights="random")


def waves(height: int = 48, width: int = 64, *, seed: int = 0) -> Tensor:
    """(3, h, w) a smooth colorful picture."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 8, generator=generator)
    return resized(coarse, (height, width))[0]


def job(**changes: Any) -> Job:
    return Job(**{"content": waves(), "styles": (Style(waves(40, 40, seed=1)),), **changes})


def finish(transfer: Transfer) -> Painted:
    *_, last = transfer
    assert isinstance(last, Painted)
    return last


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * float(torch.log10((one - other).square().mean()))


def test_the_style_of_the_content_itself_gives_the_content_back(shared: Path) -> None:
    photograph = read_pixels(shared / "images" / "content" / "chelsea.jpg").pixels
    config = StyleConfig(size=96, smallest=48, steps=6)
    painted = paint(load("vgg19_cd16x"), Job(photograph, (Style(photograph),)), config, CPU)
    expected = resized(photograph[None], tuple(painted.picture.shape[1:]))[0]  # type: ignore[arg-type]
    assert psnr(painted.picture, expected) > 30


def test_the_losses_fall_and_are_those_of_the_picture(vgg: Model) -> None:
    config = StyleConfig(size=48, smallest=0, steps=6)
    transfer = Transfer(vgg, job(), config, CPU)
    painted = finish(transfer)
    totals = [total for _, _, total in painted.history]
    assert len(totals) == len(painted.traces) == 6
    assert totals[-1] < totals[0]
    ledger = transfer.ledger(len(transfer.sizes) - 1)
    with torch.no_grad():
        acts = transfer.model.activations(painted.picture[None], ledger.layers - {"input"})
        ledger({"input": painted.picture[None], **acts}, torch.zeros(1, dtype=torch.int64))
    assert list(painted.losses.values()) == pytest.approx(ledger.best().tolist(), rel=1e-4)
    assert painted.evaluations >= 6


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("stop_after", [2, 4, 7])
def test_resumed_equals_unbroken_to_the_bit(vgg: Model, tmp_path: Path, optimizer: Any, stop_after: int) -> None:
    config = StyleConfig(size=48, smallest=32, steps=4, optimizer=optimizer, average=0.5)
    whole = finish(Transfer(vgg, job(), config, CPU))
    first = Transfer(vgg, job(), config, CPU)
    steps = 0
    for event in first:
        if isinstance(event, StepDone):
            steps += 1
            if steps == stop_after:
                first.stop()
                write_state(tmp_path / "state", first.state())
    second = Transfer(vgg, job(), config, CPU)
    second.resume(read_state(tmp_path / "state"))
    painted = finish(second)
    assert torch.equal(painted.picture, whole.picture)
    assert painted.history == whole.history
    assert painted.evaluations == whole.evaluations
    assert painted.losses == whole.losses


def test_stopping_keeps_the_picture_as_it_is(vgg: Model) -> None:
    transfer = Transfer(vgg, job(), StyleConfig(size=48, smallest=0, steps=50), CPU)
    for event in transfer:
        if isinstance(event, StepDone):
            transfer.stop()
            now = transfer.current()
    assert isinstance(event, Painted)
    assert event.status == "interrupted"
    assert torch.equal(event.picture, now)


@pytest.mark.parametrize("shape", [(48, 64), (37, 51), (61, 23), (23, 90)])
def test_any_aspect_and_size_is_painted(vgg: Model, shape: tuple[int, int]) -> None:
    config = StyleConfig(size=71, smallest=0, steps=1)
    painted = paint(vgg, job(content=waves(*shape)), config, CPU)
    longer = max(shape)
    assert painted.picture.shape[1:] == (round(shape[0] * 71 / longer), round(shape[1] * 71 / longer))


def test_styles_are_never_stretched(vgg: Model) -> None:
    """A wide style of vertical stripes keeps their period: as the picture itself at that size."""
    transfer = Transfer(vgg, job(styles=(Style(waves(20, 80, seed=2)),)), StyleConfig(size=64, style_scale=1.5), CPU)
    seen: list[torch.Size] = []
    plain = transfer.model.activations
    transfer.model.activations = lambda x, layers: seen.append(x.shape) or plain(x, layers)  # type: ignore[method-assign,func-returns-value]
    transfer.ledger(0)
    assert torch.Size((1, 3, 24, 96)) in seen


def test_the_ladder_begins_at_the_same_scale_whatever_its_end(vgg: Model) -> None:
    begun = [
        [
            e.size
            for e in Transfer(vgg, job(), StyleConfig(size=size, smallest=32, steps=1), CPU)
            if isinstance(e, ScaleBegun)
        ]
        for size in (48, 64)
    ]
    assert begun[0][0] == begun[1][0] == (24, 32)
    assert begun[0][1:] == [(36, 48)]
    assert begun[1][1:] == [(34, 45), (48, 64)]


def test_details_of_the_content_survive_the_ladder_unless_they_are_switched_off(vgg: Model) -> None:
    generator = torch.Generator().manual_seed(4)
    fine = (waves() + 0.1 * torch.rand(3, 48, 64, generator=generator)).clamp(0, 1)
    kept, lost = (
        paint(
            vgg, job(content=fine), StyleConfig(size=64, smallest=24, steps=1, style_weight=0.0, details=on), CPU
        ).picture
        for on in (True, False)
    )
    assert psnr(kept, fine) > psnr(lost, fine) + 3


def test_what_is_left_alone_stays_as_it_is(vgg: Model) -> None:
    left = torch.zeros(1, 48, 64)
    left[:, :, :30] = 1
    painted = paint(vgg, job(leave=left), StyleConfig(size=64, smallest=0, steps=4), CPU)
    content = waves()
    assert torch.allclose(painted.picture[:, :, :30], content[:, :, :30], atol=1e-6)
    assert not torch.allclose(painted.picture[:, :, 34:], content[:, :, 34:], atol=0.02)


def test_a_region_takes_its_own_style(vgg: Model) -> None:
    """Red for the left half, blue for the right: each half leans to its color."""
    left = torch.zeros(1, 48, 64)
    left[:, :, :32] = 1
    red, blue = torch.zeros(3, 40, 40), torch.zeros(3, 40, 40)
    red[0], blue[2] = 0.9, 0.9
    styles = (Style(red, region="left"), Style(blue, region="right"))
    regions = {"left": left, "right": 1 - left}
    painted = paint(
        vgg, job(styles=styles, regions=regions), StyleConfig(size=64, smallest=0, steps=15, content_weight=0.0), CPU
    )
    difference = painted.picture[0] - painted.picture[2]
    assert difference[:, :28].mean() > difference[:, 36:].mean() + 0.2


def test_transparency_of_the_content_is_kept(vgg: Model) -> None:
    alpha = torch.linspace(0, 1, 64).expand(1, 48, 64)
    painted = paint(vgg, job(content=torch.cat([waves(), alpha])), StyleConfig(size=64, smallest=0, steps=1), CPU)
    assert painted.picture.shape == (4, 48, 64)
    assert torch.equal(painted.picture[3:], alpha)


def test_what_is_transparent_of_a_style_does_not_count(vgg: Model) -> None:
    alpha = torch.zeros(1, 40, 40)
    alpha[:, 10:30, 10:30] = 1
    style = torch.cat([waves(40, 40, seed=1), alpha])
    masked = job(styles=(Style(style[:3] * alpha + (1 - alpha), part=alpha),))
    config = StyleConfig(size=48, smallest=0, steps=2)
    assert torch.equal(
        paint(vgg, job(styles=(Style(style),)), config, CPU).picture, paint(vgg, masked, config, CPU).picture
    )


def test_luminance_only_keeps_the_chroma_of_the_content(vgg: Model) -> None:
    painted = paint(vgg, job(), StyleConfig(size=64, smallest=0, steps=4, keep_colors="luminance"), CPU)
    luma = torch.tensor((0.299, 0.587, 0.114))
    chroma = [x - torch.einsum("c,chw->hw", luma, x) for x in (painted.picture, waves())]
    cosine = torch.cosine_similarity(*(x.flatten() for x in chroma), dim=0)
    assert cosine > 0.98  # what leaves the gamut loses chroma


@pytest.mark.parametrize("start", ["content", "noise", "white", "style"])
def test_every_start_is_a_start(vgg: Model, start: str) -> None:
    painted = paint(vgg, job(), StyleConfig(size=48, smallest=0, steps=1, start=start), CPU)
    assert painted.status == "ok"


@pytest.mark.parametrize("signal", ["fourier", "pixels"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_white_picture_does_not_stay_white(vgg: Model, signal: str, optimizer: str) -> None:
    config = StyleConfig(size=48, smallest=0, steps=3, start="white", signal=signal, optimizer=optimizer)
    painted = paint(vgg, job(), config, CPU)
    assert painted.picture.min() < 0.95
    assert painted.history[-1][2] < painted.history[0][2]


def test_two_seeds_of_noise_are_two_pictures_and_one_is_one(vgg: Model) -> None:
    pictures = [
        paint(vgg, job(), StyleConfig(size=48, smallest=0, steps=1, start="noise", seed=seed), CPU).picture
        for seed in (0, 0, 1)
    ]
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.allclose(pictures[0], pictures[2], atol=0.05)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"content": torch.rand(2, 30, 30)}, "content picture has shape"),
        ({"content": torch.full((3, 30, 30), float("nan"))}, "NaN or values outside"),
        ({"styles": (Style(2 * torch.ones(3, 30, 30)),)}, "style 1 picture has NaN or values outside"),
        ({"styles": (Style(waves(), weight=-1.0),)}, "weight of style 1"),
        ({"styles": (Style(waves(), weight=float("nan")),)}, "weight of style 1"),
        ({"styles": (Style(waves(), weight=0.0),)}, "all 0"),
        ({"styles": (Style(waves(), region="sky"),)}, "has no mask"),
        ({"styles": (Style(waves(), part=torch.zeros(1, 48, 64)),)}, "black"),
        ({"content": waves(4, 400)}, "pixels"),
    ],
)
def test_what_cannot_be_painted_is_told_before_any_step(vgg: Model, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Transfer(vgg, job(**changes), StyleConfig(size=48, smallest=0), CPU)


def test_a_state_of_another_run_is_refused(vgg: Model) -> None:
    transfer = Transfer(vgg, job(), StyleConfig(size=48, smallest=0, steps=2), CPU)
    with pytest.raises(PhospheneError, match="not of this run"):
        transfer.resume({"scale": 0})


def test_the_network_is_left_as_it_was(vgg: Model) -> None:
    before = {name: value.clone() for name, value in vgg.net.state_dict().items()}
    paint(vgg, job(), StyleConfig(preset="gatys2015", size=48, steps=1), CPU)
    assert all(torch.equal(value, before[name]) for name, value in vgg.net.state_dict().items())
    assert not vgg.variant
    assert not vgg.channel_scales


def test_adam_leaves_no_grain(shared: Path) -> None:
    """Another network sees the style come nearer. Grain, which the optimized one does not mind, takes it away again."""
    content, style = (
        read_pixels(shared / "images" / kind).pixels for kind in ("content/chelsea.jpg", "style/starry_night.jpg")
    )
    work = Job(content, (Style(style),))
    painted = paint(load("vgg19_cd16x"), work, StyleConfig(size=96, smallest=0, steps=30, optimizer="adam"), CPU)
    assert judged(load("squeezenet1_1"), work, painted.picture).removed > 0.4
