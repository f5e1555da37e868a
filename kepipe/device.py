"""Where models run, and what that place can do."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import sysconfig
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigError

if TYPE_CHECKING:
    import torch


def resolve(device: str) -> str:
    """`auto` → the best device there is; any other → itself. Raises ConfigError where it does not exist."""
    import torch

    if device == "auto":
        return (
            str(torch.accelerator.current_accelerator() or "cpu")
            if torch.accelerator.is_available()
            else "cpu"
        )
    try:
        torch.empty(1, device=torch.device(device))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"`device: {device}` cannot be used here ({reason}); `auto` or `cpu` can") from None
    return device


def exact(device: torch.device) -> torch.dtype:
    """The widest floating-point numbers of a device: float64, but on Apple's GPUs, which have none, float32."""
    import torch

    return torch.float32 if device.type == "mps" else torch.float64


def native_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware, so that autocast makes training faster."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        return any(flag in cpu_flags() for flag in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def fast_float16(device: str) -> bool:
    """Whether the device multiplies float16 matrices in hardware: NVIDIA's from compute capability 7.0 on (V100, T4),
    and whatever else torch calls CUDA."""
    import torch

    if not device.startswith("cuda"):
        return False
    return torch.version.cuda is None or torch.cuda.get_device_capability(device) >= (7, 0)


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of glibc's `mallopt` (malloc.h)."""
KEPT = 1 << 30
"""Bytes up to which freed pieces are kept."""
USUAL = 32 << 20
"""Bytes to which glibc itself raises that bound, at most, when a program frees large pieces."""


@contextmanager
def freed_memory_kept(device: str) -> Generator[None]:
    """While this lasts, freed memory on a CPU is used again instead of going back to the system; it does at the end.

    A training step frees and asks for the same large pieces each time, and glibc hands those back to the system, which
    then has to clear each of their pages anew: 158,000 a step of BERT-base at 2,048 tokens, a twentieth of its time.
    Does nothing where the C library is another one.
    """
    libc = ctypes.CDLL(None) if device == "cpu" and sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    for bound in (KEPT, USUAL):  # older versions refuse the first
        if libc.mallopt(MMAP_THRESHOLD, bound):
            break
    libc.mallopt(TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, USUAL)
        libc.mallopt(TRIM_THRESHOLD, 2 * USUAL)
        libc.malloc_trim(0)


def compiler() -> str:
    """The C++ compiler that torch.compile calls: $CXX, or the usual one. Raises ValueError, with what to install, where
    it or Python's headers are missing."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    path = shutil.which(name)
    if path is None:
        raise ValueError(f"no C++ compiler: `{name}` is not here; install it (Debian: apt-get install g++)")
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.exists():
        raise ValueError(
            f"{headers} is missing; install Python's headers (Debian: apt-get install python3-dev)"
        )
    return path


def has_compiler() -> bool:
    """Whether `compiler` finds one."""
    try:
        compiler()
    except ValueError:
        return False
    return True


def cpu_flags() -> frozenset[str]:
    """Instruction sets of the processor, as Linux names them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123
            lines = [line for line in stream if line.startswith(("flags", "Features"))]
    except OSError:
        return frozenset()
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()
