"""Types of settings that name files and folders of the user's."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema

from kepipe.recording import recording

_located: ContextVar[dict[str, Path] | None] = ContextVar("located", default=None)
_named: ContextVar[dict[str, None] | None] = ContextVar("named", default=None)


def recording_paths() -> AbstractContextManager[dict[str, Path]]:
    """Fill a mapping with all that settings name during the block: the text of a setting → the file or folder."""
    return recording(_located)


def recording_names() -> AbstractContextManager[dict[str, None]]:
    """Collect the names and hub ids that a `UserSource` is given during the block, in order."""
    return recording(_named)


def _locate(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if not (_folder(info) / Path(text).expanduser()).exists():  # a `$` may stand in a name
        text = os.path.expandvars(text)
    if "$" in text and not (_folder(info) / Path(text).expanduser()).exists():
        raise ValueError(f"{text} names an environment variable that is not set")
    path = (_folder(info) / Path(text).expanduser()).resolve()
    if not path.exists():
        raise ValueError(f"no such file or folder: {path}")
    if (found := _located.get()) is not None:
        found[str(value)] = path
    return path


UserPath = Annotated[Path, BeforeValidator(_locate)]
"""A file or folder of the user's that must exist; `~` and `$VARIABLES` are expanded, and a relative path starts at
the folder of the YAML file."""


def _locate_or_name(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    is_path = text.startswith((".", "/", "~", "$")) or (_folder(info) / text).exists()
    if is_path:
        return str(_locate(text, info))
    if (found := _named.get()) is not None:
        found[text] = None
    return text


def _folder(info: ValidationInfo) -> Path:
    """Where relative paths start: the folder of the YAML file."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder


UserSource = Annotated[str, BeforeValidator(_locate_or_name)]
"""A name that kepipe knows (`minilm`), a hub id, or a `UserPath`: what begins with `.`, `/`, `~` or `$`, or lies in the
folder of the YAML file."""


def _locate_each(value: Any, info: ValidationInfo) -> Any:
    return tuple(_locate(item, info) for item in (value if isinstance(value, list | tuple) else [value]))


_ONE_OR_SEVERAL = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
UserPaths = Annotated[tuple[Path, ...], BeforeValidator(_locate_each), WithJsonSchema(_ONE_OR_SEVERAL)]
"""One such path, or a list of them."""
