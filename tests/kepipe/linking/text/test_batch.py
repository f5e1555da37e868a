import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.document import Span
from kepipe.linking.decision.policy import Policy
from kepipe.linking.linker import Linker
from kepipe.linking.text import batch as text_batch
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.annotators import RuleAnnotator
from kepipe.linking.text.batch import TextBatch, text_batches
from kepipe.linking.text.casing import Casing
from kg.store import Graph

WORDS = (
    "New York", "New York City", "York", "Lincoln", "Nebraska", "reading", "Reading", "Lincoln, Nebraska", "the",
    "United Kingdom", "Paul Lincoln", "Yorkshire", "LEEDS", "東京", "住む", "cathedral", "he", "her", "in",
    "Leeds-York", "İ", "ﬁrst", "New\u00adYork", "ΟΔΟΣ", "Noank, ", "\n", "\U0001f600", ". ", " ", "",
)  # fmt: skip
written = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, str, Annotations]:
    """A text, a title, and arbitrary annotations of the text."""
    text = draw(written)
    sentences = next(iter(RuleAnnotator().annotate([text]))).sentences
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = tuple(Span(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=False))
    labels = draw(st.lists(st.sampled_from(("PERSON", "GPE", "DATE")), min_size=4, max_size=4))
    names = tuple(Name(*span, label) for span, label in zip(spans, labels, strict=False))
    annotation = Annotations(
        sentences,
        draw(st.sampled_from((spans, ()))),
        draw(st.sampled_from((spans, None))),
        draw(st.sampled_from((names, None))),
    )
    return text, draw(st.sampled_from(("", "Lincoln", "a city"))), annotation


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    """A linker in which every feature has a weight, so that every difference shows."""
    linker = Linker.build(graph, Casing({"reading": 0.9}))
    weights = np.random.default_rng(0).normal(0.0, 1.0, len(linker.ranker.weights))
    return linker.with_ranker(type(linker.ranker)(weights, 1.0, 0.3))


@settings(max_examples=150, deadline=None)
@given(st.lists(rows(), max_size=6), st.booleans(), st.booleans())
def test_batched_linking_equals_linking_one_by_one(
    linker: Linker, texts: list[tuple[str, str, Annotations]], gate: bool, pronouns: bool
) -> None:
    policy = Policy(gate=gate, pronouns=pronouns)
    together = list(linker.link_all(texts, policy))
    alone = [linker.link(text, annotation, title, policy) for text, title, annotation in texts]
    assert together == alone


@settings(deadline=None)
@given(st.lists(rows(), min_size=1, max_size=4))
def test_batch_offsets(texts: list[tuple[str, str, Annotations]]) -> None:
    (batch,) = text_batches(texts)
    spans = batch.spans(annotation.phrases for _, _, annotation in texts)
    shown = [batch.text[start:end] for start, end in spans.tolist()]
    assert shown == [text[start:end] for text, _, annotation in texts for start, end in annotation.phrases]
    numbers = [number for number, (_, _, annotation) in enumerate(texts) for _ in annotation.phrases]
    assert batch.number(spans[:, 0]).tolist() == numbers


def test_a_batch_ends_at_its_size_or_number_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_batch, "BATCH_CHARACTERS", 10)
    monkeypatch.setattr(text_batch, "BATCH_TEXTS", 3)
    rows = [(text, "", Annotations((), ())) for text in ("a" * 12, "b", "c" * 9, "d", "e", "f", "g")]
    cut: list[TextBatch] = list(text_batches(rows))
    assert [len(batch.texts) for batch in cut] == [1, 2, 3, 1]
