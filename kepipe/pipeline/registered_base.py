"""`base: {from: "models:/NAME@champion"}`: a registered model to start from. It is a stage `champion` in other words,
so that the digest of the version that is meant goes into the key of what starts from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.config import ConfigError, Key, Settings
from kepipe.stages.from_champion import CHAMPION_STAGE
from kepipe.tracking.model_uri import REGISTERED, parse

OF_TRAINING = ("dropout",)
"""Settings of a base that are those of the training, whatever it starts from."""


@dataclass(frozen=True)
class RegisteredBase:
    """`champion`: the entry of the stage that takes the model from the registry; `entry`: that of the stage that starts
    from it, without what the other says."""

    champion: Mapping[str, Any]
    entry: Mapping[str, Any]

    def with_start(self, name: str) -> dict[str, Any]:
        """The entry of the stage that starts from the model, which a stage of this name takes from the registry."""
        return {**self.entry, "inputs": {**(self.entry.get("inputs") or {}), "start": name}}


def of(
    entry: Mapping[str, Any], slots: Mapping[str, Any], settings: Settings, at: Key
) -> RegisteredBase | None:
    """What an entry says of a registered base; None where it names none. Raises ConfigError for an address that is
    none, and beside another model to start from."""
    base = entry.get("base")
    address = base.get("from") if isinstance(base, Mapping) else None
    if not isinstance(address, str) or not address.startswith(REGISTERED) or "start" not in slots:
        return None
    where = settings.where((*at, "base", "from"))
    assert isinstance(base, Mapping)
    try:
        name, version = parse(address)
    except ValueError as reason:
        raise ConfigError(f"{where}: {reason}") from None
    if (entry.get("inputs") or {}).get("start") is not None:
        raise ConfigError(f"{where}: {address} and `inputs.start` both say what to start from: leave one out")
    fresh = {key: value for key, value in base.items() if key not in ("from", *OF_TRAINING)}
    champion = {"use": CHAMPION_STAGE.name, "name": name, "at": version, "base": fresh or None}
    tokenizer = _tokenizer(settings)
    if tokenizer is not None:
        champion["tokenizer"] = tokenizer
    kept = {key: base[key] for key in OF_TRAINING if key in base}
    rest = {key: value for key, value in entry.items() if key != "base"}
    return RegisteredBase(champion, {**rest, "base": kept} if kept else rest)


def _tokenizer(settings: Settings) -> str | None:
    """The tokenizer that the file gives its shards, which a fresh model has to have too."""
    shards = settings.data.get("stages", {}).get("shards") or {}
    tokenizer = shards.get("tokenizer") if isinstance(shards, Mapping) else None
    named = tokenizer.get("from") if isinstance(tokenizer, Mapping) else None
    return named if isinstance(named, str) else None
