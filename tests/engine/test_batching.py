"""Devices by name, number formats, and batches that fit in memory."""

from __future__ import annotations

import pytest
import torch

from phosphene.engine import batching
from phosphene.engine.batching import (
    CPU_ROWS,
    MEMORY_SHARE,
    arithmetic,
    batch_rows,
    find_device,
    free_memory,
    has_bfloat16,
    is_out_of_memory,
    kept_bytes,
)
from phosphene.errors import UsageError
from phosphene.recipe import RunConfig

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "tpu", "", "cuda:x", "meta", "cuda:99"])
def test_a_device_that_is_not_here_is_refused_with_its_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"device '{name}'"):
        find_device(name)


def test_the_cpu_is_always_here_and_auto_takes_a_device_that_is() -> None:
    assert find_device("cpu") == CPU
    assert find_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("fast", [True, False])
def test_auto_precision_is_bfloat16_only_where_the_hardware_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr(batching, "has_bfloat16", lambda device: fast)
    auto = arithmetic(RunConfig(device="cpu"))
    assert auto.dtype == (torch.bfloat16 if fast else torch.float32)
    assert auto.precision == ("bfloat16" if fast else "float32")
    assert auto.memory_format == torch.channels_last
    assert arithmetic(RunConfig(device="cpu", precision="float32")).dtype == torch.float32
    assert arithmetic(RunConfig(device="cpu", precision="bfloat16")).dtype == torch.bfloat16


def test_whether_the_cpu_has_bfloat16_is_known() -> None:
    assert has_bfloat16(CPU) in (True, False)
    assert not has_bfloat16(torch.device("mps"))


def never() -> int:
    raise AssertionError("nothing had to be measured")


def test_a_batch_that_was_asked_for_is_taken_without_measuring() -> None:
    assert batch_rows(100, RunConfig(batch_shape=7), CPU, never) == 7
    assert batch_rows(3, RunConfig(batch_shape=7), CPU, never) == 7  # padded
    assert batch_rows(100, RunConfig(batch=5), CPU, never) == 5
    assert batch_rows(3, RunConfig(batch=5), CPU, never) == 3
    assert batch_rows(1, RunConfig(), CPU, never) == 1


@pytest.mark.parametrize(("row_bytes", "expected"), [(1, CPU_ROWS), (100, 5), (101, 4), (10**9, 1), (0, CPU_ROWS)])
def test_a_batch_fits_in_its_share_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, row_bytes: int, expected: int
) -> None:
    monkeypatch.setattr(batching, "free_memory", lambda device: int(500 / MEMORY_SHARE))
    assert batch_rows(1000, RunConfig(), CPU, lambda: row_bytes) == expected


def test_kept_bytes_counts_what_autograd_keeps_and_shared_storage_once() -> None:
    x = torch.randn(100, requires_grad=True)
    assert kept_bytes(lambda: (x * 2).sum()) == 0
    exponential = kept_bytes(lambda: x.exp().exp())
    assert exponential == 800
    assert kept_bytes(lambda: x * x) == 400
    y = torch.randn(100, requires_grad=True)
    assert kept_bytes(lambda: (x * y, y * x, x[:50] * y[50:])) == 800


def test_free_memory_is_a_number_of_bytes() -> None:
    assert free_memory(CPU) > 1 << 20


def test_running_out_of_memory_is_told_from_other_errors() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
