"""Where the gradient gets its high frequencies: its spectrum at each layer on the way back to the picture.

A layer that looks at every s-th place hands more of its gradient to some places than to others, in a lattice of period
s: a checkerboard in the size of the gradient (Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016;
Olah et al., Distill 2017, "The Enemy of Feature Visualization"). A lattice is a spike in a spectrum:

    m      = mean over channels and views of |gradient|, (h, w)
    spike  = mean power of m at the frequencies (k/s, l/s) / mean power of m around them,    around: to 1/(2 s)

without those that belong to a smaller stride already (k and l both multiples). About 1 is no spike. Strides multiply:
before two layers of stride 2 there are spikes at 1/2, from the nearer one, and at 1/4, from the other.

The sign of the gradient hides the lattice, since neighbors differ in it: the spectrum of the gradient itself rises by a
few times at 1/s where its size has a spike of a thousand. Both are given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from phosphene.models import Layer, Model
from phosphene.models.backward import PICTURE, gradients
from phosphene.objectives import Objective
from phosphene.study.spectrum import Spectrum, plane, power, radial

SMALLEST = 8  # places along a map: fewer have no spectrum to speak of
CONTROL = 2  # the stride that is looked for where none follows
ON, OFF = 0.71, 2.5  # coefficients from a frequency: the nearest one to four; and beyond the reach of the Hann window
TOKENS = "places there are tokens in a row, and no map"  # why it has no spectrum
FLAT = 0.01  # of its mean square: the variance of a gradient that is the same everywhere but at the edges


@dataclass(frozen=True)
class Spike:
    """A lattice in the gradient of a layer. stride: its period in places of that layer. layer: the strided layer that
    writes it, "" for a control, where none follows. strength: its power over that of neighboring frequencies.
    """

    stride: int
    layer: str
    strength: float


@dataclass(frozen=True)
class LayerGradient:
    """The gradient at what one layer gives; layer is "input" for the picture. size: (height, width) of its maps.

    spikes: one for each stride that follows, nearest first. spectrum: power of the gradient on rings, relative to its
    mean. lattice: (h, w) power of its size m, relative to the square of m's mean.
    """

    layer: str
    kind: str
    size: tuple[int, int]
    spikes: tuple[Spike, ...]
    spectrum: Spectrum
    lattice: Tensor = field(repr=False)

    @property
    def strongest(self) -> Spike | None:
        """The strongest spike of a strided layer that follows."""
        real = [spike for spike in self.spikes if spike.layer and math.isfinite(spike.strength)]
        return max(real, key=lambda spike: spike.strength, default=None)


@dataclass(frozen=True)
class Way:
    """The gradient on its way back to the picture. layers: where it has a spectrum, the picture first. left_out:
    {layer: why it has none there}. Iterates over its layers.
    """

    layers: tuple[LayerGradient, ...]
    left_out: Mapping[str, str]

    def __iter__(self) -> Iterator[LayerGradient]:
        return iter(self.layers)


def gradient_spectra(model: Model, views: Tensor, unit: Objective) -> Way:
    """The gradient of `unit` (bound, one row) at the picture and each layer that the whole of it passes
    (`models/backward.py`), over views (v, c, h, w) in [0, 1].

    Left out: what is no map (h, w) of places, maps smaller than 8 places, and a gradient that is the same everywhere
    but at the edges, as that of a channel's mean at its own layer.
    """
    rows = torch.arange(len(views), device=model.device)
    found = gradients(model, views, unit.layers, lambda acts: unit(acts, rows))
    strides = {name: 1 if name == PICTURE else model.layers[name].stride for name in found}
    path = list(found)
    seen, left_out = [], {}
    for index, (name, gradient) in enumerate(found.items()):
        reason = _undefined(None if name == PICTURE else model.layers[name], gradient)
        if reason:
            left_out[name] = reason
            continue
        maps = gradient.flatten(0, 1)
        whole = power(maps)
        size = maps.abs().mean(0)
        lattice = power(size / size.mean())
        following = {other: strides[other] for other in path[index:]}
        kind = "picture" if name == PICTURE else model.layers[name].kind
        height, width = (int(side) for side in whole.shape)
        spectrum = radial(whole / whole.mean())
        seen.append(LayerGradient(name, kind, (height, width), _spikes(lattice, following), spectrum, lattice))
    return Way(tuple(seen), left_out)


def _undefined(layer: Layer | None, gradient: Tensor) -> str:
    """Why the gradient (v, c, *space) of a layer, or of the picture, has no spectrum; "" where it has one."""
    if layer is not None and layer.layout == "tokens":
        return TOKENS
    if gradient.dim() != 4:
        return "a vector has no places"
    maps = gradient.flatten(0, 1)
    if min(maps.shape[1:]) < SMALLEST:
        return f"maps of fewer than {SMALLEST} places a side"
    flat = not float(power(maps).mean()) > FLAT * float(maps.square().mean())
    return "it is the same at all places" if flat else ""


def spike(power: Tensor, stride: int, within: int = 1) -> float:
    """How far the power (h, w) at multiples of 1 / stride stands out of that around them; NaN where the maps are too
    small to tell. within: a smaller stride, whose own frequencies do not count.
    """
    rows, columns = plane(*power.shape)
    places = [(f * stride).round() for f in (rows, columns)]
    distances = [f - place / stride for f, place in zip((rows, columns), places, strict=True)]
    near = torch.sqrt(distances[0].square() + distances[1].square()) * min(power.shape)
    often = stride / within
    own = ~((places[0] % often == 0) & (places[1] % often == 0))
    on, around = own & (near <= ON), own & (near > OFF) & (near <= min(power.shape) / (2 * stride))
    level = float(power[around].mean()) if bool(around.any()) else 0.0
    return float(power[on].mean()) / level if level > 0 else math.nan


def _spikes(lattice: Tensor, following: dict[str, int | None]) -> tuple[Spike, ...]:
    """Those of the strided layers among `following` {layer: stride in pixels}, of which the first is the one itself."""
    own, *later = following.items()
    spikes: list[Spike] = []
    before = reached = own[1] or 0
    for name, stride in later:
        if reached and stride is not None and stride > reached and stride % before == 0:
            strength = spike(lattice, stride // before, reached // before)
            spikes.append(Spike(stride // before, name, strength))
            reached = stride
    return tuple(spikes) or (Spike(CONTROL, "", spike(lattice, CONTROL)),)
