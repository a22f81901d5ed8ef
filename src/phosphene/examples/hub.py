"""Data sets of Hugging Face, as the library `datasets` keeps them; needs `pip install "phosphene[datasets]"`."""

from __future__ import annotations

from typing import Any

from phosphene.errors import MissingExtraError, PhospheneError, UsageError
from phosphene.examples.mapped import Mapped

USUAL_SPLIT = "train"


def hugging_face(source: str) -> Mapped:
    """The data set "NAME" or "NAME:SPLIT": pictures of its first image column, classes of its first label column.

    NAME may be one of the hub or a folder. Raises MissingExtraError without the library, PhospheneError with its
    reason when the data set cannot be had, UsageError when it holds no pictures.
    """
    try:
        import datasets
    except ModuleNotFoundError:
        raise MissingExtraError("datasets", "datasets") from None
    name, _, split = source.partition(":")
    if not name:
        raise UsageError("hf:NAME or hf:NAME:SPLIT names a data set of Hugging Face, got 'hf:'")
    try:
        found = datasets.load_dataset(name, split=split or USUAL_SPLIT)
    except Exception as error:  # offline, unknown, gated, damaged: the library has a class of its own for each
        raise PhospheneError(f"cannot open hf:{source}: {' '.join(str(error).split())}") from error
    columns: dict[str, Any] = dict(found.features)
    pictures = [column for column, kind in columns.items() if isinstance(kind, datasets.Image)]
    labels = [column for column, kind in columns.items() if isinstance(kind, datasets.ClassLabel)]
    if not pictures:
        raise UsageError(f"hf:{source} has no column of pictures; its columns are {', '.join(columns)}")
    return Mapped(
        found,
        name=f"{name}:{split or USUAL_SPLIT}",
        classes=columns[labels[0]].names if labels else None,
        picture=pictures[0],
        label=labels[0] if labels else "",
    )
