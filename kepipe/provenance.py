"""What a run is made with: commit, versions, seed."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from kepipe.version import __version__

PACKAGES = ("torch", "transformers", "spacy", "pykeen", "dgl", "mlflow", "networkx")
GIT_TIMEOUT = 60.0
"""Seconds after which a run continues without its commit."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FLAG: tuple[str, ...] = ("true", "false")
_PLAIN = {
    "core.filemode": _FLAG,
    "core.symlinks": _FLAG,
    "core.ignorecase": _FLAG,
    "core.precomposeunicode": _FLAG,
    "core.autocrlf": (*_FLAG, "input"),
    "core.eol": ("lf", "crlf", "native"),
}
"""Settings of git by which files are compared → the values that they may have."""


def run_tags(pipeline: Path, seed: int, assignments: Sequence[str] = ()) -> dict[str, str]:
    """Tags of a pipeline run: the pipeline's file, what `--set` changed of it as a shell takes it, its git commit where
    it has one, the seed, the versions."""
    tags = {"pipeline.file": str(pipeline), "seed": str(seed), "kepipe.version": __version__}
    if assignments:
        tags["pipeline.set"] = " ".join(f"--set {shlex.quote(assignment)}" for assignment in assignments)
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


def pinned_requirements() -> list[str]:
    """What kepipe needs, `name==version` as installed here, for pip. kepipe itself is not among them."""
    from packaging.requirements import Requirement

    needed = (Requirement(line) for line in requires("kepipe") or ())
    present = (one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""}))
    return sorted(f"{one.name}=={version(one.name)}" for one in present)


def git_commit(folder: Path) -> str:
    """The commit of the checkout around `folder`; "" outside of one.

    With "+changes" where files differ from it, "+unknown" where git does not tell. A repository can name commands
    that git runs (`core.fsmonitor`, filters, hooks), and this one may have come with the pipeline: its files are
    compared by a git that sees its objects and its index, and of its settings only those that are plain values.
    """
    found = _repository(folder)
    commit = _head(*found[1:]) if found is not None else ""
    if found is None or not commit:
        return ""
    root, git_dir, shared = found
    with tempfile.TemporaryDirectory(prefix="kepipe-git-") as scratch:
        bare = Path(scratch)
        (bare / "HEAD").write_text(f"{commit}\n")
        (bare / "refs").mkdir()
        (bare / "config").write_text(_plain_config(shared / "config", len(commit)))
        places = {"DIR": bare, "WORK_TREE": root, "INDEX_FILE": git_dir / "index"}
        places["OBJECT_DIRECTORY"] = shared / "objects"
        status = _git(
            [
                "--no-optional-locks",
                "status",
                "--porcelain",
                "--untracked-files=no",
                "--ignore-submodules=all",
            ],
            {f"GIT_{name}": str(place) for name, place in places.items()},
        )
    return commit + ("+unknown" if status is None else "+changes" if status else "")


def _repository(folder: Path) -> tuple[Path, Path, Path] | None:
    """The checkout around a folder: its root, its own git folder, and the one that its linked checkouts share."""
    for root in (folder, *folder.parents):
        git_dir = root / ".git"
        if git_dir.is_file():  # a linked checkout or a submodule
            git_dir = root / _line(git_dir).removeprefix("gitdir: ")
        if (git_dir / "HEAD").is_file():
            return root, git_dir, git_dir / _line(git_dir / "commondir")
    return None


def _head(git_dir: Path, shared: Path) -> str:
    """The commit that is checked out; "" where there is none yet, or it is not kept in the usual files."""
    head = _line(git_dir / "HEAD")
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        if not name.startswith("refs/") or ".." in name:
            return ""
        head = _line(git_dir / name) or _line(shared / name) or _packed(shared / "packed-refs", name)
    return head if _COMMIT.fullmatch(head) else ""


def _packed(file: Path, name: str) -> str:
    if not file.is_file():
        return ""
    with file.open(encoding="utf-8", errors="replace") as lines:
        return next((line.split()[0] for line in lines if line.rstrip("\n").endswith(f" {name}")), "")


def _line(file: Path) -> str:
    """The first line of a small file; "" without one."""
    if not file.is_file():
        return ""
    with file.open(encoding="utf-8", errors="replace") as stream:
        return stream.readline(4096).strip()


def _plain_config(config: Path, digits: int) -> str:
    """A config of those settings of a repository that say how files are compared, and can run nothing."""
    listed = _git(["config", "--file", str(config), "--no-includes", "--list", "--null"], {}) or ""
    entries = (entry.partition("\n") for entry in listed.split("\0") if entry)
    plain = [f"{name} = {value}" for name, _, value in entries if value in _PLAIN.get(name, ())]
    lines = [line.removeprefix("core.") for line in ("core.fsmonitor = false", *plain)]
    if digits == 64:
        lines += ["repositoryformatversion = 1", "[extensions]", "objectformat = sha256"]
    return "\n".join(["[core]", *lines, ""])


def _git(command: Sequence[str], places: Mapping[str, str]) -> str | None:
    """What git prints; None where it fails, takes long or is missing."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *command],
            cwd="/",
            env={**clean, **places},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip("\n") if done.returncode == 0 else None
