"""Where models run, and what that place can do."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from kepipe.config import ConfigError


def resolve(wanted: str) -> str:
    """`auto` → the best device there is; any other → itself. Raises ConfigError where it does not exist."""
    import torch

    if wanted == "auto":
        return (
            str(torch.accelerator.current_accelerator() or "cpu")
            if torch.accelerator.is_available()
            else "cpu"
        )
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"`device: {wanted}` cannot be used here ({reason}); `auto` or `cpu` can") from None
    return wanted


def native_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware, so that autocast makes training faster."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        return any(flag in cpu_flags() for flag in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def compiler() -> str:
    """The C++ compiler that torch.compile calls: $CXX, or the usual one. Raises ValueError, with what to install, where
    it or Python's headers are missing."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    found = shutil.which(name)
    if found is None:
        raise ValueError(f"no C++ compiler: `{name}` is not here; install it (Debian: apt-get install g++)")
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.exists():
        raise ValueError(
            f"{headers} is missing; install Python's headers (Debian: apt-get install python3-dev)"
        )
    return found


def cpu_flags() -> frozenset[str]:
    """Instruction sets of the processor, as Linux names them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123
            lines = [line for line in stream if line.startswith(("flags", "Features"))]
    except OSError:
        return frozenset()
    return frozenset(lines[0].partition(":")[2].split()) if lines else frozenset()
