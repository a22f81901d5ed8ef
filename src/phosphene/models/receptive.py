"""The receptive field of a unit: the part of the picture that can change it, measured by NaN.

NaN is a dye: it passes through convolutions, norms, activations and every kind of pooling, whatever the weights and
the picture are, and nothing else turns into it. So paint rows [0, r) of the input NaN: the central unit is NaN
exactly when it sees one of them, and the least such r, found by bisection, is its first row. The same from below,
left and right gives the box. One run answers for all layers at once.

Departures: gradients (the usual way) vanish through a closed ReLU or a pool that chose another pixel, and
layer-by-layer formulas (Araujo et al., Distill 2019) break on branches; NaN does neither. An operation that swallows
NaN (`nan_to_num`, a comparison, `torch.where`) would make the field look smaller than it is. Kernels that compute
in tiles (Winograd, FFT: NNPACK, cuDNN) smear NaN and are switched off while measuring.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phosphene.models.probe import grey_input, probing
from phosphene.models.spec import InputSpec, Layer

STRIP = 64  # pixels; two units of a network of stride 32
START, END = "start", "end"  # the sides of an axis: top and bottom, left and right

Box = tuple[int, int, int, int]  # y0, x0, y1, x1 in input pixels, the ends excluded


@dataclass(frozen=True)
class Field:
    """What one unit of a layer sees.

    unit: its (y, x) in the layer's map. box: (y0, x0, y1, x1) in input pixels, ends excluded.
    """

    unit: tuple[int, int]
    box: Box

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in input pixels."""
        y0, x0, y1, x1 = self.box
        return y1 - y0, x1 - x0


def receptive_field(net: nn.Module, layer: Layer, spec: InputSpec) -> tuple[int, int] | None:
    """(height, width) in input pixels that the central unit of `layer` sees; None if it reaches the picture's border.

    At the size of `spec`. A unit that sees the border row may see more than the picture, so its size is not known:
    global layers (after attention, global pooling, squeeze-and-excitation) are None too. The network is left as found.
    """
    field = measure(net, [layer], spec)[layer.name]
    return field.size if field else None


def measure(net: nn.Module, layers: Iterable[Layer], spec: InputSpec) -> dict[str, Field | None]:
    """The field of the central unit of every layer, by name; None where it reaches the border of the picture."""
    wanted = list(layers)
    pending = {layer.name: layer for layer in wanted if len(layer.spatial) == 2 and layer.spatial != (1, 1)}
    top = _margins(net, pending, spec, 0, START, {})
    left = _margins(net, _only(pending, top), spec, 1, START, top)
    bottom = _margins(net, _only(pending, left), spec, 0, END, _mirrored(pending, top, spec, 0))
    right = _margins(net, _only(pending, bottom), spec, 1, END, _mirrored(pending, left, spec, 1))
    height, width = spec.size
    fields = {
        name: Field(central_unit(pending[name]), (top[name], left[name], height - bottom[name], width - right[name]))
        for name in right
    }
    return {layer.name: fields.get(layer.name) for layer in wanted}


def central_unit(layer: Layer) -> tuple[int, int]:
    """(y, x) of the unit that stands for the layer."""
    return layer.spatial[0] // 2, layer.spatial[1] // 2


def crop_box(layer: Layer, position: tuple[int, int], spec: InputSpec, *, field: Field | None = None) -> Box:
    """The part (y0, x0, y1, x1) of the input that the unit at `position` (y, x) sees, clipped to the picture.

    field: a measured field of the layer, moved by its stride: exact for convolutions, also unpadded ones. Without it
    the layer's receptive_field is centered on the unit's share of the picture. Unknown, global: the whole picture.
    """
    height, width = spec.size
    if len(layer.spatial) != 2 or (field is None and layer.receptive_field is None):
        return 0, 0, height, width
    if field is not None:
        stride = layer.stride or 1
        dy, dx = ((position[axis] - field.unit[axis]) * stride for axis in (0, 1))
        y0, x0, y1, x1 = field.box
        return _clip((y0 + dy, x0 + dx, y1 + dy, x1 + dx), spec)
    extent = layer.receptive_field or 0
    starts = [
        round((at + 0.5) * size / count - extent / 2)
        for at, count, size in zip(position, layer.spatial, spec.size, strict=True)
    ]
    return _clip((starts[0], starts[1], starts[0] + extent, starts[1] + extent), spec)


def _clip(box: Box, spec: InputSpec) -> Box:
    height, width = spec.size
    y0, y1 = (min(max(y, 0), height) for y in (box[0], box[2]))
    x0, x1 = (min(max(x, 0), width) for x in (box[1], box[3]))
    return y0, x0, y1, x1


def _only(layers: dict[str, Layer], names: Iterable[str]) -> dict[str, Layer]:
    return {name: layers[name] for name in names}


def _mirrored(layers: dict[str, Layer], margins: dict[str, int], spec: InputSpec, axis: int) -> dict[str, int]:
    """The margins of the other side if every field were symmetric about its unit's share of the picture: a guess."""
    size = spec.size[axis]
    centers = {name: (central_unit(layers[name])[axis] + 0.5) * size / layers[name].spatial[axis] for name in margins}
    return {name: round(size - 2 * centers[name] + margin) for name, margin in margins.items()}


def _margins(
    net: nn.Module, layers: dict[str, Layer], spec: InputSpec, axis: int, side: str, guesses: dict[str, int]
) -> dict[str, int]:
    """Lines between the picture's border and the first line that the central unit sees; absent if it sees the border.

    guesses only save runs: a right one is confirmed in two, a wrong one ends in bisection.
    """
    at_border = _dyed(net, layers, spec, axis, side, 1)
    blind = dict.fromkeys((name for name in layers if name not in at_border), 1)  # lines that do not reach the unit
    seen = dict.fromkeys(blind, spec.size[axis])  # lines that do
    while undecided := [name for name in blind if seen[name] - blind[name] > 1]:
        widest = max(undecided, key=lambda name: seen[name] - blind[name])
        lines = _next_trial(blind[widest], seen[widest], guesses.get(widest))
        reached = _dyed(net, _only(layers, undecided), spec, axis, side, lines)
        for name in undecided:
            if name in reached:
                seen[name] = min(seen[name], lines)
            else:
                blind[name] = max(blind[name], lines)
    return blind


def _next_trial(blind: int, seen: int, guess: int | None) -> int:
    if guess is not None and blind < guess < seen:
        return guess
    if guess == blind:
        return blind + 1
    return (blind + seen) // 2


def _dyed(net: nn.Module, layers: dict[str, Layer], spec: InputSpec, axis: int, side: str, lines: int) -> set[str]:
    """Names of the layers whose central unit turns NaN when `lines` rows or columns of the input are NaN.

    Along the other axis a strip is enough, and several times faster; a network that refuses it gets the whole picture.
    """
    if not layers:
        return set()
    strip = list(spec.size)
    strip[1 - axis] = min(STRIP, strip[1 - axis])
    sequences = any(layer.layout == "tokens" for layer in layers.values())
    if not sequences and (strip[0], strip[1]) != spec.size:
        with suppress(Exception):
            return _run_dyed(net, layers, grey_input(net, spec, (strip[0], strip[1])), axis, side, lines)
    return _run_dyed(net, layers, grey_input(net, spec), axis, side, lines)


def _run_dyed(net: nn.Module, layers: dict[str, Layer], picture: Tensor, axis: int, side: str, lines: int) -> set[str]:
    start = 0 if side == START else picture.shape[2 + axis] - lines
    picture.narrow(2 + axis, start, lines).fill_(float("nan"))
    calls = dict.fromkeys(layers, 0)
    reached: dict[str, bool] = {}

    def listener(name: str, module: nn.Module, tensor: Tensor) -> None:
        if name not in layers:
            return
        calls[name] += 1
        reached[name] = bool(_central_entries(tensor, layers[name]).isnan().any())
        if all(calls[name] >= layers[name].calls for name in layers):
            raise _Enough

    with warnings.catch_warnings(), _exact_kernels(), probing(net, listener), suppress(_Enough):
        warnings.simplefilter("ignore")
        net(picture)
    return {name for name in layers if reached.get(name, True)}


def _central_entries(tensor: Tensor, layer: Layer) -> Tensor:
    """All channels of the central unit of the one picture in `tensor`."""
    if layer.layout == "tokens":
        y, x = central_unit(layer)
        prefix, _, width = layer.tokens or (0, *layer.spatial)
        return tensor[0, prefix + y * width + x]
    if layer.layout == "channels_last":
        return tensor[0, tensor.shape[1] // 2, tensor.shape[2] // 2]
    return tensor[0, :, tensor.shape[2] // 2, tensor.shape[3] // 2]


@contextmanager
def _exact_kernels() -> Iterator[None]:
    with torch.backends.nnpack.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
        yield


class _Enough(BaseException):
    """Ends a run once every layer in question was heard; no Exception, or a network might handle it as its own."""
