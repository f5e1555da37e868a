"""What a linker is asked to link, besides what it learned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """What is linked, and how surely.

    `threshold`: the least score, instead of the ranker's own (None).
    `gate`: of the names that the ranker links, only those that NER takes for names; without NER all of them.
    `fuzzy`: what looks like a name and is not linked means the name most like it, if so like (0..100); None: off.
    `pronouns`: "he" and "she" mean persons named before, instead of as the ranker learned (None).
    `join`: "Lille, France" is one mention, instead of as the ranker learned (None).
    """

    threshold: float | None = None
    gate: bool = False
    fuzzy: float | None = None
    pronouns: bool | None = None
    join: bool | None = None


AS_LEARNED = Policy()
