"""Sounds from recordings, whole: textures, styles and reconstructions of real recordings, resumed and made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phosphene.audio import rerun
from phosphene.audio.config import SoundReconstructConfig, SoundStyleConfig, SoundTextureConfig
from phosphene.audio.reconstruct import SoundReconstructing, sound_reconstruct
from phosphene.audio.recording import Recording, read
from phosphene.audio.sound import Place
from phosphene.audio.style import sound_style_transfer
from phosphene.audio.synthesis import Worked
from phosphene.audio.texture import SoundTexturing, sound_texture
from phosphene.engine.again import read_recipe
from phosphene.errors import RecipeError, UsageError
from phosphene.media import loudness, read_sound
from phosphene.models import Model, load
from phosphene.recipe import RunConfig

QUICK = SoundTextureConfig(seconds=0.6, steps=6, style_layers="levels,width2.relu")
CPU = RunConfig("cpu", checkpoint_every=2)


@pytest.fixture(scope="module")
def ear() -> Model:
    return load("random_sound")


@pytest.fixture
def vibes(shared: Path) -> Recording:
    sound, _ = read_sound(shared / "audio" / "vibe_ace.wav", rate=16_000)
    return read(sound[:, :24_000], "style", load("random_sound"))


@pytest.mark.parametrize(("name", "statistic"), [("trumpet", "gram"), ("vibe_ace", "moments")])
def test_a_texture_is_like_its_recording_to_an_ear_that_did_not_make_it(
    shared: Path, name: str, statistic: str
) -> None:
    sound, _ = read_sound(shared / "audio" / f"{name}.wav", rate=16_000)
    made = sound_texture(sound[:, 4000:28_000], seconds=1, steps=60, statistic=statistic)  # type: ignore[arg-type]
    assert made.status == "ok"
    assert made.measured["held_out"]["share_of_white_noise"] < 0.1
    assert made.measured["copying"] < 0.9
    assert made.sound.shape == (1, 16_000)
    assert loudness(made.sound, made.rate) == pytest.approx(-23, abs=0.1)


def test_a_style_is_taken_on_and_the_content_is_kept(shared: Path) -> None:
    sounds = [read_sound(shared / "audio" / f"{name}.wav", rate=16_000)[0][:, :16_000] for name in ("yes", "trumpet")]
    made = sound_style_transfer(*sounds, steps=30)
    assert made.sound.shape == sounds[0].shape
    before = made.measured["held_out_of_content"]["distance"]
    assert made.measured["held_out"]["distance"] < 0.5 * before
    assert made.losses["content"] < made.noise["content"]


def test_shallow_layers_give_a_recording_back(shared: Path) -> None:
    sound, _ = read_sound(shared / "audio" / "trumpet.wav", rate=16_000)
    model = load("crepe_tiny")
    shallow, deep = sound_reconstruct(sound[:, :4096], model=model, layers=["relu1", "relu5"], steps=15)
    assert shallow.loss < 0.05
    assert shallow.measured["spectral_distance"] < deep.measured["spectral_distance"]
    assert shallow.measured["copying"] > deep.measured["copying"]


def test_another_seed_is_another_sound_of_any_length(ear: Model, vibes: Recording) -> None:
    sounds = []
    for seed, seconds in ((0, 0.6), (1, 0.6), (0, 0.777)):
        work = SoundTexturing(ear, vibes, replace(QUICK, seed=seed, seconds=seconds, steps=2), CPU)
        list(work)
        sounds.append(work.result().sound)
    assert not torch.equal(sounds[0], sounds[1])
    assert [one.shape[-1] for one in sounds] == [9600, 9600, 12_432]


def test_a_loop_does_not_fade_and_its_end_leads_to_its_beginning(ear: Model, vibes: Recording) -> None:
    ends = []
    for seamless in (True, False):
        work = SoundTexturing(ear, vibes, replace(QUICK, seamless=seamless), CPU)
        list(work)
        ends.append(work.result())
    loop, clip = ends
    assert (loop.seamless, clip.seamless) == (True, False)
    assert float(clip.sound[0, 0]) == 0
    assert float(loop.sound[0, :160].square().mean()) > 0.1 * float(loop.sound.square().mean())
    steps = loop.sound[0].diff().abs()
    assert abs(float(loop.sound[0, 0] - loop.sound[0, -1])) <= float(steps.max())


def test_interrupted_and_resumed_is_uninterrupted_to_the_bit(ear: Model, vibes: Recording, tmp_path: Path) -> None:
    whole = SoundTexturing(ear, vibes, QUICK, CPU)
    list(whole)
    work = SoundTexturing(ear, vibes, QUICK, CPU, folder=tmp_path)
    for event in work:
        if isinstance(event, Worked) and event.done == 3:
            work.stop()
    assert (work.result().status, work.result().steps, work.complete) == ("interrupted", 3, False)
    place = Place(tmp_path / "texture.wav")
    assert place.checkpoint.is_file()
    again = SoundTexturing(ear, vibes, QUICK, CPU, folder=tmp_path, resume=True)
    assert [event.done for event in again if isinstance(event, Worked)] == [4, 5, 6]
    assert torch.equal(again.result().sound, whole.result().sound)
    assert not place.checkpoint.parent.exists()
    found = SoundTexturing(ear, vibes, QUICK, CPU, folder=tmp_path, resume=True)
    assert len(list(found)) == 1
    assert torch.equal(found.result().sound, whole.result().sound)
    assert found.result().measured == whole.result().measured


def test_a_checkpoint_of_another_sound_is_refused(ear: Model, vibes: Recording, tmp_path: Path) -> None:
    work = SoundTexturing(ear, vibes, QUICK, CPU, folder=tmp_path)
    for event in work:
        if isinstance(event, Worked):
            work.stop()
    with pytest.raises(UsageError, match=r"begun with other settings \(method\)"):
        list(SoundTexturing(ear, vibes, replace(QUICK, seed=5), CPU, folder=tmp_path, resume=True))


def test_a_sound_is_made_again_to_the_bit_from_its_recipe(ear: Model, shared: Path, tmp_path: Path) -> None:
    file = shared / "audio" / "yes.wav"
    made = SoundReconstructing(
        ear,
        read(file, "original", ear),
        SoundReconstructConfig(steps=3, layers="width1.relu,width4.relu"),
        CPU,
        folder=tmp_path,
    )
    list(made)
    recipe = read_recipe(tmp_path / "width4.relu.wav")
    work = rerun.prepare(recipe, [file, shared / "audio" / "no.wav"])
    list(work)
    assert rerun.compare(recipe, work) == (True, ())
    with pytest.raises(RecipeError, match=r"the original recording .* not among the files"):
        rerun.prepare(recipe, [shared / "audio" / "no.wav"])
    with pytest.raises(RecipeError, match="contradict"):
        rerun.prepare({**recipe, "name": "width1.relu"}, [file])
    with pytest.raises(RecipeError, match="sensible"):
        rerun.prepare({**recipe, "method": {**recipe["method"], "steps": 10**9}}, [file])


def test_what_is_recorded_is_of_the_file(ear: Model, vibes: Recording, tmp_path: Path) -> None:
    work = SoundTexturing(ear, vibes, QUICK, CPU, folder=tmp_path)
    list(work)
    sound, _ = read_sound(tmp_path / "texture.wav", rate=16_000)
    other = SoundTexturing(ear, vibes, QUICK, CPU)
    assert other.measured(sound)["copying"] == pytest.approx(work.result().measured["copying"], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"content_weight": 0.0, "style_weight": 0.0}, "both 0"),
        ({"steps": 0}, "at least 1"),
        ({"loudness": -3.0}, "so that no sound hurts"),
        ({"start": "nowhere"}, "no start"),
        ({"lr": float("nan")}, "finite"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SoundStyleConfig(**settings)  # type: ignore[arg-type]
