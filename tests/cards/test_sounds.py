"""Planted units that hear: a band, a chirp, a loudness, whose causes are known, and the probe names them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from phosphene.cards.book import Bookmaking
from phosphene.cards.card import Card
from phosphene.cards.config import CardConfig, ProbeConfig
from phosphene.cards.making import card
from phosphene.cards.probe import Probe, probe
from phosphene.cards.sound_changes import SOUND_CHANGES, SPLIT, passed, stopped
from phosphene.cards.sound_words import sentence, verdict
from phosphene.errors import UsageError
from phosphene.examples.config import ScanConfig
from phosphene.examples.scan import scan
from phosphene.media import read_info, read_sound, to_levels, wav_bytes
from phosphene.models import AudioSpec, Model, from_module, load
from phosphene.models.crepe import hertz
from phosphene.recipe import RenderConfig
from phosphene.reports.heard import write_heard

RATE, PIECE = 8000, 8000
TAPS, HOP = 256, 32
LOW, HIGH, CHIRP = 0, 1, 2  # the units
PITCHES = {LOW: 300.0, HIGH: 2000.0}  # Hz
SWEEP = 0.15  # seconds: the chirp rises from 600 to 1800 Hz
ONE, THREE = ProbeConfig(probed=1), ProbeConfig(probed=3)

Wave = Callable[[np.random.Generator], np.ndarray]


def tone(hertz: float, seconds: float) -> np.ndarray:
    at = np.arange(round(seconds * RATE)) / RATE
    return np.hanning(len(at)) * np.sin(2 * np.pi * hertz * at)


def chirp() -> np.ndarray:
    at = np.arange(round(SWEEP * RATE)) / RATE
    return np.hanning(len(at)) * np.sin(2 * np.pi * (600 * at + 600 * at**2 / SWEEP))


class Ear(nn.Module):
    """The envelopes of two bands, each by two filters a quarter turn apart, and of a matched filter of a chirp."""

    def __init__(self) -> None:
        super().__init__()
        at, window = np.arange(TAPS) / RATE, np.hanning(TAPS)
        pairs = [window * wave(2 * np.pi * hertz * at) for hertz in PITCHES.values() for wave in (np.sin, np.cos)]
        self.bands = nn.Conv1d(1, 4, TAPS, stride=HOP, bias=False)
        self.bands.weight.data = torch.from_numpy(np.stack(pairs)[:, None] / window.sum()).float()
        spectrum = np.fft.fft(chirp())
        spectrum[len(spectrum) // 2 :] = 0
        analytic = 2 * np.fft.ifft(spectrum)
        matched = np.stack([analytic.real, analytic.imag])[:, None] / np.abs(analytic).sum()
        self.chirp = nn.Conv1d(1, 2, len(analytic), stride=HOP, bias=False)
        self.chirp.weight.data = torch.from_numpy(matched).float()
        self.unit = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        bands, sweep = self.bands(x), self.chirp(x)
        length = min(bands.shape[2], sweep.shape[2])
        pairs = torch.cat([bands[..., :length], sweep[..., :length]], 1).unflatten(1, (3, 2))
        return self.unit(pairs.norm(dim=2))


@pytest.fixture(scope="module")
def ear() -> Model:
    return from_module(Ear().eval(), AudioSpec(rate=RATE, samples=PIECE, least=2400), name="ear")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six of each: low tones, high tones, rising chirps, faint noise; all with faint noise."""
    root, draw = tmp_path_factory.mktemp("recordings"), np.random.default_rng(3)
    makers: dict[str, Callable[[], np.ndarray]] = {
        "low": lambda: tone(300, 0.3), "high": lambda: tone(2000, 0.3), "chirp": chirp, "noise": lambda: np.zeros(100),
    }  # fmt: skip
    for name, make in makers.items():
        for number in range(6):
            wave, sound = 0.003 * draw.standard_normal(PIECE), make()
            start = int(draw.integers(500, PIECE - len(sound) - 500))
            wave[start : start + len(sound)] += (0.5 - 0.02 * number) * sound
            file = root / name / f"{number}.wav"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(wav_bytes(to_levels(wave[None]), RATE))
    return root


@pytest.fixture(scope="module")
def probes(ear: Model, recordings: Path) -> list[Probe]:
    return [probe(ear, f"unit:{unit}", recordings, config=THREE) for unit in range(3)]


def test_the_examples_of_planted_units_are_theirs(probes: list[Probe]) -> None:
    for found, name in zip(probes, ("low", "high", "chirp"), strict=True):
        assert [one.example.key.partition("/")[0] for one in found.examples] == [name] * 3


def test_the_probe_of_a_band_filter_names_the_band(probes: list[Probe]) -> None:
    for unit, word in ((LOW, "a low sound of"), (HIGH, "a high sound of")):
        found, (low, high) = probes[unit], probes[unit].band
        assert word in found.sentence
        assert ", not a sequence." in found.sentence
        assert low < PITCHES[unit] < high
        assert math.log2(high / low) < 1.2
        assert found.kept("band alone") >= 0.8
        assert found.kept("band removed") < 0.2
        assert f"{low:.0f} to {high:.0f} Hz" in found.sentence


def test_reversed_kills_a_chirp_and_no_tone(probes: list[Probe]) -> None:
    assert "a sequence that has a direction" in probes[CHIRP].verdict
    assert probes[CHIRP].kept("reversed") < 0.35
    assert probes[CHIRP].kept("short pieces shuffled") < 0.6
    for unit in (LOW, HIGH):
        assert probes[unit].kept("reversed") > 0.95
        assert probes[unit].kept("softer") == pytest.approx(0.1, abs=0.01)


def test_the_shortest_part_lies_on_what_was_planted(probes: list[Probe]) -> None:
    for found in probes:
        for one in found.examples:
            _, first, _, end = one.patch.box
            assert one.patch.kept >= THREE.keep
            assert end - first < 0.3 * RATE
            assert one.pixels[..., first:end].square().mean() > 3 * one.pixels.square().mean()
            assert one.example.seconds is not None
            assert first < one.example.seconds * RATE + SWEEP / 2 * RATE  # the middle of what the whole layer hears
            assert one.example.seconds * RATE - SWEEP / 2 * RATE < end


def test_what_is_split_adds_up_to_the_sound_and_lies_on_its_side(probes: list[Probe]) -> None:
    sound = torch.randn(1, 1, PIECE, generator=torch.Generator().manual_seed(0))
    high, low = (cut(sound, (SPLIT, RATE / 2), RATE) for cut in (passed, stopped))
    torch.testing.assert_close(high + low, sound, atol=1e-5, rtol=0)
    below = torch.fft.rfft(high).abs().square()[..., : int(SPLIT * 2 ** (-1 / 6))].sum()
    assert below < 1e-6 * torch.fft.rfft(high).abs().square().sum()


def test_sentences_follow_from_the_numbers() -> None:
    kept = {"low-passed": 0.08, "high-passed": 0.97, "reversed": 0.92, "short pieces shuffled": 0.9}
    assert sentence(kept, (2000, 2600), 16_000) == (
        "Keeps 8% of what lies below 1 kHz, 97% of what lies above, 92% when reversed and 90% when short pieces are "
        "shuffled: a high sound of 2000 to 2600 Hz, not a sequence."
    )
    assert verdict({**kept, "low-passed": 0.1, "high-passed": 0.1, "reversed": 0.2}, (60, 7000), 16_000) == (
        "a sound of low and high pitches together, a sequence that has a direction"
    )
    assert "which must last" in verdict({**kept, "short pieces shuffled": 0.2}, (2000, 2600), 16_000)
    assert "Its level matters: 5% at 20 dB less." in sentence({**kept, "softer": 0.05}, (2000, 2600), 16_000)
    assert "no change can tell" in sentence({"reversed": math.nan}, (40, 8000), 16_000)


def test_a_probe_of_sounds_is_a_page_with_its_sounds_and_is_the_same_each_time(
    ear: Model, recordings: Path, probes: list[Probe], tmp_path: Path
) -> None:
    again = probe(ear, f"unit:{HIGH}", recordings, config=THREE)
    assert again.data() == probes[HIGH].data()
    page = again.save(tmp_path).read_text()
    told = json.loads((tmp_path / "probe.json").read_text())
    assert told["band"] == again.data()["band"]
    sounds = sorted(tmp_path.glob("sound-*.wav"))
    assert len(sounds) == page.count("<audio") == 2 * 3 + 1 + len(again.changes)
    assert all(file.name in page for file in sounds)
    assert "picture of the data" not in page
    assert all(change.keeps in page for change in SOUND_CHANGES)


def test_your_own_sounds_stand_among_the_data(ear: Model, recordings: Path, tmp_path: Path) -> None:
    asked = [recordings / "noise" / "0.wav", recordings / "high"]
    found = probe(ear, f"unit:{HIGH}", recordings, ask=asked, config=THREE)
    assert [one.name for one in found.asked] == ["0.wav", *(f"high/{n}.wav" for n in range(6))]
    nothing, first = found.asked[:2]
    assert first.score == pytest.approx(found.examples[0].score, rel=1e-4)
    assert nothing.percentile < 75 < first.percentile
    with pytest.raises(UsageError, match="no sounds in"):
        probe(ear, f"unit:{HIGH}", recordings, ask=[tmp_path], config=THREE)


def test_a_unit_is_probed_in_a_sound_of_another_length(ear: Model, recordings: Path) -> None:
    index = scan(ear, recordings, layers=["unit"], config=ScanConfig(seconds=0.5))
    found = probe(ear, f"unit:{LOW}", recordings, index=index, config=ONE)
    assert found.examples[0].pixels.shape == (1, 1, RATE // 2)
    assert "a low sound" in found.sentence


def test_a_card_of_sounds_shows_the_unit_from_every_side(ear: Model, recordings: Path, tmp_path: Path) -> None:
    few = CardConfig(examples=2, diverse=3, steps=12)
    made = card(ear, f"unit:{HIGH}", recordings, config=few, probes=ONE)
    page = made.save(tmp_path).read_text()
    assert made.score(made.pictures["positive"][0]) > 5 * made.score(made.pictures["negative"][0])
    told = json.loads((tmp_path / "card.json").read_text())
    assert told["examples"]["maximum"][0]["key"].startswith("high/")
    assert told["examples"]["maximum"][0]["seconds"] == made.spectrum["maximum"][0].example.seconds
    assert "a high sound" in told["probe"]["verdict"]
    clips = [one for row in told["pictures"].values() for one in row]
    kinds = ("positive", "negative", "diverse", "diverse1", "diverse2")
    assert [one["file"] for one in clips] == [f"unit-{HIGH}.{kind}.wav" for kind in kinds]
    for one in clips:
        file = tmp_path / one["file"]
        assert file.name in page
        assert json.loads(read_info(file)["ICMT"])["model"]["name"] == "ear"
        wave, _ = read_sound(file, rate=RATE)  # what the page says is what a stranger measures
        with torch.no_grad():
            score = float(ear.activations(wave[None], ["unit"])["unit"][0, HIGH].max())
        assert score == pytest.approx(one["score"], rel=1e-3, abs=1e-6)
    spectra = torch.stack([torch.fft.rfft(one.values[0]).abs() for one in made.pictures["diverse"]])
    likeness = torch.nn.functional.normalize(spectra, dim=1)
    assert float((likeness @ likeness.T).fill_diagonal_(0).max()) < 0.99  # they differ
    assert page.count("<audio") == len(list(tmp_path.glob("*.wav")))
    assert (tmp_path / "sheet.png").is_file()
    assert "pictures" not in page.replace("pictures were", "").lower().split("<main", 1)[1]


def test_an_example_on_the_page_has_the_score_that_it_tells(ear: Model, recordings: Path, tmp_path: Path) -> None:
    index = scan(ear, recordings, layers=["unit"], config=ScanConfig(top=4))
    write_heard(index, "unit", LOW, recordings, tmp_path)
    for number, one in enumerate(index.top("unit", LOW, k=4), 1):
        wave, _ = read_sound(tmp_path / f"highest-{number}.wav", rate=RATE)
        with torch.no_grad():
            assert float(ear.activations(wave[None], ["unit"])["unit"][0, LOW].max()) == pytest.approx(
                one.score, rel=1e-3
            )
        part, _ = read_sound(tmp_path / f"highest-{number}.part.wav", rate=RATE)
        first = round((one.seconds or 0) * RATE) - part.shape[1] // 2
        assert (part - wave[:, first : first + part.shape[1]]).abs().max() < 1e-4


BRIEF = CardConfig(examples=1, diverse=2, steps=2, abreast=2)


def test_a_book_of_sounds_has_players_and_goes_on(ear: Model, recordings: Path, tmp_path: Path) -> None:
    index = scan(ear, recordings, layers=["unit", "output"])

    def made() -> tuple[Bookmaking, list[str]]:
        work = Bookmaking(ear, "unit:0..1", recordings, tmp_path, index=index, config=BRIEF, probes=ONE)
        return work, [event.subject.target for event in work if isinstance(event, Card)]

    work, units = made()
    assert units == ["unit:0", "unit:1"]
    text = work.page.read_text()
    for unit in range(2):
        folder = tmp_path / f"unit-{unit}"
        told = json.loads((folder / "card.json").read_text())
        assert f'href="{folder.name}/index.html"' in text
        assert f'<audio controls preload="none" aria-label="what raises unit:{unit}"' in text
        assert f'src="{folder.name}/unit-{unit}.positive.wav"' in text
        assert told["probe"]["verdict"] in text
        for row in told["pictures"].values():
            assert all((folder / one["file"]).is_file() for one in row)
        with Image.open(folder / "strip.jpg") as strip:
            assert strip.size == (96 * 2, 96)  # the clip and one example
    assert "doubts" not in text.partition("<style>")[2].partition("</style>")[2]  # nobody asked
    (tmp_path / "unit-1" / "card.json").unlink()
    again, units = made()
    assert (units, again.kept) == (["unit:1"], 1)
    assert made()[1] == []


def test_a_size_is_refused_for_clips(ear: Model, recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="size is of pictures, and ear hears sounds"):
        Bookmaking(ear, "unit:0..2", recordings, tmp_path, render=RenderConfig(size=64))


def test_a_pitch_of_crepe_is_probed_to_its_band_at_any_level(shared: Path) -> None:
    index = scan(load("crepe_tiny"), shared / "audio", layers=["output"], config=ScanConfig(top=4))
    found = probe(load("crepe_tiny"), "logit:228", shared / "audio", index=index, config=ProbeConfig(probed=2))
    assert found.band[0] < hertz(228) < found.band[1]  # 441 Hz
    assert found.verdict.startswith("a low sound of")
    assert found.kept("softer") == pytest.approx(1, abs=0.05)  # its frames are brought to one level
