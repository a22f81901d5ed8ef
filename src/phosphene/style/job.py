"""What a style transfer is made from, and what is done to the picture outside the network, before and after.

Before: a content with transparency is laid over white, transparent parts of a style do not count, and styles take the
content's colors where its histogram is to be kept. After: the content's chroma, its pixels in the region that is
left alone, and its transparency are put back. So the optimization itself knows nothing but opaque pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.style.colors import keep_luminance, match_histogram
from phosphene.style.ladder import resized
from phosphene.style.masks import resize_by_area

Colors = Literal["no", "luminance", "histogram"]


@dataclass(frozen=True, eq=False)
class Style:
    """A style picture (3 or 4, h, w) in [0, 1], its share among the styles, the region of the result that it is for
    ("" = everywhere), and which part of it counts: (1, h, w) in [0, 1] or all. A fourth channel is opacity: what is
    transparent does not count."""

    picture: Tensor
    weight: float = 1.0
    region: str = ""
    part: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """What a transfer is made from. content: (3 or 4, h, w) in [0, 1], or None where there is no content (a texture).

    styles: at least one, unless only content is asked for. regions: by name, (1, h, w) in [0, 1] of any size. start:
    a picture to start from in place of the method's own. size: (height, width) of the result in place of the content's
    aspect. leave: (1, h, w) in [0, 1], where the content stays as it is. alpha: (1, h, w), the result's opacity; it is
    taken from a content with four channels.
    """

    content: Tensor | None
    styles: tuple[Style, ...]
    regions: Mapping[str, Tensor] = field(default_factory=dict)
    start: Tensor | None = None
    size: tuple[int, int] | None = None
    leave: Tensor | None = None
    alpha: Tensor | None = None

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) that the result has the aspect of."""
        if self.size is not None:
            return self.size
        return _shape(self.content if self.content is not None else self.styles[0].picture)


def prepared(job: Job, colors: Colors) -> Job:
    """The job with opaque pictures of three channels, its styles in the content's colors where `colors` says so.

    Raises UsageError for pictures of another shape, NaN, weights and names of regions that cannot be meant.
    """
    _check(job, colors)
    content, alpha = job.content, job.alpha
    if content is not None and len(content) == 4:
        alpha = content[3:] if alpha is None else alpha
        content = over_white(content)
    styles = tuple(_opaque_style(style) for style in job.styles)
    if colors == "histogram" and content is not None:
        styles = tuple(replace(style, picture=match_histogram(style.picture, content)) for style in styles)
    start = None if job.start is None else over_white(job.start)
    return replace(job, content=content, styles=styles, start=start, alpha=alpha)


def finished(picture: Tensor, job: Job, colors: Colors) -> Tensor:
    """The result (3 or 4, h, w) from an optimized picture (3, h, w), for a prepared job, on the CPU."""
    size = _shape(picture)
    if job.content is not None and (colors == "luminance" or job.leave is not None):
        content = resized(job.content[None], size)[0].to(picture)
        if colors == "luminance":
            picture = keep_luminance(picture, content)
        if job.leave is not None:
            picture = torch.lerp(picture, content, resize_by_area(job.leave, size).to(picture))
    if job.alpha is None:
        return picture
    return torch.cat([picture, resized(job.alpha[None], size)[0].to(picture)])


def over_white(picture: Tensor) -> Tensor:
    """(3, h, w) of a picture with 3 or 4 channels."""
    return picture if len(picture) == 3 else (picture[:3] * picture[3:] + (1 - picture[3:])).clamp(0, 1)


def _opaque_style(style: Style) -> Style:
    if len(style.picture) == 3:
        return style
    part = style.picture[3:]
    if style.part is not None:
        part = part * resize_by_area(style.part, _shape(style.picture))
    return replace(style, picture=over_white(style.picture), part=None if bool((part == 1).all()) else part)


def _check(job: Job, colors: Colors) -> None:
    if job.content is None and (colors != "no" or job.leave is not None):
        raise UsageError("without a content picture there are no colors and no region to keep")
    named = {"content": job.content, "start": job.start}
    named |= {f"style {k}": style.picture for k, style in enumerate(job.styles, 1)}
    for name, picture in named.items():
        if picture is not None:
            check_picture(picture, name)
    for k, style in enumerate(job.styles, 1):
        if not 0 <= style.weight < float("inf"):
            raise UsageError(f"the weight of style {k} must be 0 or more, got {style.weight}")
        if style.region and style.region not in job.regions:
            raise UsageError(f"style {k} is for the region {style.region!r}, which has no mask")
    if job.size is not None and min(job.size) < 1:
        raise UsageError(f"a picture has sides of at least 1 pixel, got {job.size}")


def check_picture(picture: Tensor, name: str) -> None:
    """Raise UsageError unless `picture` is (3 or 4, h, w) in [0, 1] without NaN."""
    if picture.ndim != 3 or picture.shape[0] not in (3, 4) or 0 in picture.shape:
        raise UsageError(f"the {name} picture has shape (3 or 4, height, width), got {tuple(picture.shape)}")
    if not picture.is_floating_point():
        raise UsageError(f"the {name} picture is floats in [0, 1], got {picture.dtype}")
    if not bool(((picture >= 0) & (picture <= 1)).all()):
        raise UsageError(f"the {name} picture has NaN or values outside 0 .. 1")


def _shape(picture: Tensor) -> tuple[int, int]:
    return int(picture.shape[1]), int(picture.shape[2])
