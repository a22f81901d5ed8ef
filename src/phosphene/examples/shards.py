"""Tar files as a data set: read where they lie, nothing is unpacked.

The key of a picture is "SHARD.tar/path/in/it". Its class is what a file of the same name with the suffix .cls says
(WebDataset's convention), else the first folder of its path. Tar files have no table of contents, so opening reads
all headers once; after that each picture is one read at its offset, from any thread. Compressed ones allow no such
reads and are refused.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from phosphene.errors import MediaError, UsageError
from phosphene.examples.folder import SUFFIXES, printable
from phosphene.files import reason
from phosphene.media import decode_picture, opaque

CLASS_SUFFIX = ".cls"
LONGEST_CLASS = 1000  # bytes of a .cls file: a name or a number
LARGEST = 512 << 20  # bytes of a picture: what `media` takes


@dataclass(frozen=True, order=True)
class _Member:
    key: str
    shard: Path
    offset: int
    size: int
    group: str | None


class Shards:
    """The pictures of tar files.

    absent: (key, reason) of shards that could not be read to their end. Raises UsageError for two of the same name.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        if len({path.name for path in shards}) < len(shards):
            raise UsageError("two shards have the same name; examples could not be told apart")
        self.absent: list[tuple[str, str]] = []
        self._members = sorted(member for path in shards for member in self._members_of(path))
        doubled = {a.key for a, b in zip(self._members, self._members[1:], strict=False) if a.key == b.key}
        self.absent += [(key, "twice in its shard; the last one counts") for key in sorted(doubled)]
        self._members = list({member.key: member for member in self._members}.values())
        self.classes = sorted({member.group for member in self._members if member.group is not None})
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self._members)

    def key(self, index: int) -> str:
        """Shard and path in it."""
        return self._members[index].key

    def load(self, index: int) -> Image.Image:
        """The picture as RGB; transparent parts are laid over white."""
        member = self._members[index]
        if member.size > LARGEST:
            raise MediaError(f"cannot read picture '{member.key}': it is larger than {LARGEST >> 20} MB")
        try:
            data = _read(member.shard, member.offset, member.size)
        except OSError as error:
            raise MediaError(f"cannot read picture '{member.key}': {reason(error)}") from error
        if len(data) < member.size:
            raise MediaError(f"cannot read picture '{member.key}': the shard ends before the picture does")
        return opaque(decode_picture(data, name=member.key))

    def label(self, index: int) -> int | None:
        """The number of its class, if it has one."""
        group = self._members[index].group
        return None if group is None else self._numbers[group]

    def _members_of(self, path: Path) -> list[_Member]:
        found: list[tarfile.TarInfo] = []
        groups: dict[str, str] = {}
        try:
            with tarfile.open(path, "r:") as archive:  # "r:": plain tar only
                for one in archive:
                    if not one.isfile():
                        continue
                    name = PurePosixPath(one.name)
                    if name.suffix.lower() in SUFFIXES and not name.name.startswith("."):
                        found.append(one)
                    elif name.suffix == CLASS_SUFFIX and one.size <= LONGEST_CLASS:
                        text = _read(path, one.offset_data, one.size).decode("utf-8", "backslashreplace").strip()
                        groups[str(name.with_suffix(""))] = text
        except tarfile.TarError as error:
            self.absent.append((path.name, f"no plain tar file, or damaged ({error})"))
        except OSError as error:
            self.absent.append((path.name, reason(error)))
        return [_member(path, one, groups) for one in found]


def _member(path: Path, one: tarfile.TarInfo, groups: dict[str, str]) -> _Member:
    name = PurePosixPath(one.name)
    folder = name.parts[0] if len(name.parts) > 1 else None
    group = groups.get(str(name.with_suffix("")), folder)
    key = f"{printable(path.name)}/{printable(str(name))}"
    return _Member(key, path, one.offset_data, one.size, None if group is None else printable(group))


def _read(path: Path, offset: int, size: int) -> bytes:
    """Bytes of a file, opened by each call for itself: threads share no position."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)
