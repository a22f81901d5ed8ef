"""The published graph of Inception v1 with random weights: its nodes, their file in TensorFlow's format, their values.

Written from the graph's own names, strides and padding, and run node by node in NumPy, channels last, as TensorFlow
documents its operations. Nothing but the shapes of the weights comes from the network that is tested against it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phosphene.models.inceptionv1 import InceptionV1

Array = NDArray[Any]

WIDTHS = {"mixed3a": 256, "mixed3b": 480, "mixed4a": 508, "mixed4b": 512, "mixed4c": 512, "mixed4d": 528} | {
    "mixed4e": 832,
    "mixed5a": 832,
    "mixed5b": 1024,
}  # as lucid lists them
SAME, VALID = b"SAME", b"VALID"


@dataclass(frozen=True)
class Op:
    """A node of the test's graph. value: of a Const."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    value: Array | None = None


def convolution(name: str, source: str, stride: int = 1) -> Iterator[Op]:
    strides = (1, stride, stride, 1)
    yield Op(f"{name}_pre_relu/conv", "Conv2D", (source, f"{name}_w"), {"strides": strides, "padding": SAME})
    yield Op(f"{name}_pre_relu", "BiasAdd", (f"{name}_pre_relu/conv", f"{name}_b"))
    yield Op(name, "Relu", (f"{name}_pre_relu",))


def pooling(name: str, source: str, stride: int) -> Op:
    return Op(name, "MaxPool", (source,), {"ksize": (1, 3, 3, 1), "strides": (1, stride, stride, 1), "padding": SAME})


def normalization(name: str, source: str) -> Op:
    return Op(name, "LRN", (source,), {"depth_radius": 5, "bias": 2.0, "alpha": 1e-4, "beta": 0.5})


def operations() -> Iterator[Op]:
    """The published graph's operations in its own names, with its strides, from `input` to `softmax2`."""
    yield from convolution("conv2d0", "input", 2)
    yield pooling("maxpool0", "conv2d0", 2)
    yield normalization("localresponsenorm0", "maxpool0")
    yield from convolution("conv2d1", "localresponsenorm0")
    yield from convolution("conv2d2", "conv2d1")
    yield normalization("localresponsenorm1", "conv2d2")
    yield pooling("maxpool1", "localresponsenorm1", 2)
    before = "maxpool1"
    for name in WIDTHS:
        if name in ("mixed4a", "mixed5a"):
            pool = {"mixed4a": "maxpool4", "mixed5a": "maxpool10"}[name]
            yield pooling(pool, before, 2)
            before = pool
        yield from convolution(f"{name}_1x1", before)
        for size in ("3x3", "5x5"):
            yield from convolution(f"{name}_{size}_bottleneck", before)
            yield from convolution(f"{name}_{size}", f"{name}_{size}_bottleneck")
        yield pooling(f"{name}_pool", before, 1)
        yield from convolution(f"{name}_pool_reduce", f"{name}_pool")
        yield Op(f"{name}/concat_dim", "Const", value=np.int32(3))
        branches = ("1x1", "3x3", "5x5", "pool_reduce")
        yield Op(name, "Concat", (f"{name}/concat_dim", *(f"{name}_{branch}" for branch in branches)))
        before = name
    yield Op("avgpool0", "AvgPool", (before,), {"ksize": (1, 7, 7, 1), "strides": (1, 1, 1, 1), "padding": VALID})
    yield Op("avgpool0/reshape/shape", "Const", value=np.int32([-1, 1024]))
    yield Op("avgpool0/reshape", "Reshape", ("avgpool0", "avgpool0/reshape/shape"))
    yield Op("softmax2_pre_activation/matmul", "MatMul", ("avgpool0/reshape", "softmax2_w"))
    yield Op("softmax2_pre_activation", "BiasAdd", ("softmax2_pre_activation/matmul", "softmax2_b"))
    yield Op("softmax2", "Softmax", ("softmax2_pre_activation",))


def constants(kind: str = "<f4") -> Iterator[Op]:
    """Random weights that keep activations lively, and those of a head that only training used."""
    draw = np.random.default_rng(0)
    for name, parameter in InceptionV1().state_dict().items():
        layer, letter = name.rsplit(".", 1)[0], {"weight": "w", "bias": "b"}[name.rsplit(".", 1)[1]]
        stem = {"softmax2_pre_activation": "softmax2"}.get(layer, layer.removesuffix("_pre_relu"))
        shape = tuple(parameter.shape)
        if len(shape) == 4:
            shape = (shape[2], shape[3], shape[1], shape[0])
        scale = (2 / np.prod(shape[:-1])) ** 0.5 if len(parameter.shape) == 4 else 0.1
        shape = shape[::-1] if len(shape) == 2 else shape
        yield Op(
            f"{stem}_{letter}",
            "Const",
            value=(draw.standard_normal(shape, np.float32) * np.float32(scale)).astype(kind),
        )
    yield Op("head0_bottleneck_w", "Const", value=np.zeros((1, 1, 508, 128), kind))


def varint(number: int) -> bytes:
    head = [number >> shift & 0x7F | 0x80 for shift in range(0, max(number.bit_length() - 1, 0) // 7 * 7, 7)]
    return bytes([*head, number >> 7 * len(head)])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(array: Array) -> bytes:
    dtype = {"float32": 1, "int32": 3, "float16": 19}[array.dtype.name]
    dims = b"".join(message(2, b"\x08" + varint(size)) for size in array.shape)
    return b"\x08" + varint(dtype) + message(2, dims) + message(4, array.tobytes())


def encoded(value: Any) -> bytes:
    """An AttrValue."""
    if isinstance(value, bytes):
        return message(2, value)
    if isinstance(value, tuple):
        return message(1, message(3, b"".join(map(varint, value))))
    if isinstance(value, float):
        return varint(4 << 3 | 5) + struct.pack("<f", value)
    return b"\x18" + varint(value) if isinstance(value, int) else message(8, tensor(np.asarray(value)))


def written(path: Path, nodes: list[Op]) -> Path:
    with path.open("wb") as file:
        for node in nodes:
            attributes = node.attributes | ({} if node.value is None else {"value": node.value})
            pairs = [message(1, key.encode()) + message(2, encoded(value)) for key, value in attributes.items()]
            texts = [message(1, node.name.encode()), message(2, node.op.encode())]
            texts += [message(3, source.encode()) for source in node.inputs]
            file.write(message(1, b"".join([*texts, *(message(5, pair) for pair in pairs)])))
    return path


def padded(x: Array, kernel: int, stride: int, fill: float) -> Array:
    """TensorFlow's SAME: (b, h, w, c) with as much around it as ceil(n / stride) windows need, the odd one last."""
    edges = []
    for n in x.shape[1:3]:
        total = max((int(np.ceil(n / stride)) - 1) * stride + kernel - n, 0)
        edges.append((total // 2, total - total // 2))
    return np.pad(x, ((0, 0), *edges, (0, 0)), constant_values=fill)


def windows(x: Array, height: int, width: int, stride: int) -> Array:
    """(b, h', w', c, height, width)"""
    return np.lib.stride_tricks.sliding_window_view(x, (height, width), (1, 2))[:, ::stride, ::stride]


def lrn(x: Array, radius: int, bias: float, alpha: float, beta: float) -> Array:
    """Channels last, as `tf.nn.local_response_normalization` is documented."""
    y = np.empty_like(x)
    for c in range(x.shape[-1]):
        nearest = x[..., max(c - radius, 0) : c + radius + 1].astype(np.float64)
        y[..., c] = x[..., c] / (bias + alpha * (nearest**2).sum(-1)) ** beta
    return y


def computed(nodes: list[Op], picture: Array) -> dict[str, Array]:
    """What every node of the graph gives for a picture (b, h, w, 3), in NumPy."""
    held: dict[str, Array] = {"input": picture}
    for node in sorted(nodes, key=lambda node: node.op != "Const"):
        given = [held[name] for name in node.inputs]
        if node.op == "Const":
            held[node.name] = np.asarray(node.value)
        elif node.op == "Conv2D":
            kernel, stride = given[1].shape[0], node.attributes["strides"][1]
            seen = windows(padded(given[0], kernel, stride, 0.0), kernel, kernel, stride)
            held[node.name] = np.tensordot(seen, given[1], ((4, 5, 3), (0, 1, 2)))
        elif node.op == "MaxPool":
            stride = node.attributes["strides"][1]
            held[node.name] = windows(padded(given[0], 3, stride, -np.inf), 3, 3, stride).max((4, 5))
        elif node.op == "AvgPool":  # smaller maps than 7x7 are one window here, as they are in the network
            size = [min(7, n) for n in given[0].shape[1:3]]
            held[node.name] = windows(given[0], *size, 1).mean((4, 5))
        else:
            held[node.name] = {
                "BiasAdd": lambda x, b: x + b,
                "Relu": lambda x: np.maximum(x, 0),
                "LRN": lambda x, n=node: lrn(x, *(n.attributes[k] for k in ("depth_radius", "bias", "alpha", "beta"))),
                "Concat": lambda axis, *maps: np.concatenate(maps, int(axis)),
                "Reshape": lambda x, shape: x.reshape(shape),
                "MatMul": lambda x, w: x @ w,
                "Softmax": lambda x: (
                    np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)
                ),
            }[node.op](*given)
    return held
