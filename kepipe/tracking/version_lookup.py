"""Look up a version of a registered model: `moons@champion`, `moons/3`, `models:/moons/3`, `moons`."""

from __future__ import annotations

import re

from kepipe.config import ConfigError
from kepipe.tracking.registry import CHAMPION, Version, versions
from kepipe.tracking.store import Store

_PATTERN = re.compile(r"(?:models:/)?(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<number>\d+))?")


def find(store: Store, named: str) -> Version:
    """The version; for a name without version the champion. Raises ConfigError if there is none."""
    found = _PATTERN.fullmatch(named)
    if found is None:
        raise ConfigError(f"{named!r}: expected NAME, NAME@ALIAS or NAME/VERSION")
    known = versions(store.client, found["name"])
    if found["number"]:
        chosen = [each for each in known if each.version == int(found["number"])]
        available = ", ".join(str(each.version) for each in known)
    else:
        alias = found["alias"] or CHAMPION
        chosen = [each for each in known if alias in each.aliases]
        available = ", ".join(f"@{alias}" for each in known for alias in each.aliases)
    if not chosen:
        raise ConfigError(f"`{named}`: no such version (available: {available or 'none'})")
    return chosen[0]
