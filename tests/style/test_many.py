"""Contents x styles: one bad file costs only its own paintings, and nothing is made twice."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phosphene.errors import MediaError, UsageError
from phosphene.media import read_pixels, write_picture
from phosphene.models import Model, load
from phosphene.recipe import RunConfig, StyleConfig
from phosphene.style.inputs import Inputs, read
from phosphene.style.ladder import resized
from phosphene.style.many import Begun, Commission, Done, Failed, Habits, Skipped, Studio, crossed, pictures_at
from phosphene.style.transfer import StepDone

CPU = RunConfig(device="cpu", checkpoint_every=1)
QUICK = StyleConfig(size=48, smallest=0, steps=3)


@pytest.fixture(scope="module")
def vgg() -> Model:
    """VGG-19's layers by name, with seeded random weights."""
    return load("vgg19_cd16x", weights="random")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two contents, one of them text, and two styles."""
    generator = torch.Generator().manual_seed(0)
    for name in ("contents/sea.png", "styles/a.png", "styles/b.png"):
        write_picture(tmp_path / name, resized(torch.rand(1, 3, 6, 8, generator=generator), (48, 64))[0])
    (tmp_path / "contents" / "bad.png").write_text("no picture")
    (tmp_path / "contents" / ".hidden").write_text("not looked at")
    return tmp_path / "contents", tmp_path / "styles"


def read_plainly(commission: Commission) -> Inputs:
    return Inputs(read(commission.content, "content"), tuple(read(file, "style") for file in commission.styles))


def asked(folders: tuple[Path, Path], config: StyleConfig = QUICK) -> list[Commission]:
    contents, styles = map(pictures_at, folders)
    return crossed(contents, [(style,) for style in styles], folders[0].parent / "out", ".png", config)


def events(studio: Studio, *, stop_after: int | None = None) -> list[str]:
    """What happened to each painting, in words."""
    said, steps = [], 0
    for event in studio:
        if isinstance(event, Done | Skipped | Failed):
            status = f" {event.painting.status}" if isinstance(event, Done) else ""
            said.append(f"{type(event).__name__} {event.commission.file.name}{status}")
        elif isinstance(event, StepDone):
            steps += 1
            if steps == stop_after:
                studio.stop()
    return said


def test_one_bad_file_does_not_stop_the_others(vgg: Model, folders: tuple[Path, Path]) -> None:
    said = events(Studio(vgg, asked(folders), CPU, read=read_plainly))
    assert said == ["Failed bad-a.png", "Failed bad-b.png", "Done sea-a.png ok", "Done sea-b.png ok"]
    assert {file.name for file in (folders[0].parent / "out").glob("*.png")} == {"sea-a.png", "sea-b.png"}


def test_finished_paintings_are_skipped_and_changed_ones_are_not(vgg: Model, folders: tuple[Path, Path]) -> None:
    commissions = asked(folders)[2:]
    events(Studio(vgg, commissions, CPU, read=read_plainly))
    assert events(Studio(vgg, commissions, CPU, read=read_plainly)) == ["Skipped sea-a.png", "Skipped sea-b.png"]
    other = [replace(one, config=replace(QUICK, seed=1)) for one in commissions]
    assert events(Studio(vgg, other, CPU, read=read_plainly)) == ["Done sea-a.png ok", "Done sea-b.png ok"]
    again = Habits(again=True)
    assert events(Studio(vgg, other[:1], CPU, read=read_plainly, habits=again)) == ["Done sea-a.png ok"]
    other[0].file.write_bytes(b"")
    assert events(Studio(vgg, other[:1], CPU, read=read_plainly)) == ["Done sea-a.png ok"]


def test_an_interrupted_painting_goes_on_as_if_it_had_not_been(vgg: Model, folders: tuple[Path, Path]) -> None:
    commission = asked(folders)[2]
    events(Studio(vgg, [commission], CPU, read=read_plainly))
    whole = read_pixels(commission.file).pixels
    commission.file.unlink()
    assert events(Studio(vgg, [commission], CPU, read=read_plainly), stop_after=2) == ["Done sea-a.png interrupted"]
    assert not torch.equal(read_pixels(commission.file).pixels, whole)
    resumed = Studio(vgg, [commission], CPU, read=read_plainly, habits=Habits(resume=True))
    begun = [event for event in resumed if isinstance(event, Begun)]
    assert begun[0].painter.resumed
    assert torch.equal(read_pixels(commission.file).pixels, whole)
    assert not (commission.file.parent / ".phosphene").exists()


def test_a_checkpoint_of_other_settings_is_refused(vgg: Model, folders: tuple[Path, Path]) -> None:
    commission = asked(folders)[2]
    events(Studio(vgg, [commission], CPU, read=read_plainly), stop_after=2)
    other = replace(commission, config=replace(QUICK, content_weight=1.0))
    (failed,) = Studio(vgg, [other], CPU, read=read_plainly, habits=Habits(resume=True))
    assert isinstance(failed, Failed)
    assert "begun with other settings (method)" in str(failed.error)


def test_stopping_leaves_the_rest_undone(vgg: Model, folders: tuple[Path, Path]) -> None:
    said = events(Studio(vgg, asked(folders)[2:], CPU, read=read_plainly), stop_after=1)
    assert said == ["Done sea-a.png interrupted"]


def test_sixteen_bits_stay_where_the_format_has_them(vgg: Model, folders: tuple[Path, Path]) -> None:
    commission = asked(folders)[2]
    write_picture(commission.content, torch.rand(3, 48, 64), bits=16)
    events(Studio(vgg, [commission], CPU, read=read_plainly))
    assert read_pixels(commission.file).bits == 16
    assert events(Studio(vgg, [commission], CPU, read=read_plainly)) == ["Skipped sea-a.png"]


def test_pictures_of_the_same_name_get_files_of_their_own(folders: tuple[Path, Path]) -> None:
    contents = [Path("sea.png"), Path("sea.jpg"), Path("sky.jpg")]
    made = crossed(contents, [(Path("a.png"), Path("b.png"))], Path("out"), ".png", QUICK)
    assert [one.file.name for one in made] == ["sea.png-a+b.png", "sea.jpg-a+b.png", "sky-a+b.png"]


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(Path, "iterdir", denied)  # the administrator may read anything, and tests may run as one
    with pytest.raises(MediaError, match=f"cannot read '{tmp_path}': permission denied"):
        pictures_at(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no picture in the folder"):
        pictures_at(tmp_path)


def test_long_names_are_cut_and_stay_apart() -> None:
    contents = [Path("海" * 60 + end + ".jpg") for end in "ab"]
    names = [one.file.name for one in crossed(contents, [(Path("a.png"),)], Path(), ".png", QUICK)]
    assert len({*names}) == 2
    assert all(len(name.encode()) <= 104 for name in names)
