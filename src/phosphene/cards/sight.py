"""Where in a picture a unit responds: its map laid over the picture, the part it sees, and the patch marked.

A map is placed by the receptive field: the response at (y, x) stands over the middle of what it sees. A unit without
a map has none to show; what counts for it is found by deletion, one cell of a coarse grid after the other (Zeiler and
Fergus 2014, arXiv 1311.2901).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, pad

from phosphene.cards.changes import COLORS, luminance
from phosphene.cards.patch import alone, without
from phosphene.cards.subject import Unit
from phosphene.models.receptive import Box

CELLS = 6  # of a side, in a map by deletion
DARK = 0.3  # of the luminance that is left where a unit does not respond
SHOWN = 192  # pixels of a picture on a page; shown at up to twice that
GAP = 4  # pixels between the parts of one figure
AROUND = 0.15  # of a patch's longer side: the ground around it
LINE = 2  # pixels of an outline


def heat(unit: Unit, picture: Tensor, *, delete: bool = False) -> Tensor | None:
    """(h, w) in [0, 1]: where a unit responds to a picture (c, h, w), 1 where most; 0 where less than to nothing.

    delete: for units without a map, find what counts by deletion. None where there is no map and no deletion, or no
    response, and for sounds.
    """
    if unit.rate:
        return None
    shown = torch.stack([picture, unit.color.expand_as(picture)])
    scores, maps = unit.eye.look(shown)
    if maps[0].numel() > 1:
        gain = (maps[0] - maps[1].amax()).clamp(min=0)
        return spread(unit, gain / gain.amax(), picture) if gain.amax() > 0 else None
    if not delete:
        return None
    lost = (scores[0] - deleted(unit, picture)).clamp(min=0)
    if not lost.amax() > 0:
        return None
    size = [int(picture.shape[1]), int(picture.shape[2])]
    return interpolate((lost / lost.amax())[None, None], size, mode="bilinear")[0, 0]


def deleted(unit: Unit, picture: Tensor) -> Tensor:
    """(cells, cells): the score without each cell of a grid over the picture."""
    height, width = picture.shape[1:]
    rows, columns = ([round(i * side / CELLS) for i in range(CELLS + 1)] for side in (height, width))
    found = [
        unit.eye.look(
            torch.stack([without(picture, (rows[i], a, rows[i + 1], b), unit.color) for a, b in pairwise(columns)])
        )[0]
        for i in range(CELLS)
    ]
    return torch.stack(found)


def spread(unit: Unit, values: Tensor, picture: Tensor) -> Tensor:
    """A map (y, x) over the pixels of a picture, each response in the middle of what it sees."""
    height, width = (int(side) for side in picture.shape[1:])
    found = unit.index.find_layer(unit.eye.layer)
    axes = []
    for axis, (count, side) in enumerate(zip(values.shape, (height, width), strict=True)):
        pixels = torch.arange(side, dtype=torch.float32)
        if found.field is None:
            at = (pixels + 0.5) * count / side - 0.5
        else:
            middle = (found.field.box[axis] + found.field.box[axis + 2]) / 2
            pixels += middle % 1  # so that a pixel has each response in full: between pixels the strongest would sink
            at = found.field.unit[axis] + (pixels - middle) / (found.stride or 1)
        axes.append((2 * at + 1) / count - 1)  # to -1..1 between the outer edges
    grid = torch.stack(torch.meshgrid(axes[1], axes[0], indexing="xy"), -1)
    return grid_sample(values[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]


def lit(picture: Tensor, values: Tensor) -> Tensor:
    """The picture (c, h, w) as it is where values (h, w) are 1, dark and gray where they are 0."""
    plain = luminance(picture) if picture.shape[0] == COLORS else picture
    return torch.lerp(DARK * plain.expand_as(picture), picture, values)


def outlined(picture: Tensor, box: Box) -> Tensor:
    """The picture with a white line around a box, and a black one around that."""
    out = picture.clone()
    for shade, grow in ((0.0, LINE), (1.0, LINE // 2)):
        y0, x0, y1, x1 = box[0] - grow, box[1] - grow, box[2] + grow, box[3] + grow
        inner = picture[:, max(box[0], 0) : box[2], max(box[1], 0) : box[3]]
        out[:, max(y0, 0) : y1, max(x0, 0) : x1] = shade
    out[:, max(box[0], 0) : box[2], max(box[1], 0) : box[3]] = inner
    return out


def cut(picture: Tensor, box: Box) -> Tensor:
    """What is inside a box."""
    return picture[:, box[0] : box[2], box[1] : box[3]]


def enlarged(picture: Tensor, box: Box, color: Tensor) -> Tensor:
    """A square of the page's size with the patch in its middle, on the neutral color."""
    tall, wide = box[2] - box[0], box[3] - box[1]
    margin = max(tall, wide) * AROUND
    side = round(max(tall, wide) + 2 * margin)
    y0, x0 = (box[0] + box[2] - side) // 2, (box[1] + box[3] - side) // 2
    canvas = color.expand(picture.shape[0], side, side).clone()
    y1, x1 = min(y0 + side, picture.shape[1]), min(x0 + side, picture.shape[2])
    top, left = max(y0, 0), max(x0, 0)
    canvas[:, top - y0 : y1 - y0, left - x0 : x1 - x0] = alone(picture, box, color)[:, top:y1, left:x1]
    return fitted(canvas, SHOWN)


def fitted(picture: Tensor, side: int) -> Tensor:
    """A picture (c, h, w) at a longer side of so many pixels."""
    height, width = picture.shape[1:]
    scale = side / max(height, width)
    size = [max(1, round(height * scale)), max(1, round(width * scale))]
    if size == [height, width]:
        return picture
    return interpolate(picture[None], size, mode="bicubic", antialias=scale < 1).clamp(0, 1)[0]


def composed(picture: Tensor, seen: Tensor | None, warm: Tensor | None) -> Tensor:
    """One figure: the picture, and below it what the unit sees of it and where it responds, as far as known.

    The ground between the parts is mid-gray, which reads on light and dark pages.
    """
    parts = [one for one in (seen, warm) if one is not None]
    top = fitted(picture, SHOWN)
    if not parts:
        return top
    width = int(top.shape[2])
    side = width if len(parts) == 1 else (width - GAP) // 2
    small = [fitted(one, side) for one in parts]
    tall = max(int(one.shape[1]) for one in small)
    row = torch.full((top.shape[0], tall, width), 0.5)
    for at, one in enumerate(small):
        left, down = at * (side + GAP) + (side - one.shape[2]) // 2, (tall - one.shape[1]) // 2
        row[:, down : down + one.shape[1], left : left + one.shape[2]] = one
    return torch.cat([pad(top, (0, 0, 0, GAP), value=0.5), row], 1)
