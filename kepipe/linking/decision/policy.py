"""What a linker is asked to link, besides what it learned."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kepipe.linking.decision.marks import Marks


@dataclass(frozen=True)
class Policy:
    """What is linked, and how surely.

    `threshold`: the least score, instead of the ranker's own (None).
    `gate`: of the names that the ranker links, only those that NER takes for names; without NER all of them.
    `fuzzy`: what looks like a name and is not linked means the name most like it, if so like (0..100); None: off.
    `marks`: what counts as a mention, instead of as the linker learned (None).
    `pronouns`: "he" and "she" mean persons named before, instead of as in `marks` (None).
    `join`: "Lille, France" is one mention, instead of as in `marks` (None).
    """

    threshold: float | None = None
    gate: bool = False
    fuzzy: float | None = None
    pronouns: bool | None = None
    join: bool | None = None
    marks: Marks | None = None

    def marks_of(self, learned: Marks) -> Marks:
        """What counts as a mention to a linker that learned `learned`."""
        marks = learned if self.marks is None else self.marks
        pronouns = marks.pronouns if self.pronouns is None else self.pronouns
        joined = marks.joined if self.join is None else self.join
        return replace(marks, pronouns=pronouns, joined=joined)


AS_LEARNED = Policy()
