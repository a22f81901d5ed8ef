"""Sounds in and out: every way a WAV writes its samples, what is refused, and how loud is loud."""

from __future__ import annotations

import io
import math
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from phosphene.errors import MediaError, PhospheneError, UsageError
from phosphene.media import from_levels, leveled, loudness, read_info, read_sound, to_levels, true_peak, wav_bytes
from phosphene.media.sound import resampled

ADPCM = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 2, 1, 8000, 8000, 1, 4) + b"data\0\0\0\0"


def tone(hertz: float, rate: int = 16_000, seconds: float = 1.0, channels: int = 1) -> Tensor:
    place = torch.arange(round(rate * seconds), dtype=torch.float64)  # float32 has no digits left for so many turns
    wave = torch.sin(2 * math.pi * hertz * place / rate).float()
    return wave.expand(channels, -1)


@pytest.mark.parametrize(
    ("subtype", "distance"),
    [("PCM_U8", 0.01), ("PCM_16", 4e-5), ("PCM_24", 2e-7), ("PCM_32", 1e-7), ("FLOAT", 0), ("DOUBLE", 1e-7)],
)
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
def test_every_kind_of_wav_is_read(tmp_path: Path, subtype: str, distance: float, format: str) -> None:
    given = 0.5 * tone(440, channels=2) * torch.tensor([[1.0], [-0.5]])
    soundfile.write(tmp_path / "a.wav", given.T.numpy(), 16_000, subtype=subtype, format=format)
    found, notes = read_sound(tmp_path / "a.wav", rate=16_000, channels=2)
    assert notes == ()
    assert float((found - given).abs().max()) <= distance


@pytest.mark.parametrize("format", ["FLAC", "OGG", "AIFF"])
def test_other_formats_are_read_too(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format.lower()}"
    soundfile.write(path, 0.5 * tone(440).T.numpy(), 16_000, format=format)
    found, _ = read_sound(path, rate=16_000)
    assert found.shape == (1, 16_000)
    assert float((found - 0.5 * tone(440)).square().mean()) < 1e-4


def test_what_is_written_is_read_by_others() -> None:
    levels = to_levels(np.stack([np.linspace(-1, 1, 99), np.linspace(1, -1, 99)]))
    data = wav_bytes(levels, 16_000, {"ISFT": "phosphene", "ICMT": "odd"})
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 16_000)
        assert file.readframes(99) == levels.T.astype("<i2").tobytes()
    assert soundfile.info(io.BytesIO(data)).frames == 99
    assert np.array_equal(to_levels(from_levels(levels)), levels)


def test_texts_come_back_from_a_wav(tmp_path: Path) -> None:
    levels = to_levels(np.zeros((1, 7)))
    (tmp_path / "a.wav").write_bytes(wav_bytes(levels, 8000, {"INAM": "a", "ICMT": '{"é": 1}'}))
    assert read_info(tmp_path / "a.wav") == {"INAM": "a", "ICMT": '{"é": 1}'}
    (tmp_path / "b.wav").write_bytes(b"no RIFF at all")
    assert read_info(tmp_path / "b.wav") == {}


def test_another_rate_and_more_channels_are_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.5 * tone(1000, 44_100, channels=2).T.numpy(), 44_100)
    found, notes = read_sound(tmp_path / "a.wav", rate=16_000)
    assert found.shape == (1, 16_000)
    assert [note.split(" is ")[-1].split(" has ")[-1] for note in notes] == [
        "resampled from 44100 to 16000 Hz",
        "2 channels; they are averaged to 1",
    ]
    assert float((found - 0.5 * tone(1000)).abs()[0, 500:-500].max()) < 0.01


def test_resampling_keeps_what_fits_and_drops_what_does_not() -> None:
    torch.testing.assert_close(resampled(tone(1000), 16_000, 48_000), tone(1000, 48_000), atol=1e-5, rtol=0)
    assert float(resampled(tone(10_000, 44_100), 44_100, 16_000).abs().max()) < 1e-3


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros((0,)), "has 0 samples"),
        (np.full(1, 0.5), "has 1 sample;"),
        (np.array([[0.5, -0.5], [-0.25, 0.25]]), "its 2 channels cancel each other"),
        (np.zeros(100), "is silent"),
        (np.full(100, 0.5), "is a constant"),
        (np.array([0.1, np.nan, 0.2]), "NaN"),
    ],
)
def test_a_recording_without_sound_is_refused_in_one_line(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(MediaError, match=reason) as caught:
        read_sound(tmp_path / "a.wav", rate=16_000)
    assert "'a.wav'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recording_that_was_cut_off_is_refused_and_a_streamed_one_is_not(tmp_path: Path) -> None:
    whole = wav_bytes(to_levels(0.5 * tone(1000).numpy()), 16_000)
    (tmp_path / "cut.wav").write_bytes(whole[:20_000])
    with pytest.raises(MediaError, match=r"'cut\.wav' was cut off: 19956 of its 32000 bytes"):
        read_sound(tmp_path / "cut.wav", rate=16_000)
    at = whole.index(b"data") + 4
    (tmp_path / "streamed.wav").write_bytes(whole[:at] + b"\xff" * 4 + whole[at + 4 :])
    assert read_sound(tmp_path / "streamed.wav", rate=16_000)[0].shape == (1, 16_000)


def test_channels_whose_sum_no_float_holds_are_averaged(tmp_path: Path) -> None:
    soundfile.write(
        tmp_path / "a.wav", np.full((100, 5), 3e38) * np.sign(np.sin(np.arange(100)))[:, None], 16_000, subtype="FLOAT"
    )
    found, notes = read_sound(tmp_path / "a.wav", rate=16_000)
    assert float(found.abs().max()) == 1
    assert "leaves full scale (peak 3e+38)" in notes[-1]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.wav", b"Dear reader, this is text.", "is named .wav and is no WAV file"),
        ("a.wav", b"RIFF\x04\0\0\0WAVE", "damaged WAV file"),
        ("a.wav", ADPCM, "4 bits in format 2"),
        ("a.flac", b"fLaC and no more", "is no sound that can be read"),
        ("a.mp3", b"", "is no sound that can be read"),
    ],
)  # fmt: skip
def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(MediaError, match=reason) as caught:
        read_sound(tmp_path / name, rate=16_000)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhospheneError, match="cannot read"):
        read_sound(tmp_path / "none.wav", rate=16_000)


def test_a_wav_that_leaves_full_scale_is_turned_down(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 3 * tone(440)[0].numpy(), 16_000, subtype="FLOAT")
    found, notes = read_sound(tmp_path / "a.wav", rate=16_000)
    assert float(found.abs().max()) == pytest.approx(1)
    assert "turned down" in notes[0]


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize(("decibels", "channels"), [(0.0, 1), (-20.0, 1), (-20.0, 2)])
def test_loudness_of_the_standards_own_tone(rate: int, decibels: float, channels: int) -> None:
    """997 Hz at 0 dBFS in one channel is -3.01 LUFS (ITU-R BS.1770); a second channel adds 3.01."""
    sound = 10 ** (decibels / 20) * tone(997, rate, 3, channels)
    assert loudness(sound, rate) == pytest.approx(-3.01 + decibels + 3.01 * (channels - 1), abs=0.1)


def test_silence_between_sounds_does_not_make_them_quieter() -> None:
    loud = 0.1 * tone(997, 48_000, 3)
    assert loudness(torch.cat([loud, torch.zeros(1, 3 * 48_000)], 1), 48_000) == pytest.approx(
        loudness(loud, 48_000), abs=0.3
    )
    assert loudness(torch.zeros(1, 48_000), 48_000) == -math.inf


def test_the_true_peak_lies_between_the_samples() -> None:
    sound = torch.sin(math.pi / 4 + math.pi / 2 * torch.arange(4000))[None] * torch.hann_window(4000)
    assert float(sound.abs().max()) < 0.71
    assert true_peak(sound) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("target", [-16.0, -23.0, -40.0])
def test_a_sound_is_brought_to_its_loudness_and_never_over_its_peak(target: float) -> None:
    assert loudness(leveled(0.01 * tone(500), 16_000, target), 16_000) == pytest.approx(target, abs=0.01)
    clicks = torch.zeros(1, 16_000)
    clicks[:, 4000::8000] = 0.5
    made = leveled(clicks, 16_000, target)
    assert true_peak(made) <= 10 ** (-1 / 20) + 1e-6
    assert loudness(made, 16_000) <= target + 0.01


def test_nothing_is_made_to_hurt() -> None:
    with pytest.raises(UsageError, match="-16 LUFS at most"):
        leveled(tone(500), 16_000, -10)


def test_a_recording_that_is_too_long_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hour.wav"
    file.write_bytes(wav_bytes(np.ones((1, 3600), np.int16), 1))
    monkeypatch.setattr("phosphene.media.sound._read", lambda path: pytest.fail("decoded"))
    with pytest.raises(MediaError, match=r"'hour\.wav' lasts 3600 s, and 60 s is the most"):
        read_sound(file, rate=16_000, longest=60)
