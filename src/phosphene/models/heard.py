"""The layer table of a network that hears: every layer that can be shown, found by running it once on silence.

What the axes of a layer mean is measured, as for pictures: the network runs a second time on a longer clip, and the
axis that grew is time. (1, c, *space) is `channels_first`, (1, time, c) is `tokens`; how much longer the clip is per
step of time is the stride, in samples. Axes that do not grow, behind the channels, are kept as they are: the
frequencies of a spectrogram, the samples of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.models.probe import OUTPUT, probing, silent_input
from phosphene.models.spec import AudioSpec, Layer, Layout

LONGER = 20_480  # samples of the second clip beyond the first: a multiple of hops of 128, 160, 320 and 512 samples

Shapes = dict[str, tuple[str, tuple[int, ...], int]]  # layer -> kind, shape, calls


@dataclass(frozen=True)
class Grid:
    """How the patches of a spectrogram of one length lie in a sequence: `front` tokens of no place, then row by row.

    rows: along frequency. columns: along time, every `stride` samples.
    """

    front: int
    rows: int
    columns: int
    stride: int


def audio_table(net: nn.Module, spec: AudioSpec, *, grid: Grid | None = None) -> dict[str, Layer]:
    """Every layer of `net` by dotted name, in execution order; the last is "output".

    grid: of a network that fills every clip up to one length, where no axis grows. Left out: modules that give no
    tensor with one row per clip. Raises UsageError when the network cannot run on a clip of `spec`. The network is left
    as found.
    """
    try:
        first = _shapes(net, spec, spec.samples)
    except Exception as error:
        raise UsageError(
            f"{type(net).__name__} does not run on a sound of shape {(1, spec.channels, spec.samples)}: "
            f"{type(error).__name__}: {' '.join(str(error).split())}; check the channels and samples of its AudioSpec"
        ) from error
    if OUTPUT not in first:
        raise UsageError(f"{type(net).__name__} returns no floating-point tensor")
    try:
        second = _shapes(net, spec, spec.samples + LONGER)
    except Exception:  # a network of one length only
        second = {}
    layers = {name: _read(name, heard, second.get(name), grid) for name, heard in first.items()}
    return {name: layer for name, layer in layers.items() if layer is not None}


def _shapes(net: nn.Module, spec: AudioSpec, samples: int) -> Shapes:
    heard: Shapes = {}

    def listener(name: str, module: nn.Module, tensor: Tensor) -> None:
        calls = heard.pop(name)[2] if name in heard else 0  # popped, so that the order is that of the last calls
        heard[name] = (type(module).__name__, tuple(tensor.shape), calls + 1)

    with probing(net, listener):
        net(silent_input(net, spec, samples))
    return heard


def _read(
    name: str,
    heard: tuple[str, tuple[int, ...], int],
    second: tuple[str, tuple[int, ...], int] | None,
    grid: Grid | None,
) -> Layer | None:
    kind, shape, calls = heard
    if len(shape) < 2 or shape[0] != 1 or 0 in shape:
        return None
    if grid is not None and (layer := _patches(name, kind, shape, calls, grid)) is not None:
        return layer
    longer = second[1] if second is not None and len(second[1]) == len(shape) else shape
    grew = [axis for axis in range(1, len(shape)) if longer[axis] != shape[axis]]
    stride = round(LONGER / (longer[grew[0]] - shape[grew[0]])) if grew else None
    if grew == [1] and len(shape) == 3:
        return Layer(name, kind, shape[2], (1, shape[1]), "tokens", stride=stride, tokens=(0, 1, shape[1]), calls=calls)
    if 1 in grew:
        return None
    layout: Layout = "vector" if len(shape) == 2 else "channels_first"
    return Layer(name, kind, shape[1], shape[2:], layout, stride=stride, calls=calls)


def _patches(name: str, kind: str, shape: tuple[int, ...], calls: int, grid: Grid) -> Layer | None:
    """A layer whose places are the patches of a grid; None for any other."""
    places = (grid.rows, grid.columns)
    if shape[2:] == places:
        return Layer(name, kind, shape[1], places, "channels_first", stride=grid.stride, calls=calls)
    if len(shape) != 3 or shape[1] not in (grid.rows * grid.columns, grid.front + grid.rows * grid.columns):
        return None
    tokens = (shape[1] - grid.rows * grid.columns, *places)
    return Layer(name, kind, shape[2], places, "tokens", stride=grid.stride, tokens=tokens, calls=calls)
