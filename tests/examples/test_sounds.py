"""A scan of recordings finds what the plain network hears, where it hears it, and tells what it could not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phosphene.errors import PhospheneError, UsageError
from phosphene.examples.config import ScanConfig
from phosphene.examples.header import IndexFileError
from phosphene.examples.hearing import hearings
from phosphene.examples.index import Index, merge
from phosphene.examples.recordings import REST, Recordings, begins
from phosphene.examples.scan import Scan, scan
from phosphene.media import read_sound
from phosphene.media.wav import to_levels, wav_bytes
from phosphene.models import AudioSpec, Model, from_module, load

RATE, PIECE = 8000, 4000
STRIDE, WIDTH = 16, 64
SMALL = ScanConfig(top=4, sample=8, batch=3)
SAME = 1e-5  # of a unit's largest score: what another batch shape rounds differently
Content = Callable[[Index], dict[str, bytes]]


def clicker() -> Model:
    """A network whose first unit is the mean of |wave| over 64 samples, every 16, and whose second is 0."""
    net = nn.Sequential(nn.Identity(), Magnitude(), nn.Conv1d(1, 2, WIDTH, stride=STRIDE, bias=False), nn.ReLU())
    with torch.no_grad():
        net[2].weight.copy_(torch.tensor([1.0, 0.0])[:, None, None].expand(2, 1, WIDTH) / WIDTH)  # type: ignore[operator,union-attr]
    return from_module(net, AudioSpec(rate=RATE, samples=PIECE, least=WIDTH), name="clicker")


class Magnitude(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


def written(file: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(wav_bytes(to_levels(np.atleast_2d(wave)), rate))
    return file


def humming(seconds: float, *clicks: tuple[float, float]) -> np.ndarray:
    """A faint tone with bursts of 32 samples: (second, level)."""
    wave = 0.01 * np.sin(0.3 * np.arange(round(seconds * RATE)))
    for second, level in clicks:
        at = round(second * RATE)
        wave[at : at + 32] = level * np.where(np.arange(32) % 2, 1, -1)
    return wave


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good recordings in two folders, and five that are none."""
    root = tmp_path / "data"
    written(root / "a" / "long.wav", humming(1.6, (0.2, 0.3), (1.31, 0.9)))
    written(root / "b" / "one.wav", humming(0.5, (0.1, 0.6)))
    written(root / "silent.wav", np.zeros(PIECE))
    written(root / "short.wav", humming(0.5)[: WIDTH - 1])
    written(root / "empty.wav", np.zeros(0))
    (root / "text.wav").write_text("no sound")
    samples = humming(0.5).astype("<f4")
    samples[7] = np.nan
    body = samples.tobytes()
    head = b"WAVEfmt " + np.array([16, 3 | 1 << 16, RATE, RATE * 4, 4 | 32 << 16], "<u4").tobytes()
    data = head + b"data" + np.array([len(body)], "<u4").tobytes() + body
    (root / "nan.wav").write_bytes(b"RIFF" + np.array([len(data)], "<u4").tobytes() + data)
    (root / "notes.txt").write_text("not looked at")
    return root


def test_clicks_are_found_at_their_second_of_their_recording(folder: Path) -> None:
    index = scan(clicker(), folder, layers=["2"], config=SMALL)
    best = index.top("2", 0, k=3)
    assert [one.key for one in best] == ["a/long.wav@001.00000s", "b/one.wav@000.00000s", "a/long.wav@000.00000s"]
    for one, second, level in zip(best, (1.31, 0.1, 0.2), (0.9, 0.6, 0.3), strict=True):
        assert one.seconds == pytest.approx(second + 16 / RATE, abs=WIDTH / RATE)
        assert one.score == pytest.approx(level / 2, rel=0.05)
    assert index.statistics("2", 0).best_class == "b"


def test_what_is_no_sound_is_skipped_counted_and_told(folder: Path) -> None:
    index = scan(clicker(), folder, layers=["2"], config=SMALL)
    told = dict(index.skipped)
    assert index.images == 4  # 1.6 s is three pieces of 0.5 s and a rest that is left out
    assert index.header.skipped.count == len(told) == 5
    for name, word in (
        ("silent", "silent"), ("short", "the network hears 0.008 s at once"), ("empty", "0 samples"),
        ("text", "no WAV file"), ("nan", "NaN"),
    ):  # fmt: skip
        assert word in told[f"{name}.wav@000.00000s"]
        assert "\n" not in told[f"{name}.wav@000.00000s"]
        assert str(folder) not in told[f"{name}.wav@000.00000s"]


def test_a_folder_with_nothing_to_hear_is_one_line(tmp_path: Path, folder: Path, shared: Path) -> None:
    model = clicker()
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"no sounds in .*clicker hears sounds"):
        scan(model, tmp_path / "none")
    with pytest.raises(UsageError, match=r"no data in 'textures'.*hears sounds"):
        scan(model, "textures")
    with pytest.raises(UsageError, match=r"no sounds in .*8 pictures.*hears sounds"):
        scan(model, shared / "images" / "content")
    with pytest.raises(UsageError, match=r"no pictures in .*7 sounds.*sees pictures"):
        scan(load("minivgg"), folder)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.wav").write_text("no sound")
    with pytest.raises(PhospheneError, match=r"none of 1 sounds can be read; the first: a\.wav@000\.00000s: .*no WAV"):
        scan(model, tmp_path / "text", layers=["2"])
    with pytest.raises(UsageError, match="whole is for pictures"):
        scan(model, folder, config=ScanConfig(whole=True))
    with pytest.raises(UsageError, match="seconds is for sounds"):
        scan(load("minivgg"), "textures:4", config=ScanConfig(seconds=1))
    with pytest.raises(UsageError, match="too short"):
        scan(model, folder, config=ScanConfig(seconds=0.001))


def test_pieces_tile_a_recording_and_a_long_rest_ends_with_it(tmp_path: Path) -> None:
    wave = humming(1.9)
    written(tmp_path / "x.wav", wave)
    written(tmp_path / "y.wav", wave[: PIECE // 2])
    data = Recordings(tmp_path, AudioSpec(rate=RATE, samples=PIECE), PIECE)
    starts = [round(begins(data.key(i)) * RATE) for i in range(len(data))]
    assert starts == [0, PIECE, 2 * PIECE, len(wave) - PIECE, 0]
    assert len(wave) - 3 * PIECE >= REST * PIECE
    sound, _ = read_sound(tmp_path / "x.wav", rate=RATE)
    for number, start in enumerate(starts[:4]):
        assert torch.equal(data.load(number), sound[:, start : start + PIECE])
    assert data.load(4)[0, PIECE // 2 :].abs().max() == 0


def test_recordings_of_other_formats_and_rates_enter_at_the_networks_own(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    seconds = np.arange(44_100) / 44_100
    stereo = np.stack([np.sin(2 * np.pi * 440 * seconds), 0 * seconds], 1)
    for suffix in ("flac", "ogg", "mp3"):
        soundfile.write(tmp_path / f"tone.{suffix}", 0.5 * stereo, 44_100)
    data = Recordings(tmp_path, AudioSpec(rate=RATE, samples=PIECE), PIECE)
    assert [data.key(i).partition("@")[0] for i in range(0, len(data), 2)] == ["tone.flac", "tone.mp3", "tone.ogg"]
    for number in range(len(data)):
        piece = data.load(number)
        assert piece.shape == (1, PIECE)
        assert int(torch.fft.rfft(piece[0]).abs().argmax()) * RATE / PIECE == pytest.approx(440, abs=2)


def test_seconds_make_the_pieces_and_the_index_says_so(folder: Path) -> None:
    index = scan(clicker(), folder, layers=["2"], config=replace(SMALL, seconds=0.8))
    assert index.header.kept.samples == 6400
    assert [one.key for one in index.top("2", 0, k=1)] == ["a/long.wav@000.80000s"]
    with pytest.raises(IndexFileError, match="samples 6400, not 4000"):
        merge(index, scan(clicker(), folder, layers=["2"], config=SMALL))


def test_parts_and_interruptions_of_a_scan_of_sounds_change_nothing(
    folder: Path, tmp_path: Path, content: Content
) -> None:
    model = clicker()
    written(folder / "z" / "last.wav", humming(1.0, (0.7, 0.5)))
    whole = content(scan(model, folder, layers=["2"], config=SMALL))
    parts = [scan(model, folder, layers=["2"], config=replace(SMALL, shard=f"{i}/2")) for i in (2, 1)]
    assert content(merge(*parts)) == whole
    work = Scan(model, folder, layers=["2"], config=SMALL).kept_in(tmp_path / "index")
    for _ in work:
        work.stop()
    assert 0 < work.done < work.end
    for _ in Scan(model, folder, layers=["2"], config=SMALL).kept_in(tmp_path / "index"):
        pass
    assert content(Index.load(tmp_path / "index", model=model)) == whole


def test_what_a_position_hears_holds_every_sample_that_changes_it_and_little_more(shared: Path) -> None:
    for model, names in ((clicker(), ["2"]), (load("yamnet"), ["layer1.conv", "layer4.pointwise"])):
        samples = model.audio_spec.samples
        for layer in (model.layers[name] for name in names):
            found = hearings(model, [layer], samples)[layer.name]
            assert found is not None
            assert found.field is not None
            noise = (0.1 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(1))).requires_grad_()
            value = model.activations(noise, [layer.name])[layer.name]
            axis = found.time + value.dim() - 2
            place = value.shape[axis] // 2
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(value.select(axis, place).square().sum(), [noise])
            heard = gradient[0, 0].nonzero().flatten()
            first, end = (place * found.stride + at for at in (found.field.box[1], found.field.box[3]))
            assert first <= int(heard.min())
            assert int(heard.max()) < end
            assert (end - first) - (int(heard.max()) + 1 - int(heard.min())) <= 2 * found.stride


def test_a_frame_of_crepe_is_heard_exactly(shared: Path) -> None:
    found = hearings(load("crepe_tiny"), [load("crepe_tiny").layers["conv6"]], 8192)["conv6"]
    assert found is not None
    assert found.field is not None
    assert (found.time, found.stride, found.field.box) == (1, 512, (0, 0, 1, 1024))


def test_examples_of_yamnet_are_those_of_a_full_computation_and_a_sort(shared: Path) -> None:
    model, root = load("yamnet"), shared / "audio"
    layers = ["layer6.relu", "output"]
    index = scan(model, root, layers=layers, config=ScanConfig(top=5, sample=8))
    scores: dict[str, dict[str, Tensor]] = {name: {} for name in layers}
    data = Recordings(root, model.audio_spec, model.audio_spec.samples)
    for key in (data.key(i) for i in range(len(data))):
        sound, _ = read_sound(root / key.partition("@")[0], rate=16_000)
        start = round(begins(key) * 16_000)
        with torch.no_grad():
            for name, value in model.activations(sound[None, :, start : start + 15_600], layers).items():
                scores[name][key] = value[0].flatten(1).amax(1) if value.dim() > 2 else value[0]
    for name, mine in scores.items():
        for unit in range(0, index.layers[name], 13):
            every = {key: float(value[unit]) for key, value in mine.items()}
            close = 10 * SAME * max(map(abs, every.values()))
            for one, score in zip(index.top(name, unit, k=5), sorted(every.values(), reverse=True), strict=False):
                assert one.score == pytest.approx(score, abs=close)
                assert one.score == pytest.approx(every[one.key], abs=close)
    bird, speech = (index.top("output", model.find_class(name), k=3) for name in ("Bird", "Speech"))
    assert {one.key.partition("@")[0] for one in bird} == {"robin.wav"}
    assert all(one.key.startswith("speech") for one in speech)


def test_examples_of_sounds_play_in_a_notebook(folder: Path) -> None:
    index = scan(clicker(), folder, layers=["2"], config=SMALL)
    shown = index.with_data(folder).top("2", 0, k=2)._repr_html_()
    assert shown.count("<audio") == 2
    assert "1.31 s" in shown
