"""What besides the recipe decides about the last bit of a picture: versions, hardware, threads, arithmetic."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

import torch

from phosphene.engine.batching import Arithmetic
from phosphene.version import version


def environment(arithmetic: Arithmetic) -> dict[str, Any]:
    """Versions and hardware that decide about the last bit."""
    device = arithmetic.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "phosphene": version(),
        "torch": str(torch.__version__),
        "torchvision": metadata.version("torchvision"),  # without importing it, which takes a second
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
