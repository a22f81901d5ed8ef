"""A picture that continues on its other side, as a network sees it: tiles laid side by side have no seam.

    Wrap    shows the network the picture with a margin of its own repetition around it
    Inside  scores the positions of the picture itself and leaves those of the margin out

A network pads with zeros or mirrors, so a periodic signal alone gives no periodic statistics: at the edges it would be
judged by what is not there. With a margin of half the receptive field, every position that counts sees the endless
tiling and nothing else. Where both sides are multiples of the deepest stride the features themselves are periodic.

Departures: tileable textures are usually made by rolling the picture by a random offset at each step. That makes the
loss another function at each step, which L-BFGS cannot follow; this one is exact, and costs (1 + 2 m / side)^2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.models import Model
from phosphene.objectives import INPUT, Objective
from phosphene.seeds import Generators
from phosphene.style.reach import measure_reach


@dataclass(frozen=True)
class Surround:
    """How much of its repetition a network is shown around a picture, in pixels on every side, and the stride of each
    layer that is read, which divides it."""

    margin: int
    strides: Mapping[str, int]


@dataclass(frozen=True)
class Wrap:
    """The transform that repeats a picture (b, c, h, w) around itself, `margin` pixels on every side."""

    margin: int

    @property
    def still(self) -> bool:
        """Every step shows the same view."""
        return True

    def draw(self, generators: Generators, step: int, device: torch.device | str = "cpu") -> None:
        """Nothing is drawn."""

    def __call__(self, x: Tensor, params: None) -> tuple[Tensor, Tensor]:
        """Views (b, c, h + 2 margin, w + 2 margin), and the row of each."""
        return wrapped(x, self.margin), torch.arange(len(x), device=x.device)


@dataclass(frozen=True)
class Inside(Objective, registered=False):
    """An objective that looks only at the positions of a picture of `size`, not at those of the margin around it."""

    of: Objective
    size: tuple[int, int]
    around: Surround

    def __call__(self, acts: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        inside = {name: value if name == INPUT else self.cropped(name, value) for name, value in acts.items()}
        return self.of(inside, rows)

    @property
    def children(self) -> tuple[Objective, ...]:
        return (self.of,)

    def cropped(self, layer: str, features: Tensor) -> Tensor:
        """Features (b, c, *grid) of a layer without those of the margin."""
        stride = self.around.strides[layer]
        first = self.around.margin // stride
        height, width = (max(1, round(side / stride)) for side in self.size)
        return features[..., first : first + height, first : first + width]


def wrapped(x: Tensor, margin: int) -> Tensor:
    """Pictures (b, c, h, w) with `margin` pixels of their own repetition on every side, which may be more than one."""
    rows, columns = (torch.arange(-margin, side + margin, device=x.device) % side for side in x.shape[2:])
    return x[:, :, rows][:, :, :, columns]


def surround(model: Model, layers: Collection[str]) -> Surround:
    """The margin that keeps a network's own padding out of some layers: seconds, once for pictures of any size.

    Raises UsageError for a layer that sees the whole picture, or that is no grid: no margin is wide enough.
    """
    try:
        reach = measure_reach(model, layers)
    except UsageError as error:
        raise UsageError(f"no seamless picture with these layers: {error}") from error
    return Surround(max(*reach.before, *reach.after), reach.strides)
