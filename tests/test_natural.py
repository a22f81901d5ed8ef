"""Statistics of pictures: measured, kept as text, and used by the signals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phosphene.cli.main import run
from phosphene.errors import PhospheneError, RecipeError, UsageError
from phosphene.features.batch import parts
from phosphene.features.plan import plan
from phosphene.features.render import render
from phosphene.features.rerun import rerun
from phosphene.media import png_bytes, read_picture, to_tensor
from phosphene.models import Model
from phosphene.natural import (
    HIGHEST,
    IMAGENET_COLOR_SQRT,
    MEAN,
    Natural,
    Survey,
    falling,
    frequencies,
    natural,
    polar,
    polar_rows,
)
from phosphene.recipe import RenderConfig, RunConfig, SignalConfig
from phosphene.signals import Cppn, Fourier, Maco, Transparent

SIDE = 64
COLORS = torch.tensor([[0.10, 0.05, 0.01], [0.12, -0.01, -0.03], [0.08, -0.04, 0.02]])


def synthetic(number: int, decay: float = 1.5) -> Tensor:
    """A picture whose spectrum falls as f**-decay, in colors that are known."""
    generator = torch.Generator().manual_seed(number)
    phases = torch.randn(3, SIDE, SIDE, generator=generator)
    f = frequencies(SIDE, SIDE).clamp(min=1 / SIDE)
    flat = torch.fft.irfft2(torch.fft.rfft2(phases) * f**-decay, s=(SIDE, SIDE))
    flat = (flat - flat.mean((1, 2), keepdim=True)) / flat.std((1, 2), keepdim=True)
    return (0.5 + torch.einsum("ij,jhw->ihw", COLORS, flat)).clamp(0, 1)


@pytest.fixture(scope="module")
def measured() -> Natural:
    survey = Survey(SIDE)
    for number in range(40):
        survey.add(synthetic(number))
    return survey.found()


def test_the_colors_are_those_that_the_pictures_were_made_of(measured: Natural) -> None:
    found = torch.tensor(measured.color)
    torch.testing.assert_close(found @ found.T, COLORS @ COLORS.T, atol=1.5e-3, rtol=0.1)
    assert bool((found[0] >= 0).all())
    lengths = found.norm(dim=0).tolist()
    assert lengths == sorted(lengths, reverse=True)


def test_the_spectrum_falls_as_the_pictures_do(measured: Natural) -> None:
    assert measured.slope() == pytest.approx(1.5, abs=0.1)
    f = frequencies(SIDE, SIDE)
    inside = (f > 3 / SIDE) & (f < 0.45)
    ratio = measured.amplitudes((SIDE, SIDE))[:, inside] * f[inside] ** 1.5
    assert float((ratio / ratio.mean(1, keepdim=True) - 1).abs().max()) < 0.35


def test_another_size_has_the_same_amplitude_at_the_same_frequency(measured: Natural) -> None:
    small, large = measured.amplitudes((32, 32)), measured.amplitudes((64, 64))
    torch.testing.assert_close(large[:, ::2, ::2][:, 1:16, 1:], small[:, 1:16, 1:], rtol=1e-4, atol=1e-5)


def test_white_noise_is_white() -> None:
    survey = Survey(32)
    for number in range(30):
        survey.add(torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(number)))
    assert survey.found().slope() == pytest.approx(0, abs=0.1)


def test_waves_along_one_direction_are_told_from_the_other() -> None:
    survey = Survey(32)
    for number in range(20):
        noise = torch.rand(3, 1, 32, generator=torch.Generator().manual_seed(number))
        fine = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(99 + number))
        survey.add(0.8 * noise.expand(3, 32, 32) + 0.2 * fine)
    spectrum = torch.tensor(survey.found().spectrum)
    assert float(spectrum[0, 4:9, 0].mean()) > 4 * float(spectrum[0, 4:9, 4].mean())


def test_every_frequency_lies_among_four_nodes_whose_weights_sum_to_one() -> None:
    rows, columns = torch.fft.fftfreq(31)[:, None].expand(31, 16), torch.fft.rfftfreq(31)[None].expand(31, 16)
    index, weight = polar(rows, columns, 1 / 64, (20, 8))
    assert 0 <= int(index.min()) <= int(index.max()) < 160
    torch.testing.assert_close(weight.sum(0), torch.ones(31, 16))
    assert float(weight.min()) >= 0


@pytest.mark.parametrize("count", [1, 7, 8, 33, 1000])
def test_polar_numbers_of_a_row_are_the_same_to_the_bit_in_any_place(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    magnitude, phase = torch.rand(1, count, generator=generator), 9 * torch.randn(1, count, generator=generator)
    alone = polar_rows(magnitude, phase)[0]
    assert all(torch.equal(row, alone) for row in polar_rows(magnitude.repeat(9, 1), phase.repeat(9, 1)))
    torch.testing.assert_close(alone, torch.polar(magnitude, phase)[0])


def test_a_picture_measured_twice_counts_no_other_way_than_once() -> None:
    once, twice = Survey(SIDE), Survey(SIDE)
    for survey, times in ((once, 1), (twice, 2)):
        for _ in range(times):
            survey.add(synthetic(0))
            survey.add(synthetic(1))
    assert once.found().color == twice.found().color
    assert once.found().spectrum == twice.found().spectrum


def test_imagenet_pictures_have_the_colors_that_are_built_in(shared: Path) -> None:
    survey = Survey()
    for file in sorted((shared / "images" / "imagenet1k-sample").iterdir())[::10]:
        survey.add(to_tensor(read_picture(file).convert("RGB")))
    found = survey.found()
    assert survey.pictures == 100
    torch.testing.assert_close(torch.tensor(found.color), torch.tensor(IMAGENET_COLOR_SQRT), atol=0.035, rtol=0)
    assert 0.9 < found.slope() < 1.5


def test_without_a_measurement_amplitudes_fall_as_one_over_f() -> None:
    shown = (3, True, True)
    assert falling((8, 9), shown, 1.0, None).shape == (4, 8, 5)
    f = frequencies(8, 9)
    torch.testing.assert_close((falling((8, 9), shown, 2.0, None) * f**2)[:, 1:], torch.ones(4, 7, 5))


def test_the_mean_has_an_amplitude_of_its_own(measured: Natural) -> None:
    for statistics in (None, measured):
        own, lowest = (falling((8, 9), (3, True, True), 1.0, statistics, mean=mean) for mean in (MEAN, 1.0))
        torch.testing.assert_close(own[:, 0, 0], MEAN * lowest[:, 0, 0])
        assert torch.equal(own.flatten(1)[:, 1:], lowest.flatten(1)[:, 1:])


def test_what_is_no_whitened_color_has_the_spectrum_of_light(measured: Natural) -> None:
    colors = measured.amplitudes((8, 8))
    whitened = falling((8, 8), (3, True, True), 1.0, measured, mean=1.0)
    assert torch.equal(whitened[:3], colors)
    assert torch.equal(whitened[3], colors[0])
    for shown in ((3, False, False), (1, True, False), (5, True, False)):
        assert all(torch.equal(one, colors[0]) for one in falling((8, 8), shown, 1.0, measured, mean=1.0))


def test_text_reads_back_as_the_same_statistics(measured: Natural, tmp_path: Path) -> None:
    assert natural(measured.to_text()) == measured
    file = tmp_path / "own.json"
    file.write_text(measured.to_text(), encoding="utf-8")
    assert natural(str(file)) == measured
    assert len(measured.to_text()) < 8000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "feature"}, "holds no statistics"),
        ({"schema": 99}, "update phosphene"),
        ({"color": [[1, 2], [3, 4]]}, "3 x 3"),
        ({"color": [[1, 2, 3], [2, 4, 6], [1, 0, 0]]}, "invertible"),
        ({"spectrum": [[[1.0], [1.0]]] * 2}, "3 colors"),
        ({"spectrum": [[[1.0]], [[1.0]], [[1.0]]]}, "2 or more"),
        ({"spectrum": [[[1.0], [1.0, 2.0]]] * 3}, "3 colors"),
        ({"spectrum": [[[1.0], [-1.0]]] * 3}, "positive"),
        ({"spectrum": [[[1.0]] * 5000] * 3}, "3 colors"),
        ({"lowest": 0.8}, "lowest"),
        ({"lowest": "low"}, "lowest"),
    ],
)
def test_statistics_that_cannot_be_are_refused(measured: Natural, change: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        natural(json.dumps(json.loads(measured.to_text()) | change))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_text(" " * 300_000)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name, words in (("absent.json", "cannot read"), ("large.json", "too large"), ("binary.json", "no statistics")):
        with pytest.raises(UsageError, match=words):
            natural(str(tmp_path / name))


def test_pictures_that_hold_nothing_to_measure_are_refused() -> None:
    with pytest.raises(UsageError, match="no picture"):
        Survey(16).found()
    gray = Survey(16)
    gray.add(torch.rand(1, 16, 16).expand(3, 16, 16))
    with pytest.raises(UsageError, match="no color"):
        gray.found()
    with pytest.raises(UsageError, match="in color"):
        gray.add(torch.rand(1, 16, 16))
    with pytest.raises(UsageError, match="16 pixels"):
        Survey(8)


def test_signals_take_their_colors_and_spectrum_from_it(measured: Natural) -> None:
    plain, own = Fourier(1, size=(16, 16)), Fourier(1, size=(16, 16), natural=measured)
    torch.testing.assert_close(own.basis, measured.color_basis())
    assert float(own.basis.norm(dim=0).max()) == pytest.approx(1)
    assert own.scale.shape == (3, 16, 9)
    assert float(own.scale[0, 1, 0] / own.scale[0, 4, 0]) > 1.5 * float(plain.scale[0, 1, 0] / plain.scale[0, 4, 0])
    magnitude = Maco(2, size=(16, 16), natural=measured).magnitude[0]
    ratio = magnitude[:, 1:] / measured.amplitudes((16, 16))[:, 1:]
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio))


@pytest.fixture
def file(measured: Natural, tmp_path: Path) -> Path:
    path = tmp_path / "own.json"
    path.write_text(measured.to_text(), encoding="utf-8")
    return path


def test_a_recipe_holds_the_statistics_and_no_path(tiny_model: Model, file: Path) -> None:
    config = RenderConfig(steps=2, signal=SignalConfig(signal="maco", natural=str(file), transparency=True))
    (picture,) = render(tiny_model, "features.2:3", config=config, run=RunConfig(device="cpu"))
    assert picture.pixels.shape == (4, 32, 32)
    recipe = json.loads(json.dumps(picture.recipe))
    assert str(file.parent) not in json.dumps(recipe)
    file.unlink()
    again = rerun(recipe, model=tiny_model)
    assert again.same
    recipe["method"]["signal"]["natural"] = "own.json"
    with pytest.raises(RecipeError, match="only their text"):
        rerun(recipe, model=tiny_model)


def test_the_plan_builds_the_signal_that_is_named(tiny_model: Model) -> None:
    for name, kind, step in (("maco", Maco, 0.1), ("cppn", Cppn, 0.002), ("fourier", Fourier, 0.05)):
        config = RenderConfig(signal=SignalConfig(signal=name))  # type: ignore[arg-type]
        work = plan(tiny_model, "features.2:3", config)
        signal, _ = parts(work, work.groups[0], 2, None, torch.device("cpu"))
        assert type(signal) is kind
        assert work.config.optimizer.lr == step
    config = RenderConfig(signal=SignalConfig(signal="laplacian", levels=2, transparency=True))
    work = plan(tiny_model, "features.2:3", config)
    signal, _ = parts(work, work.groups[0], 2, None, torch.device("cpu"))
    assert isinstance(signal, Transparent)
    assert len(list(signal.parameters())) == 2


def test_a_formula_cannot_start_from_a_picture(tiny_model: Model) -> None:
    config = RenderConfig(signal=SignalConfig(signal="cppn"))
    with pytest.raises(UsageError, match="cannot start from a picture"):
        render(tiny_model, "features.2:3", config=config, init=torch.full((3, 32, 32), 0.5))


def test_a_formula_is_also_kept_in_a_larger_size(tiny_model: Model, tmp_path: Path) -> None:
    config = RenderConfig(size=(16, 24), steps=2, signal=SignalConfig(signal="cppn", large=96))
    (picture,) = render(tiny_model, "features.2:3", config=config, out=tmp_path)
    assert picture.size == (16, 24)
    large = to_tensor(read_picture(tmp_path / "features.2-3.large.png"))
    assert large.shape == (3, 64, 96)
    small = torch.nn.functional.avg_pool2d(large, 4)
    assert float((small - picture.pixels).abs().mean()) < 0.05


@pytest.mark.parametrize(
    "settings",
    [
        {"signal": "maco", "alpha": True},
        {"transparency": True, "alpha": True},
        {"large": 512},
        {"signal": "cppn", "large": 1},
        {"signal": "cppn", "large": 512, "transparency": True},
        {"signal": "laplacian", "levels": 0},
    ],
)
def test_options_that_do_not_go_together_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SignalConfig(**settings)


def test_the_command_measures_a_folder_and_passes_over_what_is_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "own.json"
    (folder / "below").mkdir(parents=True)
    for number in range(3):
        (folder / "below" / f"{number}.png").write_bytes(png_bytes(synthetic(number)))
    (folder / "small.png").write_bytes(png_bytes(synthetic(0)[:, :20, :20]))
    (folder / "notes.txt").write_text("no picture")
    assert run(["natural", str(folder), "--side", "32", "--out", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["pictures"] == 3
    assert "2 files" in shown.err
    assert natural(str(out)).pictures == 3
    assert natural(str(out)).lowest == pytest.approx(1 / 32)
    assert natural(str(out)).lowest < HIGHEST


@pytest.mark.parametrize(
    ("words", "said"),
    [(["absent"], "no folder"), (["."], "no picture of"), ([".", "--out", "own.png"], "saved as .json")],
)
def test_the_command_says_what_it_lacks(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["natural", *words]) == UsageError.exit_code
    assert said in capsys.readouterr().err
    assert issubclass(UsageError, PhospheneError)
