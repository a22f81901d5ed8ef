"""The networks whose code is in this package: what each is, as data.

Each entry says how the network is built, loaded and found, what it takes, and whose its weights are; the network itself
is in a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from phosphene.models import crepe, inceptionv1, minivgg, random_sound, silero, vgg19_cd16x, yamnet
from phosphene.models.inceptionv1_labels import output_labels
from phosphene.models.inceptionv1_weights import load_inceptionv1
from phosphene.models.spec import AudioSpec, InputSpec
from phosphene.models.torchvision_source import imagenet_labels
from phosphene.models.weights import cached_weights
from phosphene.textures import CLASSES


@dataclass(frozen=True)
class Own:
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
    minivgg.NAME: Own(
        lambda: minivgg.minivgg(len(CLASSES)),
        minivgg.load_minivgg,
        lambda: minivgg.WEIGHTS if minivgg.WEIGHTS.is_file() else None,
        minivgg.SPEC,
        minivgg.LICENSE,
        lambda _: CLASSES,
    ),
    vgg19_cd16x.NAME: Own(
        vgg19_cd16x.vgg19_cd16x,
        vgg19_cd16x.load_vgg19_cd16x,
        lambda: cached_weights(vgg19_cd16x.NAME),
        vgg19_cd16x.SPEC,
        vgg19_cd16x.LICENSE,
    ),
    inceptionv1.NAME: Own(
        inceptionv1.InceptionV1,
        load_inceptionv1,
        lambda: cached_weights(inceptionv1.NAME),
        inceptionv1.SPEC,
        inceptionv1.LICENSE,
        lambda _: output_labels(imagenet_labels()),
    ),
    **{
        name: Own(
            partial(crepe.Crepe, name),
            partial(crepe.load_crepe, name),
            partial(crepe.cached_crepe, name),
            crepe.SPEC,
            crepe.LICENSE,
        )
        for name in (crepe.TINY, crepe.FULL)
    },
    yamnet.NAME: Own(
        yamnet.Yamnet,
        yamnet.load_yamnet,
        partial(cached_weights, yamnet.NAME),
        yamnet.SPEC,
        yamnet.LICENSE,
        yamnet.class_names,
        yamnet.AHEAD,
        yamnet.ROLES,
    ),
    silero.NAME: Own(
        silero.SileroVAD,
        silero.load_silero,
        partial(cached_weights, silero.NAME),
        silero.SPEC,
        silero.LICENSE,
        lambda _: silero.LABELS,
    ),
    **{
        name: Own(
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
