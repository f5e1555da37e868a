"""Profiles of a pipeline file: settings for another machine, laid over the others (`profiles:`, `--profile`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kepipe.config import ConfigError, Settings, suggest
from kepipe.config.yaml_file import Key


def with_profile(settings: Settings, name: object) -> Settings:
    """The settings with those of the profile `name` over them, and the lines of these; as they are for None.

    Groups of settings are merged, anything else takes the place of what was there. Raises ConfigError with file and
    line for a profile that the file has not.
    """
    if name is None:
        return settings
    profiles = settings.data.get("profiles") or {}
    if not isinstance(name, str) or not isinstance(profiles, Mapping) or name not in profiles:
        known = f"there are {', '.join(map(str, profiles))}" if profiles else "the file has none"
        hint = suggest(str(name), [str(one) for one in profiles])
        raise ConfigError(f"{settings.where(('profiles',))}: no profile `{name}`: {known}{hint}")
    changes = profiles[name]
    if not isinstance(changes, Mapping):
        raise ConfigError(
            f"{settings.where(('profiles', name))}: `profiles.{name}`: expected a group of settings"
        )
    placed: Key = ("profiles", name)
    lines = dict(settings.lines)
    lines |= {key[2:]: line for key, line in settings.lines.items() if key[:2] == placed and len(key) > 2}
    return Settings(_merge(settings.data, changes), settings.file, lines)


def _merge(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(data)
    for key, value in changes.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(before, value) if both else value  # type: ignore[arg-type]
    return merged
