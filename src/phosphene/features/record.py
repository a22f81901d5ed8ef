"""The recipe of a picture: everything needed to make it again, and how it went.

No absolute paths and no user names: inputs are named by the SHA-256 of their pixels.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

from phosphene.engine import Arithmetic
from phosphene.media import pixels_sha256
from phosphene.models import Model
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


def describe_model(model: Model) -> dict[str, Any]:
    """The model's part of a recipe."""
    return {
        "name": model.name,
        "source": model.source,
        "weights": asdict(model.weights),
        "input": to_json(model.spec),
    }


def environment(arithmetic: Arithmetic) -> dict[str, Any]:
    """Versions and hardware that decide about the last bit."""
    import torchvision

    device = arithmetic.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "phosphene": version(),
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "python": platform.python_version(),
        "system": f"{sys.platform} {platform.machine()}",
        "device": device.type,
        "processor": name,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": arithmetic.precision,
    }


def processor() -> str:
    """The CPU's own name, where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def record(
    shared: Circumstances, row: Objective, *, target: str, batch_shape: int, pixels: Tensor, result: dict[str, Any]
) -> dict[str, Any]:
    """The recipe of one picture. row: its bound objective. result: activation, steps, seconds, status, reason."""
    return {
        "schema": SCHEMA,
        "kind": "feature",
        "app": {"name": "phosphene", "version": version()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": describe_model(shared.model),
        "target": {"text": target, "data": to_data(row)},
        "method": to_json(shared.config),
        "batch_shape": batch_shape,
        "inputs": {"init_sha256": shared.init_sha256},
        "environment": environment(shared.arithmetic),
        "result": {**result, "channels": int(pixels.shape[0]), "pixels_sha256": pixels_sha256(pixels)},
    }
