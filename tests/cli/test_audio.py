"""`phosphene audio render`: clips, pictures, a page, JSON, made again, slips."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from phosphene.metadata import read_recipe_text

FAST = ("--weights", "random", "--steps", "2", "--seconds", "0.128", "--device", "cpu")

Command = Callable[..., Any]


def test_clips_are_written_with_pictures_recipes_and_a_page(phosphene: Command, workplace: Path) -> None:
    ran = phosphene("audio", "render", "crepe_tiny", "logit:108", "pool6:3", *FAST, "--out", "out", "--json", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.json["results"]
    assert (first["path"], first["target"], first["rate"], first["samples"]) == (
        "out/logit-108.wav", "logit:108", 16_000, 2048,
    )  # fmt: skip
    assert second["layer"] == "pool6"
    page = Path(ran.json["page"]).read_text()
    assert page.count("<audio controls") == 2
    assert "logit-108.wav" in page
    with Image.open("out/logit-108.spectrogram.png") as image:
        assert image.convert("L").getextrema()[1] > 200
    told = phosphene("info", "out/logit-108.wav", "--json").json
    assert (told["kind"], told["model"]["input"]["rate"]) == ("sound", 16_000)


def test_a_clip_is_made_again_to_the_bit(phosphene: Command, workplace: Path) -> None:
    phosphene("audio", "render", "crepe_tiny", "logit:108,228", *FAST, "--out", "out", "--quiet")
    again = phosphene("rerun", "out/logit-228.wav", "--out", "again", "--json", "--quiet")
    assert again.code == 0
    assert again.json["same_samples"] is True
    assert Path(again.json["path"]).is_file()


def test_a_network_for_spectrograms_is_heard_as_the_docs_say(phosphene: Command, workplace: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sound.md").read_text(encoding="utf-8")
    (code,) = [part for part in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if part.startswith("# my_ears.py")]
    Path("my_ears.py").write_text(code)
    layers = {one["name"]: one for one in phosphene("layers", "my_ears:make_ears", "--json").json["layers"]}
    assert (layers["front"]["channels"], layers["front"]["spatial"], layers["front"]["stride"]) == (1, [64, 51], 160)
    assert (layers["net.2"]["channels"], layers["net.2"]["stride"]) == (16, 640)
    words = ("audio", "render", "my_ears:make_ears", "net.2:0..1", "logit:1", "--steps", "6", "--still", "--out", "out")
    ran = phosphene(*words, "--device", "cpu", "--json", "--quiet")
    assert (ran.code, [one["layer"] for one in ran.json["results"]]) == (0, ["net.2", "net.2", "output"])
    again = phosphene("rerun", ran.json["results"][2]["path"], "--model", "my_ears:make_ears", "--out", "b", "--json")
    assert again.json["same_samples"] is True


def test_a_network_of_one_length_says_so(phosphene: Command, workplace: Path) -> None:
    Path("flat_ears.py").write_text(
        "import torch\nimport phosphene as ph\n"
        "def make():\n"
        "    front = ph.LogMel(8000, n_fft=256, hop=80, bands=20, lowest=50, highest=4000, first='bands')\n"
        "    net = torch.nn.Sequential(front, torch.nn.Flatten(), torch.nn.Linear(20 * 47, 3))\n"
        "    return net, ph.AudioSpec(rate=8000, samples=4000, least=4000)\n"
    )
    words = ("audio", "render", "flat_ears:make", "logit:1", "--steps", "1", "--device", "cpu", "--out", "out")
    assert phosphene(*words).code == 0
    ran = phosphene(*words, "--seconds", "1")
    assert ran.code == 2
    assert "does not run on 8000 samples" in ran.err
    assert "made for 4000, which is --seconds 0.5" in ran.err


def recording(file: str, *, rate: int = 16_000, channels: int = 1, seconds: float = 0.3, **changes: Any) -> Path:
    """A tone in a file of its own."""
    samples = 0.2 * np.sin(2 * np.pi * 440 / rate * np.arange(round(rate * seconds)))
    samples = changes.pop("change", lambda x: x)(samples)
    soundfile.write(file, np.stack([samples] * channels, 1), rate, **changes)
    return Path(file)


def test_clips_of_one_unit_are_several_files(phosphene: Command, workplace: Path) -> None:
    words = ("audio", "render", "crepe_tiny", "logit:108", *FAST, "--diversity", "2", "--out", "out", "--json")
    ran = phosphene(*words, "--quiet")
    paths = [result["path"] for result in ran.json["results"]]
    assert len(set(paths)) == 2
    assert all(Path(path).is_file() for path in paths)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ()),
        ({"rate": 44_100, "channels": 2}, ("resampled from 44100 to 16000 Hz", "2 channels; they are averaged to 1")),
        ({"subtype": "PCM_U8"}, ()),
        ({"subtype": "PCM_24"}, ()),
        ({"subtype": "FLOAT", "change": lambda x: 20 * x}, ("leaves full scale (peak 4); it is turned down",)),
    ],
)
def test_a_clip_starts_from_a_recording_of_any_kind_and_says_what_was_changed(
    phosphene: Command, workplace: Path, change: dict[str, Any], said: tuple[str, ...]
) -> None:
    recording("a.wav", **change)
    words = ("audio", "render", "crepe_tiny", "logit:108", *FAST, "--near", "pool6", "--init", "a.wav")
    ran = phosphene(*words, "--out", "out")
    assert ran.code == 0
    assert all(part in ran.err for part in said)
    assert ("a.wav" in ran.err) == bool(said)
    (file,) = Path("out").glob("*.wav")
    samples, _ = soundfile.read(file)
    assert np.abs(samples).max() < 1
    again = phosphene("rerun", str(file), "--init", "a.wav", "--out", "again", "--json")
    assert again.json["same_samples"] is True


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seconds": 0}, "'a.wav' has 0 samples"),
        ({"change": lambda x: 0 * x}, "'a.wav' is silent"),
        ({"change": lambda x: 0 * x + 0.5}, "'a.wav' is a constant (DC)"),
        ({"subtype": "FLOAT", "change": lambda x: np.where(x > 0.19, np.nan, x)}, "NaN or infinite"),
        ({"seconds": 3600, "rate": 1_000, "subtype": "PCM_U8"}, "lasts 3600 s, and 600 s is the most"),
        ({"seconds": 0.05}, "'a.wav' lasts 0.05 s, shorter than the 0.064 s (1024 samples)"),
        ({"seconds": 0.1}, "lasts 0.1 s, less than the 0.128 s asked for"),
    ],
)
def test_a_recording_that_cannot_be_used_is_one_line_and_writes_nothing(
    phosphene: Command, workplace: Path, change: dict[str, Any], said: str
) -> None:
    recording("a.wav", **change)
    ran = phosphene("audio", "render", "crepe_tiny", "logit:1", *FAST, "--init", "a.wav", "--out", "out")
    assert ran.code in (1, 2)
    assert said in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not Path("out").exists()


def test_text_that_is_named_wav_is_one_line(phosphene: Command, workplace: Path) -> None:
    Path("a.wav").write_text("la la la")
    ran = phosphene("audio", "render", "crepe_tiny", "logit:1", *FAST, "--init", "a.wav", "--out", "out")
    assert ran.code in (1, 2)
    assert "'a.wav' is named .wav and is no WAV file" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_a_rendering_that_is_whole_is_not_made_again(phosphene: Command, workplace: Path) -> None:
    words = ("audio", "render", "crepe_tiny", "logit:108", *FAST, "--out", "out", "--quiet", "--json")
    first = phosphene(*words).json["results"][0]
    second = phosphene(*words, "--resume").json["results"][0]
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_no_metadata_leaves_nothing_in_the_clip(phosphene: Command, workplace: Path) -> None:
    phosphene("audio", "render", "crepe_tiny", "logit:1", *FAST, "--out", "out", "--no-metadata")
    assert not Path("out/logit-1.json").exists()
    with pytest.raises(Exception, match="no recipe"):
        read_recipe_text("out/logit-1.wav")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("squeezenet1_1", "features.3:1"), 2, "sees pictures and hears no sounds"),
        (("crepe_tiny", "logit:400"), 2, "no class 400; it must be 0 to 359"),
        (("crepe_tiny", "logit:Whistling"), 2, "no class names"),
        (("crepe_tiny", "conv9:1"), 2, "did you mean conv"),
        (("crepe_tiny", "logit:1", "--seconds", "0.01"), 2, "1024 samples"),
        (("crepe_tiny", "logit:1", "--loudness", "-3"), 2, "so that no sound hurts"),
        (("crepe_tiny", "logit:1", "--low=-5"), 2, "low must be at least 0, got -5"),
        (("crepe_tiny", "logit:1 - l2"), 2, "price of pictures"),
        (("silero_vad_16k", "prob:speech"), 2, "compares classes"),
        (("crepe_tiny",), 2, ""),
    ],
)
def test_slips_are_one_line_and_write_nothing(
    phosphene: Command, workplace: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = phosphene("audio", "render", *words, "--weights", "random", "--out", "out")
    assert ran.code == code
    assert said in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not Path("out").exists()


@pytest.mark.parametrize("command", ["render", "dream", "layers"])
def test_commands_of_pictures_say_that_a_network_hears(phosphene: Command, workplace: Path, command: str) -> None:
    words = {
        "render": ["crepe_tiny", "logit:1"],
        "dream": ["crepe_tiny", "noise"],
        "layers": ["crepe_tiny", "--receptive"],
    }
    ran = phosphene(command, *words[command], "--weights", "random")
    assert ran.code == 2
    assert "crepe_tiny hears sounds" in ran.err


def test_what_is_added_to_a_class_is_said_and_where_it_stands_is_told(phosphene: Command, workplace: Path) -> None:
    words = ("audio", "render", "yamnet", "logit:3", "--weights", "random", "--steps", "2", "--device", "cpu")
    ran = phosphene(*words, "--out", "out", "--json")
    (result,) = ran.json["results"]  # class 3 has a name where the list of names lies beside the weights
    assert result["target"].startswith("logit:")
    assert " + 3*margin:" in result["target"]
    assert f"its classes overlap, so a clip is also to be ahead of them: {result['target']} (--ahead 0: not)" in ran.err
    assert (result["unit"], result["standing"]["of"]) == (3, 521)
    assert (result["standing"]["rank"] > 1) == ("a larger --ahead" in ran.err)
    again = phosphene("rerun", result["path"], "--weights", "random", "--out", "again", "--json")
    assert again.json["same_samples"] is True
    alone = phosphene(*words, "--ahead", "0", "--out", "alone")
    assert "overlap" not in alone.err
    assert "rank " in alone.out
    assert (alone.err.count("--ahead 3, or more --steps") == 1) == ("rank 1 of 521" not in alone.out)
