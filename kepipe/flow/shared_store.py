"""Stage results shared by several workspaces, in a folder or a bucket, through fsspec.

`results/<key>.json` is a result's manifest; `blobs/<sha256>` are file contents, equal ones stored once. A result is
written after its blobs and removed before them, so that every result is complete. Reads are verified: files against
their digests, results against their keys.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kepipe.config import ConfigError
from kepipe.flow.artifact import (
    MANIFEST,
    RECORD,
    CorruptArtifact,
    hash_file,
    hash_json,
    read_manifest,
    verify,
)
from kg.regular_files import parse_json

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_KEY, _SHA256 = re.compile(r"[0-9a-f]{20}"), re.compile(r"[0-9a-f]{64}")
UPLOADING = 24 * 3600.0
"""Seconds for which an unreferenced blob is kept, since its result may be about to be written."""


class SharedStore:
    """The results at a URL (`s3://bucket/kepipe`, `gs://…`, `sftp://…`, a folder), by key.

    Raises ConfigError if the URL's protocol is unknown, or needs a package that is not installed.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as reason:
            raise ConfigError(f"shared store {url}: {reason}") from None
        self.url, self._root = url, root.rstrip("/")
        self._files: AbstractFileSystem = files

    def holds(self, key: str) -> bool:
        """Whether there is a result for a key."""
        return bool(self._files.exists(self._result(key)))

    def push(self, folder: Path) -> int:
        """Upload a sealed folder, named by its key. Returns the bytes sent; 0 if the store already has it.

        Raises CorruptArtifact for a damaged folder, OSError if the store cannot be written.
        """
        if self.holds(folder.name):
            return 0
        verify(folder, thorough=True)
        record = {
            str(file.relative_to(folder)): hash_file(file)
            for file in sorted((folder / RECORD).rglob("*"))
            if file.is_file() and file.name != "verified"
        }
        manifest = read_manifest(folder)
        digests = {name: entry["sha256"] for name, entry in manifest["files"].items()} | record
        sent = sum(self._send(folder / name, sha256) for name, sha256 in digests.items())
        text = json.dumps({"manifest": manifest, "record": record}, sort_keys=True)
        self._put(text.encode(), self._result(folder.name))
        return sent + len(text)

    def pull(self, key: str, out: Path) -> bool:
        """Download the result of a key into a new folder `out`. False if there is none.

        Raises CorruptArtifact for a damaged result, OSError if the store cannot be read.
        """
        try:
            text = self._files.cat_file(self._result(key))
        except FileNotFoundError:
            return False
        manifest, record = self._read(key, text)
        out.mkdir(parents=True)
        digests = {name: entry["sha256"] for name, entry in manifest["files"].items()}
        for name, sha256 in {**digests, **record}.items():
            self._fetch(sha256, out / name)
        for name, entry in manifest["files"].items():
            _set_time(out / name, entry["mtime_ns"])
        (out / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
        verify(out)
        return True

    def prune(self, before: float, *, dry_run: bool = False) -> int:
        """Remove results written before a Unix time, and unreferenced blobs. Returns the bytes freed."""
        freed, kept = 0, set[str]()
        for entry in self._list("results"):
            if _written(entry) < before:
                freed += self._remove(entry, dry_run)
            else:
                with suppress(FileNotFoundError, CorruptArtifact):
                    key = PurePosixPath(entry["name"]).stem
                    manifest, record = self._read(key, self._files.cat_file(entry["name"]))
                    kept |= {each["sha256"] for each in manifest["files"].values()} | {*record.values()}
        for entry in self._list("blobs"):
            is_recent = _written(entry) > time.time() - UPLOADING
            if PurePosixPath(entry["name"]).name not in kept and not is_recent:
                freed += self._remove(entry, dry_run)
        return freed

    def _read(self, key: str, text: bytes) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """The manifest and the record of a result, both checked. Raises CorruptArtifact."""
        try:
            result = parse_json(text)
            manifest, record = result["manifest"], result["record"]
            names = {**{name: entry["sha256"] for name, entry in manifest["files"].items()}, **record}
            is_sound = all(map(_is_inside, names)) and all(map(_SHA256.fullmatch, names.values()))
            is_sound &= all(name.startswith(f"{RECORD}/") for name in record)
            is_sound &= hash_json(manifest["cache_key_inputs"]).startswith(key)
        except (ValueError, KeyError, TypeError, AttributeError):
            is_sound = False
        if not is_sound:
            raise CorruptArtifact(f"{self.url}: the result {key} is damaged")
        return manifest, record

    def _send(self, file: Path, sha256: str) -> int:
        """Upload a file's content unless the store has it. Returns the bytes sent."""
        blob, size = self._blob(sha256), file.stat().st_size
        with suppress(FileNotFoundError):
            if self._files.size(blob) == size:
                return 0
        self._put(file, blob)
        return size

    def _fetch(self, sha256: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._files.get_file(self._blob(sha256), str(target))
        except FileNotFoundError:
            raise CorruptArtifact(f"{self.url}: {target.name} is missing") from None
        if hash_file(target) != sha256:
            raise CorruptArtifact(f"{self.url}: the content of {target.name} does not match its digest")

    def _put(self, content: Path | bytes, place: str) -> None:
        """Write a file atomically: objects of a bucket are; in a folder, by renaming."""
        is_folder = "file" in self._files.protocol
        target = f"{self._root}/incoming/{uuid.uuid4().hex}" if is_folder else place
        self._files.makedirs(self._files._parent(target), exist_ok=True)
        if isinstance(content, Path):
            self._files.put_file(str(content), target)
        else:
            self._files.pipe_file(target, content)
        if is_folder:
            self._files.makedirs(self._files._parent(place), exist_ok=True)
            self._files.mv(target, place)

    def _list(self, kind: str) -> Iterator[Mapping[str, Any]]:
        with suppress(FileNotFoundError):
            yield from self._files.find(f"{self._root}/{kind}", detail=True).values()

    def _remove(self, entry: Mapping[str, Any], dry_run: bool) -> int:
        if not dry_run:
            with suppress(FileNotFoundError):
                self._files.rm_file(entry["name"])
        return int(entry["size"])

    def _result(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key}: expected a key of 20 hex digits")
        return f"{self._root}/results/{key}.json"

    def _blob(self, sha256: str) -> str:
        return f"{self._root}/blobs/{sha256[:2]}/{sha256}"


def _is_inside(name: str) -> bool:
    """Whether a file of this name is inside the result's folder."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and ".." not in parts
        and not name.startswith("/")
        and "\\" not in name
        and name != MANIFEST
    )


def _set_time(file: Path, mtime_ns: int) -> None:
    os.utime(file, ns=(mtime_ns, mtime_ns))


def _written(entry: Mapping[str, Any]) -> float:
    """Unix time at which a file was last written; the current time if the store does not know."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = entry.get(name)
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, datetime):
            return value.timestamp()
    return time.time()
