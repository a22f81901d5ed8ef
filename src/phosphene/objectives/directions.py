"""Directions: any mixture of a layer's channels as a unit, given or taken from pictures.

    dot         a . v
    cosine      cos(a, v)
    dot_cosine  a . v * max(0.1, cos(a, v))^power     Carter et al. 2019 (activation atlases); lucid's `cossim_pow`

averaged over positions, or at one position (lucid's `direction_neuron`). Where vectors come from:

    directions_of  the mean of a picture's own activations, or a grid of them     Olah et al. 2018 (activation grids)
    whitened       S^-1 v, with S = E[a a^T] over pictures    Carter et al. 2019 (lucid's `direction_neuron_S`)

Departures: lucent's `direction` is the cosine alone; here that is form="cosine". xplique, Horama and OmniXAI sum the
dot product over the batch, which couples its pictures; ours is per row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.objectives.acts import Acts, average_views, positions, views_per_row
from phosphene.objectives.algebra import LayerLike, NetworkLike, Objective, number
from phosphene.objectives.units import as_place, at_place, check_layer, place_in
from phosphene.objectives.words import layer_text, place_text

COSINE_FLOOR = 0.1  # Carter et al. 2019: keeps the gradient alive where the angle is wide
NORM_FLOOR = 1e-8  # of a product of lengths, under a division: a silent position has no direction
# Share of the mean variance that every direction of S is given before it is inverted, as whitening in the literature
# does (Ledoit and Wolf 2004): channels that never vary in the pictures would weigh without bound.
RIDGE = 1e-3
CHUNK = 16  # pictures that go through the network at once while S is measured
FORMS = ("dot", "cosine", "dot_cosine")


class Reader(NetworkLike, Protocol):
    """A network that can be asked for activations; `Model` is one."""

    def activations(self, pictures: Tensor, layers: frozenset[str], /) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class Direction(Objective):
    """A direction in a layer's channel space, averaged over positions or at one of them.

    vectors: one per row, (n, channels). form: "dot" a . v; "cosine" the angle alone; "dot_cosine"
    a . v * max(0.1, cos(a, v))**power, which asks for strength and purity at once (Carter et al. 2019).
    position: None for everywhere; "center", "cls", (y, x) or (token,) for one place, as a Neuron has it.
    """

    layer: str
    vectors: tuple[tuple[float, ...], ...]
    form: Literal["dot", "cosine", "dot_cosine"] = "dot"
    power: float = 1.0
    position: tuple[int, ...] | Literal["center", "cls"] | None = None

    def __post_init__(self) -> None:
        check_layer(self.layer)
        given = self.vectors
        vectors: list[Any] = given.tolist() if isinstance(given, (Tensor, np.ndarray)) else list(given)
        many = bool(vectors) and isinstance(vectors[0], (Sequence, Tensor, np.ndarray))
        rows = tuple(tuple(float(x) for x in row) for row in (vectors if many else [vectors]))
        object.__setattr__(self, "vectors", rows)
        object.__setattr__(self, "power", float(self.power))
        if self.position not in (None, "center", "cls"):
            object.__setattr__(self, "position", as_place(self.position))
        if self.form not in FORMS:
            raise UsageError(f"a direction is dot, cosine or dot_cosine, got {self.form!r}")
        if len({len(row) for row in rows}) != 1 or not all(any(row) for row in rows):
            raise UsageError(f"direction in {self.layer}: vectors must be of one length and not zero")
        if not all(map(math.isfinite, (self.power, *(x for row in rows for x in row)))):
            raise UsageError(f"direction in {self.layer}: values and power must be finite")

    @property
    def layers(self) -> frozenset[str]:
        return frozenset({self.layer})

    @property
    def rows(self) -> int:
        return len(self.vectors)

    def take(self, rows: Sequence[int]) -> Objective:
        return self if len(self.vectors) == 1 else replace(self, vectors=tuple(self.vectors[row] for row in rows))

    def bind(self, network: NetworkLike) -> Objective:
        layer = network.find_layer(self.layer)
        if len(self.vectors[0]) != layer.channels:
            raise UsageError(
                f"a direction of {len(self.vectors[0])} values in {layer.name}, which has {layer.channels}"
            )
        place = self.position
        if place is not None and place != "center":
            place = place_in(layer, place)
        return replace(self, layer=layer.name, position=place)

    def __call__(self, acts: Acts, rows: Tensor) -> Tensor:
        views = views_per_row(acts, rows)
        values = positions(self._placed(acts[self.layer]))
        vectors = self._on(values.device)
        vectors = vectors.expand(values.shape[0] // views, -1).repeat_interleave(views, 0)
        return average_views(agreement(values, vectors[:, :, None], self.form, self.power).mean(1), views)

    def _placed(self, values: Tensor) -> Tensor:
        """(b*v, c, *space), or (b*v, c) at the one position."""
        if self.position is None:
            return values
        return at_place(values, 2, self.layer, None if self.position == "center" else self.position)

    def _on(self, device: torch.device) -> Tensor:
        """(n, channels) the vectors as a tensor on the device; made once, not once a step."""
        known = self._tensors.get(device)
        if known is None:
            known = self._tensors[device] = torch.tensor(self.vectors, device=device)
        return known

    @cached_property
    def _tensors(self) -> dict[torch.device, Tensor]:
        return {}

    def __str__(self) -> str:
        vectors = ", ".join("[" + ", ".join(map(number, row)) + "]" for row in self.vectors)
        form = "" if self.form == "dot" else f", form={self.form}"
        power = "" if self.power == 1 else f", power={number(self.power)}"
        place = "" if self.position is None else f"@{place_text(self.position)}"
        return f"direction({layer_text(self.layer)}, {vectors}{form}{power}){place}"


def agreement(values: Tensor, wanted: Tensor, form: str, power: float) -> Tensor:
    """(b, n) how far values (b, c, n) go where `wanted` (b or 1, c, n or 1) points, position by position."""
    dots: Tensor = (values * wanted).sum(1)
    if form == "dot":
        return dots
    cosines: Tensor = dots / (values.norm(dim=1) * wanted.norm(dim=1)).clamp(min=NORM_FLOOR)
    return cosines if form == "cosine" else dots * cosines.clamp(min=COSINE_FLOOR) ** power


def directions_of(
    model: Reader,
    layer: str,
    picture: Tensor,
    *,
    cells: tuple[int, int] = (1, 1),
    form: Literal["dot", "cosine", "dot_cosine"] = "dot_cosine",
    power: float = 2.0,
) -> Direction:
    """What a picture does at a layer, as directions: one row per cell, row by row from the upper left.

    picture: (c, h, w) or (1, c, h, w) in [0, 1]. cells: (1, 1) for the mean of the whole picture; more for an
    activation grid (Olah et al. 2018), each the mean of its part. form, power: of the Direction; the defaults are those
    of activation atlases (Carter et al. 2019). Raises UsageError where the layer has fewer positions, or a cell is
    silent.
    """
    found = model.find_layer(layer)
    pictures = picture if picture.dim() == 4 else picture[None]
    if len(pictures) != 1:
        raise UsageError(f"directions are taken of one picture, got {len(pictures)}")
    with torch.no_grad():
        values = as_grid(found, model.activations(pictures, frozenset({found.name}))[found.name].float())
    if any(not 1 <= cell <= side for cell, side in zip(cells, values.shape[2:], strict=True)):
        raise UsageError(f"{found.name} has {tuple(values.shape[2:])} positions here, too few for a grid of {cells}")
    vectors = F.adaptive_avg_pool2d(values, cells)[0].flatten(1).T
    silent = [i for i, vector in enumerate(vectors) if not bool(vector.any())]
    if silent:
        raise UsageError(f"{found.name} is silent in cell {silent[0]} of the picture, which points nowhere")
    return Direction(found.name, tuple(map(tuple, vectors.tolist())), form, power)


def whitened(
    model: Reader, layer: str, vector: Any, pictures: Tensor, *, form: Literal["dot", "cosine", "dot_cosine"] = "dot"
) -> Direction:
    """The direction S^-1 v, with S = E[a a^T] over all positions of the pictures.

    Channels that fire together share what they say; S^-1 takes it apart, so that moving along S^-1 v changes what v
    says and not what merely goes with it (Carter et al. 2019, lucid's `direction_neuron_S`). vector: (channels,), or
    (n, channels) for n rows; the result has their lengths. pictures: (n, c, h, w) in [0, 1], of the kind that the
    network knows; the more positions they have for each channel, the better S is known.
    """
    found = model.find_layer(layer)
    asked = Direction(found.name, vector, form)
    asked.bind(model)
    given = torch.tensor(asked.vectors, dtype=torch.float64)
    square = torch.zeros(found.channels, found.channels, dtype=torch.float64)
    count = 0
    for start in range(0, len(pictures), CHUNK):
        with torch.no_grad():
            values = positions(model.activations(pictures[start : start + CHUNK], frozenset({found.name}))[found.name])
        flat = values.transpose(0, 1).flatten(1).double().cpu()
        square, count = square + flat @ flat.T, count + flat.shape[1]
    if not bool(square.isfinite().all()) or not float(square.trace()) > 0:
        raise UsageError(f"the pictures leave {found.name} silent or not finite: nothing to whiten by")
    mean = square / count
    ridge = RIDGE * mean.trace() / found.channels
    solved = torch.linalg.solve(mean + ridge * torch.eye(found.channels, dtype=torch.float64), given.T).T
    scaled = solved * (given.norm(dim=1) / solved.norm(dim=1))[:, None]
    return Direction(found.name, tuple(map(tuple, scaled.tolist())), form)


def as_grid(layer: LayerLike, values: Tensor) -> Tensor:
    """Activations (b, c, *space) as maps (b, c, h, w): tokens without those in front, a vector as 1 x 1."""
    if layer.tokens is not None:
        front, height, width = layer.tokens
        return values[:, :, front:].reshape(*values.shape[:2], height, width)
    return values[:, :, None, None] if values.dim() == 2 else values
