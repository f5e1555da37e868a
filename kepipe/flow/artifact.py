"""An artifact: a finished folder with digests of its files, to detect damage and to recognise equal content.

`artifact.json` lists size and digest of every file outside `record/`. `record/` holds what differs from
run to run (times, throughput, run id) and is not part of the digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from kepipe.files import link_or_copy
from kg.regular_files import open_regular, parse_json

MANIFEST = "artifact.json"
RECORD = "record"
ALWAYS_DIGESTED = 1 << 20
"""Size in bytes up to which a file is digested again whenever its artifact is used."""


@dataclass(frozen=True)
class Artifact:
    """A finished stage's folder. Subclasses, one per kind of content, add typed access to the files."""

    folder: Path
    digest: str
    """Digest of the content: equal folders have equal digests, whichever stage made them."""
    maker: str = ""
    """Id of the pipeline run that made it."""
    name: str = ""
    """The stage's name in the pipeline that uses it."""

    @classmethod
    def open(cls, folder: Path, name: str = "") -> Self:
        """The artifact in `folder`. Raises CorruptArtifact if the manifest is missing or unreadable."""
        manifest = read_manifest(folder)
        return cls(folder, manifest["digest"], manifest["maker"], name)

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics that the stage logged, in order: `{"step": …, name: value, …}`."""
        file = self.folder / RECORD / "metrics.jsonl"
        return list(read_metrics(file)) if file.exists() else []


class FileEntry(TypedDict):
    """A file in the manifest."""

    size: int
    mtime_ns: int
    sha256: str


class Manifest(TypedDict):
    """Content of `artifact.json`."""

    digest: str
    maker: str
    cache_key_inputs: dict[str, Any]
    files: dict[str, FileEntry]


_MANIFEST = TypeAdapter(Manifest)


class CorruptArtifact(Exception):
    """The folder does not match its manifest."""


def seal(folder: Path, cache_key_inputs: Mapping[str, Any], maker: str) -> str:
    """Write the manifest of a finished folder and return the digest of its content."""
    files = {str(file.relative_to(folder)): _fingerprint(file) for file in _content(folder)}
    digest = hash_json({name: entry["sha256"] for name, entry in files.items()})
    manifest = {"digest": digest, "maker": maker, "cache_key_inputs": cache_key_inputs, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    return digest


def read_metrics(file: Path) -> Iterator[dict[str, Any]]:
    """The entries of a metrics file; damaged lines are skipped."""
    for line in file.read_text(errors="replace").splitlines():
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step", ""), int | None):
            yield entry


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a sealed folder. Raises CorruptArtifact."""
    try:
        return _MANIFEST.validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise CorruptArtifact(f"{folder}: no readable {MANIFEST} ({reason})") from None


def verify(folder: Path, thorough: bool = False) -> None:
    """Raise CorruptArtifact unless the files match the manifest.

    A file of more than `ALWAYS_DIGESTED` bytes with the recorded size and modification time counts as unchanged; any
    other file is digested again. `thorough` digests every file.
    """
    try:
        _compare(folder, thorough)
    except (
        FileNotFoundError,
        NotADirectoryError,
    ) as gone:  # another process clears the folder, or sets it aside
        raise CorruptArtifact(f"{gone.filename or folder}: {gone.strerror}") from None


def _compare(folder: Path, thorough: bool) -> None:
    manifest = read_manifest(folder)
    expected = manifest["files"]
    present = {str(file.relative_to(folder)) for file in _content(folder)}
    if present != expected.keys():
        difference = ", ".join(sorted(present ^ expected.keys())[:3])
        raise CorruptArtifact(f"{folder}: files missing or added: {difference}")
    for name, entry in expected.items():
        stat = (folder / name).stat()
        as_recorded = (stat.st_size, stat.st_mtime_ns) == (entry["size"], entry["mtime_ns"])
        if as_recorded and stat.st_size > ALWAYS_DIGESTED and not thorough:
            continue
        if stat.st_size != entry["size"] or hash_file(folder / name) != entry["sha256"]:
            raise CorruptArtifact(f"{folder / name}: content does not match its digest")
    if hash_json({name: entry["sha256"] for name, entry in expected.items()}) != manifest["digest"]:
        raise CorruptArtifact(f"{folder}/{MANIFEST}: digest does not match the files it lists")


def link_folder(source: Path, target: Path) -> None:
    """Put an artifact's files, or those of one of its folders, at a second place: hard-linked if the file system
    supports it, else copied."""
    for file in _content(source):
        link_or_copy(file, target / file.relative_to(source))


def hash_file(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open_regular(file) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if file.is_file() and inside.parts[0] != RECORD and str(inside) != MANIFEST:
            yield file


def _fingerprint(file: Path) -> dict[str, Any]:
    stat = file.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": hash_file(file)}
