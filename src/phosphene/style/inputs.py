"""What people hand in: files, PIL pictures or tensors, as one `Job`; each named by the SHA-256 of its pixels.

A picture is known by its pixels and not by its name, so a recipe holds no path, and a rerun finds the pictures that
belong to it among those it is shown. Regions are numbered like the styles that paint them: mask 1 says where style 1
paints. Styles without a mask share what the masks leave; what nobody claims, and `leave`, stays as the content is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image
from torch import Tensor

from phosphene.errors import MediaError, UsageError
from phosphene.media import pixels_sha256, read_pixels, to_tensor
from phosphene.recipe import StyleConfig
from phosphene.style.job import Job, Style, check_picture
from phosphene.style.ladder import fitted
from phosphene.style.masks import left_alone, read_color_masks, read_mask, resize_by_area, share
from phosphene.style.method import STARTS

Source: TypeAlias = str | Path | Image.Image | Tensor

LEAST_SIDE = 8  # pixels: half of what reaches a VGG's fifth block; a network sees nothing in 1 x 5000
LEAVE = "leave"  # the region that stays as it is
REST = "rest"  # the region of styles without a mask


@dataclass(frozen=True, eq=False)
class Given:
    """A picture that was handed in: (3 or 4, h, w) in [0, 1]. name: of its file, else what it is for."""

    name: str
    pixels: Tensor
    bits: int = 8
    notes: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Of its 8-bit levels."""
        return pixels_sha256(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    def __hash__(self) -> int:
        return hash(self.sha256)


@dataclass(frozen=True, eq=False)
class Mask:
    """A region: a picture, white inside; or, with a color, where that picture has it. A tensor is (1, h, w)."""

    source: str | Path | Tensor
    color: str | None = None

    @cached_property
    def sha256(self) -> str:
        """Of the 8-bit levels of the picture that it is drawn in."""
        return pixels_sha256(self.source if isinstance(self.source, Tensor) else read_pixels(self.source).pixels)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything that one painting is made from.

    content: None for a texture. weights: of the styles, () for equal ones. masks: by number of the style from 1, where
    it paints. style_masks: by the same number, which part of that picture counts. leave: where the content stays.
    start: a picture to start from. Raises UsageError for numbers that no style has.
    """

    content: Given | None
    styles: tuple[Given, ...]
    weights: tuple[float, ...] = ()
    masks: Mapping[int, Mask] = field(default_factory=dict)
    style_masks: Mapping[int, Mask] = field(default_factory=dict)
    leave: Mask | None = None
    start: Given | None = None

    def __post_init__(self) -> None:
        count = len(self.styles)
        if self.weights and len(self.weights) != count:
            given = len(self.weights)
            raise UsageError(f"{given} style weight{'s' * (given != 1)} for {count} style picture{'s' * (count != 1)}")
        for number in (*self.masks, *self.style_masks):
            if not 1 <= number <= count:
                numbers = "1" if count == 1 else f"1 to {count}"
                raise UsageError(f"there is a mask for style {number}, and the styles have the numbers {numbers}")

    @property
    def bits(self) -> int:
        """Bits a channel of the content: what its result deserves."""
        return 8 if self.content is None else self.content.bits

    def job(self, config: StyleConfig) -> Job:
        """The pictures as a transfer takes them. Raises UsageError for masks that do not fit."""
        canvas = (self.content or self.styles[0]).size
        names, regions, leave = self._regions(fitted(*canvas, config.size), config.feather)
        weights = self.weights or (1.0,) * len(self.styles)
        parts = {k: drawn({k: mask}, self.styles[k - 1].size)[k] for k, mask in self.style_masks.items()}
        styles = tuple(
            Style(style.pixels, weight, names.get(k, ""), parts.get(k))
            for k, (style, weight) in enumerate(zip(self.styles, weights, strict=True), 1)
        )
        content = None if self.content is None else self.content.pixels
        start = None if self.start is None else self.start.pixels
        return Job(content, styles, regions, start, leave=leave)

    def _regions(
        self, size: tuple[int, int], feather: float
    ) -> tuple[dict[int, str], dict[str, Tensor], Tensor | None]:
        """The region of each style by its number, the regions by name, and what is left alone."""
        if not self.masks and self.leave is None:
            return {}, {}, None
        asked: dict[int | str, Mask] = dict(self.masks.items())
        if self.leave is not None:
            asked[LEAVE] = self.leave
        shared = share({str(key): mask for key, mask in drawn(asked, size).items()}, feather=feather)
        regions = {f"region{k}": shared[str(k)] for k in self.masks}
        names = {k: f"region{k}" for k in self.masks}
        free = [k for k in range(1, len(self.styles) + 1) if k not in self.masks]
        if not free:
            leave = left_alone(regions)
            return names, regions, leave if bool(leave.any()) else None
        regions[REST] = left_alone(shared)
        if not bool(regions[REST].any()):
            raise UsageError(f"the masks leave no room for style {free[0]}, which has none")
        return names | dict.fromkeys(free, REST), regions, shared.get(LEAVE)

    def record(self) -> dict[str, Any]:
        """The inputs as a recipe names them."""
        return {
            "content": None if self.content is None else _named(self.content),
            "styles": [_named(style) for style in self.styles],
            "weights": list(self.weights),
            "masks": [_drawn_in(mask, style=k) for k, mask in sorted(self.masks.items())],
            "style_masks": [_drawn_in(mask, style=k) for k, mask in sorted(self.style_masks.items())],
            "leave": None if self.leave is None else _drawn_in(self.leave),
            "start": None if self.start is None else _named(self.start),
        }


def read(source: Source, role: str) -> Given:
    """A picture from a file, a PIL picture or a tensor. role: what it is for, such as "content".

    Raises MediaError for a file that is none, UsageError for a tensor that is none.
    """
    if isinstance(source, str | Path):
        found = read_pixels(source, least_side=LEAST_SIDE)
        if unseen(found.pixels):
            raise MediaError(f"cannot read picture '{source}': it is transparent everywhere, and nothing of it is seen")
        return Given(Path(source).name, found.pixels, found.bits, found.notes)
    pixels = source if isinstance(source, Tensor) else to_tensor(source)
    pixels = pixels.detach().float().cpu()
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 3 and len(pixels) == 1:
        pixels = pixels.expand(3, -1, -1)
    check_picture(pixels, role)
    if min(pixels.shape[1:]) < LEAST_SIDE:
        height, width = pixels.shape[1:]
        raise UsageError(f"the {role} picture is {width}x{height}, and no side may be under {LEAST_SIDE} pixels")
    if unseen(pixels):
        raise UsageError(f"the {role} picture is transparent everywhere, and nothing of it is seen")
    return Given(role, pixels)


def unseen(pixels: Tensor) -> bool:
    """Whether a picture (3 or 4, h, w) is transparent everywhere."""
    return len(pixels) == 4 and not bool(pixels[3].any())


def read_start(start: str | Source | None) -> tuple[str | None, Given | None]:
    """A start by its name, or a picture to start from: (name for the config, picture)."""
    if start is None or (isinstance(start, str) and start in STARTS):
        return start, None
    if isinstance(start, str) and not Path(start).exists():
        raise UsageError(f"no start {start!r}: choose {', '.join(STARTS)}, or a picture file")
    return None, read(start, "start")


def drawn(masks: Mapping[Any, Mask], size: tuple[int, int]) -> dict[Any, Tensor]:
    """The masks (1, h, w) at `size`, by their keys; colors of one picture are told apart together."""
    found: dict[Any, Tensor] = {}
    colored: dict[str, dict[Any, str]] = {}
    for key, mask in masks.items():
        if isinstance(mask.source, Tensor):
            found[key] = resize_by_area(_region(mask.source), size)
        elif mask.color is None:
            found[key] = read_mask(mask.source, size)
        else:
            colored.setdefault(str(mask.source), {})[key] = mask.color
    for file, colors in colored.items():
        named = read_color_masks(file, {str(key): color for key, color in colors.items()}, size)
        found |= {key: named[str(key)] for key in colors}
    return found


def _region(mask: Tensor) -> Tensor:
    region = mask.detach().float().cpu()
    region = region[None] if region.ndim == 2 else region
    if region.ndim != 3 or len(region) != 1 or not bool(((region >= 0) & (region <= 1)).all()):
        raise UsageError(f"a mask is (1, height, width) in 0 .. 1, got {tuple(mask.shape)}")
    if not bool(region.any()):
        raise UsageError("a mask is black everywhere: 1 marks the region")
    return region


def _named(picture: Given) -> dict[str, Any]:
    return {"sha256": picture.sha256, "size": [picture.size[1], picture.size[0]], "channels": len(picture.pixels)}


def _drawn_in(mask: Mask, *, style: int | None = None) -> dict[str, Any]:
    """A mask as a recipe names it."""
    named = {"sha256": mask.sha256, "color": mask.color}
    return named if style is None else {"style": style, **named}


def pictures(sources: Source | Sequence[Source], role: str) -> tuple[Given, ...]:
    """One picture or several of a role."""
    listed = list(sources) if isinstance(sources, Sequence) and not isinstance(sources, str) else [sources]
    if not listed:
        raise UsageError(f"there is no {role} picture")
    return tuple(read(source, f"{role} {k}") for k, source in enumerate(listed, 1))
