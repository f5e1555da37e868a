"""jieba, with its cache in the user's own folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import ModuleType


def open_jieba() -> ModuleType:
    """The jieba module, with a private dictionary cache.

    By default jieba loads its dictionary with `marshal` from the shared temporary folder, where any user of the
    machine could have planted a file.
    """
    import jieba

    jieba.setLogLevel(logging.WARNING)
    if not jieba.dt.initialized:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kepipe"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        jieba.dt.tmp_dir = str(folder)
    module: ModuleType = jieba
    return module
