"""One unit, shown pictures: how strongly it responds, and where.

A unit with a map scores its largest response over positions, as in a scan. Tokens that stand before the grid count for
the score and have no place. `neutral` is the color that a network holds to be nothing: its mean, or mid-gray.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.examples.scan import exact_arithmetic
from phosphene.models import AudioSpec, InputSpec, Model

MID_GRAY = 0.5


@dataclass(frozen=True)
class Eye:
    """A unit of a layer of a model."""

    model: Model
    layer: str
    unit: int

    def look(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (b,) and maps (b, h, w) of pictures (b, c, h, w) in [0, 1], on the CPU; 1 x 1 without space.

        Sounds are pictures (b, c, 1, samples) in [-1, 1].
        """
        layer = self.model.find_layer(self.layer)
        if isinstance(self.model.spec, AudioSpec):
            pictures = pictures.squeeze(2)
        with torch.inference_mode(), exact_arithmetic():
            seen = self.model.activations(pictures.to(self.model.device), [self.layer])[self.layer]
            value = seen[:, self.unit].float().cpu()
        flat = value.flatten(1) if value.dim() > 1 else value[:, None]
        scores = flat.amax(1)
        if value.dim() == 2:
            front, height, _ = layer.tokens or (0, 1, 0)
            return scores, flat[:, front:].reshape(len(flat), height, -1)
        return scores, value if value.dim() == 3 else flat[:, :, None]

    def at(self, pictures: Tensor, place: tuple[int, int] | None) -> Tensor:
        """Responses (b,) to pictures at one place (y, x) of the map; the scores where there is no place."""
        scores, maps = self.look(pictures)
        return scores if place is None else maps[:, place[0], place[1]]


def neutral(spec: InputSpec) -> Tensor:
    """The color (c, 1, 1) in [0, 1] that enters the network as 0, or mid-gray where it knows no mean."""
    if not any(spec.mean):
        return torch.full((spec.channels, 1, 1), MID_GRAY)
    low, high = spec.value_range
    return ((torch.tensor(spec.mean) - low) / (high - low)).clamp(0, 1)[:, None, None]
