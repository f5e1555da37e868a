"""Artifacts: what their manifest covers, and how a difference from it is told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from kepipe.flow.artifact import (
    ALWAYS_DIGESTED,
    Artifact,
    CorruptArtifact,
    hash_file,
    hash_json,
    link_folder,
    read_manifest,
    seal,
    verify,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed folder with files named like the manifest and the record in a folder of its own."""
    folder = tmp_path / "made"
    for name in ("value", "deep/artifact.json", "deep/record/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "record").mkdir()
    (folder / "record" / "run.json").write_text("{}")
    seal(folder, {"b": 1, "a": 2}, "run-1")
    return folder


def test_manifest_covers_every_file_but_itself_and_the_record(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert sorted(manifest["files"]) == ["deep/artifact.json", "deep/record/x", "value"]
    assert manifest["files"]["value"]["size"] == 5
    assert manifest["maker"] == "run-1"
    (folder / "record" / "run.json").write_text('{"seconds": 1}')
    verify(folder, thorough=True)


def test_equal_content_has_an_equal_digest_and_an_equal_manifest(folder: Path, tmp_path: Path) -> None:
    """The digest of the content is that of its files' names and digests; keys of the manifest are sorted."""
    other = tmp_path / "other"
    link_folder(folder, other)
    assert not (other / "record").exists()
    digest = seal(other, {"a": 2, "b": 1}, "run-1")
    names = ("value", "deep/record/x", "deep/artifact.json")
    assert digest == hash_json({name: hash_file(folder / name) for name in names})
    assert (other / "artifact.json").read_bytes() == (folder / "artifact.json").read_bytes()
    opened = Artifact.open(other, "mine")
    assert (opened.digest, opened.maker, opened.name, opened.metrics()) == (digest, "run-1", "mine", [])


def test_at_most_three_missing_or_added_files_are_named(folder: Path) -> None:
    for name in ("z1", "z2", "z3"):
        (folder / name).touch()
    (folder / "value").unlink()
    with pytest.raises(CorruptArtifact, match=r"made: files missing or added: value, z1, z2$"):
        verify(folder)


@pytest.mark.parametrize("text", ["valve", "longer"])
def test_changed_file_is_named(folder: Path, text: str) -> None:
    (folder / "value").write_text(text)
    with pytest.raises(CorruptArtifact, match=r"value: content does not match its digest$"):
        verify(folder)


def test_file_of_another_size_or_time_but_equal_content_is_compared_by_content(folder: Path) -> None:
    os.utime(folder / "value", (1, 1))
    verify(folder)


def test_manifest_whose_digest_is_not_that_of_its_files_is_damaged(folder: Path) -> None:
    manifest = read_manifest(folder)
    (folder / "artifact.json").write_text(json.dumps({**manifest, "digest": "0"}))
    with pytest.raises(CorruptArtifact, match=r"artifact.json: digest does not match the files it lists"):
        verify(folder)


def test_missing_manifest_is_told_from_a_damaged_one(folder: Path) -> None:
    (folder / "artifact.json").write_text("{")
    with pytest.raises(CorruptArtifact, match=r"no readable artifact.json \(it is damaged\)"):
        read_manifest(folder)
    (folder / "artifact.json").unlink()
    with pytest.raises(CorruptArtifact, match=r"no readable artifact.json \(No such file or directory\)"):
        read_manifest(folder)


@pytest.mark.parametrize(("size", "is_digested"), [(1 << 20, True), ((1 << 20) + 1, False)])
def test_files_up_to_a_mebibyte_are_digested_at_each_use(
    tmp_path: Path, size: int, is_digested: bool
) -> None:
    assert ALWAYS_DIGESTED == 1 << 20
    file = tmp_path / "weights"
    file.write_bytes(bytes(size))
    long_ago = time.time_ns() - 10**12
    os.utime(file, ns=(long_ago, long_ago))
    seal(tmp_path, {}, "run")
    file.write_bytes(b"\1" + bytes(size - 1))
    os.utime(file, ns=(long_ago, long_ago))
    if is_digested:
        with pytest.raises(CorruptArtifact, match="weights: content does not match its digest"):
            verify(tmp_path)
    else:
        verify(tmp_path)
    with pytest.raises(CorruptArtifact, match="weights: content does not match its digest"):
        verify(tmp_path, thorough=True)


def test_metrics_without_a_step_and_damaged_lines(folder: Path) -> None:
    """A step is a number or null; entries of another form are left out."""
    lines = ['{"step": 1, "a": 2}', '{"step": null, "b": 3}', '{"a": 1}', '{"step": "x"}', "[1]", "{"]
    (folder / "record" / "metrics.jsonl").write_text("\n".join(lines))
    assert Artifact.open(folder).metrics() == [{"step": 1, "a": 2}, {"step": None, "b": 3}]
