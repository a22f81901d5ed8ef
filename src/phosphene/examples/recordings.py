"""A folder tree of recordings as a data set: each cut into pieces of one length, at a network's rate.

The key of a piece is the path of its recording and the second where it begins, "birds/robin.wav@001.95000s"; its class
is the first folder below the root. Pieces follow each other without a gap. What is left at the end is in one more
piece, which ends with the recording, where it is at least half as long as one. A recording that is shorter than a piece
is followed by silence; one that is shorter than what the network hears at once is refused.

A recording is resampled as a whole, and as many as two are held, so that its pieces cost one decoding.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn.functional import pad

from phosphene.errors import MediaError
from phosphene.examples.folder import Folder
from phosphene.media import read_sound, sound_length
from phosphene.media.sound import SILENT, SUFFIXES
from phosphene.models import AudioSpec

LONGEST = 600.0  # seconds of a recording: it is held in memory, three times while it is resampled
REST = 0.5  # of a piece: what is shorter at the end of a recording is left out
HELD = 2  # recordings: the threads that decode are at the end of one and at the beginning of the next
BEGINS = re.compile(r"@(\d+\.\d{5})s$")


@dataclass(frozen=True, order=True)
class _Piece:
    key: str
    file: int
    start: int


class Recordings:
    """The pieces of `samples` samples of the recordings in a folder tree, for a network that hears as `spec` says.

    absent: (key, reason) of folders that could not be read. Raises UsageError when `root` is no folder.
    """

    def __init__(self, root: str | Path, spec: AudioSpec, samples: int) -> None:
        self.spec, self.samples = spec, samples
        self.folder = Folder(root, suffixes=SUFFIXES)
        self.absent, self.classes = self.folder.absent, self.folder.classes
        self._pieces = sorted(piece for file in range(len(self.folder)) for piece in self._cut(file))
        self._held: OrderedDict[int, Tensor | MediaError] = OrderedDict()
        self._locks = [threading.Lock() for _ in range(len(self.folder))]
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pieces)

    def key(self, index: int) -> str:
        """The path below the root, with slashes, and the second where the piece begins."""
        return self._pieces[index].key

    def load(self, index: int) -> Tensor:
        """The piece (channels, samples) in [-1, 1] at the network's rate. Raises MediaError: the recording is none, is
        silent, NaN, too long or too short, or the piece is silent."""
        piece = self._pieces[index]
        whole = self._recording(piece.file)
        found = whole[:, piece.start : piece.start + self.samples]
        if float(found.abs().max()) < SILENT:
            raise MediaError("this piece of it is silent")
        return pad(found, (0, self.samples - found.shape[1]))

    def label(self, index: int) -> int | None:
        """The number of its class; None for recordings that lie in no folder below the root."""
        return self.folder.label(self._pieces[index].file)

    def _cut(self, file: int) -> list[_Piece]:
        """The pieces of a recording; of one that is none or is too long, the first, whose reading says so."""
        try:
            frames, rate = sound_length(self.folder.path(file))
            length = round(frames * self.spec.rate / rate)
        except MediaError:
            length = 0
        if length > LONGEST * self.spec.rate:
            length = 0
        return [
            _Piece(f"{self.folder.key(file)}@{at / self.spec.rate:09.5f}s", file, at)
            for at in starts(length, self.samples)
        ]

    def _recording(self, file: int) -> Tensor:
        with self._locks[file]:  # the threads that want the same recording wait for one of them to decode it
            with self._lock:
                found = self._held.get(file)
            if found is None:
                found = self._decoded(file)
                with self._lock:
                    self._held[file] = found
                    while len(self._held) > HELD:
                        self._held.popitem(last=False)
        if isinstance(found, MediaError):
            raise MediaError(str(found))
        return found

    def _decoded(self, file: int) -> Tensor | MediaError:
        path, key = self.folder.path(file), self.folder.key(file)
        try:
            sound, _ = read_sound(path, rate=self.spec.rate, channels=self.spec.channels, longest=LONGEST)
        except MediaError as error:
            return MediaError(str(error).replace(f"'{path}'", f"'{key}'").removeprefix(f"cannot read '{key}': "))
        if sound.shape[1] < self.spec.least:
            heard = f"{self.spec.least / self.spec.rate:.3g} s"
            return MediaError(
                f"it lasts {sound.shape[1] / self.spec.rate:.3g} s, and the network hears {heard} at once"
            )
        return sound


def starts(length: int, samples: int) -> list[int]:
    """Where the pieces of a recording of `length` samples begin."""
    found = list(range(0, max(1, length - samples + 1), samples))
    return [*found, length - samples] if length - (found[-1] + samples) >= REST * samples else found


def begins(key: str) -> float:
    """The second of its recording at which the piece of that key begins; 0 for keys of other data."""
    match = BEGINS.search(key)
    return float(match[1]) if match else 0.0
