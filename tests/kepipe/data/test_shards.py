from pathlib import Path

import numpy as np
import pytest

from kepipe.data.alignment import Columns
from kepipe.data.shards import FILES, ShardWriter, holds, open_shard

CHUNKS = [
    Columns(
        np.array([5, 6, 7]),
        np.array([31, 1, 15], np.uint8),
        np.array([-1, 2, -1], np.int32),
        np.array([3]),
        0,
        0,
    ),
    Columns(
        np.array([8, 9]),
        np.array([31, 31], np.uint8),
        np.array([-1, -1], np.int32),
        np.array([1, 0, 1]),
        0,
        0,
    ),
]
IDS = [["a"], ["b", "nothing", "线\n"]]


def write(folder: Path, size: int = 100) -> None:
    with ShardWriter(folder, size) as writer:
        for columns, ids in zip(CHUNKS, IDS, strict=True):
            writer.append(columns, ids)
        assert writer.finish() == 5


@pytest.mark.parametrize(("size", "dtype"), [(65536, "uint16"), (65537, "uint32")])
def test_a_written_shard_is_read_back(tmp_path: Path, size: int, dtype: str) -> None:
    write(tmp_path, size)
    shard = open_shard(tmp_path)
    assert shard.tokens.tolist() == [5, 6, 7, 8, 9]
    assert shard.tokens.dtype == dtype
    assert shard.entities.tolist() == [-1, 2, -1, -1, -1]
    assert shard.documents.tolist() == [0, 3, 4, 5]
    assert shard.sentences.tolist() == [0, 2, 3, 4, 5]
    assert shard.ids() == ["a", "b", "线\n"]


def test_a_writer_continues_and_cuts_off_unsaved_bytes(tmp_path: Path) -> None:
    write(tmp_path / "whole")
    with ShardWriter(tmp_path / "torn", 100) as writer:
        writer.append(CHUNKS[0], IDS[0])
        noted = writer.sizes()
        writer.append(CHUNKS[0], IDS[0])  # and killed
    assert holds(tmp_path / "torn", noted)
    with ShardWriter(tmp_path / "torn", 100, noted) as writer:
        writer.append(CHUNKS[1], IDS[1])
        writer.finish()
    for name in (*FILES, "shard.json"):
        assert (tmp_path / "torn" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_missing_or_truncated_files_are_detected(tmp_path: Path) -> None:
    write(tmp_path)
    noted = {name: (tmp_path / name).stat().st_size for name in FILES}
    (tmp_path / "tokens.bin").write_bytes(b"\0")
    assert not holds(tmp_path, noted)
    with pytest.raises(ValueError, match=r"tokens\.bin: 1 bytes where 5 tokens"):
        open_shard(tmp_path)
    (tmp_path / "shard.json").write_text("{}")
    with pytest.raises(ValueError, match="not a shard"):
        open_shard(tmp_path)


def test_an_empty_shard_opens(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 100) as writer:
        writer.finish()
    shard = open_shard(tmp_path)
    assert (len(shard), shard.documents.tolist()) == (0, [0])
