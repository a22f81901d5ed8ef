"""Networks of timm (Wightman, 2019; the extra `timm`), with the preprocessing that their `pretrained_cfg` states.

Weights are looked for as for every network; what timm downloaded before is found in its own cache. timm fetches the
rest itself.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

from torch import nn

from phosphene.errors import MissingExtraError, PhospheneError, unknown
from phosphene.models.hub import hub_answers, in_hub_cache
from phosphene.models.spec import InputSpec
from phosphene.models.weights import RANDOM, absent, cached_weights, find_weights, load_file, same_random_weights

PREFIX = "timm"
HUB_FILE = "model.safetensors"  # what timm calls the weights in each of its repositories


def timm_names(query: str) -> list[str]:
    """Names of timm's networks with published weights that contain `query`."""
    return list(_timm().list_models(f"*{query}*", pretrained=True))


def load_timm(name: str, weights: str | Path | None) -> tuple[nn.Module, InputSpec, str]:
    """(network, its input, where its weights came from) of timm's `name`, such as `resnet18.a1_in1k`.

    weights: as for `load`. Raises MissingExtraError, UnknownNameError, WeightsError.
    """
    timm = _timm()
    if not timm.is_model(name.split(".")[0]):
        raise unknown("model", name, PREFIX, timm.list_models())
    stem = f"{PREFIX}-{name.replace('/', '-')}"
    if weights == RANDOM:
        net, origin = _create(timm, name), RANDOM
    elif weights is not None or cached_weights(stem) is not None:
        file = find_weights(stem, weights)
        net, origin = _create(timm, name), f"file:{file.name}"
        load_file(net, file, name)
    else:
        net, origin = _published(timm, name, stem), f"{PREFIX}:{name}"
    return net, input_spec(net.pretrained_cfg), origin


def input_spec(config: dict[str, Any]) -> InputSpec:
    """The input that a `pretrained_cfg` describes; timm resizes to the crop divided by `crop_pct`, rounded down."""
    channels, height, width = config["input_size"]
    return InputSpec(
        channels=channels,
        size=(height, width),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        resize=math.floor(min(height, width) / (config.get("crop_pct") or 1.0)),
        interpolation="bicubic" if config.get("interpolation") == "bicubic" else "bilinear",
    )


def _timm() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import timm
    except ImportError as error:
        raise MissingExtraError("timm", "timm") from error
    return timm


def _create(timm: Any, name: str, **options: Any) -> Any:
    try:
        with same_random_weights(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return timm.create_model(name, **options)
    except Exception as error:  # timm downloads through several clients, each with errors of its own
        raise PhospheneError(f"timm cannot make {name!r}: {' '.join(str(error).split())}") from error


def _published(timm: Any, name: str, stem: str) -> Any:
    file = _in_hub_cache(timm, name)
    if file is not None:
        return _create(timm, name, pretrained=True, pretrained_cfg_overlay={"file": file})
    if not hub_answers():
        raise absent(stem, reason="not on this machine, and timm's hub cannot be reached")
    try:
        return _create(timm, name, pretrained=True)
    except PhospheneError as error:
        raise absent(stem, reason=str(error)) from error


def _in_hub_cache(timm: Any, name: str) -> str | None:
    config = timm.get_pretrained_cfg(name)
    repository = config.hf_hub_id if config else None
    return in_hub_cache(repository, config.hf_hub_filename or HUB_FILE) if repository else None
