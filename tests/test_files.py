"""Files are written whole or not at all, fetched only when they are what was asked for, and named for every system."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phosphene.errors import UsageError
from phosphene.files import (
    MAX_NAME,
    FileError,
    atomic_write,
    cache_dir,
    download,
    ensure_folder,
    ensure_folders,
    safe_name,
    sha256_file,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_write_makes_folders_and_replaces_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.png"
    atomic_write(path, b"old")
    assert atomic_write(path, b"new") == path
    assert path.read_bytes() == b"new"
    assert names_in(path.parent) == ["x.png"]


def test_a_reader_of_the_old_file_never_sees_a_mixture(tmp_path: Path) -> None:
    path = atomic_write(tmp_path / "x.png", b"old")
    with path.open("rb") as reader:
        atomic_write(path, b"new")
        assert reader.read() == b"old"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failed_flush_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = atomic_write(tmp_path / "x.png", b"old")

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"cannot write '.*x\.png': \w+"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["x.png"]


def test_a_disk_that_fills_up_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="the limit on file size is a Unix one")
    path = atomic_write(tmp_path / "x.png", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(FileError, match="larger than the disk allows"):
            atomic_write(path, bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["x.png"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = atomic_write(tmp_path / "x.png", b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["x.png"]


def test_a_file_is_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert atomic_write(tmp_path / "x", b"").stat().st_mode == plain.stat().st_mode


def test_a_link_is_followed(tmp_path: Path) -> None:
    target = atomic_write(tmp_path / "target", b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    atomic_write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_what_cannot_be_a_file_is_refused_with_its_name_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match=r"folder': it is a folder"):
        atomic_write(tmp_path / "folder", b"")
    with pytest.raises(FileError, match=r"file' is a file"):
        atomic_write(tmp_path / "file" / "x.png", b"")
    with pytest.raises(FileError, match="name is too long"):
        atomic_write(tmp_path / ("x" * 300), b"")
    assert (tmp_path / "file").read_bytes() == b"kept"
    assert names_in(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # stands for /dev/null and /dev/stdout: a test that may fail must not touch the real ones
    os.mkfifo(pipe)
    with pytest.raises(FileError, match="not a regular file"):
        atomic_write(pipe, b"")
    assert pipe.is_fifo()


def test_a_name_as_long_as_the_system_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    assert atomic_write(path, b"new").read_bytes() == b"new"


def test_a_folder_without_permission_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(os, "open", denied)  # the administrator may write anywhere, and tests may run as one
    with pytest.raises(FileError, match=r"cannot use folder '.*out': permission denied"):
        ensure_folder(tmp_path / "out")


def test_an_ensured_folder_is_there_and_empty(tmp_path: Path) -> None:
    assert names_in(ensure_folder(tmp_path / "a" / "b")) == []


def test_of_several_folders_all_are_made_or_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="is a file"):
        ensure_folders(tmp_path / "a" / "b", tmp_path / "file" / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    ensure_folders(tmp_path / "a" / "b", tmp_path / "c")
    assert (tmp_path / "a" / "b").is_dir()
    assert (tmp_path / "c").is_dir()


def test_a_killed_writer_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = atomic_write(tmp_path / "x.png", b"old")
    code = f"""
import os
from phosphene import files
os.fsync = lambda _: os.kill(os.getpid(), {signal.SIGKILL})
files.atomic_write({str(path)!r}, b"new" * 1000)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


# --- the cache -----------------------------------------------------------------------------------------------------


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOSPHENE_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
    assert not cache_dir().exists()


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="these have their own places")
def test_the_cache_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHOSPHENE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "phosphene"
    for unusable in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache_dir() == Path.home() / ".cache" / "phosphene"


# --- downloads: a server on the loopback interface, or file:// -----------------------------------------------------


CONTENT = bytes(range(256)) * 9000  # 2.3 MB: three blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """/whole sends the content, /cut announces more than it sends, anything else is absent."""

    def do_GET(self) -> None:
        if self.path not in ("/whole", "/cut"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole" else CONTENT[:1000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def test_a_download_arrives_whole_and_tells_how_far_it_is(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download(
        f"{server}/whole",
        tmp_path / "deep" / "w.bin",
        sha256=DIGEST.upper(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 1


def test_an_altered_download_is_refused_and_nothing_is_saved(tmp_path: Path) -> None:
    source = atomic_write(tmp_path / "source", CONTENT).as_uri()
    kept = atomic_write(tmp_path / "kept", b"old")
    assert download(source, tmp_path / "new", sha256_prefix=DIGEST[:8]).read_bytes() == CONTENT
    with pytest.raises(FileError, match=rf"kept': its sha256 is {DIGEST[:8]}, expected 00000000"):
        download(source, kept, sha256_prefix="00000000")
    assert kept.read_bytes() == b"old"
    assert names_in(tmp_path) == ["kept", "new", "source"]


@pytest.mark.parametrize(("page", "why"), [("/cut", "after 1000 of 2304000 bytes"), ("/gone", "Not Found")])
def test_a_download_that_fails_says_why_and_leaves_nothing(server: str, tmp_path: Path, page: str, why: str) -> None:
    with pytest.raises(FileError, match=why) as caught:
        download(server + page, tmp_path / "w.bin")
    assert "w.bin" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "no url at all", "file:///no/such/file"])
def test_offline_says_what_to_do_instead(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(FileError, match=r"cannot download .*; fetch it by other means and save it as '.*w\.bin'"):
        download(url, tmp_path / "w.bin")


@pytest.mark.parametrize("wrong", ["", "abc", "not hexadecimal", DIGEST + "0"])
def test_a_malformed_hash_never_passes_for_no_check(wrong: str, tmp_path: Path) -> None:
    source = atomic_write(tmp_path / "source", CONTENT).as_uri()
    with pytest.raises(UsageError, match="sha256"):
        download(source, tmp_path / "w.bin", sha256=wrong)
    with pytest.raises(UsageError, match="sha256"):
        download(source, tmp_path / "w.bin", sha256_prefix=wrong)


def test_the_hash_of_a_file_is_the_hash_of_its_bytes(tmp_path: Path) -> None:
    assert sha256_file(atomic_write(tmp_path / "x", CONTENT)) == DIGEST
    with pytest.raises(FileError, match="no such file"):
        sha256_file(tmp_path / "absent")


# --- names ---------------------------------------------------------------------------------------------------------


TARGETS = st.text(max_size=300) | st.text(alphabet="aA:-._~/ \\0con", max_size=12)


def test_ordinary_targets_keep_their_names() -> None:
    assert safe_name("features.12:7") == "features.12-7"
    assert safe_name("layer4.1.conv2:0..63") == "layer4.1.conv2-0..63"
    assert safe_name("Mixed_5b:3").startswith("mixed_5b-3~")


@given(TARGETS)
def test_a_name_is_legal_on_every_system(text: str) -> None:
    name = safe_name(text)
    assert 1 <= len(name) <= MAX_NAME
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-~")
    assert name[0] not in ".-"
    assert name[-1] != "."
    assert name.split(".")[0] not in {
        "con",
        "prn",
        "aux",
        "nul",
        *(f"{d}{i}" for d in ("com", "lpt") for i in range(10)),
    }


@given(TARGETS, TARGETS)
def test_different_texts_get_different_names(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_near_texts_get_different_names() -> None:
    texts = [
        "a:b",
        "a-b",
        "A:b",
        "a b",
        "a~b",
        "con",
        "_con",
        "nul.txt",
        "",
        ".",
        "..",
        "x" * 120,
        "x" * 121,
        "x" * 122,
    ]
    names = {safe_name(text) for text in texts}
    assert len(names) == len(texts)
    assert max(map(len, names)) == MAX_NAME


@pytest.mark.parametrize("text", ["con", "NUL", "aux.txt", "com1.x:3", "lpt9"])
def test_a_device_of_windows_is_no_name(text: str) -> None:
    assert safe_name(text).startswith("_")
