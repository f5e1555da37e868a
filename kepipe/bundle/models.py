"""Trained models that a pipeline names: of Hugging Face's hub, from this machine's cache, and of the model registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kepipe.config import ConfigError
from kepipe.files import sqlite_file
from kepipe.model_names import MINILM
from kepipe.pipeline.registered_base import OF_TRAINING
from kepipe.stages.from_champion import CHAMPION_STAGE, ChampionConfig
from kepipe.tracking.model_uri import REGISTERED, fetch, model_uri, parse
from kepipe.tracking.store import store_uri

NOT_CACHED = "{name}: it is not in the cache of Hugging Face's hub on this machine; `--download` gets it"
NOT_REGISTERED = "{reason}; without it, the stage that starts from it has no model, or a new one"


@contextmanager
def offline() -> Iterator[None]:
    """Have Hugging Face's libraries read their cache alone during the block."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def hub_folders(names: Iterable[str]) -> dict[str, Path | None]:
    """Hub id → its folder in the cache of this machine; None: it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    found: dict[str, Path | None] = {}
    for name in names:
        if name == MINILM:
            continue
        try:
            found[name] = Path(snapshot_download(name, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            found[name] = None
    return found


@dataclass
class RegisteredModels:
    """Models of the registry of `workspace`. Those that are on a server are downloaded into `scratch`.

    `folders`: place in the bundle, from its YAML file → the model's folder here. `missing`: why a model is left out.
    """

    workspace: Path
    scratch: Path
    folders: dict[str, Path] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    _places: dict[str, str | None] = field(default_factory=dict)

    def place(self, uri: str) -> str | None:
        """Where the model of a URI is in the bundle; None if it cannot be had."""
        if uri not in self._places:
            self._places[uri] = None
            name, version = parse(uri)
            place = f"inputs/registry/{name.replace(' ', '-')}-{version}"
            try:
                file = sqlite_file(store_uri(self.workspace))
                if file is not None and not file.is_file():
                    raise ConfigError(f"{uri}: {self.workspace} has no model registry")
                self.folders[place] = fetch(uri, self.workspace, self.scratch / place)
                self._places[uri] = place
            except ConfigError as reason:
                self.missing.append(NOT_REGISTERED.format(reason=reason))
        return self._places[uri]

    def replace(self, settings: Any) -> Any:
        """Settings that start from the models' folders instead of from the registry."""
        if isinstance(settings, list):
            return [self.replace(value) for value in settings]
        if not isinstance(settings, Mapping):
            return settings
        return {key: self._replaced(key, value) for key, value in settings.items()}

    def _replaced(self, key: str, value: Any) -> Any:
        if key == "base" and isinstance(value, Mapping) and str(value.get("from")).startswith(REGISTERED):
            place = self.place(str(value["from"]))
            kept = {name: value[name] for name in OF_TRAINING if name in value}
            return value if place is None else {"from": f"./{place}", **kept}
        name = value.get("use", key) if isinstance(value, Mapping) else key
        if name == CHAMPION_STAGE.name and (value is None or isinstance(value, Mapping)):
            return self._champion(value or {})
        return self.replace(value)

    def _champion(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """A stage `champion` that starts with the packed model: the registry of the other machine has none."""
        default = ChampionConfig()
        at = str(entry.get("at", default.at))
        place = self.place(model_uri(str(entry.get("name", default.name)), at))
        if place is None:
            return entry
        alias = {"at": default.at} if at.isdecimal() else {}
        return {**entry, **alias, "base": {"from": f"./{place}"}}
