"""Pictures that a target looks at: what `content(...)`, `gram(...)` or `caricature(...)` compares with.

    caricature(features.7)  +  {"content": photo}   ->   the same tree, each statistic with its target

A reference is brought to the size of what is optimised, since most statistics go position by position. The picture that
a rendering starts from is a reference too, under the name `start`, so that a picture can be kept near it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.errors import UsageError
from phosphene.media import pixels_sha256, quantize
from phosphene.models import Model
from phosphene.objectives import Objective, aim, parse, unaimed

START = "start"  # the name of the picture that a rendering starts from
ANY = ""  # the name of a picture that serves under every name that has none of its own


def names(objective: Objective) -> list[str]:
    """The names of the pictures that a tree looks at, in alphabetical order."""
    return sorted({leaf.of for leaf in unaimed(objective)})


def chosen(wanted: Sequence[str], given: Mapping[str, Tensor], start: Tensor | None) -> dict[str, Tensor]:
    """The picture of each wanted name. Raises UsageError for a name without a picture, or a picture without a use."""
    known = {**({START: start} if start is not None else {}), **given}
    used = {name: name if name in known else ANY for name in wanted}
    for name, key in used.items():
        if key not in known:
            way = "--init FILE (init=)" if name == START else f"--reference {name}=FILE (references=)"
            raise UsageError(f"the target looks at a picture named {name!r}: give it with {way}")
    for key in sorted(set(given) - set(used.values())):
        told = f"the reference {key!r}" if key else "a reference"
        raise UsageError(
            f"{told} is given, but the target looks at {' and '.join(used) or 'none'}: caricature(LAYER) would"
        )
    return {name: known[key] for name, key in used.items()}


def used(targets: Sequence[Objective | str], given: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """The pictures of those given that some targets look at: a part of the whole may look at none."""
    wanted = {name for target in targets for name in names(parse(target) if isinstance(target, str) else target)}
    return {key: x for key, x in (given or {}).items() if key in wanted or (key == ANY and wanted - set(given or {}))}


def fitted(picture: Tensor, size: tuple[int, int], channels: int, what: str) -> Tensor:
    """A picture (channels, or one more, h, w) in [0, 1] at a size, rounded to 8 bits; what is more is opacity."""
    x = picture.float()
    if x.dim() != 3 or x.shape[0] not in (channels, channels + 1):
        raise UsageError(f"{what} must be ({channels}, h, w), got {tuple(picture.shape)}")
    if tuple(x.shape[1:]) != size:
        x = F.interpolate(x[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return quantize(x.clamp(0, 1))


def aimed(objective: Objective, model: Model, pictures: Mapping[str, Tensor], size: tuple[int, int]) -> Objective:
    """A bound tree whose statistics have their targets, as `model` sees the pictures at this size."""
    if not unaimed(objective):
        return objective
    channels = model.spec.channels
    layers = frozenset(leaf.layer for leaf in unaimed(objective))

    def reference(name: str) -> tuple[Mapping[str, Tensor], None]:
        picture = fitted(pictures[name], size, channels, f"the reference {name!r}")[None, :channels]
        with torch.no_grad():
            return model.activations(picture.to(model.device), layers), None

    return aim(objective, reference)


def aimed_at(objective: Objective, model: Model, sound: Tensor | None) -> Objective:
    """A bound tree whose statistics have their targets in the sound (c, samples) that clips start from.

    Raises UsageError where a statistic looks at another one, or there is none.
    """
    found = unaimed(objective)
    if not found:
        return objective
    other = next((leaf for leaf in found if leaf.of != START), None)
    if other is not None:
        raise UsageError(
            f"{other} looks at a recording named {other.of!r}; a clip knows only the one it starts from: {START}"
        )
    if sound is None:
        raise UsageError(
            f"{found[0]} looks at the recording that the clip starts from: give it with --init FILE (init=)"
        )
    with torch.no_grad():
        acts = model.activations(sound[None].to(model.device), frozenset(leaf.layer for leaf in found))
    return aim(objective, lambda name: (acts, None))


def digests(
    pictures: Mapping[str, Tensor], start: Tensor | None, size: tuple[int, int], channels: int
) -> dict[str, str]:
    """SHA-256 of each picture as it was looked at; that of the start is known anyway."""
    given = {name: picture for name, picture in pictures.items() if picture is not start}
    return {name: digest(picture, size, channels) for name, picture in given.items()}


def digest(picture: Tensor, size: tuple[int, int], channels: int) -> str:
    """SHA-256 of a picture at this size, without opacity."""
    return pixels_sha256(fitted(picture, size, channels, "a reference")[:channels])
