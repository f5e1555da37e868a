"""Options of linking that override what a linker learned."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kepipe.linking.decision.marks import Marks


@dataclass(frozen=True)
class Policy:
    """What is linked, and with which confidence.

    `threshold`: minimum score; None: the ranker's own. `gate`: link only spans that are named entities of NER; no
    effect without NER. `fuzzy`: link unlinked name-like spans to the most similar name, if its similarity (0..100) is
    at least this; None: off. `marks`: what counts as a mention; None: as the linker learned. `pronouns`: link "he" and
    "she" to persons named before; None: as in `marks`. `join`: "Lille, France" is one mention; None: as in `marks`.
    """

    threshold: float | None = None
    gate: bool = False
    fuzzy: float | None = None
    pronouns: bool | None = None
    join: bool | None = None
    marks: Marks | None = None

    def marks_of(self, learned: Marks) -> Marks:
        """What counts as a mention, given the `learned` marks of a linker."""
        marks = learned if self.marks is None else self.marks
        pronouns = marks.pronouns if self.pronouns is None else self.pronouns
        joined = marks.joined if self.join is None else self.join
        return replace(marks, pronouns=pronouns, joined=joined)


AS_LEARNED = Policy()
