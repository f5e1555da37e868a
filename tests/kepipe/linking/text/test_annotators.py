from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.document import Span
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.annotators import ChineseAnnotator, RuleAnnotator, make_annotator, paragraphs

TEXT = "The big dog saw Ann Lee in Paris. It barked.\n\nShe ran to the United States' old embassy."


def pieces(text: str, spans: Sequence[Span | Name]) -> list[str]:
    return [text[span.start : span.end] for span in spans]


def test_spacy_reads_sentences_phrases_and_names() -> None:
    annotation = next(iter(make_annotator("en", "en_core_web_sm").annotate([TEXT])))
    assert pieces(TEXT, annotation.sentences) == [
        "The big dog saw Ann Lee in Paris.",
        "It barked.",
        "She ran to the United States' old embassy.",
    ]
    assert {"The big dog", "Ann Lee", "Paris"} <= set(pieces(TEXT, annotation.phrases))
    assert not {"It", "She"} & set(pieces(TEXT, annotation.phrases))
    assert annotation.proper is not None
    assert {"Ann Lee", "Paris", "United States"} <= set(pieces(TEXT, annotation.proper))
    assert annotation.names is not None
    assert {"Ann Lee", "Paris", "United States"} <= set(pieces(TEXT, annotation.names))


def test_annotations_keep_the_order_of_the_texts() -> None:
    texts = ["One short text.", "", TEXT, "Another.\nAnd more."]
    together = list(make_annotator("en", "en_core_web_sm", ner=False).annotate(texts))
    assert [len(annotation.sentences) for annotation in together] == [1, 0, 3, 2]
    assert all(annotation.names is None for annotation in together if annotation.sentences)


def test_rule_annotator_splits_sentences() -> None:
    text = 'He left. "Why?" she asked.  No. 5 is 3.14 long\nLast line'
    found = pieces(text, next(iter(RuleAnnotator().annotate([text]))).sentences)
    assert found == ["He left.", '"Why?" she asked.', "No.", "5 is 3.14 long", "Last line"]


def test_chinese_annotator_splits_sentences_and_words() -> None:
    text = "眼睛发红是什么病？小儿狂犬病，可以治疗。\n好"
    annotation = next(iter(ChineseAnnotator().annotate([text])))
    assert pieces(text, annotation.sentences) == ["眼睛发红是什么病？", "小儿狂犬病，可以治疗。", "好"]
    assert {"眼睛", "狂犬病", "治疗"} <= set(pieces(text, annotation.phrases))


@given(st.text(alphabet="aB .!?\n。", max_size=60))
def test_spans_are_in_order_apart_and_trimmed(text: str) -> None:
    annotation = next(iter(RuleAnnotator().annotate([text])))
    _check(text, annotation)
    covered = "".join(pieces(text, annotation.sentences))
    assert covered.replace(" ", "") == "".join(text.split())


def _check(text: str, annotation: Annotations) -> None:
    ends = [0]
    for span in annotation.sentences:
        assert ends[-1] <= span.start < span.end
        assert text[span.start : span.end].strip() == text[span.start : span.end]
        ends.append(span.end)


def test_long_paragraphs_are_cut_at_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kepipe.linking.text.annotators.MAX_PARAGRAPH", 10)
    assert list(paragraphs("aaa bbb ccc ddd\n\nxxxxxxxxxxxxyy")) == [
        Span(0, 7), Span(7, 15), Span(17, 27), Span(27, 31),
    ]  # fmt: skip


def test_a_missing_pipeline_raises_with_the_install_command() -> None:
    with pytest.raises(ValueError, match="pip install xx_none_sm"):
        make_annotator("en", "xx_none_sm")
