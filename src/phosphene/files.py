"""Files: where they are kept, how they are written whole or not at all, and how they are fetched and verified.

A long render must not end in half a file. Everything is written to a temporary file in the same folder, flushed to
the disk, and renamed over the old one: `os.replace` is atomic on every system, so a reader sees the old file or
the new one. Whatever goes wrong (a full disk, a folder without permission, Ctrl-C) the temporary file is removed,
the old file is as it was, and the error is one line that names the file and the reason.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import secrets
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from phosphene.errors import PhospheneError, UsageError

CHUNK_BYTES = 1 << 20  # read and written at a time: large enough for full speed, small enough for a smooth progress bar
NETWORK_TIMEOUT = 30.0  # seconds without a byte before a download counts as dead
MAX_NAME = 120  # characters; file systems take 255 bytes, and a suffix such as ".preview.webp" must still fit
HASH_DIGITS = 12  # 48 bits: among 10^5 names two collide with probability 2e-5

_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the disk is read-only",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the disk allows",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "the name is too long",
}

# ValueError: a malformed URL or Content-Length. A full disk is none of these and stays an error of the file.
_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ssl.SSLError,
    TimeoutError,
    ConnectionError,
    ValueError,
)

_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


class FileError(PhospheneError):
    """A file or folder that cannot be written, read or fetched."""


def cache_dir() -> Path:
    """The folder for what can be fetched or computed again; it need not exist yet.

    $PHOSPHENE_CACHE, else the platform's own: $XDG_CACHE_HOME/phosphene or ~/.cache/phosphene (XDG Base Directory
    Specification 0.8), ~/Library/Caches/phosphene on macOS, %LOCALAPPDATA%/phosphene/Cache on Windows.
    """
    if chosen := os.environ.get("PHOSPHENE_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "phosphene"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "phosphene" / "Cache"
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (
        xdg if xdg.is_absolute() else Path.home() / ".cache"
    ) / "phosphene"  # the specification ignores relative ones


def ensure_folder(path: str | Path) -> Path:
    """Make the folder `path` with its parents and prove that a file can be written there; returns it.

    Call it before a long computation. Raises `FileError` when it is a file, lies below one, or is not writable.
    """
    folder = Path(path)
    try:
        for place in (folder, *folder.parents):
            if place.exists() and not place.is_dir():
                raise FileError(f"cannot use folder '{folder}': '{place}' is a file")
        folder.mkdir(parents=True, exist_ok=True)
        probe = _temporary_beside(folder / "probe")
        os.close(_create(probe))
        probe.unlink()
    except OSError as error:
        raise FileError(f"cannot use folder '{folder}': {reason(error)}") from error
    return folder


def ensure_folders(*paths: str | Path) -> None:
    """As `ensure_folder` for several: where one cannot be used, those that were made for the others are gone again."""
    places = {place for path in paths for place in (Path(path), *Path(path).parents)}
    made = sorted((place for place in places if not place.exists()), key=lambda place: len(place.parts), reverse=True)
    try:
        for path in paths:
            ensure_folder(path)
    except FileError:
        for place in made:
            with suppress(OSError):
                place.rmdir()
        raise


def spare(handed_in: Iterable[str | Path], written: Iterable[str | Path]) -> None:
    """Raise UsageError where a file that is to be written is one of those that were handed in."""
    kept = [path for path in handed_in if os.path.exists(path)]  # that of pathlib raises where a folder is locked
    for path in written:
        if any(os.path.exists(path) and os.path.samefile(path, other) for other in kept):
            raise UsageError(f"'{path}' would be written over, and it was handed in; write to another place")


def atomic_write(path: str | Path, data: bytes) -> Path:
    """Write `data` to `path`, whole or not at all, making parent folders; returns the path.

    A symbolic link is followed. Raises `FileError` with the old file untouched and no temporary file left.
    """
    with _replacing(path) as file:
        file.write(data)
    return Path(path)


def download(
    url: str,
    path: str | Path,
    *,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Fetch `url` to `path`; the file appears only when it is complete and its hash is right. Returns the path.

    sha256, sha256_prefix: the hash in hex, whole or its first digits, any case. progress: called with (bytes so far,
    total bytes), total 0 when the server does not say. Raises `FileError` when offline, refused, cut short or altered,
    `UsageError` when the expected hash is none.
    """
    expected = _expected(sha256, sha256_prefix)
    with _replacing(path) as file:
        try:
            digest = _fetch(url, file, progress)
        except _NETWORK_ERRORS as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection open otherwise
            why = getattr(error, "reason", None) or error
            raise FileError(f"cannot download {url}: {why}; fetch it by other means and save it as '{path}'") from error
        if not digest.startswith(expected):
            raise FileError(
                f"refused {url} for '{path}': its sha256 is {digest[: max(len(expected), 8)]}, expected {expected}"
            )
    return Path(path)


def sha256_file(path: str | Path) -> str:
    """The SHA-256 of a file, 64 lowercase hex digits. Raises `FileError` when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"cannot read '{path}': {reason(error)}") from error


def safe_name(text: str) -> str:
    """A file name for `text` (such as a target) that is legal on every system; different texts get different names.

    At most 120 characters of a-z, 0-9, and `. _ - ~`. `:` becomes `-`, so `features.12:7` is `features.12-7`. Where
    that loses anything (other characters, capitals, which some file systems do not tell apart, length), `~` and 12
    digits of a hash of the text are appended; `~` comes in no other way.
    """
    plain = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.")
    if _RESERVED_ON_WINDOWS.match(plain):
        plain = "_" + plain
    if plain.replace("-", ":") == text and 0 < len(plain) <= MAX_NAME:
        return plain
    return f"{plain[: MAX_NAME - HASH_DIGITS - 1].rstrip('-.') or 'unnamed'}{told_apart(text)}"


def told_apart(text: str) -> str:
    """What ends a name that says less than `text`, so that different texts get different names: `~` and a hash."""
    return f"~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:HASH_DIGITS]}"


def reason(error: OSError) -> str:
    """Why the system refused, in a few words for the end of a message."""
    return _REASONS.get(error.errno or 0) or (error.strerror or str(error) or type(error).__name__).lower()


@contextmanager
def _replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A temporary file that takes the place of `path` when the block ends well, and vanishes when it does not."""
    target = Path(os.path.realpath(path))
    ensure_folder(target.parent)
    temporary = _temporary_beside(target)
    try:
        if target.exists() and not target.is_file():
            raise FileError(f"cannot write '{path}': it is {'a folder' if target.is_dir() else 'not a regular file'}")
        with os.fdopen(_create(temporary), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise FileError(f"cannot write '{path}': {reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_beside(target: Path) -> Path:
    """A new short name in the same folder: the target's own name may already be as long as the system allows."""
    return target.parent / f".phosphene-{secrets.token_hex(6)}.part"


def _create(path: Path) -> int:
    # Not tempfile.mkstemp: it makes files that only their owner may read, whatever the user's umask says.
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)


def _expected(whole: str | None, prefix: str | None) -> str:
    """The hex digits a hash must start with, "" for no check; an empty or malformed hash must not pass for no check."""
    for given, digits in ((whole, "64"), (prefix, "6,64")):
        if given is not None:
            if not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", given):
                raise UsageError(f"not a sha256 in hex: {given!r}")
            return given.lower()
    return ""


def _fetch(url: str, file: BinaryIO, progress: Callable[[int, int], None] | None) -> str:
    """Stream `url` into `file`; the SHA-256 of what came. A stream shorter than announced is a `ConnectionError`."""
    digest = hashlib.sha256()
    done = 0
    request = urllib.request.Request(url, headers={"User-Agent": "phosphene"})
    with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT) as response:
        total = int(response.headers.get("Content-Length") or 0)
        while block := response.read(CHUNK_BYTES):
            file.write(block)
            digest.update(block)
            done += len(block)
            if progress:
                progress(done, total)
    if done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")
    return digest.hexdigest()
