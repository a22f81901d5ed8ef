"""The command line keeps the memory that it frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from phosphene.cli.allocator import keep_freed_memory
def faults():
    for i in range(16):
        if i == 6:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(16 << 20)  # 64 MB, freed at once: above the 32 MB up to which glibc learns by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
given = faults()
assert keep_freed_memory()
print(given, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_buffer_that_was_freed_is_used_again_without_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    given, kept = map(int, done.stdout.split())
    assert kept < given / 2
