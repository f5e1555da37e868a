"""Regenerates the constraints files: `make lock`. Versions are kept, unless `--upgrade` is given."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN, TEST, TORCH, CUDA = (ROOT / f"constraints{name}.txt" for name in ("", "-test", "-torch", "-cuda"))
BUILD = re.compile(
    r"^((?:torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==\S+(?: ; [^\\\n]*)?)((?: ?\\\n +--hash=\S+)*)",
    re.MULTILINE,
)
"""torch and what its builds bring, of which no digest fits every index, and the digests of PyPI's builds."""
PIN = re.compile(r"^([\w.-]+==\S+)", re.MULTILINE)


def compile_(requirements: str, *options: str, pins: Sequence[str] = (), leave: Sequence[str] = ()) -> str:
    """The versions that satisfy the requirements, each with its digests; `leave`: packages to omit."""
    with tempfile.TemporaryDirectory() as folder:
        pins_file = Path(folder, "pins.txt")
        pins_file.write_text("\n".join(pins))
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            "-",
            "--quiet",
            "--universal",
            "--generate-hashes",
        ]
        command += [
            "--no-annotate",
            "--no-header",
            "--python-version",
            "3.11",
            "--constraint",
            str(pins_file),
            *options,
        ]
        command += [word for name in leave for word in ("--no-emit-package", name)]
        result = subprocess.run(
            command, input=requirements, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
    return result.stdout


def main(upgrade: bool) -> None:
    files = (RUN, TEST, TORCH, CUDA)
    heads = {file: re.match(r"(?:#.*\n)*", file.read_text())[0] for file in files}  # type: ignore[index]
    pins = [] if upgrade else [pin for file in heads for pin in PIN.findall(file.read_text())]
    builds = BUILD.findall(compile_("torch", pins=pins))
    torch = [pin for pin, _ in builds]
    names = [pin.partition("==")[0] for pin in torch]
    CUDA.write_text(heads[CUDA] + "".join(f"{pin.strip()} {digests.lstrip()}\n" for pin, digests in builds))
    TORCH.write_text(heads[TORCH] + "".join(f"{pin.strip()}\n" for pin in torch))
    constraints = [*pins, *PIN.findall("\n".join(torch))]
    for file, project in ((RUN, "."), (TEST, ".[test]")):
        file.write_text(heads[file] + compile_(project, pins=constraints, leave=[*names, "kepipe"]))


if __name__ == "__main__":
    main("--upgrade" in sys.argv)
