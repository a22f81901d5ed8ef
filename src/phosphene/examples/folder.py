"""A folder tree as a data set: every picture in it, under its relative POSIX path; class = the first folder below.

Links are followed, each folder once, so a loop of links ends. Hidden files and files of other suffixes are passed
over; what cannot be opened as a folder stands in `absent` with its reason.
"""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from phosphene.errors import MediaError, UsageError
from phosphene.files import reason
from phosphene.media import opaque, read_picture
from phosphene.media.decode import SUFFIXES as SUFFIXES


class Folder:
    """The pictures of a folder tree.

    suffixes: of the files that count. absent: (key, reason) of folders that could not be read. Raises UsageError
    when `root` is no folder.
    """

    def __init__(self, root: str | Path, *, suffixes: frozenset[str] = SUFFIXES) -> None:
        self.root, self.suffixes = Path(root), suffixes
        if not self.root.is_dir():
            raise UsageError(f"no folder '{root}'")
        self.absent: list[tuple[str, str]] = []
        self._files: list[tuple[str, Path]] = []
        self._walk(self.root, "", set())
        self._files.sort()
        self.classes = sorted({key.partition("/")[0] for key, _ in self._files if "/" in key})
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self._files)

    def key(self, index: int) -> str:
        """The path below the root, with slashes."""
        return self._files[index][0]

    def path(self, index: int) -> Path:
        """Where the file lies."""
        return self._files[index][1]

    def load(self, index: int) -> Image.Image:
        """The picture as RGB; transparent parts are laid over white."""
        key, path = self._files[index]
        try:
            return opaque(read_picture(path))
        except MediaError as error:
            raise MediaError(str(error).replace(f"'{path}'", f"'{key}'")) from error

    def label(self, index: int) -> int | None:
        """The number of its class; None for pictures that lie in no folder below the root."""
        first, slash, _ = self._files[index][0].partition("/")
        return self._numbers[first] if slash else None

    def _walk(self, folder: Path, prefix: str, seen: set[tuple[int, int]]) -> None:
        try:
            at = folder.stat()
            if (at.st_dev, at.st_ino) in seen:
                self.absent.append((prefix, "a link to a folder that is already in"))
                return
            seen.add((at.st_dev, at.st_ino))
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.absent.append((prefix or ".", reason(error)))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            key = f"{prefix}/{printable(entry.name)}".lstrip("/")
            if _is_folder(entry):
                self._walk(Path(entry.path), key, seen)
            elif Path(entry.name).suffix.lower() in self.suffixes:
                self._files.append((key, Path(entry.path)))


def printable(name: str) -> str:
    r"""A file name as text: bytes that are no UTF-8 as \xNN, so that it can be written as JSON."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: reading it as a picture says so
        return False
