"""The laws of sounds, over every entry of the registry of waves: a wave that is new is tested by existing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from phosphene.engine import Step, optimize
from phosphene.errors import UsageError
from phosphene.models import AudioSpec, Model, from_module
from phosphene.objectives import Channel, Density, HighPass, Objective, Slope, TVFrequency, TVTime
from phosphene.recipe import OptimizerConfig, RenderConfig
from phosphene.seeds import Generators
from phosphene.signals import WAVES, FourierWave, ShortTime, Wave
from phosphene.transforms import QUIET, Shake

every_wave = pytest.mark.parametrize("kind", WAVES.values(), ids=WAVES.keys())
SAMPLES = 1024


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).clamp(-4, 4)


def decibels(signal: Tensor, error: Tensor) -> float:
    return float(10 * torch.log10(signal.square().mean() / error.square().mean()))


@pytest.fixture
def ears() -> Model:
    """Four random filters of 31 samples, a rectifier, in a network that hears."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv1d(1, 4, 31, stride=3, bias=False), nn.ReLU())
    return from_module(net, AudioSpec(samples=SAMPLES))


def climb(model: Model, objective: Objective, kind: type[Wave], *, steps: int = 2, lr: float = 0.001) -> list[Step]:
    bound = objective.bind(model)
    wave = kind(bound.rows, samples=SAMPLES)
    wave.start(Generators(0, [bound.identity(row) for row in range(bound.rows)]))
    config = RenderConfig(steps=steps, optimizer=OptimizerConfig(lr=lr))
    return list(optimize(bound, model, wave, Shake(QUIET, SAMPLES, steps), config))


@every_wave
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [64, 1001, 4096, 16_000])
def test_white_noise_is_encoded_to_60_decibels(kind: type[Wave], samples: int, channels: int) -> None:
    wave = kind(2, channels=channels, samples=samples)
    given = noise(2, channels, samples) * torch.tensor([1.0, 0.01])[:, None, None]
    wave.encode(given)
    for row in (0, 1):
        assert decibels(given[row], wave().detach()[row] - given[row]) > 60


@every_wave
@pytest.mark.parametrize(
    ("given", "reason"),
    [(torch.zeros(1, 1, 64), "silence"), (torch.full((1, 1, 64), 1.5), "outside"), (torch.ones(1, 1, 63), "shape")],
)
def test_what_cannot_be_encoded_is_refused_and_moves_nothing(kind: type[Wave], given: Tensor, reason: str) -> None:
    wave = kind(1, samples=64)
    before = [parameter.clone() for parameter in wave.parameters()]
    with pytest.raises(UsageError, match=reason):
        wave.encode(given)
    assert all(torch.equal(a, b) for a, b in zip(before, wave.parameters(), strict=True))


@every_wave
def test_the_level_is_held_and_no_wave_leaves_its_range(kind: type[Wave]) -> None:
    wave = kind(3, samples=SAMPLES, level=0.1)
    wave.start(Generators(0, ["a", "b", "c"]))
    with torch.no_grad():
        for parameter in wave.parameters():
            parameter.mul_(torch.tensor([0.01, 1.0, 50.0]).view(-1, *[1] * (parameter.dim() - 1)))
    rms = wave().detach().square().mean((1, 2)).sqrt()
    torch.testing.assert_close(rms, torch.full((3,), 0.1), rtol=1e-4, atol=0)
    loud = kind(1, samples=SAMPLES, level=1.0)
    loud.start(Generators(0, ["a"]))
    assert float(loud().detach().abs().max()) == pytest.approx(1, abs=1e-6)


@every_wave
def test_a_wave_fades_in_and_out(kind: type[Wave]) -> None:
    wave = kind(1, samples=4096)
    wave.start(Generators(0, ["a"]))
    power = wave().detach()[0, 0].square()
    ends = torch.cat([power[:16], power[-16:]]).mean()
    assert float(ends) < 0.01 * float(power.mean())


@every_wave
def test_rows_of_waves_do_not_mix(kind: type[Wave]) -> None:
    wave = kind(3, samples=SAMPLES)
    wave.start(Generators(0, ["a", "b", "c"]))
    for gradient in torch.autograd.grad(wave()[1].pow(3).sum(), list(wave.parameters())):
        assert (gradient.flatten(1).abs().sum(1) > 0).tolist() == [False, True, False]


@every_wave
def test_a_rows_start_and_wave_depend_on_its_unit_alone(kind: type[Wave]) -> None:
    def waves(units: list[str]) -> Tensor:
        wave = kind(len(units), samples=SAMPLES)
        wave.start(Generators(0, units))
        return wave().detach()

    together, others = waves(["a", "b", "c"]), waves(["d", "c", "b"])
    assert torch.equal(together[1], others[2])
    assert torch.equal(together[2], others[1])
    assert not torch.equal(together[0], together[1])


@every_wave
def test_a_waves_state_makes_the_same_sound_again(kind: type[Wave]) -> None:
    first, second = (kind(2, samples=SAMPLES) for _ in range(2))
    first.encode(noise(2, 1, SAMPLES))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first().detach(), second().detach())


@every_wave
@pytest.mark.parametrize(
    "objective",
    [
        Channel("1", (0, 1, 2, 3)),
        -Channel("0", 2),
        HighPass(0.1),
        Slope(),
        -Slope(),
        -TVTime(),
        -TVFrequency(),
        -Density(),
    ],
    ids=str,
)
def test_one_step_of_ascent_raises_the_score_of_a_sound(kind: type[Wave], objective: Objective, ears: Model) -> None:
    before, after = climb(ears, objective, kind)
    assert bool((after.scores > before.scores).all())


@every_wave
def test_batched_equals_alone_for_sounds(kind: type[Wave], ears: Model) -> None:
    together = climb(ears, Channel("1", (0, 1, 2)), kind, steps=5, lr=0.05)[-1]
    swapped = climb(ears, Channel("1", (2, 0, 1)), kind, steps=5, lr=0.05)[-1]
    assert torch.equal(together.scores[[2, 0, 1]], swapped.scores)


@every_wave
def test_a_run_that_was_interrupted_goes_on_to_the_bit(kind: type[Wave], ears: Model) -> None:
    bound = Channel("1", 2).bind(ears)
    config, transform = RenderConfig(steps=6), Shake(QUIET, SAMPLES, 6)

    def started() -> Wave:
        wave = kind(1, samples=SAMPLES)
        wave.start(Generators(0, [bound.identity(0)]))
        return wave

    whole, state = [], None
    for step in optimize(bound, ears, started(), transform, config):
        whole.append(step.scores)
        if step.i == 3:
            state = {**step.state(), "signal": {k: v.clone() for k, v in step.signal.state_dict().items()}}
            state["ascent"] = torch.load(_saved(state["ascent"]), weights_only=False)
    resumed = [step.scores for step in optimize(bound, ears, kind(1, samples=SAMPLES), transform, config, state=state)]
    assert [float(score) for score in resumed] == [float(score) for score in whole[3:]]


def _saved(state: object) -> object:
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", [FourierWave, ShortTime])
def test_the_start_falls_by_3_decibels_an_octave_inside_of_its_band(kind: type[Wave]) -> None:
    wave = kind(8, samples=16_384, low=0.01, high=0.4)  # type: ignore[call-arg]
    wave.start(Generators(0, [str(row) for row in range(8)]))
    power = torch.fft.rfft(wave().detach()).abs().square().mean((0, 1))

    def level(low: float, high: float) -> float:
        return 10 * math.log10(float(power[round(low * 16_384) : round(high * 16_384)].mean()))

    assert level(0.15, 0.3) - level(0.3, 0.39) == pytest.approx(10 * math.log10(0.345 / 0.2164), abs=0.5)
    assert level(0.02, 0.04) - level(0.16, 0.32) == pytest.approx(9, abs=1)
    assert level(0.02, 0.04) - level(0.45, 0.5) > 30


@pytest.mark.parametrize("band", [(0.3, 0.2), (-0.1, 0.2), (0.6, 0.7)])
def test_a_band_that_holds_nothing_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="cycles per sample"):
        FourierWave(1, samples=256, low=band[0], high=band[1])
