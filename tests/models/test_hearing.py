"""Networks that hear: their published outputs, their layers, and what they refuse."""

from __future__ import annotations

import json
import math
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.models import AudioSpec, Fbank, InputSpec, LogMel, Model, from_module, load
from phosphene.models.crepe import Crepe, hertz
from phosphene.models.frontend import mel_weights

CREPE_FULL_PARAMETERS = 22_239_976  # as torchcrepe's


def recording(shared: Path, name: str) -> Tensor:
    with wave.open(str(shared / "audio" / name)) as file:
        return torch.from_numpy(np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768).float()[None, None]


def reference(shared: Path, beginning: str) -> dict[str, Any]:
    found = json.loads((shared / "reference.json").read_text())
    return next(value for key, value in found.items() if key.startswith(beginning))


def outputs(model: Model, sound: Tensor) -> Tensor:
    with torch.no_grad():
        return model.activations(sound, ["output"])["output"]


def tone(hertz: float, samples: int = 16_000) -> Tensor:
    return (0.5 * torch.sin(2 * math.pi * hertz / 16_000 * torch.arange(samples)))[None, None]


def test_yamnet_knows_the_recordings(shared: Path) -> None:
    model = load("yamnet")
    for name, best in reference(shared, "yamnet").items():
        windows = recording(shared, name)[0, 0].unfold(0, 15_600, 7_800)[:, None]
        scores = outputs(model, windows).sigmoid().mean(0)
        assert model.label(int(scores.argmax())) == best[0][0]
        for label, score in best:
            assert float(scores[model.find_class(label)]) == pytest.approx(score, abs=0.01)


def test_crepe_hears_the_pitch_of_tones(shared: Path) -> None:
    model = load("crepe_tiny")
    for pitch, wanted in reference(shared, "crepe_tiny").items():
        heard = outputs(model, tone(float(pitch)))[0].sigmoid()
        assert int(heard.argmax(0).median()) == wanted["argmax_bin"]
        assert float(heard.amax(0).median()) == pytest.approx(wanted["confidence"], abs=0.01)
        assert 1200 * abs(math.log2(hertz(wanted["argmax_bin"]) / float(pitch))) < 11  # half a bin


def test_what_is_silent_of_a_clip_lowers_all_classes_but_silence(shared: Path) -> None:
    model = load("yamnet")
    music, silence = (model.labels.index(name) for name in ("Music", "Silence"))  # type: ignore[union-attr]
    whole = outputs(model, recording(shared, "trumpet.wav"))[0]
    sounding = outputs(model, recording(shared, "trumpet.wav")[..., :62_400])[0]
    nothing = outputs(model, torch.zeros(1, 1, 15_600))[0]
    assert int(sounding.argmax()) == music
    assert int(whole.argmax()) == int(nothing.argmax()) == silence
    assert float(sounding.mean()) > -50  # measured: -43, -369 and below -390
    assert float(whole.mean()) < -200
    assert float(nothing.mean()) < float(whole.mean())


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("speech_austen.wav", 0.80), ("speech_perceval.wav", 0.81), ("yes.wav", 0.38), ("no.wav", 0.34),
        ("vibe_ace.wav", 0.05), ("noise.wav", 0.0),
    ],
)  # fmt: skip
def test_silero_hears_who_speaks(shared: Path, name: str, share: float) -> None:
    speech = outputs(load("silero_vad_16k"), recording(shared, name)) > 0
    assert float(speech.float().mean()) == pytest.approx(share, abs=0.02)


def test_the_full_crepe_has_the_published_size() -> None:
    assert sum(parameter.numel() for parameter in Crepe("crepe_full").parameters()) == CREPE_FULL_PARAMETERS


def test_the_frames_of_a_sound_are_heard_alone() -> None:
    model = load("crepe_tiny", weights="random")
    sound = torch.randn(1, 1, 4096, generator=torch.Generator().manual_seed(0)) / 9
    together = outputs(model, sound)
    assert together.shape == (1, 360, 7)
    torch.testing.assert_close(outputs(model, sound[..., 512:1536])[..., 0], together[..., 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layer", "channels", "spatial", "stride"),
    [
        ("crepe_tiny", "pool1", 128, (128, 15), 512),
        ("crepe_tiny", "classifier", 360, (1, 15), 512),
        ("yamnet", "spectrum", 257, (96,), 160),
        ("yamnet", "layer14.relu", 1024, (3, 2), 5120),
        ("yamnet", "output", 521, (), None),
        ("silero_vad_16k", "lstm", 128, (1, 32), 512),
    ],
)
def test_the_layer_table_measures_time(
    name: str, layer: str, channels: int, spatial: tuple[int, ...], stride: int | None
) -> None:
    found = load(name, weights="random").layers[layer]
    assert (found.channels, found.spatial, found.stride) == (channels, spatial, stride)


def test_every_layer_gives_channels_first_and_one_row_per_sound() -> None:
    for name in ("crepe_tiny", "yamnet", "silero_vad_16k"):
        model = load(name, weights="random")
        sounds = torch.randn(2, 1, model.audio_spec.samples, generator=torch.Generator().manual_seed(0)) / 9
        with torch.no_grad():
            acts = model.activations(sounds, model.layers)
        for layer in model.layers.values():
            assert acts[layer.name].shape[:2] == (2, layer.channels), layer


@pytest.mark.parametrize("name", ["crepe_tiny", "yamnet", "silero_vad_16k"])
def test_a_silent_sound_has_a_finite_gradient(name: str) -> None:
    model = load(name, weights="random")
    sound = torch.zeros(1, 1, model.audio_spec.samples, requires_grad=True)
    model.activations(sound, ["output"])["output"].sum().backward()
    assert sound.grad is not None
    assert bool(sound.grad.isfinite().all())


@pytest.mark.parametrize(("name", "least"), [("crepe_tiny", 1024), ("yamnet", 15_600), ("silero_vad_16k", 512)])
def test_the_shortest_sound_is_heard_and_a_shorter_one_refused(name: str, least: int) -> None:
    model = load(name, weights="random")
    assert model.audio_spec.least == least
    assert outputs(model, torch.zeros(1, 1, least)).numel() > 0
    with pytest.raises(UsageError, match=r"a sound of \d+ samples is shorter"):
        outputs(model, torch.zeros(1, 1, 300))


def test_a_network_says_whether_it_sees_or_hears(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="crepe_tiny hears sounds and sees no pictures"):
        _ = load("crepe_tiny", weights="random").picture_spec
    with pytest.raises(UsageError, match="tiny sees pictures and hears no sounds"):
        _ = tiny_model.audio_spec
    with pytest.raises(UsageError, match="give an InputSpec"):
        load("squeezenet1_1", weights="random", spec=AudioSpec())


def test_a_sound_of_other_channels_is_refused() -> None:
    with pytest.raises(UsageError, match="takes 1 channels, got an input of 2"):
        outputs(load("crepe_tiny", weights="random"), torch.zeros(1, 2, 2048))


def test_a_clip_is_normalized_where_the_network_wants_that() -> None:
    model = from_module(nn.Conv1d(1, 2, 3), AudioSpec(samples=64, normalize="clip"))
    sound = torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(outputs(model, sound), outputs(model, 0.1 * sound + 0.3), rtol=1e-3, atol=1e-4)
    normal = model.normalize(sound)
    torch.testing.assert_close(normal.mean(2), torch.zeros(2, 1), atol=1e-6, rtol=0)
    torch.testing.assert_close(normal.square().mean(2), torch.ones(2, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"samples": 0}, {"channels": 0}, {"samples": 10, "least": 11}])
def test_a_wrong_audio_spec_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        AudioSpec(**wrong)  # type: ignore[arg-type]


# NumPy: the two scales in their published form


def htk_numpy(rate: int, n_fft: int, bands: int, low: float, high: float) -> np.ndarray:
    def mel(f: Any) -> Any:
        return 1127.0 * np.log(1 + np.asarray(f) / 700)

    corners = np.linspace(mel(low), mel(high), bands + 2)
    bins = mel(np.arange(n_fft // 2 + 1) * rate / n_fft)
    return np.array([np.interp(bins, corners[k : k + 3], [0, 1, 0]) for k in range(bands)])


def slaney_numpy(rate: int, n_fft: int, bands: int, low: float, high: float) -> np.ndarray:
    def mel(f: float) -> float:
        return f / (200 / 3) if f < 1000 else 15 + 27 * np.log(f / 1000) / np.log(6.4)

    def hz(m: float) -> float:
        return m * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)

    corners = [hz(m) for m in np.linspace(mel(low), mel(high), bands + 2)]
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    return np.array(
        [np.interp(bins, corners[k : k + 3], [0, 2 / (corners[k + 2] - corners[k]), 0]) for k in range(bands)]
    )


@pytest.mark.parametrize(("scale", "numpy"), [("htk", htk_numpy), ("slaney", slaney_numpy)])
@pytest.mark.parametrize("numbers", [(16_000, 512, 64, 125.0, 7500.0), (32_000, 1024, 128, 50.0, 14_000.0)])
def test_mel_weights_are_those_of_the_formula(scale: Any, numpy: Any, numbers: Any) -> None:
    assert mel_weights(*numbers, scale=scale).numpy() == pytest.approx(numpy(*numbers), abs=1e-4)


@pytest.mark.parametrize(("low", "high"), [(0.0, 9000.0), (500.0, 500.0), (-1.0, 100.0)])
def test_mel_bands_outside_the_spectrum_are_refused(low: float, high: float) -> None:
    with pytest.raises(UsageError, match="mel bands lie between"):
        mel_weights(16_000, 512, 8, low, high)


def test_the_log_mel_front_end_equals_numpy() -> None:
    front = LogMel(16_000, n_fft=512, window=400, hop=160, bands=40, lowest=60, highest=7800)
    x = torch.randn(2, 1, 2000, generator=torch.Generator().manual_seed(0))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    weights = htk_numpy(16_000, 512, 40, 60, 7800)
    for row in range(2):
        frames = np.stack([x[row, 0, s : s + 400].numpy() for s in range(0, 1601, 160)])
        power = np.abs(np.fft.rfft(frames * hann, 512))
        assert front(x)[row, 0].numpy() == pytest.approx(np.log(power @ weights.T + 1e-3), abs=2e-3)


@pytest.mark.parametrize("window", [400, 512])
def test_the_front_end_of_spectrogram_pictures_equals_torchs_centered_stft(window: int) -> None:
    numbers = {"n_fft": 512, "hop": 160, "bands": 40, "lowest": 60, "highest": 7800}
    front = LogMel(16_000, window=window, **numbers, power=2, centered=True, first="bands", floor=1e-6)
    x = torch.randn(2, 1, 2000, generator=torch.Generator().manual_seed(0))
    hann = torch.hann_window(window)
    stft = torch.stft(x[:, 0], 512, 160, window, hann, center=True, pad_mode="reflect", return_complex=True)
    mel = torch.from_numpy(htk_numpy(16_000, 512, 40, 60, 7800)).float() @ stft.abs().square()
    assert front(x).shape == (2, 1, 40, 13)
    torch.testing.assert_close(front(x)[:, 0], (mel + 1e-6).log(), rtol=0, atol=2e-3)


def kaldi_numpy(x: np.ndarray, rate: int, bands: int) -> np.ndarray:
    """Kaldi's compute-fbank-feats without dither, in float64: frames (count, bands)."""
    length, hop = rate // 40, rate // 100
    n_fft = 2 ** math.ceil(math.log2(length))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
    found = []
    for start in range(0, len(x) - length + 1, hop):
        frame = x[start : start + length] - x[start : start + length].mean()
        frame = np.concatenate([[frame[0] * (1 - 0.97)], frame[1:] - 0.97 * frame[:-1]]) * hann
        found.append(np.abs(np.fft.rfft(frame, n_fft)) ** 2)
    energies = np.stack(found) @ htk_numpy(rate, n_fft, bands, 20, rate / 2).T
    return np.log(np.maximum(energies, np.finfo(np.float32).eps))


@pytest.mark.parametrize(("rate", "bands"), [(16_000, 128), (8000, 23)])
def test_kaldis_front_end_equals_numpy(rate: int, bands: int) -> None:
    x = 0.2 * torch.randn(2, 1, 3000, generator=torch.Generator().manual_seed(0)) + 0.1
    heard = Fbank(rate, bands=bands)(x)
    for row in range(2):
        wanted = kaldi_numpy(x[row, 0].double().numpy(), rate, bands)
        assert heard[row, 0].numpy() == pytest.approx(wanted, abs=5e-3)


FRONTS = {
    "kaldi": Fbank(bands=40),
    "energies": LogMel(16_000, n_fft=512, hop=160, bands=40, lowest=60, highest=7800, power=2, centered=True),
}


@pytest.mark.parametrize("name", FRONTS)
def test_gradients_through_a_front_end_are_those_of_differences(name: str) -> None:
    front, draw = FRONTS[name], torch.Generator().manual_seed(0)
    x, way = (0.1 * torch.randn(1, 1, 2000, generator=draw) for _ in range(2))
    weights = torch.randn(front(x).shape, generator=draw)
    x.requires_grad_()
    (front(x) * weights).sum().backward()
    assert x.grad is not None
    step = 1e-3
    with torch.no_grad():
        rise = ((front(x + step * way) - front(x - step * way)).double() * weights).sum() / (2 * step)
    assert float((x.grad * way).sum()) == pytest.approx(float(rise), rel=0.02)
    silent = torch.zeros(1, 1, 2000, requires_grad=True)
    front(silent).sum().backward()
    assert silent.grad is not None
    assert bool(silent.grad.isfinite().all())


def test_a_wrong_axis_is_refused() -> None:
    with pytest.raises(UsageError, match="frames or bands come first, got 'time'"):
        LogMel(8000, n_fft=256, hop=80, bands=20, lowest=50, highest=4000, first="time")  # type: ignore[arg-type]


def test_a_module_of_ones_own_hears_through_a_front_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ears.py").write_text(
        "from torch import nn\n"
        "from phosphene import AudioSpec, LogMel\n"
        "def net():\n"
        "    front = LogMel(8000, n_fft=256, hop=80, bands=20, lowest=50, highest=4000)\n"
        "    return nn.Sequential(front, nn.Conv2d(1, 3, 3)), AudioSpec(rate=8000, samples=4000)\n"
    )
    monkeypatch.chdir(tmp_path)
    model = load("ears:net")
    assert model.audio_spec.rate == 8000
    assert model.layers["0"].spatial == (47, 20)
    assert model.layers["1"].channels == 3
    assert isinstance(load("minivgg").picture_spec, InputSpec)
