"""The entries of stages as a pipeline file writes them, each with what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.config import Key, Settings
from kepipe.pipeline.arms import Arm
from kepipe.pipeline.study import Study
from kepipe.pipeline.wiring import Entries, resolve


@dataclass(frozen=True)
class WrittenEntry:
    """`at`: key in the file. `own`: what is written there. `full`: with the kind of stage (`use`) and the settings of
    the stages that it is `like`; in a study's arm, with those of the stage that the arm changes."""

    at: Key
    own: Mapping[str, Any]
    full: Mapping[str, Any]


def written_entries(
    entries: Entries, places: Mapping[str, Key], settings: Settings, study: Study | None
) -> Iterator[WrittenEntry]:
    """The entries of the file's stages, and of those that the arms of its study change."""
    resolved: dict[str, dict[str, Any]] = {}
    for name, entry in entries.items():
        yield WrittenEntry(places[name], entry, resolve(name, entries, settings, places, resolved))
    for arm, changes in ({} if study is None else study.arms).items():
        of_arm, at = Arm(arm, changes).entries(entries, places, settings)
        resolved = {}
        for name, own in changes.items():
            yield WrittenEntry(at[name], own, resolve(name, of_arm, settings, at, resolved))
