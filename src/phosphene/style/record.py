"""The recipe of a painting: everything needed to make it again, and how it went.

No absolute paths and no user names: pictures and masks are named by the SHA-256 of their pixels, and a rerun asks for
them again. `method` is what the user asked for, `resolved` what the preset and the network made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from torch import Tensor

from phosphene.engine import Arithmetic, arithmetic
from phosphene.engine.environment import environment
from phosphene.media import pixels_sha256
from phosphene.models import Model
from phosphene.models.model import describe
from phosphene.recipe import SCHEMA, RunConfig, StyleConfig, to_json
from phosphene.style.inputs import Inputs
from phosphene.style.method import Method, method
from phosphene.version import version

KIND = "style"


@dataclass(frozen=True, eq=False)
class Circumstances:
    """What a painting is made with. model: as it was handed in, before the method changed its pooling or scales."""

    model: Model
    inputs: Inputs
    config: StyleConfig
    method: Method
    arithmetic: Arithmetic

    @classmethod
    def of(cls, model: Model, inputs: Inputs, config: StyleConfig, run: RunConfig) -> Circumstances:
        """Those of a transfer, before anything is computed."""
        made, _ = method(config, model)
        return cls(model, inputs, config, made, arithmetic(run))

    def identity(self) -> dict[str, Any]:
        """What makes this painting this one: what another must agree with to be the same or to go on with it."""
        return {
            "model": describe(self.model),
            "method": to_json(self.config),
            "inputs": self.inputs.record(),
            "precision": self.arithmetic.precision,
        }


def record(made: Circumstances, pixels: Tensor, result: dict[str, Any]) -> dict[str, Any]:
    """The recipe of a painting. result: losses, steps, seconds, status, held-out measures."""
    identity = made.identity()
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "app": {"name": "phosphene", "version": version()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": identity["model"],
        "method": identity["method"],
        "resolved": to_json(made.method),
        "inputs": identity["inputs"],
        "environment": environment(made.arithmetic),
        "result": {
            **result,
            "size": [int(pixels.shape[2]), int(pixels.shape[1])],
            "channels": int(pixels.shape[0]),
            "pixels_sha256": pixels_sha256(pixels),
        },
    }
