"""The archive of a bundle: files with fixed times and owners, and the digest of each."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from kepipe.files import replacing
from kepipe.flow.artifact import hash_file

SUMS, RUN = "SHA256SUMS", "run"


def write_archive(out: Path, name: str, files: Mapping[str, Path | bytes]) -> int:
    """Write files, place in folder `name` → file or content, as a tar archive (`.gz` and `.xz`: compressed), with
    `SHA256SUMS`. Equal files give equal archives. Returns its size in bytes."""
    sums = "".join(f"{_digest(content)}  {place}\n" for place, content in sorted(files.items()))
    mode = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}.get(out.suffix, "w")
    with replacing(out) as unfinished:
        with tarfile.open(unfinished, mode) as archive:  # type: ignore[call-overload]
            for place, content in sorted({**files, SUMS: sums.encode()}.items()):
                _add(archive, f"{name}/{place}", content)
        return unfinished.stat().st_size


def _add(archive: tarfile.TarFile, place: str, content: Path | bytes) -> None:
    about = tarfile.TarInfo(place)
    about.mode = 0o755 if place.endswith(f"/{RUN}") else 0o644
    if isinstance(content, bytes):
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
        return
    about.size = content.stat().st_size
    with content.open("rb") as stream:
        archive.addfile(about, stream)


def _digest(content: Path | bytes) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else hash_file(content)
