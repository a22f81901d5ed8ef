"""Sounds for units, whole: planted optima are found, clips are what their recipes say, real networks agree."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import RecipeError, UsageError
from phosphene.features import sound_rerun
from phosphene.features.audio_config import AudioConfig
from phosphene.features.clip import Clip, samples_sha256
from phosphene.features.diversity import compared_layer
from phosphene.features.events import Notice, Progress
from phosphene.features.sound import render_sound
from phosphene.features.sounding import Sounding
from phosphene.features.store import SoundStore
from phosphene.media import loudness, read_sound, true_peak
from phosphene.media.loudness import HIGHEST_PEAK
from phosphene.metadata import parse_untrusted_json, read_recipe_text
from phosphene.models import AudioSpec, InputSpec, Model, from_module, load
from phosphene.models.crepe import hertz
from phosphene.objectives import parse
from phosphene.recipe import RunConfig

RATE = 16_000
BAND = 0.02  # half width of the planted bands, in cycles per sample
QUICK = AudioConfig(steps=4, seconds=0.25)
PITCHES = {110: 108, 220: 168, 330: 203, 440: 228, 660: 263, 880: 288}  # Hz and the nearest bin of CREPE


class Ears(nn.Module):
    """Planted: units 0..2 are the power in bands around 0.05, 0.15 and 0.3 cycles per sample; units 3 and 4 are the
    match with a sweep upwards and downwards.
    """

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 3, 129, bias=False)
        self.sweeps = nn.Conv1d(1, 4, 2048, bias=False)
        t = torch.arange(-64, 65)
        window = torch.hann_window(129, periodic=False)
        tones = [torch.cos(2 * math.pi * f * t) * window for f in (0.05, 0.15, 0.3)]
        self.filters.weight.data = torch.stack(tones)[:, None] / 32
        s = torch.arange(2048) / 2048
        up = 2 * math.pi * 2048 * (0.05 * s + 0.1 * s**2)  # from 0.05 to 0.25 cycles per sample
        pairs = torch.stack([up.cos(), up.sin(), up.flip(0).cos(), up.flip(0).sin()])
        self.sweeps.weight.data = (pairs * torch.hann_window(2048))[:, None] / 512

    def forward(self, wave: Tensor) -> Tensor:
        bands = self.filters(wave).square().mean(2)
        match = self.sweeps(wave).square().mean(2)
        return torch.cat([bands, match.view(-1, 2, 2).sum(2)], 1)


@pytest.fixture(scope="module")
def ears() -> Model:
    return from_module(Ears().eval(), AudioSpec(rate=RATE, samples=4096, least=2048), name="ears")


def yin(sound: Tensor, rate: int) -> np.ndarray:
    """Pitch in Hz of windows of 64 ms, by the difference function (de Cheveigne and Kawahara 2002), from 60 Hz up."""
    x, half, longest = sound[0].double().numpy(), 1024, 270
    found = []
    for start in range(0, len(x) - half - longest, 512):
        part = x[start : start + half + longest]
        difference = np.array([((part[:half] - part[lag : lag + half]) ** 2).sum() for lag in range(longest)])
        mean = difference * np.arange(longest) / np.maximum(np.cumsum(difference), 1e-12)
        mean[0] = 1
        dips = [k for k in range(9, longest - 1) if mean[k] < 0.3 and mean[k - 1] >= mean[k] <= mean[k + 1]]
        lag = dips[0] if dips else int(mean[9:-1].argmin()) + 9
        a, b, c = mean[lag - 1 : lag + 2]
        found.append(rate / (lag + (a - c) / 2 / (a - 2 * b + c)))
    return np.array(found)


@pytest.mark.parametrize("signal", ["stft", "modulated", "fourier", "samples"])
def test_a_planted_band_is_found(ears: Model, signal: str) -> None:
    config = AudioConfig(steps=64, signal=signal, still=True)  # type: ignore[arg-type]
    for clip, center in zip(render_sound(ears, "logit:0..2", config=config), (0.05, 0.15, 0.3), strict=True):
        power = torch.fft.rfft(clip.sound[0]).abs().square()
        frequencies = torch.fft.rfftfreq(clip.sound.shape[-1])
        inside = (frequencies - center).abs() < BAND
        assert float(power[inside].sum() / power.sum()) > 0.9
        assert clip.status == "ok"


def test_a_planted_sweep_goes_its_way(ears: Model) -> None:
    up, down = render_sound(ears, "logit:3,4", config=AudioConfig(steps=96, seconds=0.144))

    def slope(clip: Clip) -> float:
        spectrum = torch.stft(clip.sound[0], 256, 64, window=torch.hann_window(256), return_complex=True).abs().square()
        centers = (spectrum * torch.arange(129)[:, None]).sum(0) / spectrum.sum(0)
        loud = spectrum.sum(0) > 0.2 * spectrum.sum(0).max()
        return float(np.polyfit(torch.arange(len(centers))[loud].numpy(), centers[loud].numpy(), 1)[0])

    assert slope(up) > 0.1
    assert slope(down) < -0.1


def test_a_clip_is_what_a_stranger_measures(ears: Model, tmp_path: Path) -> None:
    (clip,) = render_sound(ears, "logit:1", config=replace(QUICK, steps=16)).save(tmp_path)
    assert clip.path is not None
    sound, notes = read_sound(clip.path, rate=RATE)
    assert notes == ()
    with torch.no_grad():
        heard = ears.net(sound[None])[0, 1]
    assert float(heard) == pytest.approx(clip.activation, rel=1e-3)


@pytest.mark.parametrize("level", [-16.0, -30.0])
def test_no_clip_is_louder_than_it_says_nor_above_full_scale(ears: Model, level: float) -> None:
    for clip in render_sound(ears, ["logit:0", "-logit:1"], config=replace(QUICK, loudness=level)):
        assert loudness(clip.sound, RATE) == pytest.approx(clip.loudness)
        assert clip.loudness <= level + 0.05
        assert true_peak(clip.sound) <= 10 ** (HIGHEST_PEAK / 20) + 1e-4
        assert float(clip.sound[0, 0]) == float(clip.sound[0, -1]) == 0


def test_the_recipe_is_in_the_wav_and_makes_the_same_clip(ears: Model, tmp_path: Path) -> None:
    clips = render_sound(ears, "logit:0..2", config=QUICK, run=RunConfig(batch_shape=2)).save(tmp_path)
    path = clips[1].path
    assert path is not None
    path.with_suffix(".json").unlink()  # the one inside is enough
    recipe = parse_untrusted_json(read_recipe_text(path))
    assert recipe["kind"] == "sound"
    assert str(tmp_path) not in json.dumps(recipe)
    work = sound_rerun.prepare(recipe, model=ears, weights=None, device="cpu", anyway=False)
    for _ in work:
        pass
    clip, same, differences = sound_rerun.compare(recipe, work)
    assert same
    assert differences == ()
    assert samples_sha256(clip.sound) == recipe["result"]["samples_sha256"]


def test_a_batch_of_clips_equals_each_alone(ears: Model) -> None:
    run = RunConfig(batch_shape=3)
    together = render_sound(ears, ["logit:0", "logit:1", "logit:2"], config=QUICK, run=run)
    alone = render_sound(ears, "logit:2", config=QUICK, run=run)[0]
    assert torch.equal(together[2].sound, alone.sound)


def test_nothing_is_faint_noise_and_not_silence(ears: Model) -> None:
    (clip,) = render_sound(ears, "logit:0", config=QUICK)
    blank = clip.blank()
    assert blank.shape == clip.sound.shape
    assert float(blank.square().mean().sqrt()) == pytest.approx(1e-3, rel=0.05)
    assert torch.equal(blank, clip.blank())


def test_directions_diversity_and_negatives_are_heard(ears: Model) -> None:
    vector = ", ".join(["1", "-1", "0"])
    targets = [f"direction(filters, [{vector}])", "-logit:0", "filters:1 + 0.1*diversity(filters, group=2)", "filters"]
    clips = render_sound(ears, targets, config=QUICK)
    assert [clip.status for clip in clips] == ["ok"] * 5
    assert not torch.equal(clips[2].sound, clips[3].sound)
    assert clips[2].target != clips[3].target


def tone(hertz: float = 440.0, seconds: float = 0.25) -> Tensor:
    return 0.1 * torch.sin(2 * math.pi * hertz / RATE * torch.arange(round(seconds * RATE)))[None]


@pytest.mark.parametrize("weight", [0.5, "auto"])
def test_clips_of_one_unit_differ_and_each_is_made_again_from_its_recipe(ears: Model, weight: Any) -> None:
    clips = render_sound(ears, "logit:0", config=QUICK, diversity=2, diversity_weight=weight)
    assert len({samples_sha256(clip.sound) for clip in clips}) == 2
    assert ["1 of 2" in clips[0].target, "2 of 2" in clips[1].target] == [True, True]
    work = sound_rerun.prepare(clips[1].recipe, model=ears, weights=None, device="cpu", anyway=False)
    for _ in work:
        pass
    assert sound_rerun.compare(clips[1].recipe, work)[1]


def test_clips_of_a_class_are_compared_before_the_classes(ears: Model) -> None:
    assert compared_layer(ears, parse("logit:0").bind(ears)) == "sweeps"
    crepe = load("crepe_tiny", weights="random")  # its classes have a place, the frame
    assert compared_layer(crepe, parse("logit:228").bind(crepe)) == "pool6"


def test_a_clip_starts_from_the_recording_that_it_is_given(ears: Model) -> None:
    (clip,) = render_sound(ears, "logit:1", config=replace(QUICK, steps=1, lr=1e-9, seconds=None), init=tone())
    middle = slice(200, -200)  # the file's own ends fade
    heard, given = clip.sound[0, middle], tone()[0, middle]
    heard = heard * (given @ heard) / heard.square().sum()
    assert float((heard - given).square().mean() / given.square().mean()) < 1e-4


def test_a_clip_that_is_held_near_its_recording_stays_nearer(ears: Model) -> None:
    def distance(clip: Clip) -> float:
        layer = [ears.activations(sound[None], ["filters"])["filters"] for sound in (clip.sound, held)]
        return float((layer[0] - layer[1]).square().sum() / layer[1].square().sum())

    held = render_sound(ears, "logit:1", config=replace(QUICK, steps=1, lr=1e-9), init=tone())[0].sound
    config = replace(QUICK, steps=24)
    free = render_sound(ears, "logit:1", config=config, init=tone())[0]
    bound = render_sound(ears, "logit:1", config=config, init=tone(), near="filters", near_weight=10.0)[0]
    assert distance(bound) < 0.5 * distance(free)


def test_a_clip_from_a_recording_is_made_again_from_that_one_alone(ears: Model) -> None:
    (clip,) = render_sound(ears, "logit:1", config=QUICK, init=tone())

    def again(init: Tensor | None) -> bool:
        work = sound_rerun.prepare(clip.recipe, model=ears, weights=None, device="cpu", anyway=False, init=init)
        for _ in work:
            pass
        return sound_rerun.compare(clip.recipe, work)[1]

    assert again(tone())
    for wrong, reason in ((None, "--init FILE"), (tone(450), "not the one that the recipe names")):
        with pytest.raises(RecipeError, match=reason):
            again(wrong)


@pytest.mark.parametrize(
    ("init", "seconds", "reason"),
    [
        (tone().expand(2, -1), None, r"must be \(1, samples\)"),
        (tone(), 0.5, "lasts 0.25 s, less than the 0.5 s"),
        (tone(seconds=61), None, "a clip 60 s at most"),
        (tone(seconds=0.1), None, "2048 samples"),
        (0 * tone(), None, "silence"),
    ],
)
def test_a_recording_that_does_not_fit_is_refused(
    ears: Model, init: Tensor, seconds: float | None, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        Sounding(ears, "logit:0", AudioConfig(seconds=seconds, steps=1), RunConfig(), init=init)


@pytest.mark.parametrize("target", ["logit:0..2", "logit:0 + 0.1*diversity(filters, group=2)"])
def test_interrupted_and_resumed_equals_uninterrupted(ears: Model, tmp_path: Path, target: str) -> None:
    config = replace(QUICK, steps=6)
    whole = render_sound(ears, target, config=config, run=RunConfig(batch=2))
    first = Sounding(ears, target, config, RunConfig(batch=2), store=SoundStore(tmp_path))
    for event in first:
        if isinstance(event, Progress) and event.batch == len(whole) // 3 and event.step.i == 3:
            first.stop()  # in the second batch, where there are two
    assert not first.complete
    files = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.wav")}
    second = Sounding(ears, target, config, RunConfig(batch=2), store=SoundStore(tmp_path, resume=True))
    said = [event.text for event in second if isinstance(event, Notice)]
    assert said == [f"batch {1 + len(whole) // 3} resumes at step 3"]
    assert second.complete
    for made, clip in zip(second.clips(), whole, strict=True):
        assert torch.equal(made.sound, clip.sound)
        assert made.path is not None
        assert (made.target, made.activation, made.loudness) == (clip.target, clip.activation, clip.loudness)
        assert made.path.is_file()
    if len(whole) == 3:  # the first batch was there already
        assert all((tmp_path / name).stat().st_mtime_ns == files[name] for name in ("logit-0.wav", "logit-1.wav"))
    assert not (tmp_path / ".phosphene").exists()


def test_a_folder_of_other_clips_is_not_resumed(ears: Model, tmp_path: Path) -> None:
    work = Sounding(ears, "logit:0", QUICK, RunConfig(), store=SoundStore(tmp_path))
    for _ in work:
        work.stop()
    with pytest.raises(UsageError, match="its method, inputs differ"):
        Sounding(
            ears, "logit:0", replace(QUICK, seed=1), RunConfig(), store=SoundStore(tmp_path, resume=True), init=tone()
        )


def test_an_interrupted_rendering_keeps_its_clips(ears: Model) -> None:
    work = Sounding(ears, "logit:0,1", replace(QUICK, steps=50), RunConfig())
    for event in work:
        if isinstance(event, Progress) and event.step.i == 3:
            work.stop()
    assert [(clip.status, clip.steps) for clip in work.clips()] == [("interrupted", 3)] * 2
    assert not work.complete


def test_the_network_is_left_as_it_was(ears: Model) -> None:
    before = {name: value.clone() for name, value in ears.net.state_dict().items()}
    render_sound(ears, "logit:0", config=QUICK)
    assert all(torch.equal(before[name], value) for name, value in ears.net.state_dict().items())
    assert not any(module._forward_hooks for module in ears.net.modules())


def test_a_silent_unit_is_degenerate_and_says_so() -> None:
    net = nn.Sequential(nn.Conv1d(1, 2, 9), nn.ReLU())
    net[0].weight.data.zero_()  # type: ignore[union-attr, operator]
    net[0].bias.data.fill_(-1)  # type: ignore[union-attr, operator]
    (clip,) = render_sound(from_module(net, AudioSpec(samples=2000)), "1:0", config=AudioConfig(steps=2))
    assert clip.status == "degenerate"
    assert "silent" in clip.reason


@pytest.mark.parametrize(
    ("targets", "config", "reason"),
    [
        ("logit:99", QUICK, "no class 99"),
        ("nothing:0", QUICK, "no layer 'nothing'"),
        ("logit:0 - l2", QUICK, "price of pictures"),
        ("logit:0", AudioConfig(seconds=0.01), r"0.01 s is shorter than the 0.128 s \(2048 samples\)"),
        ("logit:0", AudioConfig(high=9000), "8000 Hz at most"),
        ([], QUICK, "nothing to render"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    ears: Model, targets: str | list[str], config: AudioConfig, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        Sounding(ears, targets, config, RunConfig())


@pytest.mark.parametrize(
    "wrong",
    [{"loudness": -10.0}, {"seconds": 0.0}, {"steps": 0}, {"lr": -1.0}, {"low": 500.0, "high": 100.0}, {"level": 3.0}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        AudioConfig(**wrong)  # type: ignore[arg-type]


def test_a_network_that_sees_makes_no_sounds(tiny_model: Model) -> None:
    assert isinstance(tiny_model.spec, InputSpec)
    with pytest.raises(UsageError, match="sees pictures and hears no sounds"):
        render_sound(tiny_model, "logit:0")


@pytest.mark.parametrize("change", [{"kind": "feature"}, {"batch_shape": 10**9}, {"target": {"text": "logit:0"}}])
def test_a_recipe_from_a_stranger_is_checked(ears: Model, change: dict[str, object]) -> None:
    (clip,) = render_sound(ears, "logit:0", config=QUICK)
    with pytest.raises(RecipeError):
        sound_rerun.prepare(clip.recipe | change, model=ears, weights=None, device=None, anyway=False)


def heard_as_asked(pitches: dict[int, int], *, steps: int) -> None:
    """A clip for each bin of CREPE is heard at its pitch by YIN, within 50 cents, and by the network itself."""
    model = load("crepe_tiny")
    clips = render_sound(
        model, [f"logit:{k}" for k in pitches.values()], config=AudioConfig(steps=steps, seconds=0.256)
    )
    for clip, k in zip(clips, pitches.values(), strict=True):
        with torch.no_grad():
            scores = model.activations(clip.sound[None], ["output"])["output"][0].sigmoid()
        assert abs(int(scores.argmax(0).median()) - k) <= 1, clip.target
        assert 1200 * abs(math.log2(float(np.median(yin(clip.sound, RATE))) / hertz(k))) < 50, clip.target


def test_pitches_that_were_asked_for_are_heard(shared: Path) -> None:
    heard_as_asked(PITCHES, steps=24)


def test_silero_hears_speech_where_it_was_asked_for_and_none_where_it_was_not(shared: Path) -> None:
    model = load("silero_vad_16k")
    more, less = render_sound(model, ["logit:speech", "-logit:speech"], config=AudioConfig(steps=32, seconds=0.512))
    assert more.activation > 0 > less.activation


def test_yamnet_ranks_first_the_class_that_was_asked_for_and_few_places_hold_the_power(shared: Path) -> None:
    model = load("yamnet")
    (clip,) = render_sound(model, "logit:Siren", config=AudioConfig(steps=64))
    assert clip.target == "logit:Siren + 3*margin:Siren"
    with torch.no_grad():
        scores = model.activations(clip.sound[None], ["output"])["output"][0]
    assert model.label(int(scores.argmax())) == "Siren"
    assert clip.standing is not None
    assert clip.standing.rank == 1
    power = torch.stft(clip.sound[0], 512, 128, window=torch.hann_window(512), return_complex=True).abs().square()
    loudest = power.flatten().sort(descending=True).values[: power.numel() // 20]
    assert float(loudest.sum() / power.sum()) > 0.6  # of white noise 0.2
