"""The gradient at every layer on its way from a score back to the picture, without touching the network.

A layer is on the way when the whole gradient passes it: then what it gives is the one road between what is before it
and what is behind. A layer that a skip leads past, or one branch of several, has a share of the gradient only, and its
block is given in its place. Which these are is read from the graph that autograd made, not from how the modules are
nested, so that any network will do:

    a value is on the way  <=>  every path from the score to the picture leads through it

The network runs once, with a hook at each layer that remembers which node of the graph made its output. What a later
in-place rectifier makes of the tensor is another node, so a convolution in front of one has the gradient behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from phosphene.models.model import Model
from phosphene.models.tap import OUTPUT, first_tensor, to_channels_first

PICTURE = "input"  # the name under which the gradient at the picture itself is given

Place: TypeAlias = tuple[Node, int]  # where a tensor came from: a node of autograd's graph, and which of its outputs


def gradients(
    model: Model, pictures: Tensor, needed: Collection[str], score: Callable[[Mapping[str, Tensor]], Tensor]
) -> dict[str, Tensor]:
    """d(sum of scores)/d(activation) {layer: (b, c, *space)} of every layer on the way, in the order of the way: the
    pictures (b, c, h, w) in [0, 1] first, as "input".

    needed: the layers that `score` reads. score: activations {layer: (b, c, *space)} -> numbers, which are summed.
    """
    places: dict[str, Place] = {}
    handles = []
    x = pictures.detach().to(model.device, torch.float32).requires_grad_(True)
    try:
        for name in model.layers:
            if name != OUTPUT:
                handles.append(model.net.get_submodule(name).register_forward_hook(_listener(name, places)))
        with torch.enable_grad():
            total = score(model.activations(x, needed)).sum()
    finally:
        for handle in handles:
            handle.remove()
    graph = _graph(total.grad_fn)
    order = {place: -number for number, place in enumerate(_crossed(graph))}
    names = _on_the_way(model.net, {name: place for name, place in places.items() if place[0] in graph}, order)
    heard: dict[str, Tensor] = {}
    for name in names:
        node, output = places[name]
        node.register_prehook(_hearer(name, output, heard))
    (at_picture,) = torch.autograd.grad(total, [x], materialize_grads=True)
    return {PICTURE: at_picture, **{name: to_channels_first(heard[name], model.layers[name]) for name in names}}


def _listener(name: str, places: dict[str, Place]) -> Callable[[nn.Module, Any, Any], None]:
    """A forward hook that remembers where the output of a layer came from; of the last call where there are several."""

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor.grad_fn is not None:
            places[name] = tensor.grad_fn, tensor.output_nr

    return hook


def _hearer(name: str, output: int, heard: dict[str, Tensor]) -> Callable[[tuple[Tensor, ...]], None]:
    """A hook of a node that keeps the gradient of one of its outputs."""

    def hear(gradients: tuple[Tensor, ...]) -> None:
        heard[name] = gradients[output].detach().clone()

    return hear


def _graph(root: Node | None) -> dict[Node, list[Place]]:
    """The places that each node reads, of all that `root` is made from, root first."""
    edges: dict[Node, list[Place]] = {}
    waiting = [] if root is None else [root]
    while waiting:
        node = waiting.pop()
        if node not in edges:
            edges[node] = [(other, output) for other, output in node.next_functions if other is not None]
            waiting += [other for other, _ in edges[node]]
    return edges


def _crossed(graph: Mapping[Node, Sequence[Place]]) -> list[Place]:
    """The places that every path from the root of a graph leads through, nearest the root first.

    Nodes are taken in topological order. When no edge is open but those into the next node, all paths meet there; and
    in one place, when they all come to the same output of it.
    """
    into: dict[Node, list[int]] = {node: [] for node in graph}
    missing = Counter(other for found in graph.values() for other, _ in found)
    ready, unmet = list(graph)[:1], 0
    crossed: list[Place] = []
    while ready:
        node = ready.pop()
        unmet -= len(into[node])
        if unmet == 0 and len(set(into[node])) == 1:
            crossed.append((node, into[node][0]))
        for other, output in graph[node]:
            into[other].append(output)
            unmet += 1
            missing[other] -= 1
            if missing[other] == 0:
                ready.append(other)
    return crossed


def _on_the_way(net: nn.Module, places: Mapping[str, Place], order: Mapping[Place, int]) -> list[str]:
    """Names of the layers whose places are in `order`, in that order: the parts of a module if all of them are on the
    way, and else the module itself.

    Of layers that give the same tensor (a dropout that does nothing, a module and its last part) one is kept.
    """
    kept: dict[Place, str] = {}

    def walk(module: nn.Module, prefix: str) -> None:
        for part, child in module.named_children():
            name = f"{prefix}{part}"
            place = places.get(name)
            passed = place is not None and place in order
            if not passed or all(places[inner] in order for inner in _parts(child, f"{name}.", places)):
                walk(child, f"{name}.")
            if passed and place is not None:
                kept.setdefault(place, name)

    walk(net, "")
    return [kept[place] for place in sorted(kept, key=lambda place: order[place])]


def _parts(module: nn.Module, prefix: str, places: Mapping[str, Place]) -> Iterator[str]:
    """Names of the nearest layers inside a module that have a place."""
    for part, child in module.named_children():
        name = f"{prefix}{part}"
        if name in places:
            yield name
        else:
            yield from _parts(child, f"{name}.", places)
