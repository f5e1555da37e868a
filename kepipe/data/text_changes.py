"""The difference between two versions of a corpus: new, changed and deleted documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TextChanges:
    """`new`: indices, in the new version, of documents with a new text; `changed`: ids of those among them that had
    another text before; `gone`: ids of deleted documents."""

    new: Sequence[int]
    changed: Sequence[str]
    gone: Sequence[str]


def text_changes(before: Mapping[str, str], now: Sequence[tuple[str, str]]) -> TextChanges:
    """`before`: id → text; `now`: id and text of each document. A known text with another id is not new."""
    known, ids = set(before.values()), {id for id, _ in now}
    new = [place for place, (_, text) in enumerate(now) if text not in known]
    changed = [now[place][0] for place in new if now[place][0] in before]
    return TextChanges(new, changed, [id for id in before if id not in ids])
