"""The served model: a model folder, or the version that a registry alias points to, reloaded when the alias moves."""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kepipe.flow.artifact import CorruptArtifact, read_manifest
from kepipe.tracking.model_uri import fetch, is_model_uri, version_of
from kepipe.tracking.predictors import PredictorRow, ServedModel, require_predictor

MAX_BACKOFF = 64
"""After a failed refresh the pause is doubled, up to this multiple of `refresh_seconds`."""


@dataclass(frozen=True)
class LoadedVersion:
    """A loaded model. `version`: the registered version's number, or the first digits of a folder's digest ("" if it
    has none)."""

    model: ServedModel
    version: str
    row: PredictorRow


class CurrentModel:
    """The model of `name`: a folder, or a URI such as `models:/NAME@champion` in the store of `workspace`.

    `on_message` is called when another version is loaded, and when that fails: the old version is then kept, and the
    new one is retried with exponential backoff. Raises ConfigError if there is no such model, ValueError for one that
    cannot be loaded.
    """

    def __init__(self, name: str, workspace: Path, on_message: Callable[[str], None]) -> None:
        self.name, self._workspace, self._on_message = name, workspace, on_message
        self._stop_event = threading.Event()
        self._watcher: threading.Thread | None = None
        self._last_error = ""
        self.loaded = self._load(self._version())

    def refresh(self) -> bool:
        """Check the alias once, and load its version if it has changed. Returns whether that succeeded."""
        try:
            version = self._version()
            if version != self.loaded.version:
                self.loaded = self._load(version)
                self._on_message(f"{self.name}: version {version} is now being served")
        except Exception as error:  # on any error, keep serving the old version
            message = (
                f"{self.name}: refresh failed, still serving version {self.loaded.version}: "
                f"{error or type(error).__name__}"
            )
            if message != self._last_error:
                self._on_message(message)
            self._last_error = message
            return False
        self._last_error = ""
        return True

    def watch(self, refresh_seconds: float) -> None:
        """Call `refresh` every `refresh_seconds`, in a thread, until `stop`. Does nothing for a folder."""
        if not is_model_uri(self.name):
            return

        def refresh_periodically() -> None:
            failures = 0
            while not self._stop_event.wait(refresh_seconds * min(2**failures, MAX_BACKOFF)):
                failures = 0 if self.refresh() else failures + 1

        self._watcher = threading.Thread(target=refresh_periodically, name="kepipe-watch", daemon=True)
        self._watcher.start()

    def stop(self, timeout: float) -> None:
        """Stop `watch`; wait at most `timeout` seconds for a version that is being loaded."""
        self._stop_event.set()
        if self._watcher is not None:
            self._watcher.join(timeout)

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
            uri = f"{self.name.partition('@')[0].rstrip('/')}/{version}" if "@" in self.name else self.name
            folder = fetch(uri, self._workspace, Path(scratch.name))
        row = require_predictor(folder, self.name)
        model = row.load(folder)
        if scratch is not None:
            weakref.finalize(model, scratch.cleanup)
        return LoadedVersion(model, version, row)
