"""`base: {from: "models:/NAME@champion"}`: a registered model to start from. It is translated to a stage `champion`, so
that the digest of the resolved version is part of the cache key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.config import ConfigError, Key, Settings
from kepipe.stages.from_champion import CHAMPION_STAGE
from kepipe.tracking.model_uri import REGISTERED, parse

OF_TRAINING = ("dropout",)
"""Settings of a base that belong to the training and not to the start model."""


@dataclass(frozen=True)
class RegisteredBase:
    """`champion`: entry of the stage that loads the model from the registry; `entry`: that of the stage that starts
    from it, without the settings that moved to `champion`."""

    champion: Mapping[str, Any]
    entry: Mapping[str, Any]

    def with_start(self, name: str) -> dict[str, Any]:
        """The entry of the starting stage, with the stage `name` as its input `start`."""
        return {**self.entry, "inputs": {**(self.entry.get("inputs") or {}), "start": name}}


def parse_registered_base(
    entry: Mapping[str, Any], slots: Mapping[str, Any], settings: Settings, at: Key
) -> RegisteredBase | None:
    """The registered base of an entry; None if it has none. Raises ConfigError for an invalid model URI, or if the
    entry has another start model too."""
    base = entry.get("base")
    uri = base.get("from") if isinstance(base, Mapping) else None
    if not isinstance(uri, str) or not uri.startswith(REGISTERED) or "start" not in slots:
        return None
    where = settings.where((*at, "base", "from"))
    assert isinstance(base, Mapping)
    try:
        name, version = parse(uri)
    except ValueError as reason:
        raise ConfigError(f"{where}: {reason}") from None
    if (entry.get("inputs") or {}).get("start") is not None:
        raise ConfigError(f"{where}: {uri} and `inputs.start` both give a start model: remove one")
    base_settings = {key: value for key, value in base.items() if key not in ("from", *OF_TRAINING)}
    champion = {"use": CHAMPION_STAGE.name, "name": name, "at": version, "base": base_settings or None}
    tokenizer = _tokenizer(settings)
    if tokenizer is not None:
        champion["tokenizer"] = tokenizer
    kept = {key: base[key] for key in OF_TRAINING if key in base}
    rest = {key: value for key, value in entry.items() if key != "base"}
    return RegisteredBase(champion, {**rest, "base": kept} if kept else rest)


def _tokenizer(settings: Settings) -> str | None:
    """The tokenizer of the file's stage `shards`, which a newly initialised model must use too."""
    shards = settings.data.get("stages", {}).get("shards") or {}
    tokenizer = shards.get("tokenizer") if isinstance(shards, Mapping) else None
    named = tokenizer.get("from") if isinstance(tokenizer, Mapping) else None
    return named if isinstance(named, str) else None
