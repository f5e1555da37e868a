"""The difference between two versions of a corpus: new, changed and deleted documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TextChanges:
    """`new`: places, in the text as it is now, of documents whose text was not there before; `changed`: ids of those
    among them that were there with another text; `gone`: ids that are no longer there."""

    new: Sequence[int]
    changed: Sequence[str]
    gone: Sequence[str]


def text_changes(before: Mapping[str, str], now: Sequence[tuple[str, str]]) -> TextChanges:
    """`before`: id → text; `now`: id and text of each document. A text that only has another id is not new."""
    known, ids = set(before.values()), {id for id, _ in now}
    new = [place for place, (_, text) in enumerate(now) if text not in known]
    changed = [now[place][0] for place in new if now[place][0] in before]
    return TextChanges(new, changed, [id for id in before if id not in ids])
