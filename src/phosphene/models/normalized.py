"""Channels of equal loudness: each rectified channel divided by its mean over pictures and positions.

Gatys et al. 2015 (arXiv 1508.06576) scale VGG-19's weights so that the mean activation of each filter over images and
positions is 1, which leaves its output as it was. A network of rectifiers is positively homogeneous:

    relu(a z) = a relu(z) for a > 0,   so with W'_l = diag(1 / m_l) W_l diag(m_(l-1)) and b'_l = b_l / m_l
    the activations are F'_l = F_l / m_l,   m_l the means of layer l

Dividing what is read by m_l is the same (tested), works on any network, and edits none: `Model.channel_scales`.

Departures: layers are found by measurement, not by name: one counts as rectified if none of its values is negative on
any of the pictures. So poolings are brought to 1 by means of their own; in the paper they have those of the rectifier
before them. Channels that never fire keep scale 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from phosphene.errors import PhospheneError, UsageError
from phosphene.models.model import Model
from phosphene.models.tap import OUTPUT

VARIANT = "normalized"  # what `Model.variant` says, before a colon and the SHA-256 of the scales


@dataclass
class _Total:
    """What is known of one layer so far: sums over positions, how many there were, and the smallest value."""

    sums: Tensor  # (c,) float64 on the CPU
    positions: int
    least: float


def normalize_activations(
    model: Model, pictures: Tensor | Iterable[Tensor], *, layers: Collection[str] | None = None
) -> Model:
    """The same model with each rectified channel's mean activation over `pictures` and positions brought to 1.

    pictures: batches (b, c, h, w) in [0, 1], each of any size, or one such batch. layers: those to normalize, by name
    or alias; all that are rectified if None, which holds every layer of a batch in memory at once. The network is
    shared, not copied or changed. Normalizing again replaces the scales.
    Raises UsageError without pictures, for a layer of `layers` with negative values, and when none is rectified.
    """
    names = [name for name in model.layers if name != OUTPUT] if layers is None else layers
    totals = _totals(model.varied(channel_scales={}), pictures, names)
    negative = [name for name, total in totals.items() if total.least < 0]
    if layers is not None and negative:
        raise UsageError(f"{negative[0]} of {model.name} has negative values: only rectified layers can be normalized")
    scales = {name: _scale(total) for name, total in totals.items() if name not in negative}
    if not scales:
        raise UsageError(f"{model.name} has no layer without negative values, so there is nothing to normalize")
    kept = [word for word in model.variant if not word.startswith(f"{VARIANT}:")]
    return model.varied(*kept, f"{VARIANT}:{scales_sha256(scales)}", channel_scales=scales)


def mean_activations(model: Model, pictures: Tensor | Iterable[Tensor], layers: Collection[str]) -> dict[str, Tensor]:
    """{layer: (c,)} float32 means over pictures and positions, each position counting the same; one batch at a time.

    pictures: batches (b, c, h, w) in [0, 1], each of any size, or one such batch. Layers keep the names asked for.
    Raises UsageError without pictures, PhospheneError when an activation is NaN or infinite.
    """
    found = {name: model.find_layer(name).name for name in layers}
    totals = _totals(model, pictures, found.values())
    return {name: _mean(totals[layer]) for name, layer in found.items()}


def scales_sha256(scales: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of the scales: name and float32 bytes of each layer, sorted by name."""
    digest = hashlib.sha256()
    for name, scale in sorted(scales.items()):
        digest.update(f"{name} {len(scale)}\n".encode())
        digest.update(scale.detach().cpu().float().contiguous().numpy().data)
    return digest.hexdigest()


def _totals(model: Model, pictures: Tensor | Iterable[Tensor], layers: Collection[str]) -> dict[str, _Total]:
    """Totals by dotted name. Sums are taken over a picture in float32 and over pictures in float64."""
    wanted = list(dict.fromkeys(model.find_layer(name).name for name in layers))
    totals: dict[str, _Total] = {}
    for batch in _batches(pictures):
        with torch.no_grad():
            values = model.activations(batch.to(model.device), wanted)
        for name in wanted:
            _add(totals, name, values.pop(name))
    if not totals:
        raise UsageError("there are no pictures to measure activations on")
    return totals


def _batches(pictures: Tensor | Iterable[Tensor]) -> Iterator[Tensor]:
    """One tensor is one batch; to iterate over it would give single pictures."""
    for batch in [pictures] if isinstance(pictures, Tensor) else pictures:
        if batch.dim() != 4:
            raise UsageError(f"pictures are measured in batches (b, c, h, w), got {tuple(batch.shape)}")
        if len(batch):
            yield batch


def _add(totals: dict[str, _Total], name: str, value: Tensor) -> None:
    flat = value.float().reshape(*value.shape[:2], -1)
    sums = flat.mean(2).cpu().double().sum(0) * flat.shape[2]
    if not bool(sums.isfinite().all()):
        raise PhospheneError(f"layer {name!r} gives NaN or infinity, so its mean cannot be taken")
    total = totals.setdefault(name, _Total(torch.zeros_like(sums), 0, float("inf")))
    total.sums += sums
    total.positions += flat.shape[0] * flat.shape[2]
    total.least = min(total.least, float(flat.amin()))


def _mean(total: _Total) -> Tensor:
    return (total.sums / total.positions).float()


def _scale(total: _Total) -> Tensor:
    """1 / mean for channels that fired, else 1; (c,) float32 on the CPU."""
    mean = _mean(total)
    return torch.where(mean >= torch.finfo(mean.dtype).tiny, mean, 1.0).reciprocal()
