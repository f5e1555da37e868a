"""Memory that training keeps while it lasts."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import psutil
import torch
from kepipe.device import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    return psutil.Process().memory_info().rss >> 20

faults()
at_first = held()
with freed_memory_kept("cpu"):
    faults()
    print(faults(), held() - at_first)
print(held() - at_first)
with freed_memory_kept("cuda"):
    print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is not glibc")
def test_pages_are_used_again_while_it_lasts_and_given_back_after() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    inside, after, usual = done.stdout.splitlines()
    faults, kept = map(int, inside.split())
    assert faults < 100, "no page of a tensor that is freed and made again is cleared anew"
    assert kept >= 60
    assert int(after) < 10
    assert int(usual) >= 1000, "elsewhere memory is asked for as always"
