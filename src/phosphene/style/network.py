"""The network as a method wants it: average pooling, channels of equal loudness (Gatys et al. 2015), even edges.

The first two are the paper's changes to VGG-19. All leave the network that was handed in as it is (`models/pooling.py`,
`models/normalized.py`, `models/edges.py`). The means are those over a folder of pictures where one is given, else those
over the pictures of the transfer itself. What a network cannot give to a preset is said; what the user asked for by
name is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from phosphene.errors import MediaError, UsageError
from phosphene.media import read_pixels
from phosphene.media.decode import SUFFIXES
from phosphene.models import Model, average_pooling, normalize_activations, replicated_edges
from phosphene.models.pooling import VARIANT as POOLED
from phosphene.recipe import StyleConfig
from phosphene.style.job import Job, over_white
from phosphene.style.ladder import fitted, resized
from phosphene.style.method import Method

MEASURED_AT = 256  # longer side in pixels of the pictures that channels are measured on


def adapted(model: Model, made: Method, config: StyleConfig, job: Job) -> tuple[Model, list[str]]:
    """The model with the edges, pooling and scales of the method, for a prepared job; and what to say about them.

    A model whose channels are scaled already keeps its scales. Raises UsageError where the user asked for a change by
    name and the network cannot have it; where only the preset asks, the network stays as it is, which is said.
    """
    notes: list[str] = []
    if made.edges == "replicated":
        model, notes = (replicated_edges(model), []) if config.edges else evened(model)
    if made.pooling == "average" and POOLED not in model.variant:
        try:
            model = average_pooling(model)
        except UsageError as error:
            if config.pooling is not None or model.channel_scales:
                raise
            notes.append(f"its own pooling stays: {error}")
    if made.normalized and not model.channel_scales:
        content = [] if job.content is None else [job.content]
        pictures = [*content, *(style.picture for style in job.styles)]
        try:
            model = normalized(model, made, (shown(picture) for picture in pictures))
            notes.append("activations normalized by the content and style pictures; --normalize DIR takes a folder")
        except UsageError as error:
            if config.normalized is not None:
                raise
            notes.append(f"activations stay as they are: {error}")
    return model, notes


def evened(model: Model) -> tuple[Model, list[str]]:
    """The model with even edges where it can have them, and what to say where not."""
    try:
        return replicated_edges(model), []
    except UsageError as error:
        return model, [f"its own edges stay: {error}"]


def normalized(model: Model, made: Method, pictures: Iterator[Tensor]) -> Model:
    """The model with the mean of each channel of the method's layers, over pictures (1, 3, h, w), brought to 1."""
    return normalize_activations(model, pictures, layers={*made.content_layers, *made.style_layers})


def normalized_by_folder(model: Model, made: Method, folder: str | Path) -> Model:
    """The same by the pictures in a folder, behind the method's pooling. Raises UsageError when it has no picture."""
    if made.pooling == "average" and POOLED not in model.variant:
        model = average_pooling(model)
    return normalized(model, made, _folder_pictures(folder))


def shown(picture: Tensor) -> Tensor:
    """(3, h, w) -> (1, 3, h, w) at the size that channels are measured at."""
    return resized(picture[None], fitted(int(picture.shape[1]), int(picture.shape[2]), MEASURED_AT))


def picture_files(folder: str | Path) -> Sequence[Path]:
    """The files of a folder whose suffix is that of a picture, by name; hidden files and folders are left out."""
    return sorted(file for file in Path(folder).iterdir() if _is_picture(file))


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def _folder_pictures(folder: str | Path) -> Iterator[Tensor]:
    if not Path(folder).is_dir():
        raise UsageError(f"--normalize takes a folder of pictures, and '{folder}' is none")
    found = 0
    for file in picture_files(folder):
        try:
            picture = read_pixels(file).pixels
        except MediaError:
            continue
        found += 1
        yield shown(over_white(picture))
    if not found:
        raise UsageError(f"there is no picture in '{folder}' to normalize by")
