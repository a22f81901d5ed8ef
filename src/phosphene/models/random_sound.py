"""`random_sound`: an ear that was never trained, whose statistics tell textures of sound apart.

    |STFT| -> log(1 + (gain |X|)^2) / 2 -> for each width w: convolution over w frames -> ReLU

Every filter spans all frequencies, so that a pitch is not a shift, and w frames of time, from 8 ms to half a second.
One layer of random filters is enough for textures (Ulyanov and Lebedev 2016; Ustyuzhaninov et al. 2016, arXiv
1606.00021); filters of several widths keep what is longer than a grain (Antognini et al. 2018, arXiv 1806.08002); and
the gradient reaches the wave, so that no phase is guessed afterwards (Caracalla and Roebel 2019, arXiv 1905.03637).

`random_sound_judge` is the same with other filters: it measures what it was not used to make.

Departures: the published ones have 512 to 4096 filters of a width. A filter here is the product of a pattern over
frequencies and one over time, which costs a tenth and less: 128 of them at each of seven widths. The logarithm
is smooth where a magnitude is 0: log(1 + gain |X|) has a kink there, and L-BFGS gets stuck on it.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from phosphene.models.frontend import Spectrum
from phosphene.models.spec import AudioSpec
from phosphene.models.weights import RANDOM, load_file, same_random_weights
from phosphene.seeds import Generators

NAME, JUDGE = "random_sound", "random_sound_judge"
SEEDS = {NAME: 0, JUDGE: 1}
LICENSE = "MIT"
RATE, N_FFT, HOP = 16_000, 512, 128  # Hz, samples
WIDTHS = (1, 2, 4, 8, 16, 32, 64)  # frames; 32 ms to 0.54 s of sound
FILTERS = 128  # of each width
GAIN = 10.0  # of magnitudes: under the logarithm white noise at -23 dBFS stands 20 dB above where it turns flat
MIDDLE, SPREAD = 1.0, 1.0  # of the logarithms: silence is 0, white noise at -23 dBFS about 2.3
BIAS = 0.5  # deviation of the filters' thresholds, as a share of that of their responses
# Style: the log spectrum and the filters of every width. Content: those of 8 frames, 90 ms, which keep syllables and
# let pitches go.
ROLES = ("width8.relu", ("levels", *(f"width{width}.relu" for width in WIDTHS)))
SPEC = AudioSpec(rate=RATE, samples=2 * RATE, least=N_FFT + (WIDTHS[-1] - 1) * HOP)


class Filters(nn.Module):
    """(b, bins, frames) -> (b, filters, frames - width + 1): products of a pattern over bins and one over frames."""

    def __init__(self, bins: int, filters: int, width: int) -> None:
        super().__init__()
        self.over_bins = nn.Conv1d(bins, filters, 1, bias=False)
        self.over_time = nn.Conv1d(filters, filters, width, groups=filters)
        self.relu = nn.ReLU()

    def forward(self, levels: Tensor) -> Tensor:
        heard: Tensor = self.relu(self.over_time(self.over_bins(levels)))
        return heard


class RandomSound(nn.Module):
    """The network, waves (b, 1, n) -> the responses of the widest filters (b, 128, frames); n at least 8576.

    seed: of the filters.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.spectrum = Spectrum(N_FFT, hop=HOP)
        self.levels = nn.Identity()
        generators = Generators(seed, [NAME])
        for width in WIDTHS:
            filters = Filters(N_FFT // 2 + 1, FILTERS, width)
            for name, weight in filters.named_parameters():
                fan = math.prod(weight.shape[1:]) if weight.dim() > 1 else BIAS**-2
                drawn = generators.normal(f"width {width} {name}", 0, weight.shape)[0]
                weight.data = drawn / math.sqrt(fan)
            self.add_module(f"width{width}", filters)

    def forward(self, wave: Tensor) -> Tensor:
        levels = self.levels((0.5 * torch.log1p((GAIN * self.spectrum(wave)).square()) - MIDDLE) / SPREAD)
        for width in WIDTHS:
            found: Tensor = self.get_submodule(f"width{width}")(levels)
        return found


def load_random_sound(name: str, weights: str | Path | None = None) -> tuple[RandomSound, str]:
    """The network with its own filters, or with those of a file; and where they came from."""
    with same_random_weights():  # torch draws for every convolution that it makes
        net = RandomSound(SEEDS[name])
    if weights in (None, RANDOM):
        return net, RANDOM
    file = Path(str(weights)).expanduser()
    load_file(net, file, name)
    return net, f"file:{file.name}"
