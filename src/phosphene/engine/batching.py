"""How many rows go through the network at once, and on which device in which arithmetic.

The memory that a row needs is measured, not guessed: one row is run with a hook that adds up what autograd keeps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from phosphene.errors import UsageError
from phosphene.recipe import RunConfig

CPU_ROWS = 16  # more rows do not run faster per row on a CPU, and make the first picture wait
GPU_ROWS = 256
CGROUPS = (  # folder, file of the limit, file of what is used: Linux control groups, versions 2 and 1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
MEMORY_SHARE = 0.5  # of what is free: gradients and temporaries double what autograd keeps


@dataclass(frozen=True)
class Arithmetic:
    """Where and how the network computes. The signal, its FFT and the scores are float32 always."""

    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format

    @property
    def precision(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def arithmetic(run: RunConfig) -> Arithmetic:
    """The device and number format that `run` asks for; UsageError when this machine lacks the device.

    auto precision: bfloat16 where the hardware multiplies it (CUDA from Ampere on, x86 with AVX512-BF16 or AMX), else
    float32. bfloat16 has float32's range, so nothing overflows, and only the network sees it.
    """
    device = find_device(run.device)
    fast = has_bfloat16(device)
    half = run.precision == "bfloat16" or (run.precision == "auto" and fast)
    layout = torch.channels_last if device.type in ("cpu", "cuda") else torch.contiguous_format
    return Arithmetic(device, torch.bfloat16 if half else torch.float32, layout)


def find_device(name: str) -> torch.device:
    """A torch device that exists here; `auto` takes CUDA, then MPS, then the CPU."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device {name!r}; choose auto, cpu, cuda, cuda:N or mps") from None
    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not here.get(device.type, False):
        raise UsageError(f"device {name!r} is not available on this machine; choose auto or cpu")
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        return any(
            getattr(torch.cpu, name, lambda: False)()
            for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        )
    return False


def batch_rows(rows: int, run: RunConfig, device: torch.device, row_bytes: Callable[[], int]) -> int:
    """Rows per batch: what the user fixed, else what memory allows. row_bytes() measures one row, when needed."""
    if run.batch_shape is not None:
        return run.batch_shape
    if run.batch is not None:
        return min(run.batch, rows)
    most = min(rows, GPU_ROWS if device.type != "cpu" else CPU_ROWS)
    return (
        most if most == 1 else max(1, min(most, int(MEMORY_SHARE * usable_memory(run, device) / max(1, row_bytes()))))
    )


def kept_bytes(work: Callable[[], object]) -> int:
    """Bytes that autograd keeps for the backward pass of `work()`; storages that are shared count once."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        work()
    return sum(kept.values())


def usable_memory(run: RunConfig, device: torch.device) -> int:
    """Bytes that may be used: what the user allows, else what is free."""
    return free_memory(device) if run.memory is None else int(run.memory * 1e9)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on the device: what caches would give up too, within the limit of a container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_free_in_system(), *(limit - used for limit, used in _container_limits()), 1 << 60)


def _free_in_system() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30  # systems that do not tell: a modest laptop


def _container_limits() -> Iterator[tuple[int, int]]:
    """(limit, used) in bytes of the control group that this process is in, where there is one with a limit."""
    for folder, limit, used in CGROUPS:
        try:
            yield int((folder / limit).read_text()), int((folder / used).read_text())
        except (OSError, ValueError):  # another version, no group, or the word "max"
            continue


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(w in str(error) for w in ("can't allocate memory", "out of memory"))
    )
