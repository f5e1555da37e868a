"""Packed files: several streams, padding; damage is reported, never dropped."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kg.problems import Problems
from kg.sources import reading
from kg.sources.reading import read_lines

Pack = Callable[[bytes], bytes]
LINES = b"".join(b"%d\n" % number for number in range(300_000))


def lines(file: Path, problems: Problems) -> bytes:
    return b"".join(line for _, line in read_lines(file, problems, lambda _: None))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_file_of_several_streams_with_padding_is_read(tmp_path: Path, pack: Pack) -> None:
    file = tmp_path / "lines"
    file.write_bytes(pack(LINES) + pack(b"") + pack(b"more\n") + bytes(3_000_000))
    problems = Problems()
    assert lines(file, problems) == LINES + b"more\n"
    assert not problems


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize(
    "after", [b"junk", b"BZh8 no stream", bytes(20) + b"junk", bz2.compress(LINES)[:4000]]
)
def test_damage_after_a_packed_stream_is_reported(tmp_path: Path, pack: Pack, after: bytes) -> None:
    file = tmp_path / "lines"
    file.write_bytes(pack(LINES) + after)
    problems = Problems()
    assert lines(file, problems) == LINES
    assert str(problems.first[0]).startswith("lines:300001: the compressed data is damaged from here on")


def test_truncated_packed_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(bz2.compress(LINES)[:-30])
    problems = Problems()
    lines(file, problems)
    assert "the compressed data is damaged from here on" in str(problems.first[0])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_reported_with_and_without_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "lines"
    file.write_bytes("a\tr\tb\n".encode(encoding))
    problems = Problems()
    assert lines(file, problems) == b""
    assert "UTF-16" in str(problems.first[0])


@pytest.mark.parametrize("packing", [gzip, bz2])
def test_decompression_bomb_is_rejected(
    tmp_path: Path, packing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FREE", 1 << 20)
    line, file = b"a\tb\tc\n", tmp_path / "bomb.tsv"
    file.write_bytes(packing.compress(line * 100_000))  # 600 kB, and nearly nothing packed
    assert sum(len(block) for _, block in reading.read_blocks(file, Problems(), lambda _: None)) == 600_000
    file.write_bytes(packing.compress(line * 1_000_000))
    with pytest.raises(ValueError, match=r"bomb\.tsv: unpacks to more than 200 times its size"):
        list(reading.read_blocks(file, Problems(), lambda _: None))
    varied = np.random.default_rng(0).integers(97, 105, 3 << 20, np.uint8).tobytes()
    file.write_bytes(packing.compress(varied))
    assert sum(len(block) for _, block in reading.read_blocks(file, Problems(), lambda _: None)) == 3 << 20


def test_endless_line_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1 << 20)
    file = tmp_path / "long.tsv"
    file.write_bytes(b"a\tb\tc\n" * 2 + b"x" * (3 << 20))
    with pytest.raises(ValueError, match=r"long\.tsv:3: a line of more than 1 MB: refused"):
        list(reading.read_blocks(file, Problems(), lambda _: None))


def test_graph_file_that_is_a_pipe_or_device_is_rejected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    for file in (tmp_path / "pipe.tsv", Path("/dev/zero")):
        with pytest.raises(ValueError, match="expected a file, found a"):
            list(reading.read_blocks(file, Problems(), lambda _: None))
