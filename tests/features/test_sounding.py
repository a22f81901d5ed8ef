"""Sounds for units, whole: planted optima are found, clips are what their recipes say, real networks agree."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import RecipeError, UsageError
from phosphene.features import sound_rerun
from phosphene.features.audio_config import AudioConfig
from phosphene.features.clip import Clip, samples_sha256
from phosphene.features.sound import render_sound
from phosphene.features.sounding import Sounding
from phosphene.media import loudness, read_sound, true_peak
from phosphene.media.loudness import HIGHEST_PEAK
from phosphene.metadata import parse_untrusted_json, read_recipe_text
from phosphene.models import AudioSpec, InputSpec, Model, from_module, load
from phosphene.models.crepe import hertz
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


@pytest.mark.parametrize("signal", ["stft", "fourier", "samples"])
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


def test_directions_diversity_and_negatives_are_heard(ears: Model) -> None:
    vector = ", ".join(["1", "-1", "0"])
    targets = [f"direction(filters, [{vector}])", "-logit:0", "filters:1 + 0.1*diversity(filters, group=2)", "filters"]
    clips = render_sound(ears, targets, config=QUICK)
    assert [clip.status for clip in clips] == ["ok"] * 5
    assert not torch.equal(clips[2].sound, clips[3].sound)
    assert clips[2].target != clips[3].target


def test_an_interrupted_rendering_keeps_its_clips(ears: Model) -> None:
    work = Sounding(ears, "logit:0,1", replace(QUICK, steps=50), RunConfig())
    for event in work:
        if not isinstance(event, Clip) and event.step.i == 3:
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


def test_a_pitch_that_was_asked_for_is_heard(shared: Path) -> None:
    heard_as_asked({660: PITCHES[660]}, steps=48)


def test_silero_hears_speech_where_it_was_asked_for_and_none_where_it_was_not(shared: Path) -> None:
    model = load("silero_vad_16k")
    more, less = render_sound(model, ["logit:speech", "-logit:speech"], config=AudioConfig(steps=32, seconds=0.512))
    assert more.activation > 0 > less.activation


def test_yamnet_ranks_the_class_that_was_asked_for_first_but_for_its_parents(shared: Path) -> None:
    model = load("yamnet")
    (clip,) = render_sound(model, "logit:Bird", config=AudioConfig(steps=64))
    with torch.no_grad():
        scores = model.activations(clip.sound[None], ["output"])["output"][0]
    before = {model.label(i) for i in range(521) if scores[i] > scores[model.find_class("Bird")]}
    assert before <= {"Animal", "Wild animals", "Bird vocalization, bird call, bird song"}
