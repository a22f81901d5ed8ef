"""The layer table: every layer of a network that can be shown, found by running it once on a grey picture.

A layer is a module that returns a tensor with one entry per picture. What its axes mean is measured, not declared:
the network runs a second time on a larger, non-square picture, and the axes that grew are the spatial ones
(`channels_first` (1, c, h, w) or `channels_last` (1, h, w, c)); how much they grew per input pixel is the stride,
exactly, where the ratio of two sizes is off by the border (AlexNet's 13 rows of 224 are stride 16, not 17).
A network that takes one size only (ViT, MaxViT) is read from its shapes: a map has the aspect of the picture.
Sequences (1, n, c) become (class tokens, grid height, grid width).

VGG-like networks also get the names of the literature: `conv4_2`, `relu4_2`, `pool4`, `fc6`
(Simonyan and Zisserman 2014, arXiv 1409.1556; the names are those of its Caffe release).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn

from phosphene.errors import UsageError
from phosphene.models.probe import OUTPUT, grey_input, probing
from phosphene.models.receptive import measure
from phosphene.models.spec import InputSpec, Layer, Layout

LARGER = (64, 32)  # pixels added to (height, width) for the second run; multiples of the usual total stride of 32
MAX_PREFIX = 16  # tokens in front of the grid; DINOv2 has 1 class and 4 register tokens, some have 16

TRUNK = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "bn",
    nn.ReLU: "relu",
    nn.MaxPool2d: "pool",
    nn.AvgPool2d: "pool",  # Gatys et al. 2015 replace the max pools of VGG by average pools
}
VGG_BLOCKS = 5
VGG_LINEARS = ("fc6", "fc7", "fc8")


@dataclass(frozen=True)
class _Heard:
    kind: str
    shape: tuple[int, ...]
    calls: int


def layer_table(net: nn.Module, spec: InputSpec, *, receptive: bool = False) -> dict[str, Layer]:
    """Every layer of `net` that can be shown, by dotted name, in execution order; the last is "output".

    A module that is called several times is the layer of its last call. Left out: modules that give no tensor, that
    never run in eval mode (auxiliary heads), and those whose first axis is not the picture (windows of attention).
    receptive: also measure the receptive fields, which costs some 50 to 200 more runs.
    Raises UsageError when the network cannot run on an input of `spec`. The network is left as found.
    """
    first = _shapes(net, spec, spec.size)
    second = _larger_shapes(net, spec)
    aliases = vgg_aliases(net)
    layers: dict[str, Layer] = {}
    before: Layer | None = None
    for name, heard in first.items():
        layer = _read_layer(name, heard, second.get(name), spec, before)
        if layer is not None:
            layers[name] = replace(layer, aliases=tuple(alias for alias, of in aliases.items() if of == name))
            before = layer if len(layer.spatial) == 2 else before
    return _with_fields(net, layers, spec) if receptive else layers


def vgg_aliases(net: nn.Module) -> dict[str, str]:
    """Alias -> dotted name for a network whose convolutions all lie in one plain run of a Sequential, else empty.

    Plain means Conv2d, BatchNorm2d, ReLU and pools only; a pool ends a block. Never hides a dotted name.
    """
    dotted = dict(net.named_modules())
    trunk = _plain_trunk(net)
    names = dict(_block_names(trunk))
    linears = [name for name, module in dotted.items() if isinstance(module, nn.Linear)]
    if len(linears) == len(VGG_LINEARS) and sum(alias.startswith("pool") for alias in names) == VGG_BLOCKS:
        names.update(zip(VGG_LINEARS, linears, strict=True))
    return {alias: name for alias, name in names.items() if alias not in dotted}


def _plain_trunk(net: nn.Module) -> list[tuple[str, nn.Module]]:
    convolutions = sum(isinstance(module, nn.Conv2d) for module in net.modules())
    for prefix, parent in net.named_modules():
        if not isinstance(parent, nn.Sequential):
            continue
        run = list(_leading_run(prefix, parent))
        inside = sum(isinstance(module, nn.Conv2d) for _, module in run)
        if inside == convolutions >= 2 and any(TRUNK[type(module)] == "pool" for _, module in run):
            return run
    return []


def _leading_run(prefix: str, parent: nn.Sequential) -> Iterator[tuple[str, nn.Module]]:
    for key, module in parent.named_children():
        if type(module) not in TRUNK:
            return
        yield (f"{prefix}.{key}" if prefix else key), module


def _block_names(trunk: list[tuple[str, nn.Module]]) -> Iterator[tuple[str, str]]:
    block, place = 1, 0
    for name, module in trunk:
        word = TRUNK[type(module)]
        if word == "pool":
            yield f"pool{block}", name
            block, place = block + 1, 0
            continue
        place += word == "conv"
        if place:  # a batch norm or ReLU before the first convolution has no such name
            yield f"{word}{block}_{place}", name


def _shapes(net: nn.Module, spec: InputSpec, size: tuple[int, int]) -> dict[str, _Heard]:
    heard: dict[str, _Heard] = {}
    try:
        _listen(net, spec, size, heard)
    except Exception as error:
        shape = (1, spec.channels, *size)
        raise UsageError(
            f"{type(net).__name__} does not run on an input of shape {shape}: {type(error).__name__}: "
            f"{_one_line(error)}; check the channels and size of its InputSpec"
        ) from error
    if OUTPUT not in heard:
        raise UsageError(f"{type(net).__name__} returns no floating-point tensor")
    return heard


def _larger_shapes(net: nn.Module, spec: InputSpec) -> dict[str, _Heard]:
    heard: dict[str, _Heard] = {}
    size = (spec.size[0] + LARGER[0], spec.size[1] + LARGER[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _listen(net, spec, size, heard)
        except Exception:  # many networks take one size only; what was heard before they stopped is still true
            heard.pop(OUTPUT, None)
    return heard


def _listen(net: nn.Module, spec: InputSpec, size: tuple[int, int], heard: dict[str, _Heard]) -> None:
    def listener(name: str, module: nn.Module, tensor: Tensor) -> None:
        earlier = heard.pop(name, None)  # popped, so that the order is that of the last calls
        heard[name] = _Heard(type(module).__name__, tuple(tensor.shape), earlier.calls + 1 if earlier else 1)

    with probing(net, listener):
        net(grey_input(net, spec, size))


def _read_layer(name: str, heard: _Heard, second: _Heard | None, spec: InputSpec, before: Layer | None) -> Layer | None:
    shape = heard.shape
    if not shape or shape[0] != 1 or 0 in shape:
        return None
    larger = second.shape if second and second.calls == heard.calls and len(second.shape) == len(shape) else None
    if len(shape) == 2:
        return Layer(name, heard.kind, shape[1], (), "vector", calls=heard.calls)
    if len(shape) == 3:
        return _read_tokens(name, heard, spec, before)
    if len(shape) == 4:
        return _read_map(name, heard, larger, spec, before)
    return None


def _read_map(
    name: str, heard: _Heard, larger: tuple[int, ...] | None, spec: InputSpec, before: Layer | None
) -> Layer | None:
    layout = map_layout(heard.shape, larger, spec.size, before.layout if before else "channels_first")
    if layout is None:
        return None
    rows, channels = (1, 3) if layout == "channels_last" else (2, 1)
    spatial = heard.shape[rows : rows + 2]
    if larger is None and before and spatial[0] > before.spatial[0] and spatial[0] % before.spatial[0]:
        return None  # windows that look like a map: MaxViT's 7x7 pixels x 64 windows x 64 channels
    grown = larger[rows] - spatial[0] if larger else 0
    stride = _stride(spatial, spec.size, grown)
    return Layer(name, heard.kind, heard.shape[channels], spatial, layout, stride=stride, calls=heard.calls)


def map_layout(
    shape: tuple[int, ...], larger: tuple[int, ...] | None, size: tuple[int, int], before: Layout
) -> Layout | None:
    """The layout of a 4-D output of `shape` for an input of `size`; None when no two axes make a picture.

    larger: its shape for an input that is larger along both axes, if known. before: the layout of the layer before,
    taken when the shape fits both.
    """
    grew = {axis for axis in (1, 2, 3) if larger and larger[axis] != shape[axis]}
    if 3 in grew:
        return "channels_first" if 1 not in grew else None
    if 1 in grew:
        return "channels_last" if 2 in grew else None
    first, last = _same_aspect(shape[2:4], size), _same_aspect(shape[1:3], size)
    if first == last:
        fallback: Layout = before if before == "channels_last" else "channels_first"
        return fallback if first or larger else None
    return "channels_first" if first else "channels_last"


def _same_aspect(spatial: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether a map could come from a picture of `size`: strides equal up to one row or column of border."""
    (h, w), (height, width) = spatial, size
    if height == width:
        return h == w
    return (h == w == 1) or abs(h * width - w * height) <= max(height, width)


def _stride(spatial: tuple[int, ...], size: tuple[int, int], grown: int) -> int | None:
    if spatial == (1, 1):
        return None
    pixels_per_row = LARGER[0] / grown if grown > 0 else size[0] / spatial[0]
    return round(pixels_per_row) if pixels_per_row >= 1 else None


def _read_tokens(name: str, heard: _Heard, spec: InputSpec, before: Layer | None) -> Layer:
    _, n, channels = heard.shape
    tokens = token_grid(n, spec.size, before.spatial if before else ())
    stride = _stride(tokens[1:], spec.size, 0) if _same_aspect(tokens[1:], spec.size) else None
    return Layer(name, heard.kind, channels, tokens[1:], "tokens", stride=stride, tokens=tokens, calls=heard.calls)


def token_grid(n: int, size: tuple[int, int], before: tuple[int, ...] = ()) -> tuple[int, int, int]:
    """(tokens in front, grid height, grid width) of a sequence of `n` tokens from a picture of `size`.

    The grid is that of the layer before if it fits, else the patch grid of whole pixels that leaves the fewest tokens
    in front; a sequence that is no picture is one row of n.
    """
    if len(before) == 2 and before != (1, 1) and 0 <= n - before[0] * before[1] <= MAX_PREFIX:
        return n - before[0] * before[1], before[0], before[1]
    grids = {(size[0] // patch, size[1] // patch) for patch in range(1, min(size) + 1)}
    fitting = [(n - gh * gw, gh, gw) for gh, gw in grids if 0 <= n - gh * gw <= min(MAX_PREFIX, gh * gw)]
    return min(fitting, default=(0, 1, n))


def _with_fields(net: nn.Module, layers: dict[str, Layer], spec: InputSpec) -> dict[str, Layer]:
    fields = measure(net, layers.values(), spec)
    return {
        name: replace(layer, receptive_field=max(field.size) if (field := fields[name]) else None)
        for name, layer in layers.items()
    }


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
