"""What a study of faithfulness gives: a picture, what it is compared with, and the numbers, as data and as a sheet."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from phosphene.contact import contact_sheet
from phosphene.display.notebook import embedded, figure, png
from phosphene.features.picture import Picture
from phosphene.files import atomic_write, ensure_folder
from phosphene.media import png_bytes
from phosphene.recipe import to_json
from phosphene.study.config import FaithfulnessConfig
from phosphene.study.doubts import Check, checks
from phosphene.study.path import KINSHIP, Similarity, another_road
from phosphene.study.responses import Responses
from phosphene.study.result import finite, short
from phosphene.study.transfer import Transfer

SHOWN = 9  # natural pictures on a sheet
COLUMNS = 5  # of a sheet, at least; with the usual nine the optimized ones fill its first row


@dataclass(frozen=True)
class Trust:
    """A unit's optimized picture and what speaks for and against it.

    picture: the optimized one. family: more of the same unit, made to differ. natural: the unit's responses to the
    data. examples: (k, c, h, w) the best natural pictures, as the network sees them. path: layer by layer, the unit's
    own last. transfers: in other networks. undefined: {question: why it cannot be asked of this unit}. Shows itself in
    a notebook.
    """

    model: str
    target: str
    config: FaithfulnessConfig
    picture: Picture
    family: tuple[Picture, ...]
    natural: Responses
    examples: Tensor = field(repr=False)
    path: tuple[Similarity, ...]
    transfers: tuple[Transfer, ...]
    undefined: dict[str, str]
    device: str
    precision: str
    seconds: float

    @property
    def ratio(self) -> float | None:
        """The activation over that of the best natural picture; None where that one does not raise the unit."""
        return self.picture.activation / self.natural.best if self.natural.best > 0 else None

    @property
    def another_road(self) -> bool | None:
        """Whether the picture takes another road than natural pictures; None where that cannot be told."""
        return None if "path" in self.undefined else another_road(self.path)

    @property
    def weakest(self) -> float | None:
        """The lowest activation of the family; None without one."""
        return min((one.activation for one in self.family), default=None)

    @property
    def criterion(self) -> bool | None:
        """Whether the weakest of the family beats the best natural picture; None without a family."""
        return None if self.weakest is None else self.weakest > self.natural.best

    @property
    def shown(self) -> list[int]:
        """Rows of the natural pictures that are shown, best first."""
        return self.natural.top(min(SHOWN, len(self.examples)))

    def checks(self) -> tuple[Check, ...]:
        """Each question with its answer, what that answer can tell and what it cannot."""
        return checks(self)

    def image(self) -> Image.Image:
        """The sheet: the picture, its family, and the best natural pictures."""
        rows = self.shown
        pictures = [self.picture.pixels, *(one.pixels for one in self.family), *self.examples[: len(rows)]]
        labels = [
            ("optimized", short(self.picture.activation)),
            *(("optimized, to differ", short(one.activation)) for one in self.family),
            *(("natural", short(float(self.natural.values[row]))) for row in rows),
        ]
        title = f"{self.model} · {self.target}: activation of optimized and natural pictures"
        return contact_sheet(pictures, labels, columns=max(COLUMNS, 1 + len(self.family)), title=title)

    def data(self) -> dict[str, Any]:
        """Everything as JSON; files by their names."""
        rows = self.natural.top(len(self.examples))
        return {
            "kind": "study-faithfulness",
            "model": self.model,
            "target": self.target,
            "config": to_json(self.config),
            "picture": told(self.picture),
            "family": [told(one) for one in self.family],
            "natural": {
                "pictures": len(self.natural),
                "skipped": self.natural.skipped,
                "best": finite(self.natural.best),
                "top": [
                    {"key": self.natural.data.key(row), "activation": float(self.natural.values[row])} for row in rows
                ],
            },
            "ratio": self.ratio,
            "path": [
                {**{k: v if isinstance(v, str) else finite(v) for k, v in asdict(one).items()},
                 "normalized": finite(one.normalized)}
                for one in self.path
            ],
            "kinship_threshold": KINSHIP,
            "another_road": self.another_road,
            "weakest": self.weakest,
            "weakest_beats_best": self.criterion,
            "transfers": [asdict(one) for one in self.transfers],
            "undefined": self.undefined,
            "sentences": {check.name: check.answer for check in self.checks()},
            "device": self.device,
            "precision": self.precision,
            "seconds": self.seconds,
        }  # fmt: skip

    def save(self, folder: str | Path) -> Path:
        """Write sheet.png and study.json into a folder; the path of the sheet."""
        place = ensure_folder(folder)
        atomic_write(place / "study.json", (json.dumps(self.data(), ensure_ascii=False, indent=1) + "\n").encode())
        return atomic_write(place / "sheet.png", png_bytes(self.image()))

    def _repr_png_(self) -> bytes:
        return png(self.image())

    def _repr_html_(self) -> str:
        shown = embedded(self.image(), f"{self.model}, {self.target}")
        return figure(shown, [check.answer for check in self.checks()])


def told(picture: Picture) -> dict[str, Any]:
    """An optimized picture as JSON."""
    return {
        "file": picture.path.name if picture.path is not None else None,
        "target": picture.target,
        "activation": finite(picture.activation),
        "status": picture.status,
        "reason": picture.reason,
        "steps": picture.steps,
        "seconds": picture.seconds,
    }


HEADER = ("layer", "picture, natural", "natural, natural", "natural, random", "normalized", "kinship", "of natural")


def row(one: Similarity) -> tuple[str, ...]:
    """A layer in numbers, in the order of `HEADER`."""
    numbers: Sequence[float] = (one.picture, one.natural, one.random, one.normalized)
    return (
        one.layer,
        *("-" if math.isnan(n) else f"{n:.2f}" for n in numbers),
        f"{one.kinship:.0%}",
        f"{one.natural_kinship:.0%}",
    )
