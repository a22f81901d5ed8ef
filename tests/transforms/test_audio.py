"""What the transforms of sounds do, each against its own formula."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.seeds import Generators
from phosphene.transforms import QUIET, AudioRanges, Shake
from phosphene.transforms.audio import cubic, resampled

NOTHING = {"shift": 0, "speed": 0, "gain": 0, "polarity": False, "noise": None, "relax": 1.0}


def tone(frequency: float, samples: int = 2048) -> Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(samples))[None, None]


def shown(x: Tensor, step: int = 0, **changes: object) -> Tensor:
    transform = Shake(AudioRanges(**{**NOTHING, **changes}), x.shape[-1], 10)  # type: ignore[arg-type]
    return transform(x, transform.draw(Generators(0, [str(row) for row in range(len(x))]), step))[0]


def test_no_change_shows_the_sound_itself() -> None:
    x = torch.randn(2, 1, 100)
    transform = Shake(QUIET, 100, 10)
    views, rows = transform(x, transform.draw(Generators(0, ["a", "b"]), 0))
    assert views is x
    assert transform.still
    assert rows.tolist() == [0, 1]


def test_a_shift_moves_whole_samples_and_leaves_silence() -> None:
    x = torch.randn(1, 1, 400, generator=torch.Generator().manual_seed(0))
    view = shown(x, shift=50)
    found = [s for s in range(-50, 51) if torch.allclose(view[..., 60:-60], x[..., 60 + s : 340 + s], atol=1e-6)]
    assert len(found) == 1
    assert found != [0]
    silent = view[..., 400 - found[0] :] if found[0] > 0 else view[..., : -found[0]]
    assert bool((silent == 0).all())


def test_a_change_of_speed_moves_the_pitch() -> None:
    faster = resampled(tone(0.05), torch.zeros(1), torch.tensor([1.1]), 1024)
    peak = int(torch.fft.rfft(faster[0, 0] * torch.hann_window(1024)).abs().argmax())
    assert peak == round(1024 * 0.055)


def test_resampling_reproduces_a_parabola() -> None:
    t = torch.arange(64, dtype=torch.float64)
    x = (0.01 * t**2 - t)[None, None]
    found = resampled(x, torch.tensor([0.3], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64), 64)
    assert float((found[0, 0, 4:-4] - (0.01 * (t + 0.3) ** 2 - (t + 0.3))[4:-4]).abs().max()) < 1e-4


def test_the_kernel_sums_to_one() -> None:
    share = torch.rand(9)
    torch.testing.assert_close(sum(cubic(share - offset) for offset in (-1, 0, 1, 2)), torch.ones(9))


def test_gain_and_polarity_stay_in_their_ranges() -> None:
    x = torch.ones(64, 1, 8)
    factors = shown(x, gain=6, polarity=True)[:, 0, 0]
    assert float(factors.abs().min()) >= 10 ** (-6 / 20)
    assert float(factors.abs().max()) <= 10 ** (6 / 20)
    assert 0.2 < float((factors < 0).float().mean()) < 0.8


def test_noise_keeps_its_distance_from_the_signal() -> None:
    x = tone(0.1).expand(32, -1, -1) * 0.3
    noise = shown(x, noise=20) - x
    distances = 10 * torch.log10(x.square().mean((1, 2)) / noise.square().mean((1, 2)))
    assert float(distances.min()) > 19.5
    assert float(distances.max()) < 40.5


def test_a_crop_shows_a_part_of_the_sound() -> None:
    x = torch.arange(1000.0)[None, None]
    transform = Shake(AudioRanges(**{**NOTHING, "crop": 0.25, "crops": 6}), 1000, 10)  # type: ignore[arg-type]
    views, rows = transform(x, transform.draw(Generators(0, ["a"]), 0))
    assert views.shape == (6, 1, 250)
    assert rows.tolist() == [0] * 6
    torch.testing.assert_close(views.diff(dim=2), torch.ones(6, 1, 249))
    assert len({round(float(view[0, 0])) for view in views}) == 6


def test_strength_fades() -> None:
    transform = Shake(AudioRanges(relax=0.25), 100, 60)
    assert (transform.strength(0), transform.strength(50), transform.strength(59)) == (1, 0.25, 0.25)


def test_what_is_drawn_depends_on_the_unit_and_step_alone() -> None:
    x = torch.randn(2, 1, 300, generator=torch.Generator().manual_seed(0))
    transform = Shake(AudioRanges(), 300, 10)
    both, _ = transform(x, transform.draw(Generators(0, ["a", "b"]), 3))
    alone, _ = transform(x[1:], transform.draw(Generators(0, ["b"]), 3))
    assert torch.equal(both[1:], alone)


@pytest.mark.parametrize(
    "wrong", [{"shift": -1}, {"speed": 0.7}, {"gain": 99}, {"crop": 0}, {"crops": 0}, {"relax": 2}]
)
def test_ranges_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        AudioRanges(**wrong)  # type: ignore[arg-type]
