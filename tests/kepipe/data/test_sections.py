"""Sections of long documents: no text is lost, and no span is cut."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kepipe.data.document import Document, Mention, Span, Turn
from kepipe.data.sections import sections


@example(text="aa。   aa", longest=4)
@given(st.text(alphabet="ab .\n。", min_size=1, max_size=200), st.integers(4, 60))
def test_the_sections_concatenate_to_the_text(text: str, longest: int) -> None:
    parts = list(sections(Document("d", text), longest))
    assert all(len(part.text) <= longest for part in parts)
    letters = "".join("".join(part.text.split()) for part in parts)
    assert letters == "".join(text.split()), "only blanks may be left out, where a section has nothing else"


def test_a_short_document_is_not_split() -> None:
    document = Document("d", "Io is a moon.")
    assert list(sections(document, 13)) == [document]


def test_a_section_has_at_least_half_of_the_maximum() -> None:
    """An earlier end is ignored, and the best kind of end is preferred to the latest."""
    texts = {"aaaa bbbbbbbb": ["aaaa bbbbb", "bbb"], "aaaaa bbbbbbb": ["aaaaa ", "bbbbbbb"]}
    texts["aaaaa. b c d e"] = ["aaaaa. ", "b c d e"]
    texts["aaaaaaaaaabbbbbb bbb"] = ["aaaaaaaaaa", "bbbbbb bbb"]
    for text, parts in texts.items():
        assert [part.text for part in sections(Document("d", text), 10)] == parts


def test_spans_are_not_cut_and_their_offsets_are_shifted() -> None:
    words = [f"word{number}" for number in range(100)]
    text = " ".join(words)
    starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])]).tolist()
    pairs = [(starts[n], starts[n + 1] + len(words[n + 1])) for n in range(0, 100, 2)]
    document = Document(
        "d",
        text,
        sentences=tuple(Span(*pair) for pair in pairs),
        gold=tuple(Mention(*pair, f"Q{n}") for n, pair in enumerate(pairs)),
        turns=tuple(Turn(*pair, n % 2) for n, pair in enumerate(pairs)),
    )
    parts = list(sections(document, 70))
    assert len(parts) > 5
    assert [part.id for part in parts] == [f"d#{n}" for n in range(1, len(parts) + 1)]
    marked = [(part.text[m.start : m.end], m.entity) for part in parts for m in part.gold]
    assert marked == [(text[start:end], f"Q{n}") for n, (start, end) in enumerate(pairs)]
    for field in ("sentences", "turns"):
        spans = [part.text[span.start : span.end] for part in parts for span in getattr(part, field)]
        assert spans == [text[start:end] for start, end in pairs]


def test_a_paragraph_end_is_preferred() -> None:
    text = "One line.\nAnother. " * 3 + "\n\n" + "The next paragraph. " * 3
    first, *_ = sections(Document("d", text), 80)
    assert first.text.endswith("\n\n")
