"""What an example is: a picture, for a network that sees, or a piece of sound, for one that hears.

Everything that a scan does is the same for both but for what this protocol says: which data sets there are, how an
example enters the network, what nothing is, and what a position of a layer sees or hears of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.examples.config import ScanConfig
from phosphene.examples.data import Pictures, open_data
from phosphene.examples.folder import SUFFIXES, Folder
from phosphene.examples.header import Header, LayerHeader, ModelHeader
from phosphene.examples.hearing import hearings
from phosphene.examples.recordings import Recordings
from phosphene.media import sound
from phosphene.models import AudioSpec, InputSpec, Layer, Model, to_input
from phosphene.models.receptive import measure

PICTURE, SOUND = "picture", "sound"


class Kind(Protocol):
    """word: what an example is called. samples: of a piece of sound; 0 for pictures."""

    word: str
    samples: int

    def open(self, source: Any, *, seed: int = 0) -> Pictures:
        """The data set that `source` names or is. Raises UsageError for what is none, empty, or of the other kind."""
        ...

    def entering(self, example: Any) -> Tensor:
        """What a data set gives as it enters the network, (1, c, *space)."""
        ...

    def blank(self) -> Tensor:
        """An input (1, c, *space) of nothing."""
        ...

    def headers(self, model: Model, layers: Sequence[Layer]) -> tuple[LayerHeader, ...]:
        """What an index keeps of layers."""
        ...


class Seen:
    """Pictures, for a network that sees. whole: not only their center."""

    word, samples = PICTURE, 0

    def __init__(self, spec: InputSpec, name: str, *, whole: bool = False) -> None:
        self.spec, self.name, self.whole = spec, name, whole

    def open(self, source: Any, *, seed: int = 0) -> Pictures:
        """As `open_data`."""
        if (count := _count(source, sound.SUFFIXES)) and not _count(source, SUFFIXES):
            raise UsageError(
                f"no pictures in '{source}', and {count} sound{'s' * (count > 1)}: {self.name} sees pictures; choose a "
                f"network that hears, such as yamnet"
            )
        return open_data(source, size=max(self.spec.size), seed=seed)

    def entering(self, example: Any) -> Tensor:
        """(1, c, h, w) in [0, 1]: resized, cropped."""
        return to_input(example, self.spec, whole=self.whole)

    def blank(self) -> Tensor:
        """Black."""
        return torch.zeros((1, self.spec.channels, *self.spec.size))

    def headers(self, model: Model, layers: Sequence[Layer]) -> tuple[LayerHeader, ...]:
        """Layers with the receptive fields of their units."""
        fields = measure(model.net, layers, self.spec)
        return tuple(LayerHeader.of(layer, fields[layer.name]) for layer in layers)


class Heard:
    """Pieces of sound, for a network that hears. seconds: of a piece; what the network was trained on when None."""

    word = SOUND

    def __init__(self, spec: AudioSpec, name: str, *, seconds: float | None = None) -> None:
        self.spec, self.name = spec, name
        self.samples = self.spec.samples if seconds is None else round(seconds * self.spec.rate)
        if self.samples < self.spec.least:
            raise UsageError(
                f"pieces of {self.samples / self.spec.rate:g} s are too short: {name} hears "
                f"{self.spec.least / self.spec.rate:.4g} s at once; raise --seconds"
            )

    def open(self, source: Any, *, seed: int = 0) -> Pictures:
        """The recordings of a folder in pieces, or any data set whose `load` gives sounds (channels, samples)."""
        if not isinstance(source, (str, Path)):
            if isinstance(source, Pictures) and len(source):
                return source
            raise UsageError(f"{self.name} hears sounds: name a folder of them, got {type(source).__name__}")
        if not Path(source).is_dir():
            raise UsageError(
                f"no data in '{source}': {self.name} hears sounds; name a folder that holds some (WAV, FLAC, OGG, MP3)"
            )
        data = Recordings(source, self.spec, self.samples)
        if len(data):
            return data
        pictures = _count(source, SUFFIXES)
        seen = f", and {pictures} picture{'s' * (pictures > 1)}" if pictures else ""
        raise UsageError(
            f"no sounds in '{source}'{seen}: {self.name} hears sounds; name a folder that holds some "
            f"(WAV, FLAC, OGG, MP3)"
        )

    def entering(self, example: Any) -> Tensor:
        """(1, c, samples) in [-1, 1]. Raises UsageError for anything else."""
        shape = tuple(example.shape) if isinstance(example, Tensor) else type(example).__name__
        if shape != (self.spec.channels, self.samples):
            raise UsageError(f"{self.name} hears ({self.spec.channels}, {self.samples}) samples, got {shape}")
        entering: Tensor = example[None].float()
        return entering

    def blank(self) -> Tensor:
        """Silence."""
        return torch.zeros((1, self.spec.channels, self.samples))

    def headers(self, model: Model, layers: Sequence[Layer]) -> tuple[LayerHeader, ...]:
        """Layers with what their positions hear."""
        found, headers = hearings(model, layers, self.samples), []
        for layer in layers:
            if (one := found[layer.name]) is None:
                headers.append(LayerHeader.of(replace(layer, stride=None), None))
                continue
            moved = replace(layer, stride=one.stride)
            headers.append(replace(LayerHeader.of(moved, one.field), time=one.time))
        return tuple(headers)


def kind_of(model: Model, config: ScanConfig) -> Kind:
    """What examples are to a network. Raises UsageError for settings of the other kind."""
    if isinstance(model.spec, AudioSpec):
        if config.whole:
            raise UsageError(f"whole is for pictures, and {model.name} hears sounds; choose their length by --seconds")
        return Heard(model.spec, model.name, seconds=config.seconds)
    if config.seconds is not None:
        raise UsageError(f"seconds is for sounds, and {model.name} sees pictures")
    return Seen(model.spec, model.name, whole=config.whole)


def kind_scanned(header: Header) -> Kind:
    """What examples were in the scan of an index."""
    told, kept = header.model, header.kept
    if told.rate:
        normalize: Any = told.interpolation
        spec = AudioSpec(told.rate, told.size[1], told.channels, int(told.range[0]), normalize)
        return Heard(spec, told.name, seconds=kept.samples / told.rate)
    return Seen(picture_spec(told), told.name, whole=kept.whole)


def picture_spec(told: ModelHeader) -> InputSpec:
    """How the network of an index wants its pictures; what it does to their values is left out."""
    filtered: Any = told.interpolation
    return InputSpec(told.channels, told.size, (0.0,), (1.0,), resize=told.resize, interpolation=filtered)


def _count(source: Any, suffixes: frozenset[str]) -> int:
    """How many files of these suffixes a folder holds; 0 for what is no folder."""
    if not isinstance(source, (str, Path)) or not Path(source).is_dir():
        return 0
    return len(Folder(source, suffixes=suffixes))
