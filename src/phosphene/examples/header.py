"""What an index says about itself, as frozen data: its network, its layers, how it was made and of which pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from phosphene.errors import PhospheneError, UsageError
from phosphene.examples.config import ScanConfig
from phosphene.jsondata import to_json
from phosphene.models import AudioSpec, Layer, Model
from phosphene.models.model import describe
from phosphene.models.receptive import Field

MOST_SKIPPED = 10_000  # skipped pictures that are listed; the rest is counted


class IndexFileError(PhospheneError):
    """An index that is absent, damaged, of a newer version, of another network, or does not fit its partner."""


@dataclass(frozen=True)
class LayerHeader:
    """A layer of an index: its units, and what is known of their places. time: of a network that hears, which of the
    two numbers of a position runs with time; its stride is then in samples, and its field is a box of height 1."""

    name: str
    units: int
    aliases: tuple[str, ...] = ()
    spatial: tuple[int, ...] = ()
    stride: int | None = None
    field_unit: tuple[int, int] | None = None
    field_box: tuple[int, int, int, int] | None = None
    time: int | None = None

    @classmethod
    def of(cls, layer: Layer, field: Field | None) -> LayerHeader:
        """What an index keeps of a layer and its receptive field."""
        where = (field.unit, field.box) if field is not None else (None, None)
        return cls(layer.name, layer.channels, layer.aliases, layer.spatial, layer.stride, *where)

    @property
    def field(self) -> Field | None:
        """What the central unit sees; None where it is the whole picture."""
        if self.field_unit is None or self.field_box is None:
            return None
        return Field(self.field_unit, self.field_box)

    def heard(self, place: tuple[int, int], samples: int) -> tuple[int, int]:
        """[first, end) of the samples that a position of a map hears of a clip; all where that is not known."""
        if self.time is None or self.field is None:
            return 0, samples
        _, first, _, end = self.field.box
        at = place[self.time] * (self.stride or 1)
        start = min(max(at + first, 0), samples - 1)
        return start, max(min(at + end, samples), start + 1)

    def middle(self, place: tuple[int, int], samples: int) -> float | None:
        """The sample in the middle of what a position hears of a clip; None where it has no time."""
        if self.time is None:
            return None
        if self.field is None:
            return min((place[self.time] + 0.5) * (self.stride or 1), samples)
        return sum(self.heard(place, samples)) / 2


@dataclass(frozen=True)
class ModelHeader:
    """The network of an index: only what makes its scores, so that two machines agree on it. rate: of the sounds of a
    network that hears, in Hz; 0 for one that sees."""

    name: str
    source: str
    weights: str
    channels: int
    size: tuple[int, int]
    resize: int | None
    interpolation: str
    range: tuple[float, ...]
    variant: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    rate: int = 0

    @classmethod
    def of(cls, model: Model) -> ModelHeader:
        """The header of a model."""
        if isinstance(model.spec, AudioSpec):
            return cls.of_hearing(model, model.spec)
        spec = model.picture_spec
        return cls(
            model.name,
            describe(model)["source"],
            model.weights.sha256,
            spec.channels,
            spec.size,
            spec.resize,
            spec.interpolation,
            (*spec.value_range, *spec.mean, *spec.std),
            model.variant,
            model.labels or (),
        )

    @classmethod
    def of_hearing(cls, model: Model, spec: AudioSpec) -> ModelHeader:
        """The header of a model that hears: size is (1, samples), range the shortest clip that it can hear."""
        return cls(
            model.name, describe(model)["source"], model.weights.sha256, spec.channels, (1, spec.samples), None,
            spec.normalize, (float(spec.least),), model.variant, model.labels or (), spec.rate,
        )  # fmt: skip

    def check(self, other: ModelHeader, where: str) -> None:
        """Raise IndexFileError unless both are the same network with the same weights and preprocessing."""
        if self == other:
            return
        if self.weights != other.weights:
            raise IndexFileError(
                f"{where} was made with other weights: {self.name} {self.weights[:12]}, not {other.name} "
                f"{other.weights[:12]}; scan again"
            )
        names = [name for name in to_json(self) if getattr(self, name) != getattr(other, name)]
        raise IndexFileError(f"{where} was made with another network: it differs in {', '.join(names)}; scan again")


@dataclass(frozen=True)
class Kept:
    """The settings of a scan that decide what its index holds."""

    top: int
    sample: int
    batch: int
    whole: bool
    classes: bool
    samples: int = 0

    @classmethod
    def of(cls, config: ScanConfig, samples: int) -> Kept:
        """What of a scan's settings matters afterwards. samples: of a piece of sound; 0 for pictures."""
        batch = 1 if config.whole else config.batch
        return cls(config.top, config.sample, batch, config.whole, config.classes, samples)


@dataclass(frozen=True)
class Covered:
    """Which pictures of a data set were looked at: its fingerprint, its size, and ranges [first, end) in order."""

    data: str
    size: int
    ranges: tuple[tuple[int, int], ...]

    def joined(self, other: Covered) -> Covered:
        """Both together. Raises UsageError where they overlap: pictures would count twice."""
        ranges: list[tuple[int, int]] = []
        for first, end in sorted((*self.ranges, *other.ranges)):
            if ranges and first < ranges[-1][1]:
                raise UsageError(
                    f"both indexes hold pictures {first} to {min(end, ranges[-1][1]) - 1} of the same data"
                )
            if ranges and first == ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], end)
            else:
                ranges.append((first, end))
        return Covered(self.data, self.size, tuple(ranges))


@dataclass(frozen=True)
class Skipped:
    """Pictures that were left out: how many, and the first of them by key, each with its reason."""

    count: int = 0
    pictures: tuple[tuple[str, str], ...] = ()

    def joined(self, other: Skipped) -> Skipped:
        """Both together."""
        return Skipped(self.count + other.count, tuple(sorted((*self.pictures, *other.pictures))[:MOST_SKIPPED]))


@dataclass(frozen=True)
class Header:
    """All of an index but its numbers."""

    model: ModelHeader
    layers: tuple[LayerHeader, ...]
    kept: Kept
    images: int = 0
    covered: tuple[Covered, ...] = ()
    skipped: Skipped = Skipped()
    classes: tuple[str, ...] = ()
    keys: tuple[str, ...] = field(default=(), repr=False)

    def same_scan(self, other: Header, where: str) -> None:
        """Raise IndexFileError unless both hold scores that can be compared."""
        self.model.check(other.model, where)
        for word, a, b in (("layers", self.layers, other.layers), ("settings", self.kept, other.kept)):
            if a != b:
                raise IndexFileError(f"{where} was made with other {word}: {_difference(a, b)}")


def _difference(a: Any, b: Any) -> str:
    if isinstance(a, tuple):
        return f"{_names(a)}, not {_names(b)}"
    return ", ".join(
        f"{name} {x}, not {y}" for (name, x), y in zip(vars(a).items(), vars(b).values(), strict=True) if x != y
    )


def _names(layers: tuple[LayerHeader, ...]) -> str:
    return " ".join(layer.name for layer in layers)
