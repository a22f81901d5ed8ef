"""From a photograph to a network's input, and from its logits to class names.

A photograph is resized so that its short side is `spec.resize` pixels, and the center of `spec.size` is cut out: what
torchvision's classification presets do, and equal to them (tested), since a different filter or crop changes logits.
The result is in [0, 1]; mean and std are the model's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, pad

from phosphene.errors import UsageError
from phosphene.models.spec import InputSpec

if TYPE_CHECKING:
    from phosphene.models.model import Model

LUMINANCE = (0.299, 0.587, 0.114)  # of R, G, B; ITU-R BT.601, what Pillow's mode "L" uses
PIL_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

Prediction = tuple[int, str, float, float]  # class index, label, probability, logit


def to_input(picture: Image.Image | Tensor, spec: InputSpec, *, whole: bool = False) -> Tensor:
    """A picture (1, c, h, w) in [0, 1] of `spec`'s size and channels: resized by its short side, center cropped.

    picture: a PIL image, RGB or grayscale, or a float tensor (c, h, w) or (1, c, h, w) in [0, 1]. Color becomes
    luminance for a network with one channel, gray is repeated for one with three. whole: nothing is cut off.
    Raises UsageError for any other number of channels. A crop larger than the resized picture is filled up with black.
    """
    if isinstance(picture, Image.Image):
        resized = _from_pil(picture.resize(_resized(picture.size[::-1], spec)[::-1], PIL_FILTERS[spec.interpolation]))
    else:
        resized = _resize_tensor(_single(picture), spec)
    fitting = _with_channels(resized, spec.channels)
    return fitting.contiguous() if whole else _center_crop(fitting, spec.size)


def classify(model: Model, x: Tensor, k: int = 5) -> list[Prediction]:
    """The k most probable classes of one picture: (index, label, probability, logit), best first.

    x: (c, h, w) or (1, c, h, w) in [0, 1], as `to_input` gives it. A class without a label has its index as label.
    Raises UsageError for k below 1 or anything but one picture.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, got {k}")
    with torch.no_grad():
        logits = model.activations(_single(x), ["output"])["output"].float().flatten()
    labels = model.labels or ()
    best = logits.topk(min(k, logits.numel()))
    chances = logits.softmax(0)[best.indices]
    rows = zip(best.indices.tolist(), chances.tolist(), best.values.tolist(), strict=True)
    return [(i, labels[i] if i < len(labels) else str(i), chance, logit) for i, chance, logit in rows]


def _resized(size: tuple[int, int], spec: InputSpec) -> tuple[int, int]:
    """(height, width) after the resize: the short side to spec.resize, or just covering spec.size."""
    height, width = size
    short = spec.resize
    if short is None:
        scale = max(spec.size[0] / height, spec.size[1] / width)
        return max(round(height * scale), spec.size[0]), max(round(width * scale), spec.size[1])
    if height <= width:
        return short, int(short * width / height)
    return int(short * height / width), short


def _from_pil(picture: Image.Image) -> Tensor:
    array = np.asarray(picture)
    if array.dtype != np.uint8:
        raise UsageError(f"a picture of mode {picture.mode!r} must be converted to RGB or 8-bit grayscale first")
    planes = array[:, :, None] if array.ndim == 2 else array
    return torch.from_numpy(planes.transpose(2, 0, 1).copy()).float().div(255)[None]


def _single(x: Tensor) -> Tensor:
    """One picture as (1, c, h, w)."""
    if not x.is_floating_point():
        raise UsageError(f"a picture as a tensor must be floating point in [0, 1], got {x.dtype}")
    batch = x[None] if x.ndim == 3 else x
    if batch.ndim != 4 or len(batch) != 1:
        raise UsageError(f"one picture is (c, h, w) or (1, c, h, w), got {tuple(x.shape)}")
    return batch


def _resize_tensor(x: Tensor, spec: InputSpec) -> Tensor:
    size = _resized((x.shape[2], x.shape[3]), spec)
    if size == tuple(x.shape[2:]):
        return x
    return interpolate(x, size, mode=spec.interpolation, antialias=True).clamp(0, 1)  # bicubic overshoots


def _with_channels(x: Tensor, channels: int) -> Tensor:
    given = x.shape[1]
    if given == channels:
        return x
    if given == 3 and channels == 1:
        return (x * x.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if given == 1 and channels == 3:
        return x.expand(1, 3, -1, -1).contiguous()
    raise UsageError(f"the picture has {given} channels and the network takes {channels}")


def _center_crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    (height, width), (h, w) = x.shape[2:], size
    if height < h or width < w:
        down, right = max(h - height, 0), max(w - width, 0)
        x = pad(x, (right // 2, (right + 1) // 2, down // 2, (down + 1) // 2))
        height, width = x.shape[2:]
    top, left = round((height - h) / 2), round((width - w) / 2)
    return x[:, :, top : top + h, left : left + w].contiguous()
