"""How good a painting is by a network that was not optimized: a judge cannot be flattered.

    removed at a layer = 1 - D(painting) / D(before),    D(x) = |G(x) - A|^2 / |A|^2

G(x) is the Gram matrix of x at the judge's layer, A that of the style; with several styles D is their weighted mean,
each in its region. "Before" is the content picture, or noise where there is none. The similarity to the content is the
correlation of the features at the judge's content layer, position by position, each channel without its mean: the
colors and contrasts that a style brings do not count. All is measured at up to `JUDGED_AT` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from phosphene.errors import PhospheneError
from phosphene.models import Model, style_layers
from phosphene.objectives import Gram, aim
from phosphene.objectives.statistics import MASK
from phosphene.seeds import Generators
from phosphene.style.job import Job, over_white
from phosphene.style.ladder import fitted, resized
from phosphene.style.terms import style_name, style_number

JUDGED_AT = 512  # longer side in pixels: what shows at arm's length on a page, and fits any memory
SMALLEST_DISTANCE = 1e-12  # below it a layer sees no difference before, so no share of it can be removed


@dataclass(frozen=True)
class HeldOut:
    """What a judge says. before, after: relative Gram distance to the style by layer. content: similarity in -1 .. 1,
    None without a content picture."""

    network: str
    before: dict[str, float]
    after: dict[str, float]
    content: float | None

    @property
    def shares(self) -> dict[str, float]:
        """The share of the style distance that is removed, by layer."""
        return {
            layer: 1 - self.after[layer] / before for layer, before in self.before.items() if before > SMALLEST_DISTANCE
        }

    @property
    def removed(self) -> float | None:
        """The mean of the shares; None where there was no distance before."""
        return sum(self.shares.values()) / len(self.shares) if self.shares else None

    def data(self) -> dict[str, Any]:
        """As a recipe and `--json` have it."""
        return {
            "network": self.network,
            "style_removed": self.removed,
            "layers": self.shares,
            "before": self.before,
            "after": self.after,
            "content_similarity": self.content,
        }


def judged(judge: Model, job: Job, painting: Tensor, *, style_scale: float = 1.0) -> HeldOut:
    """What `judge` says of a painting (3 or 4, h, w) in [0, 1], for a prepared job.

    Raises PhospheneError when the pictures are too small for the judge.
    """
    try:
        with torch.no_grad():
            return _Bench(judge, job, painting, style_scale).verdict()
    except (RuntimeError, AssertionError, ValueError) as error:
        raise PhospheneError(f"{judge.name} cannot judge a picture of this size") from error


class _Bench:
    """The judge's layers and the pictures at the size that they are judged at."""

    def __init__(self, judge: Model, job: Job, painting: Tensor, style_scale: float) -> None:
        self.judge, self.job, self.style_scale = judge, job, style_scale
        self.content_layer, self.layers = style_layers(judge)
        height, width = int(painting.shape[1]), int(painting.shape[2])
        self.size = fitted(height, width, min(JUDGED_AT, max(height, width)))
        self.painting = self._seen(over_white(painting.clamp(0, 1)), self.size)
        self.content = None if job.content is None else self._seen(job.content, self.size)

    def verdict(self) -> HeldOut:
        before = self.content if self.content is not None else self._activations(self._noise())
        return HeldOut(self.judge.name, self._distances(before), self._distances(self.painting), self._similarity())

    def _distances(self, acts: Mapping[str, Tensor]) -> dict[str, float]:
        found = dict.fromkeys(self.layers if self.job.styles else (), 0.0)
        regions = {f"{MASK}{name}": self._at(mask, self.size) for name, mask in self.job.regions.items()}
        total = sum(style.weight for style in self.job.styles)
        for k, style in enumerate(self.job.styles, 1):
            for layer in found:
                leaf = aim(Gram(layer, of=style_name(k), mask=style.region, norm="relative"), self._reference)
                score = leaf({**acts, **regions}, torch.zeros(1, dtype=torch.int64, device=self.judge.device))
                found[layer] -= style.weight / total * float(score)
        return found

    def _reference(self, name: str) -> tuple[Mapping[str, Tensor], Tensor | None]:
        style = self.job.styles[style_number(name) - 1]
        place = fitted(int(style.picture.shape[1]), int(style.picture.shape[2]), self.style_scale * max(self.size))
        return self._seen(style.picture, place), None if style.part is None else self._at(style.part, place)

    def _similarity(self) -> float | None:
        if self.content is None:
            return None
        mine, theirs = (acts[self.content_layer].float().flatten(2) for acts in (self.painting, self.content))
        mine, theirs = mine - mine.mean(2, keepdim=True), theirs - theirs.mean(2, keepdim=True)
        size = mine.norm() * theirs.norm()
        return float(((mine * theirs).sum() / size).clamp(-1, 1)) if float(size) > 0 else None

    def _noise(self) -> Tensor:
        return Generators(0, ["heldout"]).normal("noise", 0, (3, *self.size)).mul(0.25).add(0.5).clamp(0, 1)

    def _seen(self, picture: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        return self._activations(self._at(picture, size))

    def _activations(self, x: Tensor) -> dict[str, Tensor]:
        return self.judge.activations(x.to(self.judge.device), {*self.layers, self.content_layer})

    def _at(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        return resized(picture[None].to(self.judge.device), size)
