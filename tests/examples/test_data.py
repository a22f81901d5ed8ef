"""Data sets: every kind of source gives ascending keys, and what is broken is skipped with its reason."""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phosphene.errors import MediaError, PhospheneError, UsageError
from phosphene.examples.config import ScanConfig
from phosphene.examples.data import Subset, fingerprint, item, open_data, places
from phosphene.examples.folder import Folder
from phosphene.examples.hub import hugging_face
from phosphene.examples.mapped import Mapped
from phosphene.examples.scan import scan
from phosphene.models import Model
from phosphene.textures import Textures


def encoded(color: tuple[int, int, int] = (200, 30, 40), size: int = 32, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size, size), color).save(out, kind)
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of 48 kB that declares 20000 x 20000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (20000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    data = zlib.compress(bytes(20001 * 2400), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder of everything that a folder of pictures holds after some years."""
    root = tmp_path / "odd"
    (root / "cats").mkdir(parents=True)
    (root / "dogs" / "deep").mkdir(parents=True)
    (root / "cats" / "whole.png").write_bytes(encoded())
    (root / "cats" / "zero.jpg").write_bytes(b"")
    (root / "cats" / "text.jpg").write_text("no picture at all")
    (root / "cats" / "cut.jpg").write_bytes(encoded(kind="JPEG", size=256)[:900])
    (root / "cats" / "bomb.png").write_bytes(bomb())
    (root / "dogs" / "deep" / "größe 'ü' \"π\".webp").write_bytes(encoded(kind="WEBP"))
    Image.new("CMYK", (32, 32), (0, 90, 200, 10)).save(root / "dogs" / "cmyk.jpg")
    Image.fromarray(np.full((32, 32), 40000, np.uint16)).save(root / "dogs" / "deep.png")
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    frames[0].save(root / "dogs" / "moving.gif", save_all=True, append_images=frames[1:])
    (root / "top.bmp").write_bytes(encoded(kind="BMP"))
    (root / "notes.txt").write_text("passed over")
    (root / ".hidden.png").write_bytes(encoded())
    (root / "dogs" / "loop").symlink_to(root)
    (root / "dogs" / "self.png").symlink_to(root / "dogs" / "self.png")
    (root / "dogs" / "gone.png").symlink_to(root / "nowhere.png")
    return root


def test_a_folder_after_some_years_is_scanned_and_what_is_broken_is_listed(odd: Path, tiny_model: Model) -> None:
    index = scan(tiny_model, odd, layers=["features.0"], config=ScanConfig(batch=4))
    reasons = dict(index.skipped)
    assert set(reasons) == {
        "cats/zero.jpg", "cats/text.jpg", "cats/cut.jpg", "cats/bomb.png", "dogs/loop", "dogs/self.png",
        "dogs/gone.png",
    }  # fmt: skip
    assert reasons["cats/zero.jpg"] == "the file is empty"
    assert "not a PNG, JPEG" in reasons["cats/text.jpg"]
    assert "truncated" in reasons["cats/cut.jpg"]
    assert "megapixels" in reasons["cats/bomb.png"]
    assert "a link to a folder that is already in" in reasons["dogs/loop"]
    assert "no such file" in reasons["dogs/gone.png"]
    assert not any(str(odd) in why for why in reasons.values())
    assert index.images == 6
    assert index.header.skipped.count == 7
    assert index.header.classes == ("cats", "dogs")
    assert {one.key for one in index.top("features.0", 0, k=16)} == {
        "cats/whole.png", "dogs/cmyk.jpg", "dogs/deep.png", "dogs/deep/größe 'ü' \"π\".webp", "dogs/moving.gif",
        "top.bmp",
    }  # fmt: skip


def test_odd_names_and_skipped_files_survive_the_disk(odd: Path, tiny_model: Model, tmp_path: Path) -> None:
    name = os.fsencode(odd) + b"/cats/\xff\n.png"
    Path(os.fsdecode(name)).write_bytes(encoded())
    index = scan(tiny_model, odd, layers=["features.0"], out=tmp_path / "index")
    read = type(index).load(tmp_path / "index")
    assert read.header == index.header
    assert "cats/\\xff\n.png" in read.header.keys


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_skipped(odd: Path, tiny_model: Model) -> None:
    (odd / "cats" / "whole.png").chmod(0)
    (odd / "dogs").chmod(0)
    try:
        reasons = dict(scan(tiny_model, odd, layers=["features.0"]).skipped)
    finally:
        (odd / "dogs").chmod(0o755)
    assert reasons["cats/whole.png"] == reasons["dogs"] == "permission denied"


def test_tar_shards_give_what_the_folder_gives(tmp_path: Path, tiny_model: Model) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(3):
        with tarfile.open(shards / f"part-{number}.tar", "w") as archive:
            for name, data in (
                (f"{number}b.png", encoded((60 * number, 9, 9))), (f"{number}b.cls", b"class two\n"),
                (f"birds/{number}a.jpg", encoded(kind="JPEG")), ("readme.txt", b"passed over"),
            ):  # fmt: skip
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    data = open_data(shards)
    assert [data.key(i) for i in range(len(data))] == [
        f"part-{n}.tar/{name}" for n in range(3) for name in (f"{n}b.png", f"birds/{n}a.jpg")
    ]
    assert [item(data, i)[1] for i in range(2)] == ["class two", "birds"]
    assert item(data, 4)[0].getpixel((3, 3)) == (120, 9, 9)
    cut = shards / "part-1.tar"
    cut.write_bytes(cut.read_bytes()[:560])
    index = scan(tiny_model, shards, layers=["features.0"])
    assert index.images == 4
    assert {key.split("/")[0] for key, _ in index.skipped} == {"part-1.tar"}
    (shards / "part-9.tar").write_bytes(zlib.compress(b"not plain"))
    assert any(key == "part-9.tar" for key, _ in scan(tiny_model, shards, layers=["features.0"]).skipped)


def test_a_data_set_of_torch_is_one_here(tiny_model: Model, tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    for name in ("x", "y"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "tree" / name / f"{i}.png").write_bytes(encoded((i * 80, 5, 5)))
    (tmp_path / "tree" / "y" / "bad.png").write_bytes(b"no")
    index = scan(tiny_model, ImageFolder(str(tmp_path / "tree")), layers=["features.0"])
    assert index.images == 6
    assert index.header.classes == ("x", "y")
    assert index.top("features.0", 0, k=1)[0].key.startswith("imagefolder/00000000")
    ((key, why),) = index.skipped
    assert key == "imagefolder/000000006"
    assert "cannot identify" in why


def test_items_of_a_data_set_may_be_dictionaries_and_must_be_pictures() -> None:
    rows = [{"image": Image.new("L", (8, 8), 7), "label": 1}]
    assert item(Mapped(rows, classes=["a", "b"]), 0)[1] == "b"
    assert Mapped(rows, name="grays").load(0).mode == "RGB"
    with pytest.raises(UsageError, match="leave its transform out"):
        Mapped([np.zeros((8, 8, 3))]).load(0)
    with pytest.raises(MediaError, match="KeyError"):
        Mapped({0: 1, 2: 3}).item(1)


def test_keys_ascend_and_are_found_again() -> None:
    data = open_data("textures:200", size=16)
    assert len(fingerprint(data)) == 64
    assert places(data, [data.key(0), data.key(150), "textures-0/000151-nothing"]) == {
        data.key(0): 0,
        data.key(150): 150,
    }
    few = Subset(data, 7)
    assert [few.key(i) for i in range(7)] == [data.key(i * 200 // 7) for i in range(7)]

    class Falling(Textures):
        def key(self, index: int) -> str:
            return f"{100 - index:03d}"

    with pytest.raises(UsageError, match="must ascend: '099' comes after '100'"):
        fingerprint(Falling(5, size=16))


@pytest.mark.parametrize("source", ["nowhere", "textures:", "textures:0", "textures:many", "x.tar"])
def test_sources_that_are_none_are_refused(source: str, tmp_path: Path) -> None:
    if source == "textures:":
        assert len(open_data(source)) == 6400
        return
    with pytest.raises(UsageError, match=source):
        open_data(source)
    with pytest.raises(UsageError, match="no folder"):
        Folder(tmp_path / "none")


def test_hugging_face_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(PhospheneError, match=re.escape('pip install "phosphene[datasets]"')):
        hugging_face("a")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of pictures in splits and classes, and the library without a network or a cache of the user's."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for split, names in (("train", "xy"), ("test", "x")):
        for name in names:
            (tmp_path / "tree" / split / name).mkdir(parents=True)
            (tmp_path / "tree" / split / name / "0.png").write_bytes(encoded())
    return tmp_path


def test_a_folder_of_hugging_face_is_a_data_set(hub: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (hub / "tree" / "train" / "y" / "bad.png").write_bytes(b"no")
    (hub / "tree" / "train" / "y" / "bomb.png").write_bytes(bomb())
    data = open_data(f"hf:{hub / 'tree'}")
    assert [data.key(i) for i in (0, 3)] == ["tree:train/000000000", "tree:train/000000003"]  # no paths of a machine
    assert [item(data, i)[1] for i in (0, 1)] == ["x", "y"]
    for number, why in ((2, "'tree:train/000000002': not a PNG"), (3, "megapixels")):
        with pytest.raises(MediaError, match=why):
            data.load(number)
    assert len(open_data(f"hf:{hub / 'tree'}:test")) == 1
    assert capfd.readouterr() == ("", "")


def test_a_saved_data_set_of_hugging_face_is_read_with_its_own_columns(hub: Path, tiny_model: Model) -> None:
    import datasets

    columns = datasets.Features({"scan": datasets.Image(), "kind": datasets.ClassLabel(names=["p", "q"])})
    rows = {"scan": [{"bytes": encoded(), "path": None}, None], "kind": [1, 0]}
    datasets.Dataset.from_dict(rows, features=columns).save_to_disk(str(hub / "saved"))
    index = scan(tiny_model, f"hf:{hub / 'saved'}", layers=["features.0"])
    assert index.header.classes == ("q",)
    assert index.skipped == (("saved/000000001", "there is none in its row"),)
    with pytest.raises(UsageError, match="without splits"):
        hugging_face(f"{hub / 'saved'}:train")


def test_what_is_no_data_set_of_hugging_face_is_refused_in_one_line(hub: Path) -> None:
    (hub / "table").mkdir()
    (hub / "table" / "a.csv").write_text("a,b\n1,2\n")
    for source, message in (
        ("", "names a data set"), (str(hub / "table"), "no column of pictures; its columns are a, b"),
        (f"{hub / 'tree'}:noon", "Unknown split"), (str(hub / "nowhere"), "cannot open hf:"),
    ):  # fmt: skip
        with pytest.raises(PhospheneError, match=message) as error:
            hugging_face(source)
        assert "\n" not in str(error.value)
