"""What a run is made with: commit, versions, seed."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kepipe import __version__

PACKAGES = ("torch", "transformers", "spacy", "pykeen", "dgl", "mlflow", "networkx")


def run_tags(pipeline: Path, seed: int) -> dict[str, str]:
    """Tags of a pipeline run: the pipeline's file, its git commit where it has one, the seed, the versions."""
    tags = {"pipeline.file": str(pipeline), "seed": str(seed), "kepipe.version": __version__}
    tags["python.version"] = platform.python_version()
    commit = git_commit(pipeline.resolve().parent)
    if commit:
        tags["git.commit"] = commit
    return tags | {f"{name}.version": found for name, found in versions().items() if found}


def versions() -> dict[str, str]:
    """Installed version of each package that decides results; "" where it is missing."""
    versions_by_name = {}
    for name in PACKAGES:
        try:
            versions_by_name[name] = version(name)
        except PackageNotFoundError:
            versions_by_name[name] = ""
    return versions_by_name


def git_commit(folder: Path) -> str:
    """The commit of the checkout around `folder`, with "+changes" where files differ from it; "" outside of one."""
    commit = _git(folder, "rev-parse", "HEAD")
    return f"{commit}+changes" if commit and _git(folder, "status", "--porcelain", "-uno") else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
