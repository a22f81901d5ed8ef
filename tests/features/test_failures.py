"""Pictures and networks that fail: each says why, and leaves the others alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError
from phosphene.features.render import render
from phosphene.models import InputSpec, Model, from_module
from phosphene.recipe import OptimizerConfig, RenderConfig, RunConfig

CPU = RunConfig(device="cpu", precision="float32")


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
