"""The commit of real repositories, including ones that would run a command if git obeyed them."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from kepipe.provenance import git_commit, run_tags

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *IDENTITY, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path) -> Path:
    git(folder.parent, "init", "-q", "-b", "main", str(folder))
    (folder / "p.yaml").write_text("name: x\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return repository(tmp_path / "checkout")


def test_git_commit_and_whether_files_differ(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    (checkout / "sub").mkdir()
    (checkout / "new.txt").write_text("not tracked")
    assert git_commit(checkout) == git_commit(checkout / "sub") == head
    os.utime(checkout / "p.yaml", (0, 0))
    assert git_commit(checkout) == head  # touched, and the same
    (checkout / "p.yaml").write_text("name: y\n")
    assert git_commit(checkout) == f"{head}+changes"
    git(checkout, "add", ".")
    assert git_commit(checkout) == f"{head}+changes"
    git(checkout, "commit", "-qm", "second")
    assert git_commit(checkout) == git(checkout, "rev-parse", "HEAD") != head


@pytest.mark.parametrize("words", [("pack-refs", "--all"), ("gc", "-q"), ("checkout", "-q", "--detach")])
def test_git_commit_with_packed_refs_gc_or_detached_head(checkout: Path, words: tuple[str, ...]) -> None:
    git(checkout, *words)
    assert git_commit(checkout) == git(checkout, "rev-parse", "HEAD")


def test_git_commit_of_worktrees_and_crlf_files(checkout: Path) -> None:
    git(checkout, "worktree", "add", "-q", "../linked", "-b", "other")
    assert git_commit(checkout.parent / "linked") == git(checkout, "rev-parse", "HEAD")
    git(checkout, "config", "core.autocrlf", "true")
    (checkout / "p.yaml").unlink()
    git(checkout, "checkout", "p.yaml")
    assert (checkout / "p.yaml").read_bytes() == b"name: x\r\n"
    os.utime(checkout / "p.yaml", (0, 0))
    assert git_commit(checkout) == git(checkout, "rev-parse", "HEAD")


def test_git_commit_of_sha256_repositories(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "long")
    (tmp_path / "long" / "a").write_text("a")
    git(tmp_path / "long", "add", ".")
    git(tmp_path / "long", "commit", "-qm", "first")
    head = git(tmp_path / "long", "rev-parse", "HEAD")
    assert (len(head), git_commit(tmp_path / "long")) == (64, head)


def test_git_commit_is_empty_outside_a_repository(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == ""
    git(tmp_path, "init", "-q", "empty")
    assert git_commit(tmp_path / "empty") == ""
    (tmp_path / "empty" / ".git" / "HEAD").write_text("ref: ../../../../../../etc/hostname\n")
    assert git_commit(tmp_path / "empty") == ""


def test_reading_the_commit_runs_no_command_of_the_repository(checkout: Path) -> None:
    """Each way by which `git status` would run a command of the repository's, shown to be one by git itself."""
    mark, hook = checkout.parent / "ran", checkout.parent / "hook.sh"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    hook.chmod(0o755)
    inner = repository(checkout.parent / "inner")
    git(checkout, "submodule", "add", "-q", str(inner), "inner")
    (checkout / ".gitattributes").write_text("*.yaml filter=evil\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "second")
    head = git(checkout, "rev-parse", "HEAD")
    included = checkout.parent / "included"
    included.write_text(f"[core]\n\tfsmonitor = {hook}\n")
    dangers = (
        (checkout, "core.fsmonitor", str(hook)),
        (checkout, "filter.evil.clean", str(hook)),
        (checkout, "include.path", str(included)),
        (checkout / "inner", "core.fsmonitor", str(hook)),
    )
    for number, (place, name, value) in enumerate(dangers):
        git(place, "config", name, value)
        os.utime(checkout / "p.yaml", (number, number))  # git looks into it again
        assert git_commit(checkout) == head, name
        assert not mark.exists(), name
        git(checkout, "status")
        assert mark.exists(), f"{name} would not have run anything"
        mark.unlink()
        git(place, "config", "--unset", name)


def test_command_line_settings_are_logged_shell_quoted(checkout: Path) -> None:
    assignments = ("stages.pretrain.steps=9", "corpus.path=my texts")
    told = run_tags(checkout / "p.yaml", 3, assignments)["pipeline.set"]
    assert shlex.split(told) == ["--set", assignments[0], "--set", assignments[1]]
    assert "pipeline.set" not in run_tags(checkout / "p.yaml", 3)
