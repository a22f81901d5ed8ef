"""In batches of the same shape a scan is, to the bit, what plain PyTorch and a sort find: keys, scores, positions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from phosphene.examples.config import ScanConfig
from phosphene.examples.index import Index
from phosphene.examples.scan import scan
from phosphene.models import Model, to_input


def plainly(model: Model, files: Sequence[Path], layers: Sequence[str], batch: int) -> dict[str, tuple[Tensor, Tensor]]:
    """{layer: (largest (n, units), first flat position of it)} by hooks of PyTorch, `batch` pictures at a time."""
    net = copy.deepcopy(model.net).to(memory_format=torch.channels_last)
    found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in layers}

    def keep(name: str, value: Tensor) -> None:
        row = value.flatten(2).contiguous() if value.dim() > 2 else value[..., None].clone()
        found[name].append((row.amax(2), torch.from_numpy(row.numpy().argmax(2))))

    def hook(name: str) -> None:
        def told(module: nn.Module, given: tuple[Tensor, ...], value: Tensor) -> None:
            keep(name, value)

        net.get_submodule(name).register_forward_hook(told)

    for name in layers:
        if name != "output":
            hook(name)
    for first in range(0, len(files), batch):
        pictures = [to_input(Image.open(file).convert("RGB"), model.spec) for file in files[first : first + batch]]
        x = torch.cat([*pictures, *[torch.zeros_like(pictures[0])] * (batch - len(pictures))])
        with torch.inference_mode():
            answer = net(model.normalize(x).contiguous(memory_format=torch.channels_last))
        keep("output", answer)
    return {
        name: tuple(torch.cat(part)[: len(files)] for part in zip(*parts, strict=True))
        for name, parts in found.items()
    }  # fmt: skip


def slips(index: Index, plain: dict[str, tuple[Tensor, Tensor]], keys: Sequence[str], k: int) -> list[str]:
    """Where examples of an index are not those of a plain computation and a sort."""
    wrong = []
    for layer in index.header.layers:
        scores, flat = (part.numpy() for part in plain[layer.name])
        for unit in range(layer.units):
            mine = scores[:, unit]
            for ranked, sign in ((index.top(layer.name, unit, k=k), 1), (index.bottom(layer.name, unit, k=k), -1)):
                order = np.argsort(-sign * mine, kind="stable")[:k]  # keys ascend: of equal scores the smaller key
                expected = [
                    (keys[i], float(mine[i]), divmod(int(flat[i, unit]), layer.spatial[-1]) if layer.spatial else None)
                    for i in order
                ]
                if [(one.key, one.score, one.position) for one in ranked] != expected:
                    wrong.append(f"{layer.name}:{unit} by {sign}")
    return wrong


def test_in_batches_of_the_same_shape_examples_are_those_of_a_plain_sort_to_the_bit(
    found: Index, photographs: Path, network: Model
) -> None:
    files = sorted(photographs.rglob("*.JPEG"), key=lambda file: file.relative_to(photographs).as_posix())
    keys = [file.relative_to(photographs).as_posix() for file in files]
    plain = plainly(network, files, [layer.name for layer in found.header.layers], found.header.kept.batch)
    assert slips(found, plain, keys, 5) == []


@pytest.mark.slow  # two minutes of CPU time
@pytest.mark.timeout(1800)
def test_all_examples_of_all_layers_are_those_of_a_plain_sort_to_the_bit(shared: Path, network: Model) -> None:
    folder = shared / "images" / "imagenet1k-sample"
    files = sorted(folder.iterdir())
    index = scan(network, folder)
    assert index.images == 1000
    assert index.tally.units == 4624
    plain = plainly(network, files, [layer.name for layer in index.header.layers], ScanConfig.batch)
    assert slips(index, plain, [file.name for file in files], ScanConfig.top) == []
