"""From a name to a model: phosphene's own, torchvision's, timm's, Hugging Face's, a user's factory.

    minivgg, vgg19_cd16x, inceptionv1                                 networks that see
    crepe_tiny, crepe_full, yamnet, silero_vad_16k, random_sound      networks that hear
    squeezenet1_1, torchvision:resnet50, torchvision:resnet50@IMAGENET1K_V1
    timm:resnet18.a1_in1k
    hf:facebook/wav2vec2-base-960h, hf:FOLDER                         networks that hear
    package.module:factory

What a network expects at its input and what its classes are called comes from the metadata of its weights, never from
a guess: a wrong value range or crop fails silently. Random weights must be asked for (`weights="random"`) and are the
same every time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import nn

from phosphene.errors import UsageError, unknown
from phosphene.models import crepe, inceptionv1, minivgg, random_sound, silero, vgg19_cd16x, yamnet
from phosphene.models.factory_source import call_factory, net_and_spec
from phosphene.models.hugging_face import PREFIX as HUGGING_FACE
from phosphene.models.hugging_face import load_hugging_face
from phosphene.models.inceptionv1_labels import output_labels
from phosphene.models.inceptionv1_weights import load_inceptionv1
from phosphene.models.model import Model
from phosphene.models.spec import AudioSpec, InputSpec, WeightsInfo
from phosphene.models.timm_source import PREFIX as TIMM
from phosphene.models.timm_source import load_timm, timm_names
from phosphene.models.weights import (
    RANDOM,
    cached_weights,
    find_weights,
    load_file,
    same_random_weights,
    weights_sha256,
)
from phosphene.textures import CLASSES

DEFAULT_MODEL = minivgg.NAME  # what is meant where no network is named
PHOSPHENE = minivgg.SOURCE
TORCHVISION = "torchvision"
IMAGENET_CLASSES = 1000  # ILSVRC-2012

AUXILIARY = re.compile(r"(aux1|aux2|AuxLogits)\.")  # second classifiers of GoogLeNet and Inception, for training only
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")  # names from before dots were forbidden
OLD_VIT = re.compile(r"\.mlp\.linear_([12])\.")


@dataclass(frozen=True)
class ModelEntry:
    """One network that can be loaded.

    name: what `load` takes. source: "phosphene", "torchvision" or "timm". weights: the publisher's name of the default
    ones. parameters: their number. megabytes: of the weights file. size: (height, width) of the input in pixels.
    license: of the weights, where the publisher states one. cached: where the weights are on this machine, or None.
    None where it is not known without building the network.
    """

    name: str
    source: str
    weights: str | None = None
    parameters: int | None = None
    megabytes: float | None = None
    size: tuple[int, int] | None = None
    license: str | None = None
    cached: Path | None = None
    url: str | None = None


@dataclass(frozen=True)
class _Own:
    """A network whose code is in this package. cached: where its weights are on this machine, or None. labels: of the
    weights that were asked for. ahead, roles: as in `Model`."""

    build: Callable[[], nn.Module]
    load: Callable[[str | Path | None], tuple[nn.Module, str]]
    cached: Callable[[], Path | None]
    spec: InputSpec | AudioSpec
    license: str
    labels: Callable[[str | Path | None], tuple[str, ...] | None] | None = None
    ahead: float = 0.0
    roles: tuple[str, tuple[str, ...]] | None = None


OWN = {
    minivgg.NAME: _Own(
        lambda: minivgg.minivgg(len(CLASSES)),
        minivgg.load_minivgg,
        lambda: minivgg.WEIGHTS if minivgg.WEIGHTS.is_file() else None,
        minivgg.SPEC,
        minivgg.LICENSE,
        lambda _: CLASSES,
    ),
    vgg19_cd16x.NAME: _Own(
        vgg19_cd16x.vgg19_cd16x,
        vgg19_cd16x.load_vgg19_cd16x,
        lambda: cached_weights(vgg19_cd16x.NAME),
        vgg19_cd16x.SPEC,
        vgg19_cd16x.LICENSE,
    ),
    inceptionv1.NAME: _Own(
        inceptionv1.InceptionV1,
        load_inceptionv1,
        lambda: cached_weights(inceptionv1.NAME),
        inceptionv1.SPEC,
        inceptionv1.LICENSE,
        lambda _: output_labels(imagenet_labels()),
    ),
    **{
        name: _Own(
            partial(crepe.Crepe, name),
            partial(crepe.load_crepe, name),
            partial(crepe.cached_crepe, name),
            crepe.SPEC,
            crepe.LICENSE,
        )
        for name in (crepe.TINY, crepe.FULL)
    },
    yamnet.NAME: _Own(
        yamnet.Yamnet,
        yamnet.load_yamnet,
        partial(cached_weights, yamnet.NAME),
        yamnet.SPEC,
        yamnet.LICENSE,
        yamnet.class_names,
        yamnet.AHEAD,
        yamnet.ROLES,
    ),
    silero.NAME: _Own(
        silero.SileroVAD,
        silero.load_silero,
        partial(cached_weights, silero.NAME),
        silero.SPEC,
        silero.LICENSE,
        lambda _: silero.LABELS,
    ),
    **{
        name: _Own(
            partial(random_sound.RandomSound, seed),
            partial(random_sound.load_random_sound, name),
            lambda: None,
            random_sound.SPEC,
            random_sound.LICENSE,
            roles=random_sound.ROLES,
        )
        for name, seed in random_sound.SEEDS.items()
    },
}


def load(
    name: str = DEFAULT_MODEL,
    *,
    weights: str | Path | None = None,
    spec: InputSpec | AudioSpec | None = None,
    labels: Sequence[str] | None = None,
) -> Model:
    """The model called `name` (see the module's first lines); without a name, the small one inside the package.

    weights: a file, "random" for seeded random weights, or None for the published ones. spec, labels: instead of those
    that come with the network. It is in evaluation mode; a network of your own factory stays as it is. Raises
    UnknownNameError with the nearest names, WeightsError when the weights are absent or do not fit, MissingExtraError
    when timm or transformers is not installed, UsageError when nothing says what the input is.
    """
    prefix, colon, rest = name.partition(":")
    if name in OWN or prefix == PHOSPHENE:
        found = _load_own(rest if colon else name, weights, spec, labels)
    elif not colon or prefix == TORCHVISION:
        found = _load_torchvision(rest if colon else name, weights, _seeing(name, spec), labels)
    elif prefix == TIMM:
        found = _load_timm(rest, weights, _seeing(name, spec), labels)
    elif prefix == HUGGING_FACE:
        found = load_hugging_face(rest, weights, _hearing(name, spec), labels)
    else:
        return _load_factory(name, weights, spec, labels)
    found.net.eval()  # so that `found.net(x)` says what every call of the model says
    return found


def from_module(
    net: nn.Module, spec: InputSpec | AudioSpec, *, name: str | None = None, labels: Sequence[str] | None = None
) -> Model:
    """A network that the caller made, with the weights that it has. name: its class's name if None."""
    title = name or type(net).__name__
    info = WeightsInfo("given", weights_sha256(net))
    return Model(net, spec, name=title, source=f"given:{title}", weights=info, labels=_tuple(labels))


def known(query: str = "") -> list[ModelEntry]:
    """The networks that can be loaded by name and contain `query`; timm's for a query that starts with "timm:"."""
    prefix, colon, rest = query.partition(":")
    if colon and prefix == TIMM:
        return [ModelEntry(f"{TIMM}:{name}", TIMM) for name in timm_names(rest)]
    part = (rest if colon and prefix == TORCHVISION else query).lower()
    own = [] if colon else [_own_entry(name) for name in OWN if part in name]
    return own + [_torchvision_entry(name) for name in torchvision_names() if part in name]


def torchvision_names() -> list[str]:
    """torchvision's classification networks; detection, segmentation, video and quantized ones live in submodules."""
    import torchvision

    return sorted(torchvision.models.list_models(module=torchvision.models))


def imagenet_labels() -> tuple[str, ...]:
    """The 1000 class names of ILSVRC-2012, as torchvision publishes them."""
    return tuple(_torchvision_weights("squeezenet1_1").meta["categories"])


def is_known(name: str) -> bool:
    """Whether `name` is of the kind that `load` takes without importing the user's code."""
    return (
        name in OWN
        or name.partition(":")[0] in (PHOSPHENE, TORCHVISION, TIMM)
        or (name.partition("@")[0] in torchvision_names())
    )


def _own_entry(name: str) -> ModelEntry:
    own = OWN[name]
    file = own.cached()
    return ModelEntry(
        name,
        PHOSPHENE,
        name,
        sum(p.numel() for p in own.build().parameters()),
        file.stat().st_size / 1e6 if file else None,
        own.spec.size if isinstance(own.spec, InputSpec) else None,
        own.license,
        file,
    )


def _load_own(
    name: str, weights: str | Path | None, spec: InputSpec | AudioSpec | None, labels: Sequence[str] | None
) -> Model:
    if name not in OWN:
        raise unknown("model", name, PHOSPHENE, OWN)
    own = OWN[name]
    net, origin = own.load(weights)
    return Model(
        net,
        spec or own.spec,
        name=name,
        source=f"{PHOSPHENE}:{name}",
        weights=WeightsInfo(origin, weights_sha256(net)),
        labels=_tuple(labels) or (own.labels(weights) if own.labels else None),
        ahead=own.ahead,
        roles=own.roles,
    )


def _seeing(name: str, spec: InputSpec | AudioSpec | None) -> InputSpec | None:
    if isinstance(spec, AudioSpec):
        raise UsageError(f"{name} sees pictures; give an InputSpec, not an AudioSpec")
    return spec


def _hearing(name: str, spec: InputSpec | AudioSpec | None) -> AudioSpec | None:
    if isinstance(spec, InputSpec):
        raise UsageError(f"{name} hears sounds; give an AudioSpec, not an InputSpec")
    return spec


def _torchvision_entry(name: str) -> ModelEntry:
    member = _torchvision_weights(name)
    return ModelEntry(
        name,
        TORCHVISION,
        member.name,
        member.meta.get("num_params"),
        member.meta.get("_file_size"),
        _torchvision_spec(member).size,
        member.meta.get("license"),
        cached_weights(name, url=member.url),
        member.url,
    )


def _torchvision_weights(arch: str, tag: str = "") -> Any:
    """A member of the architecture's enumeration of weights: the one called `tag`, else torchvision's default."""
    import torchvision

    if arch not in torchvision_names():
        raise unknown("model", arch, TORCHVISION, torchvision_names())
    members = torchvision.models.get_model_weights(arch)
    if tag and tag not in members.__members__:
        raise unknown("weights", tag, f"{TORCHVISION}:{arch}", members.__members__)
    return members[tag] if tag else members.DEFAULT


def _torchvision_spec(member: Any) -> InputSpec:
    preset = member.transforms()
    return InputSpec(
        size=_pair(preset.crop_size),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        resize=preset.resize_size[0],
        interpolation=_filter(preset.interpolation.value),
    )


def _load_torchvision(
    name: str, weights: str | Path | None, spec: InputSpec | None, labels: Sequence[str] | None
) -> Model:
    arch, _, tag = name.partition("@")
    member = _torchvision_weights(arch, tag)
    own = _torchvision_spec(member)
    stem = name if tag else arch
    file = None if weights == RANDOM else find_weights(stem, weights, url=member.url)
    net = _build_torchvision(arch, (spec or own) if file is None else own)
    if file is not None:
        load_file(net, file, arch, rename=_current_name)
    published = file is not None and file.name == member.url.rsplit("/", 1)[-1]
    origin = f"{TORCHVISION}:{member.name}" if published else _origin(file)
    names = labels if labels is not None else member.meta["categories"]
    info = WeightsInfo(origin, weights_sha256(net))
    return Model(net, spec or own, name=arch, source=f"{TORCHVISION}:{arch}", weights=info, labels=_tuple(names))


def _build_torchvision(arch: str, spec: InputSpec) -> nn.Module:
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


def _load_timm(name: str, weights: str | Path | None, spec: InputSpec | None, labels: Sequence[str] | None) -> Model:
    net, own, origin = load_timm(name, weights)
    names = labels
    if names is None and getattr(net, "num_classes", None) == IMAGENET_CLASSES:
        names = imagenet_labels()
    info = WeightsInfo(origin, weights_sha256(net))
    return Model(net, spec or own, name=name, source=f"{TIMM}:{name}", weights=info, labels=_tuple(names))


def _load_factory(
    name: str, weights: str | Path | None, spec: InputSpec | AudioSpec | None, labels: Sequence[str] | None
) -> Model:
    if weights == RANDOM:
        raise UsageError(f"{name} decides its own weights; leave out 'random' to take them as they are")
    made = call_factory(name)
    ahead, roles = 0.0, None
    if isinstance(made, Model):
        net, own, title, ahead, roles = made.net, spec or made.spec, made.name, made.ahead, made.roles
        labels = made.labels if labels is None else labels
    else:
        (net, own), title = net_and_spec(made, name, spec), name
    file = None if weights is None else find_weights(title, weights)
    if file is not None:
        load_file(net, file, title)
    info = WeightsInfo("given" if file is None else _origin(file), weights_sha256(net))
    return Model(net, own, name=title, source=name, weights=info, labels=_tuple(labels), ahead=ahead, roles=roles)


def _origin(file: Path | None) -> str:
    return RANDOM if file is None else f"file:{file.name}"


def _pair(size: Sequence[int]) -> tuple[int, int]:
    return size[0], size[-1]


def _filter(name: str) -> Literal["bilinear", "bicubic"]:
    return "bicubic" if name == "bicubic" else "bilinear"


def _tuple(labels: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if labels is None else tuple(labels)
