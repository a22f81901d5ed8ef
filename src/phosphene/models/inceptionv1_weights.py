"""The weights of `inceptionv1`, from the published TensorFlow graph, from lucent's checkpoint, or from a file of ours.

The graph (`tensorflow_inception_graph.pb`) holds a kernel `conv2d0_w` (h, w, in, out) and a bias `conv2d0_b` for each
convolution `conv2d0_pre_relu/conv`; here they are `conv2d0_pre_relu.weight` (out, in, h, w) and `.bias`. Before they
are taken, the graph must be the one that is built here: operations, inputs, strides, padding, the order in which
blocks join their branches. The constants of its normalizations are taken from it too.

lucent's checkpoint (`inception5h.pth`) has the same values under lucent's parameter names. Its own network normalizes
with other constants (9 channels, their mean, bias 1) than the graph (11 channels, their sum, bias 2); here they are the
graph's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phosphene.errors import WeightsError
from phosphene.models.inceptionv1 import (
    BLOCKS,
    BRANCHES,
    NAME,
    POOL_BEFORE,
    POOL_KERNEL,
    POOL_STRIDE,
    STEM_STRIDE,
    InceptionV1,
    LocalResponseNorm,
)
from phosphene.models.tensorflow_graph import SUFFIX, Attribute, Node, read_graph
from phosphene.models.weights import (
    RANDOM,
    absent,
    cached_weights,
    find_weights,
    load_file,
    load_into,
    same_random_weights,
)

WHERE = (
    "not on this machine and not downloaded by phosphene: they are tensorflow_inception_graph.pb in inception5h.zip, "
    "which Google published with TensorFlow, or inception5h.pth, the checkpoint that lucent takes"
)
LOGITS = "softmax2_pre_activation"
LOGITS_CONSTANT = "softmax2"  # the graph's name for them is softmax2_w, softmax2_b
PRE_RELU = "_pre_relu"
CHANNEL_AXIS = (3, -1)  # of maps (b, h, w, c)
LRN_DEFAULTS = {"depth_radius": 5, "bias": 1.0, "alpha": 1.0, "beta": 0.5}  # TensorFlow's, where the graph says nothing


@dataclass(frozen=True)
class _Expected:
    """A node that the graph must have: its operations, the nodes it reads, its attributes."""

    ops: tuple[str, ...]
    inputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


def load_inceptionv1(weights: str | Path | None = None) -> tuple[InceptionV1, str]:
    """The network with the weights of a file or random ones ("random"), and where they came from.

    weights: the published graph (.pb), or a state dict (.safetensors, .pth, .pt) under the names of lucent or of this
    network. None looks for `inceptionv1.safetensors`, `.pth`, `.pt` as `cached_weights` does.
    Raises WeightsError when the file is nowhere, is damaged, or is another network's. Nothing is downloaded.
    """
    with same_random_weights():
        net = InceptionV1()
    if weights == RANDOM:
        return net, RANDOM
    file = find_weights(NAME, weights) if weights is not None else cached_weights(NAME)
    if file is None:
        raise absent(NAME, reason=WHERE)
    if file.suffix.lower() == SUFFIX:
        load_graph(net, file)
    else:
        load_file(net, file, NAME, rename=own_name)
    return net, f"file:{file.name}"


def own_name(entry: str) -> str:
    """What an entry of lucent's checkpoint is called here; names of this network stay as they are."""
    return entry.replace(f"{PRE_RELU}_conv.", f"{PRE_RELU}.").replace(f"{LOGITS}_matmul.", f"{LOGITS}.")


def load_graph(net: InceptionV1, path: Path) -> None:
    """Put the weights and the normalizations' constants of the published graph into `net`.

    Raises WeightsError when the file cannot be read, is the graph of another network, or lacks weights.
    """
    graph = read_graph(path)
    for name, expected in _expectations():
        _check(path, graph, name, expected)
    load_into(net, state_from_graph(graph), NAME, origin=str(path))
    for name, module in net.named_children():
        if isinstance(module, LocalResponseNorm):
            _set_constants(module, graph[name])


def state_from_graph(graph: Mapping[str, Node]) -> dict[str, Tensor]:
    """The state dict of this network from the constants of the graph; what the graph lacks is left out."""
    layers = [f"{name}{PRE_RELU}" for name, _, _ in _convolutions()]
    state: dict[str, Tensor] = {}
    for layer in [*layers, LOGITS]:
        stem = LOGITS_CONSTANT if layer == LOGITS else layer.removesuffix(PRE_RELU)
        for kind, letter in (("weight", "w"), ("bias", "b")):
            node = graph.get(f"{stem}_{letter}")
            value = node.attributes.get("value") if node is not None else None
            if isinstance(value, np.ndarray):
                state[f"{layer}.{kind}"] = _reordered(value)
    return state


def _reordered(value: NDArray[Any]) -> Tensor:
    """A constant in PyTorch's order of axes, in float32: (h, w, in, out) -> (out, in, h, w), (in, out) -> (out, in)."""
    if value.ndim == 4:
        value = value.transpose(3, 2, 0, 1)
    elif value.ndim == 2:
        value = value.T
    return torch.from_numpy(np.array(value, np.float32, order="C"))


def _convolutions() -> Iterator[tuple[str, str | None, int]]:
    """(name, the node it reads, stride) of every convolution; the first reads the picture."""
    yield "conv2d0", None, STEM_STRIDE
    yield "conv2d1", "localresponsenorm0", 1
    yield "conv2d2", "conv2d1", 1
    for name, before in _block_inputs():
        yield f"{name}_1x1", before, 1
        for size in ("3x3", "5x5"):
            yield f"{name}_{size}_bottleneck", before, 1
            yield f"{name}_{size}", f"{name}_{size}_bottleneck", 1
        yield f"{name}_pool_reduce", f"{name}_pool", 1


def _block_inputs() -> Iterator[tuple[str, str]]:
    """(name, the node it reads) of every block."""
    before = "maxpool1"
    for name in BLOCKS:
        yield name, POOL_BEFORE.get(name, before)
        before = name


def _expectations() -> Iterator[tuple[str, _Expected]]:
    """(name, what it must be) of every node in which another graph could differ from this network."""
    for name, before, stride in _convolutions():
        geometry: dict[str, Attribute] = {"strides": (1, stride, stride, 1), "padding": b"SAME"}
        inputs = () if before is None else (before, f"{name}_w")
        yield f"{name}{PRE_RELU}/conv", _Expected(("Conv2D",), inputs, geometry)
        yield name, _Expected(("Relu",), (f"{name}{PRE_RELU}",))
    names = list(BLOCKS)
    before_pools = {pool: names[names.index(block) - 1] for block, pool in POOL_BEFORE.items()}
    for name, before in {"maxpool0": "conv2d0", "maxpool1": "localresponsenorm1", **before_pools}.items():
        yield name, _pooling(before, POOL_STRIDE)
    for name, before in (("localresponsenorm0", "maxpool0"), ("localresponsenorm1", "conv2d2")):
        yield name, _Expected(("LRN",), (before,))
    for name, before in _block_inputs():
        yield f"{name}_pool", _pooling(before, 1)
        yield name, _Expected(("Concat", "ConcatV2"), tuple(f"{name}_{branch}" for branch in BRANCHES))


def _pooling(before: str, stride: int) -> _Expected:
    window = (1, POOL_KERNEL, POOL_KERNEL, 1)
    return _Expected(("MaxPool",), (before,), {"ksize": window, "strides": (1, stride, stride, 1), "padding": b"SAME"})


def _check(path: Path, graph: Mapping[str, Node], name: str, expected: _Expected) -> None:
    """Raise WeightsError unless the graph has the node as it is expected."""
    node = graph.get(name)
    if node is None or node.op not in expected.ops:
        said = "is absent" if node is None else f"is a {node.op}"
        raise WeightsError(f"{path} is the graph of another network than {NAME}: {name}, a {expected.ops[0]}, {said}")
    inputs = [_source(graph, given) for given in node.inputs if not given.startswith("^")]
    if node.op in ("Concat", "ConcatV2"):
        axis = graph.get(inputs.pop(0 if node.op == "Concat" else -1)) if inputs else None
        value = axis.attributes.get("value") if axis is not None else None
        if not isinstance(value, np.ndarray) or value.size != 1 or int(value.item()) not in CHANNEL_AXIS:
            raise WeightsError(f"{path} is the graph of another network than {NAME}: {name} does not join channels")
    if expected.inputs and tuple(inputs) != expected.inputs:
        said = f"reads {', '.join(inputs)} instead of {', '.join(expected.inputs)}"
        raise WeightsError(f"{path} is the graph of another network than {NAME}: {name} {said}")
    wanted = {**expected.attributes, "data_format": node.attributes.get("data_format") and b"NHWC"}
    for key, value in wanted.items():
        if node.attributes.get(key) != value:
            said = f"has {key} {node.attributes.get(key)!r} instead of {value!r}"
            raise WeightsError(f"{path} is the graph of another network than {NAME}: {name} {said}")


def _source(graph: Mapping[str, Node], given: str) -> str:
    """The node that an input names, without its output's number; what an Identity passes on stands for it."""
    name = given.removesuffix(":0")
    node = graph.get(name)
    if node is not None and node.op == "Identity" and len(node.inputs) == 1:
        return node.inputs[0].removesuffix(":0")
    return name


def _set_constants(module: LocalResponseNorm, node: Node) -> None:
    said = {key: node.attributes.get(key, default) for key, default in LRN_DEFAULTS.items()}
    numbers = {key: float(value) for key, value in said.items() if isinstance(value, int | float)}
    if len(numbers) < len(said) or numbers["depth_radius"] < 0 or numbers["bias"] <= 0 or numbers["alpha"] < 0:
        raise WeightsError(f"{node.name} cannot normalize with {said}")
    module.radius = int(numbers["depth_radius"])
    module.bias, module.alpha, module.beta = numbers["bias"], numbers["alpha"], numbers["beta"]
