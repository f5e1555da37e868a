"""Compressed texts and archives of texts."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pytest

from tests.support.texts import read_texts, write_and_read


def zstd(data: bytes) -> bytes:
    sink = io.BytesIO()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
        stream.flush()
        packed = sink.getvalue() if not sink.closed else b""
    return packed


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_compressed_files_are_read(tmp_path: Path, ending: str, pack: object) -> None:
    packed = pack(b'{"text": "One."}\n{"text": "Two."}\n' * 1)  # type: ignore[operator]
    found = write_and_read(tmp_path, f"d.jsonl{ending}", packed)
    assert [(document.id, document.text) for document in found.documents] == [
        ("d:1", "One."),
        ("d:2", "Two."),
    ]
    cut = write_and_read(tmp_path, f"e.txt{ending}", packed[: len(packed) // 2])
    assert "the compressed data is damaged" in cut.problems[0]


def test_zip_archives_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {
            "in/a.txt": "A.",
            "b.CSV": "text\nB.",
            "x.bin": "x",
            "__MACOSX/._a.txt": "no",
        }.items():
            archive.writestr(name, text)
    found = read_texts(tmp_path)
    assert [(document.id, document.text) for document in found.documents] == [
        ("a/in/a", "A."),
        ("a/b:2", "B."),
    ]
    assert found.notes[-1].endswith("1 .bin")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives_are_read(tmp_path: Path, mode: str) -> None:
    ending = ".tar" + mode[1:].replace(":", ".")
    with tarfile.open(tmp_path / f"a{ending}", mode) as archive:  # type: ignore[call-overload]
        for name, text in {"a.txt": b"A.", "../../up.md": b"*Up*"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    found = read_texts(tmp_path)
    assert [(document.id, document.text) for document in found.documents] == [
        ("a/a", "A."),
        ("a/up.md", "Up"),
    ]


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kepipe.data.text_formats.archives.FREE", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "a" * 1_000_000)
    with pytest.raises(ValueError, match="unpacks to more than 200 times its size"):
        read_texts(tmp_path)


def test_a_file_that_is_no_archive_is_reported(tmp_path: Path) -> None:
    assert write_and_read(tmp_path, "a.zip", b"no zip").problems[0].startswith("a.zip: not an archive")
    assert write_and_read(tmp_path, "a.tar", b"no tar" * 200).problems[0].startswith("a.tar: not an archive")
