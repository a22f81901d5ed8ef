"""Data sets of Hugging Face, as the library `datasets` keeps them; needs `pip install "phosphene[datasets]"`.

The library gives the bytes of a picture and phosphene decodes them, so colors, limits and messages are those of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from phosphene.errors import MediaError, MissingExtraError, PhospheneError, UsageError
from phosphene.examples.mapped import Mapped
from phosphene.media import decode_picture, opaque
from phosphene.media.decode import file_bytes

USUAL_SPLIT = "train"
SAVED = "state.json"  # marks a folder that `Dataset.save_to_disk` wrote


class HuggingFace(Mapped):
    """The pictures of a data set of Hugging Face whose column of pictures is not decoded."""

    def item(self, index: int) -> tuple[Image.Image, str | None]:
        """The picture as RGB, and the name of its class. Raises MediaError for a row without a sound picture."""
        picture, label = self._row(index)
        key = self.key(index)
        if not isinstance(picture, Mapping):
            raise MediaError(f"cannot read picture '{key}': there is none in its row")
        data = picture.get("bytes")
        try:
            found = decode_picture(data if data is not None else file_bytes(picture["path"]), name=key)
        except MediaError as error:
            raise MediaError(str(error).replace(f"'{picture['path']}'", f"'{key}'")) from error
        return opaque(found), self._class(label)


def hugging_face(source: str) -> HuggingFace:
    """The data set "NAME" or "NAME:SPLIT": pictures of its first image column, classes of its first label column.

    NAME may be one of the hub, a folder of files, or one that `save_to_disk` wrote. Keys begin with the last part of
    a folder's name. Raises MissingExtraError without the library, PhospheneError with its reason when the data set
    cannot be had, UsageError when it holds no pictures.
    """
    try:
        import datasets
    except ModuleNotFoundError:
        raise MissingExtraError("datasets", "datasets") from None
    name, _, split = source.partition(":")
    if not name:
        raise UsageError("hf:NAME or hf:NAME:SPLIT names a data set of Hugging Face, got 'hf:'")
    folder = Path(name)
    saved = (folder / SAVED).is_file()
    if saved and split:
        raise UsageError(f"'{name}' holds one saved data set, without splits; name it as hf:{name}")
    try:
        with _silent(datasets):
            found = datasets.load_from_disk(name) if saved else datasets.load_dataset(name, split=split or USUAL_SPLIT)
    except Exception as error:  # offline, unknown, gated, damaged: the library has a class of its own for each
        raise PhospheneError(f"cannot open hf:{source}: {' '.join(str(error).split())}") from error
    columns: dict[str, Any] = dict(found.features)
    pictures = [column for column, kind in columns.items() if isinstance(kind, datasets.Image)]
    labels = [column for column, kind in columns.items() if isinstance(kind, datasets.ClassLabel)]
    if not pictures:
        raise UsageError(f"hf:{source} has no column of pictures; its columns are {', '.join(columns)}")
    shown = folder.resolve().name if folder.is_dir() else name
    return HuggingFace(
        found.cast_column(pictures[0], datasets.Image(decode=False)),
        name=shown if saved else f"{shown}:{split or USUAL_SPLIT}",
        classes=columns[labels[0]].names if labels else None,
        picture=pictures[0],
        label=labels[0] if labels else "",
    )


@contextmanager
def _silent(datasets: Any) -> Iterator[None]:
    """Without the library's progress bars."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
