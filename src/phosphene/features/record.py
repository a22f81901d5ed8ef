"""The recipe of a picture: everything needed to make it again, and how it went.

No absolute paths and no user names: inputs are named by the SHA-256 of their pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from torch import Tensor

from phosphene.engine import Arithmetic
from phosphene.engine.environment import environment
from phosphene.media import pixels_sha256
from phosphene.models import Model
from phosphene.models.model import describe
from phosphene.objectives import Objective, to_data
from phosphene.recipe import SCHEMA, RenderConfig, to_json
from phosphene.version import version


@dataclass(frozen=True)
class Circumstances:
    """What all pictures of a rendering share."""

    model: Model
    config: RenderConfig
    arithmetic: Arithmetic
    init_sha256: str | None
    references: Mapping[str, str] = field(default_factory=dict)  # name -> SHA-256, but of the start picture

    def inputs(self) -> dict[str, Any]:
        """The pictures that were given, as a recipe names them."""
        return {"init_sha256": self.init_sha256, **({"references": dict(self.references)} if self.references else {})}


def record(
    shared: Circumstances,
    objective: Objective,
    row: int = 0,
    *,
    target: str,
    batch_shape: int,
    pixels: Tensor,
    result: dict[str, Any],
) -> dict[str, Any]:
    """The recipe of one picture.

    objective: bound, of all rows that belong together. row: which of them the picture is. result: activation, steps,
    seconds, status, reason.
    """
    member = {"row": row} if objective.together > 1 else {}
    return {
        "schema": SCHEMA,
        "kind": "feature",
        "app": {"name": "phosphene", "version": version()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": describe(shared.model),
        "target": {"text": target, "data": to_data(objective), **member},
        "method": to_json(shared.config),
        "batch_shape": batch_shape,
        "inputs": shared.inputs(),
        "environment": environment(shared.arithmetic),
        "result": {**result, "channels": int(pixels.shape[0]), "pixels_sha256": pixels_sha256(pixels)},
    }
