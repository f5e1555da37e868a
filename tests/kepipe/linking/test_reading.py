from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.document import Span
from kepipe.linking.reading import ChineseReader, Name, Reading, RuleReader, make_reader, paragraphs

TEXT = "The big dog saw Ann Lee in Paris. It barked.\n\nShe ran to the United States' old embassy."


def pieces(text: str, spans: Sequence[Span | Name]) -> list[str]:
    return [text[span.start : span.end] for span in spans]


def test_spacy_reads_sentences_phrases_and_names() -> None:
    reading = next(iter(make_reader("en", "en_core_web_sm").read([TEXT])))
    assert pieces(TEXT, reading.sentences) == [
        "The big dog saw Ann Lee in Paris.",
        "It barked.",
        "She ran to the United States' old embassy.",
    ]
    assert {"The big dog", "Ann Lee", "Paris"} <= set(pieces(TEXT, reading.phrases))
    assert not {"It", "She"} & set(pieces(TEXT, reading.phrases))
    assert reading.proper is not None
    assert {"Ann Lee", "Paris", "United States"} <= set(pieces(TEXT, reading.proper))
    assert reading.names is not None
    assert {"Ann Lee", "Paris", "United States"} <= set(pieces(TEXT, reading.names))


def test_answers_come_in_the_order_of_the_texts() -> None:
    texts = ["One short text.", "", TEXT, "Another.\nAnd more."]
    together = list(make_reader("en", "en_core_web_sm", ner=False).read(texts))
    assert [len(reading.sentences) for reading in together] == [1, 0, 3, 2]
    assert all(reading.names is None for reading in together if reading.sentences)


def test_rules() -> None:
    text = 'He left. "Why?" she asked.  No. 5 is 3.14 long\nLast line'
    found = pieces(text, next(iter(RuleReader().read([text]))).sentences)
    assert found == ["He left.", '"Why?" she asked.', "No.", "5 is 3.14 long", "Last line"]


def test_chinese() -> None:
    text = "眼睛发红是什么病？小儿狂犬病，可以治疗。\n好"
    reading = next(iter(ChineseReader().read([text])))
    assert pieces(text, reading.sentences) == ["眼睛发红是什么病？", "小儿狂犬病，可以治疗。", "好"]
    assert {"眼睛", "狂犬病", "治疗"} <= set(pieces(text, reading.phrases))


@given(st.text(alphabet="aB .!?\n。", max_size=60))
def test_spans_are_in_order_apart_and_trimmed(text: str) -> None:
    reading = next(iter(RuleReader().read([text])))
    _check(text, reading)
    covered = "".join(pieces(text, reading.sentences))
    assert covered.replace(" ", "") == "".join(text.split())


def _check(text: str, reading: Reading) -> None:
    ends = [0]
    for span in reading.sentences:
        assert ends[-1] <= span.start < span.end
        assert text[span.start : span.end].strip() == text[span.start : span.end]
        ends.append(span.end)


def test_long_paragraphs_are_cut_at_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kepipe.linking.reading.LONGEST", 10)
    assert list(paragraphs("aaa bbb ccc ddd\n\nxxxxxxxxxxxxyy")) == [
        Span(0, 7), Span(7, 15), Span(17, 27), Span(27, 31),
    ]  # fmt: skip


def test_a_missing_pipeline_is_named_with_the_cure() -> None:
    with pytest.raises(ValueError, match="pip install xx_none_sm"):
        make_reader("en", "xx_none_sm")
