"""Safe reading of untrusted files: pipes, devices, sizes, and malicious JSON."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kg.regular_files import JsonError, open_regular, parse_json, read_json, read_small


def test_a_pipe_and_a_device_are_an_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match=r"pipe: expected a file, found a pipe"):
        open_regular(pipe)
    with pytest.raises(ValueError, match=r"/dev/zero: expected a file, found a device"):
        read_small(Path("/dev/zero"))
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_a_file_is_read_up_to_its_maximum_size(tmp_path: Path) -> None:
    file = tmp_path / "small"
    file.write_bytes(b"x" * (1 << 20))
    assert len(read_small(file, 1 << 20)) == 1 << 20
    with pytest.raises(ValueError, match="small: larger than 0 MB"):
        read_small(file, (1 << 20) - 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 500_000 + "]" * 500_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "a number has too many digits"),
        ("{'a': 1}", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b'{"a": "\xff"}', r"not UTF-8 \(byte 8\)"),
    ],
)
def test_invalid_json_has_an_error_message(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(JsonError, match=message):
        parse_json(text)
    file = tmp_path / "a.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=rf"a\.json: .*{message}"):
        read_json(file)


def test_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, "é"]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, "é"]}
