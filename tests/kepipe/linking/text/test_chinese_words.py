"""Chinese words are split by jieba's own dictionary, whatever is in the folder for temporary files."""

from __future__ import annotations

import marshal
import os
import stat
import subprocess
import sys
from pathlib import Path

CUT = "from kepipe.linking.text.chinese_words import open_jieba; print('|'.join(open_jieba().cut('我住在北京大学')))"


def test_a_planted_jieba_dictionary_in_the_temporary_folder_is_not_read(tmp_path: Path) -> None:
    shared, cache = tmp_path / "tmp", tmp_path / "cache"
    shared.mkdir()
    (shared / "jieba.cache").write_bytes(marshal.dumps(({"我住在北京大学": 1}, 1)))
    environment = {
        **os.environ,
        "TMPDIR": str(shared),
        "XDG_CACHE_HOME": str(cache),
        "PYTHONIOENCODING": "utf-8",
    }
    for _ in range(2):  # without a cache, and with the one that the first made
        done = subprocess.run(
            [sys.executable, "-c", CUT], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "我|住|在|北京大学"
    assert (cache / "kepipe" / "jieba.cache").is_file()
    assert stat.S_IMODE((cache / "kepipe").stat().st_mode) == 0o700
