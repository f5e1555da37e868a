"""Make a bundle: an archive that unpacks and runs on a machine without network."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import kepipe
from kepipe.bundle.archive import RUN, write_archive
from kepipe.bundle.inputs import PIPELINE, collect_inputs
from kepipe.bundle.models import RegisteredModels
from kepipe.bundle.wheels import (
    download_wheels,
    find_wheels,
    known_hashes,
    needed,
    requirements,
    write_own_wheel,
)
from kepipe.flow.artifact import hash_file
from kepipe.version import __version__

SCRIPT = """\
#!/bin/sh
# Runs the pipeline of this folder without network: ./run [options of `kepipe run`].
# PYTHON: the interpreter, {python}. Results are written to `workspace`, or to the folder that KEPIPE_WORKSPACE names.
set -eu
cd "$(dirname "$0")"
python=${{PYTHON:-python{python}}}
if [ ! -e packages/.complete ]; then
    if command -v sha256sum > /dev/null; then sha256sum --check --quiet SHA256SUMS
    else shasum -a 256 --check --quiet SHA256SUMS; fi
    "$python" -c 'import sys; sys.exit(sys.version_info[:2] != {version})' \\
        || {{ echo "this bundle needs Python {python}: PYTHON=/path/to/python{python} ./run" >&2; exit 1; }}
    rm -rf packages
    "$python" -m pip install --quiet --no-index --no-deps --target packages wheels/*.whl
    touch packages/.complete
fi
export PYTHONPATH="$PWD/packages" HF_HUB_OFFLINE=1
exec "$python" -m kepipe run {pipeline}/pipeline.yaml --workspace "${{KEPIPE_WORKSPACE:-workspace}}" "$@"
"""
LACKS_WHEELS = (
    "wheels of {count} of {all} packages, such as {first}: install requirements*.txt on the other machine, or give "
    "`--wheels FOLDER` or `--download`"
)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was written: its size in bytes, how many files of the pipeline and how many wheels it has, and
    what it lacks, in sentences."""

    size: int
    inputs: int
    wheels: int
    left_out: Sequence[str]


def make_bundle(
    file: Path,
    out: Path,
    assignments: Sequence[str] = (),
    wheels: Path | None = None,
    download: bool = False,
    workspace: Path = Path("workspace"),
) -> Bundle:
    """Write pipeline, inputs, wheels and a script that runs them to an archive.

    `wheels`: a folder with wheels of what kepipe needs; `download`: get those that are missing with pip, and models
    from Hugging Face's hub. `workspace`: whose registry has the registered models that the pipeline names.
    Raises ConfigError for a mistake in the pipeline, OSError if a file cannot be read or pip fails.
    """
    packages = needed()
    with tempfile.TemporaryDirectory(prefix="kepipe-bundle-") as scratch:
        made = Path(scratch)
        inputs = collect_inputs(file, assignments, RegisteredModels(workspace.resolve(), made), download)
        found = {} if wheels is None else find_wheels(wheels, packages)
        if download and len(found) < len(packages):
            download_wheels(made, {name: packages[name] for name in packages.keys() - found.keys()})
            found |= find_wheels(made, packages)
        own = write_own_wheel(made)
        files: dict[str, Path | bytes] = {**inputs.files, f"{PIPELINE}/pipeline.yaml": inputs.text.encode()}
        files |= {f"wheels/{wheel.name}": wheel for wheel in (own, *found.values())}
        missing = {name: version for name, version in packages.items() if name not in found}
        left_out = list(inputs.left_out)
        if missing:
            first = ", ".join(f"{name} {version}" for name, version in list(missing.items())[:3])
            left_out.append(LACKS_WHEELS.format(count=len(missing), all=len(packages), first=first))
        hashes = known_hashes(Path(kepipe.__file__).parents[1])
        hashes |= {
            f"{name}=={packages[name]}": (f"sha256:{hash_file(wheel)}",) for name, wheel in found.items()
        }
        checked, others = requirements(packages, hashes)
        files["requirements.txt"] = checked.encode()
        if others:
            files["requirements-without-hashes.txt"] = others.encode()
        files[RUN] = _script().encode()
        files["bundle.json"] = _about(inputs.name, left_out).encode()
        size = write_archive(out, inputs.name, files)
    return Bundle(size, len(inputs.files) + 1, len(found) + 1, left_out)


def _script() -> str:
    version = sys.version_info[:2]
    return SCRIPT.format(python=f"{version[0]}.{version[1]}", version=version, pipeline=PIPELINE)


def _about(name: str, left_out: Sequence[str]) -> str:
    about = {
        "pipeline": name,
        "kepipe": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "left_out": list(left_out),
    }
    return json.dumps(about, indent=1) + "\n"
