"""`phosphene audio texture`, `style`, `reconstruct`: files, pages, JSON, made again, slips."""

from __future__ import annotations

import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from phosphene.cli import audio_made
from phosphene.media import to_levels, wav_bytes

FAST = ("--steps", "2", "--device", "cpu")
LAYERS = ("--style-layers", "levels,width1.relu")

Command = Callable[..., Any]


def wav(file: str, samples: np.ndarray, rate: int = 16_000) -> str:
    Path(file).write_bytes(wav_bytes(to_levels(samples), rate))
    return file


def hiss(samples: int, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((channels, samples)).clip(-3, 3)


def test_a_texture_is_written_with_its_page_and_made_again(phosphene: Command, workplace: Path) -> None:
    wav("rain.wav", hiss(16_000))
    ran = phosphene("audio", "texture", "rain.wav", *FAST, *LAYERS, "--out", "out", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    (result,) = ran.json["results"]
    assert (result["path"], result["samples"], result["status"]) == ("out/texture.wav", 16_000, "ok")
    assert 0 <= result["copying"] <= 1
    assert result["held_out"]["share_of_white_noise"] < 1
    page = Path(ran.json["page"]).read_text()
    assert page.count("<audio controls") == 2
    assert "style.recording.wav" in page
    with Image.open("out/texture.spectrogram.png") as image:
        assert image.convert("L").getextrema()[1] > 150
    assert phosphene("info", "out/texture.wav", "--json").json["kind"] == "sound-texture"
    again = phosphene("rerun", "out/texture.wav", "--input", "rain.wav", "--out", "again", "--json", "--quiet")
    assert again.json["same_samples"] is True
    assert Path("again/texture.wav").read_bytes()[-1000:] == Path("out/texture.wav").read_bytes()[-1000:]


def test_a_style_and_a_reconstruction_are_written(phosphene: Command, workplace: Path, shared: Path) -> None:
    yes, no = str(shared / "audio" / "yes.wav"), str(shared / "audio" / "no.wav")
    ran = phosphene("audio", "style", yes, no, *FAST, *LAYERS, "--out", "out", "--no-metadata")
    assert ran.code == 0
    assert "held out" in ran.out
    assert not Path("out/style.json").exists()
    assert {file.name for file in Path("out").glob("*.recording.wav")} == {
        "content.recording.wav", "style.recording.wav",
    }  # fmt: skip
    ran = phosphene("audio", "reconstruct", yes, *FAST, "--layers", "levels,width2.relu", "--out", "rec", "--quiet")
    assert ran.code == 0
    assert "rec/levels.wav" in ran.out
    assert "signal to noise" in ran.out


def test_another_rate_and_more_channels_are_said(phosphene: Command, workplace: Path) -> None:
    wav("stereo.wav", hiss(44_100, 2), 44_100)
    ran = phosphene("audio", "texture", "stereo.wav", *FAST, *LAYERS, "--seconds", "0.6", "--out", "out")
    assert ran.code == 0
    assert "'stereo.wav' is resampled from 44100 to 16000 Hz" in ran.err
    assert "'stereo.wav' has 2 channels; they are averaged to 1" in ran.err


@pytest.mark.parametrize("command", [("texture",), ("style", "good.wav"), ("reconstruct",)])
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("none.wav", 1, "cannot read 'none.wav'"),
        ("empty.wav", 1, "has 0 samples"),
        ("nan.wav", 1, "NaN or infinite"),
        ("silent.wav", 1, "'silent.wav' is silent"),
        ("hour.wav", 1, "lasts 3600 s, and 60 s is the most"),
        ("text.wav", 1, "is named .wav and is no WAV file"),
        ("short.wav", 2, "hears 0.536 s (8576) at once"),
    ],
)
def test_recordings_that_cannot_be_used_are_one_line(
    phosphene: Command, workplace: Path, command: tuple[str, ...], name: str, code: int, said: str
) -> None:
    wav("good.wav", hiss(16_000))
    wav("empty.wav", np.zeros((1, 0)))
    wav("silent.wav", np.zeros((1, 16_000)))
    wav("hour.wav", np.tile(hiss(100), (1, 3600)), 100)
    wav("short.wav", hiss(4000))
    Path("text.wav").write_text("this is a text")
    broken = np.full((1, 16_000), np.nan, "<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(broken), b"WAVE", b"fmt ", 16, 3, 1, 16_000, 64_000, 4, 32)
    Path("nan.wav").write_bytes(head + struct.pack("<4sI", b"data", len(broken)) + broken)
    ran = phosphene("audio", *command, name, "--out", "out", "--quiet")
    assert (ran.code, len(ran.err.strip().splitlines())) == (code, 1), ran.err
    assert said in ran.err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "squeezenet1_1", "--weights", "random"), "sees pictures and hears no sounds"),
        (("--style-layers", "width3"), "did you mean width"),
        (("--style-layers", "levels,levels"), "named once each"),
        (("--seconds", "0.1"), "take a longer one"),
        (("--seconds", "61"), "up to 60"),
        (("--statistic", "mean"), "gram"),
    ],
)
def test_slips_are_one_line_and_write_nothing(
    phosphene: Command, workplace: Path, words: tuple[str, ...], said: str
) -> None:
    wav("rain.wav", hiss(16_000))
    ran = phosphene("audio", "texture", "rain.wav", *words, "--out", "out", "--quiet")
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not Path("out").exists()


def test_ctrl_c_saves_the_sound_and_resume_goes_on_with_it(
    phosphene: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav("rain.wav", hiss(16_000))
    words = ("audio", "texture", "rain.wav", "--steps", "6", "--device", "cpu", *LAYERS, "--out", "out")
    advance = audio_made.Bar.advance

    def pressed(bar: Any, done: float, *rest: Any) -> None:
        advance(bar, done, *rest)
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(audio_made.Bar, "advance", pressed)
        ran = phosphene(*words, "--json")
    assert ran.code == 130
    assert "go on with --resume" in ran.err
    assert (ran.json["results"][0]["status"], ran.json["results"][0]["steps"]) == ("interrupted", 3)
    assert Path("out/index.html").is_file()
    assert Path("out/.phosphene/texture.wav.safetensors").is_file()
    resumed = phosphene(*words, "--resume", "--json", "--quiet").json["results"][0]
    assert (resumed["status"], resumed["steps"]) == ("ok", 6)
    assert not Path("out/.phosphene").exists()
    assert "is there already" in phosphene(*words, "--resume").err
