"""What a linker is asked to link, besides what it learned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """`threshold`, `pronouns`: instead of the ranker's own (None).

    `gate`: only what NER takes for a name, no more and no less, is linked; without NER everything may be.
    `fuzzy`: what looks like a name and is not linked may be written otherwise than in the graph, by so much: the least
    likeness, 0..100 (`fuzzy.NearNames`). `pronouns`: "he" and "she" mean persons named before (`pronouns`).
    """

    threshold: float | None = None
    gate: bool = False
    fuzzy: float | None = None
    pronouns: bool | None = None


AS_LEARNED = Policy()
