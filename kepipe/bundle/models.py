"""Trained models that a pipeline names: of Hugging Face's hub, from this machine's cache, and of the model registry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kepipe.config import ConfigError, Section
from kepipe.files import sqlite_file
from kepipe.flow.plan import Flow
from kepipe.model_names import MINILM
from kepipe.models.pretrained import HUB_FILES
from kepipe.pipeline import KINDS, WrittenEntry
from kepipe.pipeline.registered_base import OF_TRAINING
from kepipe.stages.from_champion import CHAMPION_STAGE, ChampionConfig
from kepipe.tracking.model_uri import REGISTERED, fetch, model_uri, parse
from kepipe.tracking.store import store_uri

NOT_CACHED = "{name}: it is not in the cache of Hugging Face's hub on this machine; `--download` gets it"
NOT_DOWNLOADED = "{name}: Hugging Face's hub does not give it: {reason}"
INCOMPLETE = "{name}: the cache of Hugging Face's hub on this machine lacks {files}"
GET_MISSING = "; `--download` gets what is missing"
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


@dataclass(frozen=True)
class HubModel:
    """A model or tokenizer of the hub. `folder`: its files in the cache of this machine, None if it is not there.
    `missing`: files without which it cannot be used. `problem`: why it cannot be packed, and what to do."""

    name: str
    folder: Path | None
    missing: Sequence[str] = ()
    problem: str | None = None


def hub_models(names: Collection[str], flow: Flow, download: bool = False) -> list[HubModel]:
    """Those of the names that are of the hub, as the cache of this machine has them. `flow`: how they are used;
    `download`: get what the cache lacks."""
    uses: dict[str, set[str]] = {name: set() for name in names if name != MINILM}
    for node in flow.nodes:
        for name, use in _uses(node.config):
            if name in uses:
                uses[name].add(use)
    return [_hub_model(name, uses[name] != {"tokenizer"}, download) for name in uses]


def _uses(settings: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """The texts of settings, each with `tokenizer` or `model`."""
    if isinstance(settings, Section):
        for name in type(settings).model_fields:
            yield from _uses(getattr(settings, name), "tokenizer" if "tokenizer" in (name, field) else name)
    elif isinstance(settings, tuple | list):
        for each in settings:
            yield from _uses(each, field)
    elif isinstance(settings, str):
        yield settings, "tokenizer" if field == "tokenizer" else "model"


def _hub_model(name: str, has_weights: bool, download: bool) -> HubModel:
    """A model with its tokenizer, which is loaded along with it, or a tokenizer alone."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    listed: Sequence[str] = ()
    try:
        folder = Path(snapshot_download(name, allow_patterns=HUB_FILES, local_files_only=not download))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        partial = getattr(
            error, "snapshot_path", None
        )  # of IncompleteSnapshotError, which older versions lack
        if partial is None:
            reason = str(error).strip().partition("\n")[0]
            problem = (
                NOT_DOWNLOADED.format(name=name, reason=reason) if download else NOT_CACHED.format(name=name)
            )
            return HubModel(name, None, problem=problem)
        folder, listed = Path(partial), ("files that the hub lists",)
    weights = (missing_weights(folder) or listed) if has_weights else ()
    missing = (*weights, *missing_tokenizer(folder))
    if not missing:
        return HubModel(name, folder)
    problem = INCOMPLETE.format(name=name, files=" and ".join(missing)) + ("" if download else GET_MISSING)
    return HubModel(name, folder, missing, problem)


def missing_weights(folder: Path) -> list[str]:
    """Files of config and weights that a model's folder lacks: those of its index, or the one file."""
    from kepipe.models.hf.huggingface import CONFIG, weight_files

    return [file.name for file in (folder / CONFIG, *weight_files(folder)) if not file.is_file()]


def missing_tokenizer(folder: Path) -> list[str]:
    """["tokenizer.json"] if a model's folder has no tokenizer, else []."""
    choices = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
    found = any(all((folder / name).is_file() for name in files) for files in choices)
    return [] if found else ["tokenizer.json"]


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

    def replace(self, settings: Mapping[str, Any], entries: Iterable[WrittenEntry], flow: Flow) -> Any:
        """Settings that start from the models' folders instead of from the registry: those of the models that the flow
        loads, in the entries that name them."""
        loaded = {
            model_uri(node.config.name, node.config.at)
            for node in flow.nodes
            if isinstance(node.config, ChampionConfig)
        }
        changed = {entry.at: new for entry in entries if (new := self._replaced(entry, loaded)) is not None}
        if not changed:
            return settings
        replaced: dict[str, Any] = deepcopy({**settings})
        replaced.pop("profile", None)  # its settings are among these
        for (*groups, name), new in changed.items():
            group: Any = replaced
            for key in groups:
                group = group[key]
            group[name] = new
        return replaced

    def _replaced(self, entry: WrittenEntry, loaded: Collection[str]) -> Mapping[str, Any] | None:
        """The entry with the packed model; None if it names none. A copy (`like`) is changed only if it names a
        model itself."""
        stage = KINDS[entry.full["use"]]
        base, own_base = entry.full.get("base"), entry.own.get("base")
        if stage is CHAMPION_STAGE:
            default = ChampionConfig()
            at = str(entry.full.get("at", default.at))
            uri = model_uri(str(entry.full.get("name", default.name)), at)
            place = self.place(uri) if uri in loaded else None
            alias = {"at": default.at} if at.isdecimal() else {}
            return None if place is None else {**entry.own, **alias, "base": {"from": f"./{place}"}}
        uri = str(base.get("from")) if isinstance(base, Mapping) and isinstance(own_base, Mapping) else ""
        if not uri.startswith(REGISTERED) or model_uri(*parse(uri)) not in loaded:
            return None
        assert isinstance(own_base, Mapping)
        place = self.place(uri)
        kept = {name: own_base[name] for name in OF_TRAINING if name in own_base}
        return None if place is None else {**entry.own, "base": {"from": f"./{place}", **kept}}
