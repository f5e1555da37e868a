"""Gold texts → lessons, and whether their places are marked together with what they lie in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kepipe.linking.goldset import GoldText
from kepipe.linking.join import marks_joined
from kepipe.linking.learn import Lesson
from kepipe.linking.linker import Linker
from kepipe.linking.reading import Reading


def teach(
    linker: Linker, texts: Sequence[GoldText], readings: Iterable[Reading]
) -> tuple[list[Lesson], bool]:
    """The lessons, and whether links like "Lille, France" are one in these texts; they are learned as two."""
    joined = marks_joined(
        ((text.document.text, text.links) for text in texts), linker.knowledge, linker.gazetteer.lexicon
    )
    lessons = [
        linker.lesson(
            text.document.text,
            reading,
            linker.take_apart(text.document.text, text.links) if joined else text.links,
            text.document.title,
            (text.begin, text.end),
        )
        for text, reading in zip(texts, readings, strict=True)
    ]
    return lessons, joined
