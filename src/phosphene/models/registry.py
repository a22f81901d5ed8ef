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

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from phosphene.errors import UsageError, unknown
from phosphene.models import minivgg
from phosphene.models.factory_source import call_factory, net_and_spec
from phosphene.models.hugging_face import PREFIX as HUGGING_FACE
from phosphene.models.hugging_face import load_hugging_face
from phosphene.models.model import Model
from phosphene.models.own import OWN
from phosphene.models.spec import AudioSpec, InputSpec, WeightsInfo
from phosphene.models.timm_source import PREFIX as TIMM
from phosphene.models.timm_source import load_timm, timm_names
from phosphene.models.torchvision_source import PREFIX as TORCHVISION
from phosphene.models.torchvision_source import imagenet_labels as imagenet_labels
from phosphene.models.torchvision_source import load_torchvision, torchvision_spec, torchvision_weights
from phosphene.models.torchvision_source import torchvision_names as torchvision_names
from phosphene.models.weights import RANDOM, cached_weights, find_weights, load_file, weights_sha256

DEFAULT_MODEL = minivgg.NAME  # what is meant where no network is named
PHOSPHENE = minivgg.SOURCE
IMAGENET_CLASSES = 1000  # ILSVRC-2012


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
    member = torchvision_weights(name)
    return ModelEntry(
        name,
        TORCHVISION,
        member.name,
        member.meta.get("num_params"),
        member.meta.get("_file_size"),
        torchvision_spec(member).size,
        member.meta.get("license"),
        cached_weights(name, url=member.url),
        member.url,
    )


def _load_torchvision(
    name: str, weights: str | Path | None, spec: InputSpec | None, labels: Sequence[str] | None
) -> Model:
    net, own, origin, categories = load_torchvision(name, weights, spec)
    arch, info = name.partition("@")[0], WeightsInfo(origin, weights_sha256(net))
    names = categories if labels is None else tuple(labels)
    return Model(net, spec or own, name=arch, source=f"{TORCHVISION}:{arch}", weights=info, labels=names)


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
    info = WeightsInfo("given" if file is None else f"file:{file.name}", weights_sha256(net))
    return Model(net, own, name=title, source=name, weights=info, labels=_tuple(labels), ahead=ahead, roles=roles)


def _tuple(labels: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if labels is None else tuple(labels)
