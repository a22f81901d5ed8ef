"""A data set of torch as a data set here: anything with a length whose items are, or begin with, a PIL picture.

torchvision's data sets give (picture, class number), those of Hugging Face a dictionary. Leave the transform out: the
model's own preprocessing follows. The key is the name of the data set and the number of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from phosphene.errors import MediaError, UsageError
from phosphene.media import opaque
from phosphene.media.decode import standard

DIGITS = 9  # of a number in a key, so that keys ascend


class Mapped:
    """The pictures of a map-style data set.

    name: what its keys begin with; its class's name when left out. classes: names of its classes; its own `classes`
    when left out. picture, label: under which names the items of a dictionary stand.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        name: str | None = None,
        classes: Sequence[str] | None = None,
        picture: str = "image",
        label: str = "label",
    ) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise UsageError(f"a data set needs a length and items by number, got {type(dataset).__name__}")
        self.dataset, self.name = dataset, name or type(dataset).__name__.lower()
        known = classes if classes is not None else getattr(dataset, "classes", None)
        self.classes = tuple(map(str, known)) if known is not None else None
        self._names = (picture, label)

    def __len__(self) -> int:
        return len(self.dataset)

    def key(self, index: int) -> str:
        """Name and number: "cifar10/000000012"."""
        return f"{self.name}/{range(len(self))[index]:0{DIGITS}d}"

    def load(self, index: int) -> Image.Image:
        """The picture as RGB."""
        return self.item(index)[0]

    def item(self, index: int) -> tuple[Image.Image, str | None]:
        """The picture as RGB, and the name of its class. Raises MediaError for whatever the data set raises."""
        picture, label = self._row(index)
        if not isinstance(picture, Image.Image):
            raise UsageError(
                f"the items of a data set must be PIL pictures, got {type(picture).__name__}; leave its transform out"
            )
        try:
            return opaque(standard(picture)), self._class(label)
        except OSError as error:  # Pillow decodes late
            raise MediaError(f"cannot read picture '{self.key(index)}': {error}") from error

    def _row(self, index: int) -> tuple[Any, Any]:
        """What the data set gives as picture and as label."""
        try:
            given = self.dataset[range(len(self))[index]]
        except Exception as error:  # a data set of someone else's: damaged files make it raise anything
            raise MediaError(f"cannot read picture '{self.key(index)}': {type(error).__name__}: {error}") from error
        if isinstance(given, Mapping):
            return given.get(self._names[0]), given.get(self._names[1])
        if isinstance(given, (tuple, list)) and given:
            return given[0], given[1] if len(given) > 1 else None
        return given, None

    def _class(self, label: Any) -> str | None:
        if isinstance(label, str):
            return label
        try:
            number = int(label)
        except (TypeError, ValueError):
            return None  # no label, or one that is no class: a box, a caption
        return self.classes[number] if self.classes and 0 <= number < len(self.classes) else str(number)
