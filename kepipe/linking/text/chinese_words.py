"""jieba, with a cache of its user's own."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import ModuleType


def open_jieba() -> ModuleType:
    """jieba, ready to cut.

    Left to itself it loads its dictionary, by `marshal`, from a file in the folder for temporary files, where any user
    of the machine may have put one.
    """
    import jieba

    jieba.setLogLevel(logging.WARNING)
    if not jieba.dt.initialized:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kepipe"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        jieba.dt.tmp_dir = str(folder)
    module: ModuleType = jieba
    return module
