"""The command line keeps the memory that it frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from phosphene.cli.allocator import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory()
def fill():
    torch.ones(16 << 20)  # 64 MB, freed at once: above the 32 MB up to which glibc learns by itself
for _ in range(6):
    fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_buffer_that_was_freed_is_used_again_without_the_system() -> None:
    faults = {
        word: int(
            subprocess.run([sys.executable, "-c", FAULTS, word], capture_output=True, text=True, check=True).stdout
        )
        for word in ("keep", "give")
    }
    assert faults["keep"] < faults["give"] / 2
