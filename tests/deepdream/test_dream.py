"""A dream: more of what the network sees, measured on the saved picture, made again from its recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import phosphene as ph
from phosphene.deepdream.api import Dream, dream, seen
from phosphene.deepdream.config import DreamConfig
from phosphene.deepdream.dreaming import Dreamed, Dreaming, Frame
from phosphene.deepdream.rerun import prepare
from phosphene.engine.again import read_recipe
from phosphene.errors import RecipeError, UsageError
from phosphene.media import read_picture, to_tensor
from phosphene.models import InputSpec, Model, from_module, load
from phosphene.models.weights import weights_sha256
from phosphene.recipe import RunConfig, from_json, to_json

SMALL = DreamConfig(size=48, octaves=2, steps=3, jitter=2.0)
EXACT = RunConfig(device="cpu", precision="float32")


def picture(height: int = 40, width: int = 56) -> Tensor:
    """Broad shades with some grain."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 4, 5, generator=generator)
    broad = nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    return (0.2 + 0.5 * broad + 0.1 * torch.rand(3, height, width, generator=generator)).clamp(0, 1)


def dreamt(model: Model, **options: Any) -> Dream:
    return dream(picture(), model=model, **{"config": SMALL, "run": EXACT, **options})


@pytest.fixture(scope="module")
def model() -> Model:
    return load("minivgg")


@pytest.mark.parametrize("layers", ["relu3_1", "relu3_1:5", "relu2_1, relu4_1"])
@pytest.mark.parametrize("signal", ["fourier", "pixels"])
def test_a_dream_raises_the_score_of_the_picture(model: Model, layers: str, signal: Any) -> None:
    made = dream(picture(), model=model, layers=layers, config=DreamConfig(48, signal=signal), run=EXACT)  # type: ignore[arg-type]
    assert made.after > made.before
    assert made.status == "ok"


def test_the_score_is_what_the_plain_network_gives_for_the_saved_file(model: Model, tmp_path: Path) -> None:
    made = dreamt(model, layers="relu3_1").save(tmp_path / "dream.png")
    assert made.path is not None
    read = to_tensor(read_picture(made.path))
    assert torch.equal(read, made.pixels)
    act = model.activations(read[None], ["relu3_1"])["relu3_1"]
    assert made.after == pytest.approx(float(act.square().mean()), rel=1e-4)
    assert made.recipe["result"]["score"] == made.after


def test_the_picture_stays_to_be_seen_in_the_dream(model: Model) -> None:
    made = dream(picture(), model=model, config=DreamConfig(size=56), run=EXACT)
    both = torch.stack([made.pixels.flatten(), picture().flatten()])
    assert 0.5 < float(torch.corrcoef(both)[0, 1]) < 0.99


@pytest.mark.parametrize(
    ("size", "config", "expected"),
    [((40, 56), {}, (40, 56)), ((40, 56), {"size": 28}, (20, 28)), ((300, 1024), {"octaves": 1}, (150, 512))],
)
def test_the_size_is_the_pictures_own_unless_it_is_named_or_large(
    model: Model, size: tuple[int, int], config: dict[str, int], expected: tuple[int, int]
) -> None:
    assert Dreaming(model, picture(*size), DreamConfig(**config), EXACT).size == expected  # type: ignore[arg-type]


def test_noise_is_a_square_of_the_networks_size_and_of_the_seed(model: Model) -> None:
    work = [Dreaming(model, None, DreamConfig(seed=seed), EXACT) for seed in (0, 0, 1)]
    assert work[0].size == model.spec.size
    assert torch.equal(work[0].picture, work[1].picture)
    assert not torch.equal(work[0].picture, work[2].picture)
    assert dream("noise", model=model, config=SMALL, run=EXACT).size == (48, 48)


def test_the_same_seed_gives_the_same_pixels_and_leaves_the_network_alone(model: Model) -> None:
    before = weights_sha256(model.net)
    first, again = dreamt(model), dreamt(model)
    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, dreamt(model, seed=1).pixels)
    assert weights_sha256(model.net) == before


def test_octaves_run_coarse_to_fine_with_the_steps_of_each(model: Model) -> None:
    work = Dreaming(model, picture(64, 96), DreamConfig(octaves=3, steps=2, ratio=1.5), EXACT)
    events = [event for event in work if isinstance(event, Dreamed)]
    assert [event.size for event in events] == [(43, 64)] * 2 + [(64, 96)] * 2  # the third would be under 32 pixels
    assert [event.done for event in events] == [1, 2, 3, 4]
    assert {event.total for event in events} == {4}


def test_a_guide_leads_the_dream_elsewhere(model: Model) -> None:
    guide = picture(32, 32).flip(1)
    led = dreamt(model, layers="relu3_1", guide=guide)
    assert led.after > led.before
    assert led.target == "guided(relu3_1)"
    assert not torch.equal(led.pixels, dreamt(model, layers="relu3_1").pixels)


def test_a_film_begins_with_the_dream(model: Model, tmp_path: Path) -> None:
    alone = dreamt(model)
    film = dreamt(model, zoom=3)
    assert len(film.frames) == 4
    assert torch.equal(film.frames[0], film.pixels)
    assert torch.equal(film.pixels, alone.pixels)  # how long the film is changes nothing in the dream
    for before, frame in zip(film.frames, film.frames[1:], strict=False):
        assert float((frame - before).abs().mean()) > 0.01
    for suffix in (".webp", ".gif"):
        with Image.open(film.save_film(tmp_path / f"film{suffix}")) as file:
            assert file.n_frames == 4  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="there is no film"):
        alone.save_film(tmp_path / "film.webp")


def test_a_film_keeps_the_tones_of_its_dream(model: Model) -> None:
    first, *_, last = dreamt(model, config=DreamConfig(size=48, octaves=1, steps=12, lr=0.05), zoom=10).frames
    assert torch.allclose(last.mean((1, 2)), first.mean((1, 2)), atol=0.02)
    assert torch.allclose(last.std((1, 2)), first.std((1, 2)), atol=0.02)


@pytest.mark.parametrize("after", [1, 4])
def test_a_dream_that_is_stopped_is_whole_and_says_so(model: Model, after: int) -> None:
    work = Dreaming(model, picture(64, 96), DreamConfig(octaves=2, steps=3), EXACT, frames=3)
    frames = []
    for event in work:
        if isinstance(event, Dreamed) and event.done == after:
            work.stop()
        elif isinstance(event, Frame):
            frames.append(event.picture)
    assert [tuple(frame.shape) for frame in frames] == [(3, 64, 96)]
    assert (work.status, work.reason) == ("interrupted", f"stopped after {after} of 6 steps")
    assert not torch.equal(frames[0], work.picture[0])


class Blind(nn.Module):
    """A network that sees nothing: its only layer gives zero for every picture."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)
        nn.init.zeros_(self.layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


def test_a_dream_of_nothing_is_degenerate_and_not_an_unchanged_picture_without_a_word() -> None:
    blind = from_module(Blind(), InputSpec(size=(32, 32)), name="blind")
    made = dream(picture(), model=blind, layers="layer:0", config=DreamConfig(octaves=1, steps=2), run=EXACT)
    assert (made.status, made.reason) == ("degenerate", "layer:0 gives no gradient on this picture")


@pytest.mark.parametrize("zoom", [0, 2])
def test_a_dream_is_made_again_from_its_recipe_to_the_bit(model: Model, tmp_path: Path, zoom: int) -> None:
    files = [tmp_path / "guide.png", tmp_path / "picture.png"]
    for file, pixels in zip(files, (picture(32, 32).flip(2), picture()), strict=True):
        Image.fromarray((pixels * 255).to(torch.uint8).permute(1, 2, 0).numpy()).save(file)
    options: dict[str, Any] = {"model": model, "config": SMALL, "run": EXACT, "layers": "relu2_1,relu3_1"}
    made = dream(files[1], guide=files[0], zoom=zoom, **options).save(tmp_path / "dream.png")
    assert made.path is not None
    recipe = read_recipe(made.path)
    assert recipe == json.loads(made.path.with_suffix(".json").read_text())
    again = prepare(recipe, files)  # in any order
    assert again.work.frames == 1
    for _ in again.work:
        pass
    redreamt, same, differences = again.result()
    assert same
    assert torch.equal(redreamt.pixels, made.pixels)
    assert differences == ()


def test_a_rerun_names_the_picture_that_is_missing_and_refuses_what_cannot_be(model: Model) -> None:
    recipe = dreamt(model).recipe
    with pytest.raises(RecipeError, match=r"the picture that was dreamed on .* add it with --input FILE"):
        prepare(recipe)
    for method in ({"steps": 10**9}, {"octaves": 1000}, {"size": 10**6}, {"layers": "nowhere"}, {"ratio": 0.5}):
        noise = {**recipe, "inputs": {"picture": None, "guide": None}, "method": {**recipe["method"], **method}}
        with pytest.raises(RecipeError):
            prepare(noise)
    with pytest.raises(RecipeError, match="kind 'style'"):
        prepare({**recipe, "kind": "style"})


def test_the_settings_go_through_json() -> None:
    config = DreamConfig("relu3_1", 64, 3, 1.5, 7, 0.02, 4.0, "pixels", 5)
    assert from_json(DreamConfig, to_json(config), where="method") == config


@pytest.mark.parametrize(
    "options",
    [{"octaves": 0}, {"steps": 0}, {"size": 1}, {"ratio": 1.0}, {"lr": 0.0}, {"jitter": -1.0}, {"signal": "maco"}],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        DreamConfig(**options)


@pytest.mark.parametrize(
    "source",
    [torch.rand(2, 20, 20), torch.rand(3, 4, 20), torch.full((3, 20, 20), 2.0), torch.full((3, 9, 9), torch.nan)],
)
def test_pictures_that_are_none_are_refused(source: Tensor) -> None:
    with pytest.raises(UsageError):
        seen(source)


def test_transparency_is_laid_over_white() -> None:
    clear = torch.cat([torch.zeros(3, 16, 16), torch.zeros(1, 16, 16)])
    assert torch.equal(seen(clear), torch.ones(3, 16, 16))
    assert seen(torch.rand(1, 16, 16)).shape == (3, 16, 16)


def test_a_network_that_is_not_for_color_is_refused() -> None:
    gray = from_module(nn.Sequential(nn.Conv2d(1, 2, 3)), InputSpec(channels=1, size=(16, 16), mean=(0.5,), std=(0.5,)))
    with pytest.raises(UsageError, match="takes 1 channel"):
        Dreaming(gray, picture(), DreamConfig("0"), EXACT)


def test_a_size_that_the_network_cannot_look_at_is_told(model: Model) -> None:
    with pytest.raises(UsageError, match="cannot look at 8x8 pixels"):
        Dreaming(model, picture(16, 16), DreamConfig("relu5_1", size=8), EXACT)
    wide = from_module(nn.Sequential(nn.Conv2d(3, 2, 40)), InputSpec(size=(48, 48)), name="wide")
    assert Dreaming(wide, picture(48, 48), DreamConfig("0", octaves=1), EXACT).sizes == [(48, 48)]
    with pytest.raises(UsageError, match="wide cannot look at 34x34 pixels"):
        Dreaming(wide, picture(48, 48), DreamConfig("0", octaves=2), EXACT)


def test_dream_is_the_function() -> None:
    assert ph.dream is dream
    assert ph.DreamConfig is DreamConfig
