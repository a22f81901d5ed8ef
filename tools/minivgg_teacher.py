"""The teacher of `minivgg`: the encoder of a compressed VGG-19 (Wang et al., Collaborative Distillation, CVPR 2020).

The file holds five encoders, each up to relu1_1 .. relu5_1; the fifth passes through all five layers and is the one
used here. Its pictures are (b, h, w, 3) uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, pad, relu

TEACHER_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
PATH = ("11", "12", "|", "21", "22", "|", "31", "32", "33", "34", "|", "41", "42", "43", "44", "|", "51")


class Teacher(nn.Module):
    """Features at the five layers, each channel with mean 0 and deviation 1 after `calibrate`."""

    def __init__(self, file: Path, *, encoder: int = 5) -> None:
        super().__init__()
        prefix = f"encoder{encoder}."
        entries = load_file(file).items()
        self.weights = {name.removeprefix(prefix): v.float() for name, v in entries if name.startswith(prefix)}
        self.shift = [torch.zeros(1)] * 5
        self.scale = [torch.ones(1)] * 5

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the five layers."""
        return tuple(self.weights[f"conv{k}1.weight"].shape[0] for k in range(1, 6))

    def features(self, x: Tensor) -> list[Tensor]:
        """relu1_1 .. relu5_1 of pictures (b, 3, h, w) in [0, 1]."""
        w, found = self.weights, []
        x = conv2d(x, w["conv0.weight"], w["conv0.bias"])
        for part in PATH:
            if part == "|":
                x = max_pool2d(x, 2)
                continue
            x = relu(conv2d(pad(x, (1, 1, 1, 1), mode="reflect"), w[f"conv{part}.weight"], w[f"conv{part}.bias"]))
            if part.endswith("1"):
                found.append(x)
        return found

    @torch.no_grad()
    def calibrate(self, batches: Sequence[np.ndarray]) -> None:
        """Measure each channel's mean and deviation on some batches of pictures."""
        each = [self.features(_picture(torch.as_tensor(batch))) for batch in batches]
        for k in range(5):
            values = torch.cat([found[k].transpose(0, 1).flatten(1) for found in each], 1)
            self.shift[k] = values.mean(1)[:, None, None]
            self.scale[k] = values.std(1)[:, None, None].clamp(min=1e-3)

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> list[Tensor]:
        found = self.features(_picture(pictures))
        return [(x.float() - shift) / scale for x, shift, scale in zip(found, self.shift, self.scale, strict=True)]


def _picture(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)
