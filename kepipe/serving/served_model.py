"""The served model: a folder's, or the version that a registered model's alias names, reloaded when the alias moves."""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kepipe.config import ConfigError
from kepipe.flow.artifact import CorruptArtifact, read_manifest
from kepipe.tracking.model_uri import fetch, is_model_uri, version_of
from kepipe.tracking.predictors import PredictorRow, ServedModel, predictor_of

LONGEST_PAUSE = 64
"""After a failed refresh the pause is doubled, up to this many times `refresh_seconds`."""


@dataclass(frozen=True)
class LoadedVersion:
    """An opened model. `version`: the registered version's number, or the beginning of a folder's digest ("" if it has
    none)."""

    model: ServedModel
    version: str
    row: PredictorRow


class CurrentModel:
    """The model of `name`: a folder, or a URI such as `models:/NAME@champion` in the store of `workspace`.

    `tell` is called when another version is loaded, and when one cannot be opened: the old version then stays, and the
    new one is retried with exponential backoff. Raises ConfigError if there is no such model, ValueError for one
    that cannot be opened.
    """

    def __init__(self, name: str, workspace: Path, tell: Callable[[str], None]) -> None:
        self.name, self._workspace, self._tell = name, workspace, tell
        self._end = threading.Event()
        self._watching: threading.Thread | None = None
        self._trouble = ""
        self.loaded = self._load(self._version())

    def refresh(self) -> bool:
        """Check the alias once, and open its version if it has changed. Returns whether that succeeded."""
        try:
            version = self._version()
            if version != self.loaded.version:
                self.loaded = self._load(version)
                self._tell(f"{self.name}: version {version} answers now")
        except Exception as error:  # whatever it is, the old version goes on serving
            trouble = f"{self.name}: version {self.loaded.version} goes on: {error or type(error).__name__}"
            if trouble != self._trouble:
                self._tell(trouble)
            self._trouble = trouble
            return False
        self._trouble = ""
        return True

    def watch(self, refresh_seconds: float) -> None:
        """Call `refresh` every `refresh_seconds`, in a thread, until `stop`. Does nothing for a folder."""
        if not is_model_uri(self.name):
            return

        def look() -> None:
            failed = 0
            while not self._end.wait(refresh_seconds * min(2**failed, LONGEST_PAUSE)):
                failed = 0 if self.refresh() else failed + 1

        self._watching = threading.Thread(target=look, name="kepipe-watch", daemon=True)
        self._watching.start()

    def stop(self, timeout: float) -> None:
        """End `watch`; wait at most `timeout` seconds for a version that is being opened."""
        self._end.set()
        if self._watching is not None:
            self._watching.join(timeout)

    def _version(self) -> str:
        if is_model_uri(self.name):
            return version_of(self.name, self._workspace)
        try:
            return read_manifest(Path(self.name))["digest"][:12]
        except CorruptArtifact:
            return ""

    def _load(self, version: str) -> LoadedVersion:
        folder, scratch = Path(self.name), None
        if is_model_uri(self.name):
            scratch = tempfile.TemporaryDirectory(prefix="kepipe-")  # weights may be memory-mapped from there
            address = (
                f"{self.name.partition('@')[0].rstrip('/')}/{version}" if "@" in self.name else self.name
            )
            folder = fetch(address, self._workspace, Path(scratch.name))
        row = predictor_of(folder)
        if row is None:
            raise ConfigError(f"{self.name}: this model neither fills masks, writes nor answers a task")
        model = row.load(folder)
        if scratch is not None:
            weakref.finalize(model, scratch.cleanup)
        return LoadedVersion(model, version, row)
