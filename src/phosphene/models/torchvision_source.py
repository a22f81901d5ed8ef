"""torchvision's classification networks, with the preprocessing and the classes that their weights' metadata states.

    squeezenet1_1    resnet50@IMAGENET1K_V1, of several published weights those

Files of weights from before torchvision's modules were renamed are understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from phosphene.errors import unknown
from phosphene.models.spec import InputSpec
from phosphene.models.weights import RANDOM, find_weights, load_file, same_random_weights

PREFIX = "torchvision"

AUXILIARY = re.compile(r"(aux1|aux2|AuxLogits)\.")  # second classifiers of GoogLeNet and Inception, for training only
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # names from before dots were forbidden
OLD_VIT = re.compile(r"\.mlp\.linear_([12])\.")


def torchvision_names() -> list[str]:
    """torchvision's classification networks; detection, segmentation, video and quantized ones live in submodules."""
    import torchvision

    return sorted(torchvision.models.list_models(module=torchvision.models))


def imagenet_labels() -> tuple[str, ...]:
    """The 1000 class names of ILSVRC-2012, as torchvision publishes them."""
    return tuple(torchvision_weights("squeezenet1_1").meta["categories"])


def torchvision_weights(arch: str, tag: str = "") -> Any:
    """A member of the architecture's enumeration of weights: the one called `tag`, else torchvision's default."""
    import torchvision

    if arch not in torchvision_names():
        raise unknown("model", arch, PREFIX, torchvision_names())
    members = torchvision.models.get_model_weights(arch)
    if tag and tag not in members.__members__:
        raise unknown("weights", tag, f"{PREFIX}:{arch}", members.__members__)
    return members[tag] if tag else members.DEFAULT


def torchvision_spec(member: Any) -> InputSpec:
    """The input that a member of an enumeration of weights describes."""
    preset = member.transforms()
    return InputSpec(
        size=_pair(preset.crop_size),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        resize=preset.resize_size[0],
        interpolation=_filter(preset.interpolation.value),
    )


def load_torchvision(
    name: str, weights: str | Path | None, spec: InputSpec | None
) -> tuple[nn.Module, InputSpec, str, tuple[str, ...]]:
    """(network, its input, where its weights came from, class names) of torchvision's `name`.

    weights: as for `load`. spec: the input of a vision transformer that is built for random weights. Raises
    UnknownNameError, WeightsError.
    """
    arch, _, tag = name.partition("@")
    member = torchvision_weights(arch, tag)
    own = torchvision_spec(member)
    stem = name if tag else arch
    file = None if weights == RANDOM else find_weights(stem, weights, url=member.url)
    net = _build(arch, (spec or own) if file is None else own)
    if file is None:
        origin = RANDOM
    else:
        load_file(net, file, arch, rename=_current_name)
        published = file.name == member.url.rsplit("/", 1)[-1]
        origin = f"{PREFIX}:{member.name}" if published else f"file:{file.name}"
    return net, own, origin, tuple(member.meta["categories"])


def _build(arch: str, spec: InputSpec) -> nn.Module:
    import torchvision

    options: dict[str, Any] = {}
    if arch in ("googlenet", "inception_v3"):
        # transform_input: the published weights expect another normalization, which the network then does itself
        options = {"aux_logits": False, "init_weights": False, "transform_input": True}
    elif arch.startswith("vit_"):
        options = {"image_size": spec.size[0]}
    with same_random_weights():
        net: nn.Module = torchvision.models.get_model(arch, weights=None, **options)
    return net


def _current_name(entry: str) -> str | None:
    """The present name of an entry of a published torchvision file; None for the heads that only training uses."""
    if AUXILIARY.match(entry):
        return None
    entry = OLD_DENSENET.sub(r"\1\2.", entry)
    return OLD_VIT.sub(lambda found: f".mlp.{'0' if found.group(1) == '1' else '3'}.", entry)


def _pair(size: Sequence[int]) -> tuple[int, int]:
    return size[0], size[-1]


def _filter(name: str) -> Literal["bilinear", "bicubic"]:
    return "bicubic" if name == "bicubic" else "bilinear"
