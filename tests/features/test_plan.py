"""What was asked becomes what will be done, and everything that can be wrong is found before any work."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError, UsageError
from phosphene.features.plan import Plan, kept_steps, named, plan, resolved, start_picture
from phosphene.media import quantize
from phosphene.models import InputSpec, Model, from_module
from phosphene.objectives import Channel, Logit, Opacity, parse
from phosphene.recipe import RenderConfig, SignalConfig, TransformConfig

SMALL = RenderConfig(size=32)


def order_of(work: Plan) -> list[str]:
    return [str(work.groups[group].take([row])) for group, row in work.order]


def test_targets_of_one_shape_share_a_group_and_keep_their_order(tiny_model: Model) -> None:
    asked = ["features.2:5", "logit:3", "features.2:1 - 0.5*tv", "features.2:7,2", "logit:0"]
    work = plan(tiny_model, asked, SMALL)
    assert [group.rows for group in work.groups] == [3, 2, 1]
    assert order_of(work) == [
        "features.2:5",
        "logit:3",
        "features.2:1 - 0.5*tv",
        "features.2:7",
        "features.2:2",
        "logit:0",
    ]


def test_a_target_without_units_that_is_asked_for_twice_is_one_row_shown_twice(tiny_model: Model) -> None:
    work = plan(tiny_model, ["features.2", "features.2"], SMALL)
    assert work.rows == 1
    assert order_of(work) == ["features.2", "features.2"]


def test_the_canvas_is_the_networks_own_size_unless_given(tiny_model: Model) -> None:
    assert plan(tiny_model, "logit:1", RenderConfig()).canvas == (32, 32)
    assert plan(tiny_model, "features.2:1", RenderConfig(size=(24, 40))).canvas == (24, 40)


def test_nothing_to_render_is_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="nothing to render"):
        plan(tiny_model, [], SMALL)


def test_a_picture_too_large_to_be_read_back_is_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="megapixels"):
        plan(tiny_model, "features.0:1", RenderConfig(size=(100_000, 100_000)))


def test_with_an_alpha_channel_a_unit_counts_where_it_is_opaque(tiny_model: Model) -> None:
    alpha = replace(SMALL, signal=SignalConfig(alpha=True))
    assert str(plan(tiny_model, "features.2:1", alpha).groups[0]) == "features.2:1 * (1 - opacity)"
    own = Channel("features.2", (1,)) - 2 * Opacity()
    assert plan(tiny_model, own, alpha).groups[0] == own


def test_opacity_without_an_alpha_channel_is_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="--alpha"):
        plan(tiny_model, "features.2:1 * (1 - opacity)", SMALL)


def test_the_size_that_an_error_names_works_and_the_one_below_does_not(squeezenet: Model) -> None:
    with pytest.raises(UsageError, match=r"4 x 4 as far as features\.12; --size (\d+) works") as caught:
        plan(squeezenet, "features.12:1", RenderConfig(size=4))
    side = int(str(caught.value).split("--size ")[1].split()[0])
    assert plan(squeezenet, "features.12:1", RenderConfig(size=side)).canvas == (side, side)
    with pytest.raises(UsageError):
        plan(squeezenet, "features.12:1", RenderConfig(size=side - 8))


class OwnSizeOnly(nn.Module):
    """A network of one size, as vision transformers are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2:] == (20, 36), "wrong size"
        return self.conv(x)


def test_a_network_of_one_size_names_it(tiny_model: Model) -> None:
    model = from_module(OwnSizeOnly(), InputSpec(size=(20, 36)), name="fixed")
    with pytest.raises(UsageError, match="--size 20x36 works"):
        plan(model, "conv:1", RenderConfig(size=32))


def test_a_position_outside_the_layer_at_this_size_is_refused(tiny_model: Model) -> None:
    assert plan(tiny_model, "features.0:1@15,15", SMALL).rows == 1
    with pytest.raises(UsageError, match=r"outside features\.0"):
        plan(tiny_model, "features.0:1@15,15", RenderConfig(size=16))


def test_one_picture_beyond_memory_is_one_clear_error(tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(Model, "activations", full)
    with pytest.raises(PhospheneError, match="out of memory at one picture of 32 x 32; use a smaller --size"):
        plan(tiny_model, "features.0:1", SMALL)


def test_a_plan_writes_out_every_preset(tiny_model: Model) -> None:
    config = resolved(RenderConfig(transform=TransformConfig(transforms="strong")))
    assert (config.transform.jitter, config.transform.rotate, config.optimizer.lr) == (16, 20, 0.05)
    assert plan(tiny_model, "logit:1", config).config == replace(config, size=(32, 32))


def test_class_numbers_get_their_names_where_these_are_unambiguous(tiny_net: nn.Module) -> None:
    labels = ("cat", "crane", "crane", "7", "great white shark", *"fghij")
    model = from_module(tiny_net, InputSpec(size=(32, 32)), labels=labels)
    tree = parse("logit:0 - 0.5*prob:4 + logit:1 + logit:3 + features.2:3").bind(model)
    assert str(named(tree, model)) == 'logit:cat - 0.5*prob:"great white shark" + logit:1 + logit:3 + features.2:3'
    assert parse(str(named(tree, model))).bind(model) == tree


def test_a_network_without_labels_keeps_its_numbers(tiny_model: Model) -> None:
    assert named(Logit((3,)), tiny_model) == Logit((3,))


def test_frames_crowd_at_the_start_and_end_with_the_last_step() -> None:
    kept = sorted(kept_steps((5,), 4, 64))
    assert kept == [4, 5, 16, 36, 64]


@pytest.mark.parametrize(("snapshots", "frames"), [((0,), 0), ((65,), 0), ((), -1)])
def test_frames_beyond_the_run_are_refused(snapshots: tuple[int, ...], frames: int) -> None:
    with pytest.raises(UsageError):
        kept_steps(snapshots, frames, 64)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("given", [3, 4])
def test_a_start_picture_gets_the_size_and_channels_of_the_signal(tiny_model: Model, alpha: bool, given: int) -> None:
    work = plan(tiny_model, "features.2:1", RenderConfig(size=(16, 24), signal=SignalConfig(alpha=alpha)))
    init = torch.rand(given, 16, 24, generator=torch.Generator().manual_seed(0))
    start = start_picture(init, work)
    assert start is not None
    assert start.shape == (3 + alpha, 16, 24)
    assert torch.equal(start[:3], quantize(init[:3]))
    assert start_picture(torch.rand(3, 50, 10), work).shape == start.shape  # type: ignore[union-attr]


def test_a_start_picture_of_other_channels_is_refused(tiny_model: Model) -> None:
    work = plan(tiny_model, "features.2:1", SMALL)
    for shape in ((1, 32, 32), (5, 32, 32), (32, 32)):
        with pytest.raises(UsageError, match="start picture"):
            start_picture(torch.zeros(shape), work)
