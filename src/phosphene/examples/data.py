"""Where pictures come from: a protocol of three methods, and the readers that `open_data` chooses among.

A data set has a length, a picture for each number and a key for each number. Keys are unique, ascend with the number,
and are the same on every machine: they name the examples of an index and break its ties. A data set may also have
`classes` (names) and `label(i)` (a number among them, or None); where decoding and labelling are one act, `item(i)`
gives both. `load` and `item` are called from several threads, and raise `MediaError` for a picture that is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from phosphene.errors import UsageError
from phosphene.textures import Textures

TEXTURES = "textures"
USUAL_TEXTURES = 6400  # pictures: a hundred of each class
TAR = ".tar"


@runtime_checkable
class Pictures(Protocol):
    """A data set of pictures, or of sounds (`recordings.py`)."""

    def __len__(self) -> int: ...

    def load(self, index: int, /) -> Any:
        """The picture as RGB; of a network that hears, the sound (channels, samples) at its rate."""
        ...

    def key(self, index: int, /) -> str:
        """Its name, unique and ascending with the number."""
        ...


class Subset:
    """Every so many pictures of a data set, `count` in all, evenly spread over it."""

    def __init__(self, data: Pictures, count: int) -> None:
        self.data, self.count, self.whole = data, min(count, len(data)), len(data)
        self.absent = getattr(data, "absent", ())

    def __len__(self) -> int:
        return self.count

    def load(self, index: int) -> Any:
        """The picture, or the sound."""
        return self.data.load(self._place(index))

    def key(self, index: int) -> str:
        """Its name in the whole data set."""
        return self.data.key(self._place(index))

    def item(self, index: int) -> tuple[Any, str | None]:
        """The picture, or the sound, and the name of its class."""
        return item(self.data, self._place(index))

    def _place(self, index: int) -> int:
        return range(self.count)[index] * self.whole // self.count


def item(data: Pictures, index: int) -> tuple[Any, str | None]:
    """A picture or sound and the name of its class, None where there is none."""
    if (both := getattr(data, "item", None)) is not None:
        picture, name = both(index)
        return picture, name
    labelled = getattr(data, "label", None)
    number = labelled(index) if labelled is not None else None
    return data.load(index), None if number is None else str(data.classes[number])  # type: ignore[attr-defined]


def open_data(source: Any, *, size: int = 224, seed: int = 0) -> Pictures:
    """The data set that `source` names or is.

    source: a folder, a `.tar` file or several, "textures" or "textures:COUNT" (size in pixels and seed are for it),
    "hf:NAME" or "hf:NAME:SPLIT" (Hugging Face), a data set of torch with PIL pictures, or any `Pictures`.
    Raises UsageError for what is none, or is empty.
    """
    data = _opened(source, size, seed)
    if not len(data):
        raise UsageError(f"no pictures in '{source}': name a folder or .tar file that holds some")
    return data


def _opened(source: Any, size: int, seed: int) -> Pictures:
    from phosphene.examples import folder, hub, mapped, shards

    if isinstance(source, Pictures):
        return source
    if isinstance(source, (list, tuple)) and source and all(isinstance(one, (str, Path)) for one in source):
        return shards.Shards([Path(one) for one in source])
    if not isinstance(source, (str, Path)):
        return mapped.Mapped(source)
    name, _, rest = str(source).partition(":")
    if name == TEXTURES and not Path(source).exists():
        if rest and not (rest.isdecimal() and int(rest)):
            raise UsageError(f"textures:COUNT takes a number of pictures, got {str(source)!r}")
        return Textures(int(rest) if rest else USUAL_TEXTURES, size=size, seed=seed)
    if name == "hf" and not Path(source).exists():
        return hub.hugging_face(rest)
    path = Path(source)
    if path.is_dir():
        packed = sorted(file for file in path.iterdir() if file.suffix == TAR)
        return shards.Shards(packed) if packed else folder.Folder(path)
    if path.suffix == TAR and path.is_file():
        return shards.Shards([path])
    raise UsageError(f"no data in '{source}': it is no folder, no {TAR} file, no textures[:COUNT], no hf:NAME[:SPLIT]")


def fingerprint(data: Pictures) -> str:
    """The SHA-256 of all keys. Raises UsageError when they do not ascend."""
    digest, before = hashlib.sha256(), None
    for index in range(len(data)):
        key = data.key(index)
        if before is not None and key <= before:
            raise UsageError(f"the keys of a data set must ascend: {key!r} comes after {before!r}")
        digest.update(encoded(key) + b"\0")
        before = key
    return digest.hexdigest()


def encoded(key: str) -> bytes:
    """A key as bytes, whatever is in it."""
    return key.encode("utf-8", "surrogatepass")


def places(data: Pictures, keys: Sequence[str]) -> dict[str, int]:
    """The number of each key that the data set holds; the others are left out. One search for each, by bisection."""
    found = {}
    for key in keys:
        low, high = 0, len(data)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if data.key(middle) < key else (low, middle)
        if low < len(data) and data.key(low) == key:
            found[key] = low
    return found
