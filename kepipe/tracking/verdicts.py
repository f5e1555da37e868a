"""The gate's decision on the model that a stage `register` has offered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kepipe.tracking.decision import RUN, WHY, outcome
from kepipe.tracking.registry import CHAMPION, versions
from kepipe.tracking.store import Store
from kg.regular_files import read_json


@dataclass(frozen=True)
class RegistryVerdict:
    """What became of an offered model: `promoted` by the gate or by a person, or still champion."""

    promoted: bool
    text: str


def find_verdict(store: Store, model: str, offer: Path) -> RegistryVerdict | None:
    """The decision on the offer in folder `offer`; None while the registry has none.

    Raises OSError or ValueError for a folder without an offer.
    """
    digest = read_json(offer / "offer.json")["model"]
    if model not in {each.name for each in store.client.search_registered_models(f"name = '{model}'")}:
        return None
    for version in versions(store.client, model):
        if version.tags.get("kepipe.digest") == digest and RUN in version.tags:
            state = outcome(version.tags)
            is_champion = CHAMPION in version.aliases
            text = f"{model} version {version.version}: {state}. {version.tags.get(WHY, '')}"
            return RegistryVerdict(is_champion or state == "promoted", text)
    return None
