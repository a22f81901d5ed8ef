"""A sound without ends, as a network hears it: its features are those of its endless repetition.

    Wrap    lets the network hear the wave with some of its own repetition before and behind it
    Inside  scores the positions of the wave itself and leaves those of the margins out

Near the ends of a wave fewer windows hear each sample, and a statistic does not mind what it does not hear: an
optimiser puts there whatever it wants to be rid of. A loop has no ends, so every sound here is made as one. Where its
length is a multiple of the deepest stride, turning it by that stride changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, Objective
from phosphene.seeds import Generators

PROBE_SEED = 0  # of the noise by which a network's reach is measured
LONGEST = 1 << 17  # samples of the longest wave that is tried, 8 s at 16 kHz


@dataclass(frozen=True)
class Reach:
    """What a position of a layer hears. axis: of (b, c, *space), along which time runs. stride: samples from one
    position to the next. before, behind: samples that it hears before its own place, and from there on.
    """

    axis: int
    stride: int
    before: int
    behind: int


@dataclass(frozen=True)
class Around:
    """How much of its repetition a network hears around a wave, in samples, and the layers that are read."""

    before: int
    behind: int
    layers: Mapping[str, Reach]


@dataclass(frozen=True)
class Wrap:
    """The transform that repeats a wave (b, c, n) around itself."""

    around: Around

    @property
    def still(self) -> bool:
        """Every step lets the same be heard."""
        return True

    def draw(self, generators: Generators, step: int, device: torch.device | str = "cpu") -> None:
        """Nothing is drawn."""

    def __call__(self, x: Tensor, params: None = None) -> tuple[Tensor, Tensor]:
        """Views (b, c, before + n + behind), and the row of each."""
        places = torch.arange(-self.around.before, x.shape[-1] + self.around.behind, device=x.device) % x.shape[-1]
        return x[..., places], torch.arange(len(x), device=x.device)


@dataclass(frozen=True)
class Inside(Objective, registered=False):
    """An objective that reads only the positions of a wave of so many samples, not those of the margins around it."""

    of: Objective
    samples: int
    around: Around

    def __call__(self, acts: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        return self.of(inside(acts, self.samples, self.around), rows)

    @property
    def children(self) -> tuple[Objective, ...]:
        return (self.of,)


def inside(acts: Mapping[str, Tensor], samples: int, around: Around) -> dict[str, Tensor]:
    """Activations of a wrapped wave without those of the margins; the wave itself, "input", stays as it is."""
    found = dict(acts)
    for name, reach in around.layers.items():
        if name != INPUT and name in acts:
            count = min(max(1, round(samples / reach.stride)), acts[name].shape[reach.axis])
            found[name] = acts[name].narrow(reach.axis, around.before // reach.stride, count)
    return found


def surround(model: Model, layers: Collection[str]) -> Around:
    """The margins within which some layers hear nothing but the loop.

    Raises UsageError for a layer that has no time, or hears the whole of a sound: no margin is wide enough.
    """
    found = {name: _reach(model, name) for name in sorted(layers)}
    step = math.lcm(*(reach.stride for reach in found.values()))
    before = -(-max(reach.before for reach in found.values()) // step) * step
    return Around(before, max(reach.behind for reach in found.values()), found)


def _reach(model: Model, name: str) -> Reach:
    """Measured by the gradient of one position in the middle of noise; the noise is made longer until that hears no
    end of it."""
    stride = model.find_layer(name).stride
    if stride is None or not model.find_layer(name).spatial:
        raise UsageError(f"{name} of {model.name} has no time of its own: nothing of it can be repeated")
    samples = max(model.audio_spec.samples, 4 * model.audio_spec.least)
    axis = _time_axis(model, name, samples, stride)
    while samples <= LONGEST:
        heard, place = _heard(model, name, axis, samples)
        if len(heard) == 0:
            raise UsageError(f"{name} of {model.name} is silent for noise: what it hears of a loop cannot be measured")
        first, last = int(heard.min()), int(heard.max())
        at = place * stride
        if first > 0 and last < samples - 1 - stride:
            return Reach(axis, stride, max(0, at - first), max(1, last + 1 - at - stride))
        samples *= 2
    raise UsageError(f"{name} of {model.name} hears the whole of a sound, so a sound without ends is none to it")


def _heard(model: Model, name: str, axis: int, samples: int) -> tuple[Tensor, int]:
    """The samples that reach the middle position of a layer, and which position that is."""
    with torch.enable_grad():
        noise = _noise(model, samples).requires_grad_()
        features = model.activations(noise, [name])[name]
        place = features.shape[axis] // 2
        (gradient,) = torch.autograd.grad(features.select(axis, place).square().sum(), [noise])
    return gradient[0].abs().amax(0).nonzero()[:, 0].cpu(), place


def _time_axis(model: Model, name: str, samples: int, stride: int) -> int:
    """The axis of (b, c, *space) that grows with the sound."""
    with torch.no_grad():
        shapes = [model.activations(_noise(model, n), [name])[name].shape for n in (samples, samples + 16 * stride)]
    return next(axis for axis in range(2, len(shapes[0])) if shapes[0][axis] != shapes[1][axis])


def _noise(model: Model, samples: int) -> Tensor:
    shape = (model.audio_spec.channels, samples)
    return 0.1 * Generators(PROBE_SEED, ["reach"]).normal("noise", 0, shape, model.device)
