"""In a notebook every result shows itself: well-formed HTML that holds its pictures, and sounds to the sample."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import phosphene as ph
from phosphene.audio.config import SoundTextureConfig
from phosphene.audio.recording import read
from phosphene.audio.sound import HALF_RANGE
from phosphene.audio.texture import SoundTexturing
from phosphene.deepdream.config import DreamConfig
from phosphene.display.notebook import LARGEST, LIMIT, MOST, embedded, figure, heard, player, png, row
from phosphene.features.clip import Clip, Clips
from phosphene.features.grid import GridConfig, Gridding
from phosphene.media import kept
from phosphene.media.wav import from_levels, read_wav
from phosphene.models import Model, load
from phosphene.recipe import RunConfig, StyleConfig, TradeoffConfig
from phosphene.style.tradeoff import Tradeoff

CPU = RunConfig("cpu")
NASTY = '<b onclick="x()">&amp; "quoted" \'single\'</b>'
WAV, PNG = "data:audio/wav;base64,", "data:image/png;base64,"


class Shown(HTMLParser):
    """The pictures and sounds of an output, and its text; tags must match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pictures: list[Image.Image] = []
        self.sounds: list[tuple[Tensor, int]] = []
        self.tags: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        assert len(values) == len(attrs)
        self.tags.append(tag)
        if tag == "img":
            assert values["alt"]
            self.pictures.append(Image.open(io.BytesIO(decoded(values["src"], PNG))))
        if tag == "audio":
            assert "controls" in values
            assert "autoplay" not in values
            samples, rate = read_wav(decoded(values["src"], WAV), "embedded")
            levels = np.round(samples * HALF_RANGE).astype(np.int16)
            self.sounds.append((torch.from_numpy(from_levels(levels)), rate))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def decoded(source: str, kind: str) -> bytes:
    assert source.startswith(kind)
    return base64.b64decode(source.removeprefix(kind), validate=True)


def noise(samples: int, channels: int = 1) -> Tensor:
    wave = torch.randn(channels, samples, generator=torch.Generator().manual_seed(samples))
    return kept(0.1 * wave, 16_000, -23.0)


def clip(samples: int = 4000, target: str = "logit:Bird", **changed: Any) -> Clip:
    made = {"activation": 2.5, "loudness": -23.0, "peak": 0.5, "status": "ok", "reason": "", "seconds": 1.0, **changed}
    return Clip(noise(samples), 16_000, target, "output", 7, 0, 5, recipe={"schema": 1}, **made)


def clips(*found: Clip) -> Clips:
    return Clips(found, "yamnet", "cpu", 1.0)


def test_a_clip_plays_its_own_samples_beside_its_spectrogram() -> None:
    one = clip(target=NASTY)
    shown = Shown(one._repr_html_())
    ((sound, rate),) = shown.sounds
    assert rate == one.rate
    assert torch.equal(sound, one.sound)
    assert shown.pictures[0].size == (546, 296)
    assert "b" not in shown.tags
    assert shown.text == f"{NASTY}activation 2.5-23.0 LUFS, peak -6.0 dBTP"


def test_both_channels_are_played() -> None:
    stereo = noise(3000, channels=2)
    ((sound, rate),) = Shown(player(stereo, 44_100, "stereo")).sounds
    assert rate == 44_100
    assert torch.equal(sound, stereo)


def test_a_silent_clip_says_so() -> None:
    text = Shown(clip(loudness=float("-inf"), peak=0.0, status="degenerate", reason="no gradient")._repr_html_()).text
    assert text.endswith("silentdegenerate: no gradient")


def test_clips_stand_side_by_side_in_order() -> None:
    some = [clip(1000 + 100 * k) for k in range(3)]
    shown = Shown(clips(*some)._repr_html_())
    assert all(torch.equal(sound, one.sound) for (sound, _), one in zip(shown.sounds, some, strict=True))
    assert "more" not in shown.text


def test_a_set_ends_where_a_notebook_is_full_and_says_how_many_are_left() -> None:
    shown = Shown(row((figure("", ["piece"]) for _ in range(MOST + 5)), MOST + 5))
    assert shown.text.count("piece") == MOST
    assert shown.text.endswith("and 5 more")
    large = "x" * (LIMIT // 3)
    html = row((large for _ in range(9)), 9)
    assert len(html) < LIMIT + 200
    assert html.endswith("<p>and 6 more</p>")
    assert large * 4 in row([large * 4], 1)  # one piece is always shown


def test_a_sound_that_no_notebook_bears_is_shown_and_not_played() -> None:
    most = LIMIT * 3 // 4 // 2 - 100  # samples of 16 bits, as base64
    assert len(Shown(player(torch.zeros(1, most), 16_000, "just short enough")).sounds) == 1
    shown = Shown(heard(torch.zeros(1, most + 200), 16_000, "long", ["a line"]))
    assert (len(shown.pictures), shown.sounds) == (1, [])
    assert "188 s are too long to be played here" in shown.text


def test_a_picture_is_whole_up_to_the_limit_and_smaller_beyond() -> None:
    dots = Image.effect_noise((300, 200), 60)
    assert Shown(embedded(dots, "dots")).pictures[0].tobytes() == dots.tobytes()
    with Image.open(io.BytesIO(png(Image.new("RGB", (2 * LARGEST, LARGEST), "red")))) as small:
        assert small.size == (LARGEST, LARGEST // 2)


def painting(model: Model) -> Any:
    config = StyleConfig(size=32, smallest=0, steps=1, content_layers="features.3", style_layers="features.1")
    return ph.style_transfer(ramp(), ramp().flip(2), model=model, config=config, run=CPU)


def grid(model: Model) -> Any:
    work = Gridding(model, ramp(), GridConfig("features.2", cells=2, size=16, steps=1), CPU)
    list(work.rendering)
    return work.result()


def tradeoff(model: Model) -> Any:
    config = TradeoffConfig(32, 1, ratios="1e-3,1e-2", content_layer="features.3", style_layers="features.1")
    work = Tradeoff(model, ramp(), ramp().flip(2), config, CPU)
    list(work)
    return work.grid()


def ramp() -> Tensor:
    return torch.linspace(0, 1, 3 * 32 * 40).view(3, 32, 40)


def texture(model: Model) -> Any:
    return ph.texture(ramp(), model=model, size=32, steps=1, layers=["features.1"], seamless=True, run=CPU)


def reconstructions(model: Model) -> Any:
    layers = {"content_layers": ["features.1"], "style_layers": ["features.3"]}
    return ph.reconstruct(ramp(), model=model, size=32, steps=1, run=CPU, **layers)


RESULTS: dict[str, tuple[Callable[[Model], Any], str]] = {
    "picture": (lambda model: ph.render(model, "features.0:1", size=32, steps=1, run=CPU)[0], "activation"),
    "painting": (painting, "32x26, loss"),
    "texture": (texture, "a tile"),
    "panel": (lambda model: texture(model).panel, "texture, loss"),
    "reconstructions": (reconstructions, "of noise's, shallow to deep: content"),
    "tradeoff": (tradeoff, "2 pictures, alpha / beta from 0.001 to 0.01"),
    "dream": (lambda model: ph.dream(ramp(), model=model, layers="features.1", config=DREAM, run=CPU), "in the dream"),
    "grid": (grid, "features.2, 2 x 2 cells"),
}
DREAM = DreamConfig(size=32, octaves=1, steps=1)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_its_picture_and_a_line_of_figures(name: str, tiny_model: Model) -> None:
    make, said = RESULTS[name]
    made = make(tiny_model)
    shown = Shown(made._repr_html_())
    assert (len(shown.pictures), len(shown.sounds)) == (1, 0)
    assert shown.pictures[0].getextrema() != ((0, 0),) * 3
    assert said in shown.text
    assert made._repr_png_().startswith(b"\x89PNG")


def test_sounds_from_recordings_play_beside_the_recording(shared: Path) -> None:
    ear = load("random_sound")
    recording = read(noise(12_000), "original", ear)
    made = ph.sound_reconstruct(recording.sound, model=ear, layers=["width1.relu"], steps=1, run=CPU)
    shown = Shown(made._repr_html_())
    (original, _), (sound, rate) = shown.sounds
    assert torch.equal(sound, made[0].sound)
    assert rate == made[0].rate
    assert torch.equal(original, kept(made.original.heard, rate, -23.0))
    assert "recording: original" in shown.text
    assert "of white noise's" in shown.text

    work = SoundTexturing(ear, recording, SoundTextureConfig(seconds=0.6, steps=1, style_layers="levels"), CPU)
    list(work)
    ((texture, _),) = Shown(work.result()._repr_html_()).sounds
    assert torch.equal(texture, work.result().sound)
